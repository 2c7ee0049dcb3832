//! What a testimony's texts must not tell: who asks libvirt and where, where people keep their files, what hosts are called.
//!
//! Names of VMs and labels of GPUs stay as people gave them, but for a host's name in them: a reader needs them, and
//! [`Testimony::without_names`] is there for who wants them gone.

use std::collections::BTreeSet;

use gpuvirt_model::{Testimony, TestimonyText};

use crate::host_names::HostNames;
use crate::redact;

/// What is left out, in a manifest's words.
pub(crate) const NAMES: &str = "host names and MAC addresses";
const ASKED: &str = "users, hosts and keys in libvirt's URI and other URIs";
const PATHS: &str = "in messages: paths of files that are neither the system's nor gpuvirt's, and user@host";

/// What stands for something that was left out.
const REDACTED: &str = "redacted";
/// Beginnings of paths that tell nothing of who uses the host, and that a reader of a message needs.
const PLAIN_PATHS: [&str; 18] = [
    "/bin/",
    "/boot/",
    "/etc/gpuvirt",
    "/etc/libvirt/",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/systemd/",
    "/lib/",
    "/proc/",
    "/run/gpuvirt",
    "/run/libvirt/",
    "/run/systemd/",
    "/sbin/",
    "/sys/",
    "/usr/",
    "/var/lib/gpuvirt",
    "/var/run/gpuvirt",
    "/var/run/libvirt/",
];
/// Folders of device nodes that are named by the kernel; volumes and disks have names and serial numbers of people's.
const PLAIN_NODES: [&str; 8] = ["accel", "char", "dri", "input", "nvidia-caps", "snd", "usb", "vfio"];
/// Paths of libvirt's URIs that are no files.
const URI_PATHS: [&str; 5] = ["", "/", "/default", "/session", "/system"];

/// The testimony without these, and what was left out.
pub(crate) fn blanked(mut testimony: Testimony, host: &HostNames) -> (Testimony, BTreeSet<&'static str>) {
    let asked = testimony.libvirt.uri.as_deref().map(user_and_host).unwrap_or_default();
    let names = host.clone().with(&asked);
    let mut left_out = BTreeSet::new();
    testimony.for_each_text(&mut |text| {
        let text = match text {
            TestimonyText::Name(name) => name,
            TestimonyText::Uri(uri) => {
                let told = without_uris(uri);
                left_out.extend((told != *uri).then_some(ASKED));
                *uri = told;
                return;
            }
            TestimonyText::Sentence(sentence) => {
                let told = without_uris(sentence);
                left_out.extend((told != *sentence).then_some(ASKED));
                *sentence = without_paths(&told);
                left_out.extend((told != *sentence).then_some(PATHS));
                sentence
            }
        };
        let (blanked, changed) = redact::blank(text, &names);
        *text = blanked;
        left_out.extend(changed.then_some(NAMES));
    });
    (testimony, left_out)
}

