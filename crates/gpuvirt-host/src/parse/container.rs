//! From `/proc/PID/cgroup` to the container that a process runs in.

/// Characters of a container's id that its tools show.
const SHOWN_ID: usize = 12;

/// Names of cgroups that runtimes make, and the runtime: `docker-ID.scope` below systemd, `docker/ID` without.
const RUNTIMES: [(&str, &str); 6] = [
    ("docker", "docker"),
    ("libpod", "podman"),
    ("cri-containerd", "containerd"),
    ("crio", "cri-o"),
    ("nerdctl", "containerd"),
    ("buildkit", "buildkit"),
];

/// The container by runtime and id or name, e.g. `docker 4f2a9c01d3be`; none on the host itself and for a VM.
pub fn container(cgroup: &str) -> Option<String> {
    // Each line is `hierarchy:controllers:path`; any of them may be the one that tells.
    cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2)).find_map(in_path)
}

fn in_path(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let kubernetes = parts.iter().any(|part| part.starts_with("kubepods"));
    // The innermost part that tells: a container may run in a container.
    parts.iter().enumerate().rev().find_map(|(index, part)| {
        let above = index.checked_sub(1).and_then(|above| parts.get(above)).copied().unwrap_or_default();
        named(part, above).or_else(|| with_id(part, above, kubernetes))
    })
}

/// Runtimes whose cgroups carry the container's name.
fn named(part: &str, above: &str) -> Option<String> {
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return label("lxc", name);
    }
    if above == "lxc" {
        return label("lxc", part);
    }
    if let Some(name) = part.strip_prefix("systemd-nspawn@").and_then(|part| part.strip_suffix(".service")) {
        return label("nspawn", &name.replace("\\x2d", "-"));
    }
    let machine = part.strip_prefix("machine-").and_then(|part| part.strip_suffix(".scope"))?;
    // libvirt registers its VMs as machines too.
    if machine.starts_with("qemu") { None } else { label("nspawn", &machine.replace("\\x2d", "-")) }
}

/// Runtimes whose cgroups carry the container's id.
fn with_id(part: &str, above: &str, kubernetes: bool) -> Option<String> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    // What comes before the colon is the slice, with containerd's cgroupfs driver.
    let part = part.rsplit(':').next().unwrap_or(part);
    let (prefix, id) = part.rsplit_once('-').unwrap_or((above, part));
    if id.len() != 64 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let runtime = RUNTIMES.iter().find(|(name, _)| *name == prefix).map(|(_, runtime)| *runtime);
    let runtime = if kubernetes { "kubernetes" } else { runtime? };
    label(runtime, id.get(..SHOWN_ID)?)
}

fn label(runtime: &str, name: &str) -> Option<String> {
    (!name.is_empty()).then(|| format!("{runtime} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f2a9c01d3be8f6b7a5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a";

    #[test]
    fn containers_are_named_by_runtime_and_id() {
        let kube = "kubepods-burstable-pod1b2c.slice";
        for (path, want) in [
            (format!("/system.slice/docker-{ID}.scope"), Some("docker 4f2a9c01d3be")),
            (format!("/docker/{ID}"), Some("docker 4f2a9c01d3be")),
            (format!("/machine.slice/libpod-{ID}.scope/container"), Some("podman 4f2a9c01d3be")),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
                Some("podman 4f2a9c01d3be"),
            ),
            (
                format!("/kubepods.slice/kubepods-burstable.slice/{kube}/cri-containerd-{ID}.scope"),
                Some("kubernetes 4f2a9c01d3be"),
            ),
            (format!("/kubepods/besteffort/pod1b2c/{ID}"), Some("kubernetes 4f2a9c01d3be")),
            (
                format!("/system.slice/containerd.service/kubepods-x.slice:cri-containerd:{ID}"),
                Some("kubernetes 4f2a9c01d3be"),
            ),
            ("/lxc.payload.media/init.scope".to_owned(), Some("lxc media")),
            ("/lxc/104/ns/system.slice/plex.service".to_owned(), Some("lxc 104")),
            ("/machine.slice/systemd-nspawn@build.service/payload".to_owned(), Some("nspawn build")),
            ("/machine.slice/machine-my\\x2dbox.scope/payload".to_owned(), Some("nspawn my-box")),
            ("/machine.slice/machine-qemu\\x2d1\\x2dwin11.scope/libvirt/emulator".to_owned(), None),
            ("/user.slice/user-1000.slice/session-2.scope".to_owned(), None),
            (format!("/system.slice/unknown-{ID}.scope"), None),
            ("/".to_owned(), None),
        ] {
            assert_eq!(container(&format!("0::{path}\n")).as_deref(), want, "{path}");
        }
        let both = format!("12:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n");
        assert_eq!(container(&both).as_deref(), Some("docker 4f2a9c01d3be"));
        assert_eq!(container("rubbish"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(0::)?[a-z0-9:/.\\-]{0,120}") { let _ = container(&text); }
    }
}