/// Who asks, and where, of `driver+transport://user@host:port/path?more`.
fn user_and_host(uri: &str) -> Vec<String> {
    let Some((_, rest)) = uri.split_once("://") else { return Vec::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user = user.split(':').next().unwrap_or_default();
    // An address of IPv6 stands in brackets.
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    [user, host].into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Each URI by its kind alone: nobody's name, no host, no file of a key.
fn without_uris(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(|c: char| c.is_whitespace() || "'\"`<>()".contains(c)).unwrap_or(after.len());
        let (uri, behind) = after.split_at_checked(end).unwrap_or((after, ""));
        let uri = uri.trim_end_matches([':', '.', ',', ';']);
        out.push_str(before);
        out.push_str("://");
        out.push_str(&kind_of_path(uri));
        out.push_str(after.get(uri.len()..end).unwrap_or_default());
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// What stays of a URI behind its `://`.
fn kind_of_path(uri: &str) -> String {
    let slash = uri.find(['/', '?', '#']).unwrap_or(uri.len());
    let (authority, path) = uri.split_at_checked(slash).unwrap_or((uri, ""));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let authority = if authority.is_empty() { "" } else { REDACTED };
    let path = if URI_PATHS.contains(&path) { path } else { "/redacted" };
    format!("{authority}{path}")
}

/// Without paths of people's own files and what looks like `user@host`. In quotes a path may hold blanks.
fn without_paths(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if ends_a_word(first) {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            let quoted = ['\'', '"', '`'].contains(&first) && rest.starts_with('/');
            let closed = if quoted { rest.find(['\'', '"']) } else { None };
            if let Some((path, behind)) = closed.and_then(|end| rest.split_at_checked(end)) {
                out.push_str(&word(path));
                rest = behind;
            }
            continue;
        }
        let end = rest.find(ends_a_word).unwrap_or(rest.len());
        let (next, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        out.push_str(&word(next));
        rest = behind;
    }
    out
}

fn ends_a_word(c: char) -> bool {
    c.is_whitespace() || "'\"`()[]{}<>,;|=".contains(c)
}

fn word(word: &str) -> String {
    let plain = word.trim_end_matches([':', '.', '!', '?']);
    let end = word.strip_prefix(plain).unwrap_or_default();
    if plain.len() > 1 && plain.starts_with('/') {
        let known = PLAIN_PATHS.iter().any(|start| plain.starts_with(start)) || is_plain_node(plain);
        return if known && !plain.contains("/..") { word.to_owned() } else { format!("/{REDACTED}{end}") };
    }
    // systemd's units of a template are called so too.
    let unit = [".service", ".socket", ".timer"].iter().any(|unit| plain.ends_with(unit));
    match plain.split_once('@') {
        Some((user, host)) if !unit && !user.is_empty() && !host.is_empty() => format!("{REDACTED}{end}"),
        _ => word.to_owned(),
    }
}

/// A node right in /dev, or in a folder of the kernel's.
fn is_plain_node(path: &str) -> bool {
    let Some(node) = path.strip_prefix("/dev/") else { return false };
    node.split_once('/').is_none_or(|(folder, _)| PLAIN_NODES.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_keeps_its_kind_alone() {
        for (text, want) in [
            ("qemu:///system", "qemu:///system"),
            ("test:///default", "test:///default"),
            ("qemu+ssh://alice@gpu7.example.org:22/system", "qemu+ssh://redacted/system"),
            ("qemu+ssh://gpu7/system?keyfile=/home/alice/.ssh/id", "qemu+ssh://redacted/system"),
            ("qemu+unix:///system?socket=/home/alice/s", "qemu+unix:///system"),
            ("test:///home/alice/host.xml", "test:///redacted"),
            ("at 'qemu+tls://gpu7/system': refused", "at 'qemu+tls://redacted/system': refused"),
            ("a http://u:p@h/?t=1, b x://y", "a http://redacted/, b x://redacted"),
            ("://", "://"),
        ] {
            assert_eq!(without_uris(text), want);
            assert_eq!(without_uris(want), want, "the same again");
        }
        assert_eq!(
            user_and_host("qemu+ssh://alice:x@gpu7.example.org:22/system"),
            ["alice", "gpu7.example.org"]
        );
        assert_eq!(user_and_host("qemu+ssh://[fe80::1]:22/system"), ["fe80::1"]);
        assert!(user_and_host("qemu:///system").is_empty() && user_and_host("nonsense").is_empty());
    }

    #[test]
    fn paths_of_people_go_and_the_systems_stay() {
        for (text, want) in [
            ("/etc/gpuvirt/desired.json: line 3", "/etc/gpuvirt/desired.json: line 3"),
            (
                "/sys/bus/pci/devices/0000:01:00.0/driver: gone.",
                "/sys/bus/pci/devices/0000:01:00.0/driver: gone.",
            ),
            ("storage file '/vm/Tax of Alice.img' is", "storage file '/redacted' is"),
            ("no /home/alice/x.img: gone", "no /redacted: gone"),
            ("of /usr/../home/alice", "of /redacted"),
            ("alice@gpu7: Permission denied (publickey)", "redacted: Permission denied (publickey)"),
            ("getty@tty1.service and a @ b", "getty@tty1.service and a @ b"),
            ("and/or, 1/2 /", "and/or, 1/2 /"),
            ("file=/srv/a", "file=/redacted"),
            ("/dev/dri/card0 /dev/nvidia0 /dev/vfio/12", "/dev/dri/card0 /dev/nvidia0 /dev/vfio/12"),
            ("/dev/alice-vg/tax /dev/disk/by-id/ata-S123 /dev/mapper/a", "/redacted /redacted /redacted"),
        ] {
            assert_eq!(without_paths(text), want);
            assert_eq!(without_paths(want), want, "the same again");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_blanked_without_panic(text in "[a-z/:@'?. é]{0,60}") {
            let _ = without_paths(&without_uris(&text));
            let _ = user_and_host(&text);
        }
    }
}
