//! How files are called in a snapshot whose names are the admin's to choose: people name them after themselves, hosts and
//! customers. The order by name is the order that modprobe and udev read them in, and a name in one folder hides the same one
//! in another.

use std::collections::{BTreeMap, BTreeSet};

use crate::host_names::HostNames;
use crate::redact;

/// What is left out, in a manifest's words.
pub(crate) const LEFT_OUT: &str = "names of files in modprobe.d, rules.d and mkinitcpio.d with a word that is none of drivers, VFIO, KVM and their tools";

/// The folders, and how the names end that are read there. No other name of theirs is in a snapshot.
const FOLDERS: [(&str, &str); 3] =
    [("/modprobe.d", ".conf"), ("/udev/rules.d", ".rules"), ("/mkinitcpio.d", ".preset")];
/// Words of the names that packages and common guides use. `local` must not be one of them: it is what other names become.
const WORDS: [&str; 71] = [
    "alsa",
    "amd",
    "amdgpu",
    "audio",
    "base",
    "blacklist",
    "blacklists",
    "common",
    "denylist",
    "disable",
    "dist",
    "driver",
    "driverctl",
    "drivers",
    "drm",
    "fbdev",
    "framebuffer",
    "gim",
    "gpu",
    "gpus",
    "gpuvirt",
    "graphics",
    "hardened",
    "hda",
    "hugepages",
    "i915",
    "ids",
    "installer",
    "intel",
    "interrupts",
    "iommu",
    "kernel",
    "kms",
    "kvm",
    "libvirt",
    "linux",
    "load",
    "lts",
    "management",
    "mdev",
    "mdevctl",
    "mig",
    "modeset",
    "modesetting",
    "modprobe",
    "nouveau",
    "nvidia",
    "nvidiafb",
    "options",
    "override",
    "passthrough",
    "pci",
    "pm",
    "power",
    "pve",
    "qemu",
    "radeon",
    "rt",
    "runtime",
    "snd",
    "sound",
    "sriov",
    "stub",
    "uio",
    "unsafe",
    "uvm",
    "vfio",
    "vga",
    "vgpu",
    "xe",
    "zen",
];

/// What names are called that are not shown, of all files that are recorded.
pub(crate) struct Renamed(BTreeMap<String, String>);

impl Renamed {
    /// Of these paths. Names of well-known words stay: nobody can tell whose they are. Of any other the new one says the place
    /// in the order alone, behind the name before it. Of the paths with their new names it makes the same again.
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a String>, host: &HostNames) -> Self {
        let names: BTreeSet<(&str, &str)> =
            paths.filter_map(|path| split(path)).map(|(_, name, end)| (end, name)).collect();
        let mut renamed = BTreeMap::new();
        for (_, end) in FOLDERS {
            // No name that is shown begins so: it sorts before them all.
            let (mut before, mut number) = ("0-".to_owned(), 0_u32);
            for (_, name) in names.iter().filter(|(of, _)| *of == end) {
                if is_shown(name, end, host) {
                    before = format!("{name}.");
                } else {
                    number += 1;
                    renamed.insert((*name).to_owned(), format!("{before}local-{number:04}{end}"));
                }
            }
        }
        Self(renamed)
    }

    /// The path as the snapshot has it, and whether that is another one.
    pub(crate) fn path(&self, path: &str) -> (String, bool) {
        match split(path).and_then(|(folder, name, _)| Some((folder, name, self.0.get(name)?))) {
            Some((folder, name, new)) => (format!("{folder}/{new}"), name != new),
            None => (path.to_owned(), false),
        }
    }
}

/// Folder, name and the name's end, where the name is somebody's choice.
fn split(path: &str) -> Option<(&str, &str, &'static str)> {
    let (folder, name) = path.rsplit_once('/')?;
    let (_, end) = FOLDERS.iter().find(|(of, end)| folder.ends_with(of) && name.ends_with(end))?;
    Some((folder, name, end))
}

/// Whether all of a name's words are well known, and numbers among them of two or three digits, an order or a driver's version.
/// There is no dot in it, so that nothing comes between it and what is put behind it.
fn is_shown(name: &str, end: &str, host: &HostNames) -> bool {
    let is_number = |word: &str| (2..=3).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    let mut words = name.strip_suffix(end).unwrap_or(name).split(['-', '_']);
    words.all(|word| is_number(word) || WORDS.contains(&word)) && !redact::blank(name, host).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(paths: &[String]) -> Vec<String> {
        let renamed = Renamed::of(paths.iter(), &HostNames::new("hardened", &[]));
        paths.iter().map(|path| renamed.path(path).0).collect()
    }

    #[test]
    fn only_names_of_well_known_words_stay_and_so_does_the_order() {
        let names = [
            ("/etc/modprobe.d/AliceMiller.conf", "/etc/modprobe.d/0-local-0001.conf"),
            ("/etc/modprobe.d/acme-customer7.conf", "/etc/modprobe.d/0-local-0002.conf"),
            ("/etc/modprobe.d/alice-miller.conf", "/etc/modprobe.d/0-local-0003.conf"),
            ("/etc/modprobe.d/blacklist-hardened.conf", "/etc/modprobe.d/0-local-0004.conf"),
            ("/etc/modprobe.d/gpu.conf", "/etc/modprobe.d/gpu.conf"),
            ("/etc/modprobe.d/gpu_of_acme.conf", "/etc/modprobe.d/gpu.conf.local-0005.conf"),
            ("/etc/modprobe.d/nvidia-4711.conf", "/etc/modprobe.d/gpu.conf.local-0006.conf"),
            (
                "/etc/modprobe.d/nvidia-installer-disable-nouveau.conf",
                "/etc/modprobe.d/nvidia-installer-disable-nouveau.conf",
            ),
            ("/etc/mkinitcpio.d/linux-alice.preset", "/etc/mkinitcpio.d/0-local-0001.preset"),
            ("/etc/mkinitcpio.d/linux.preset", "/etc/mkinitcpio.d/linux.preset"),
            ("/etc/udev/rules.d/0-vfio.rules", "/etc/udev/rules.d/0-local-0001.rules"),
            ("/etc/udev/rules.d/10-vfio.rules", "/etc/udev/rules.d/10-vfio.rules"),
            ("/etc/udev/rules.d/60-DrMallory.rules", "/etc/udev/rules.d/10-vfio.rules.local-0002.rules"),
            ("/usr/lib/modprobe.d/AliceMiller.conf", "/usr/lib/modprobe.d/0-local-0001.conf"),
            ("/usr/lib/modprobe.d/pve-blacklist.conf", "/usr/lib/modprobe.d/pve-blacklist.conf"),
            ("/usr/lib/udev/rules.d/70-gpuvirt.rules", "/usr/lib/udev/rules.d/70-gpuvirt.rules"),
            ("/etc/kernel/alice.conf", "/etc/kernel/alice.conf"),
        ]
        .map(|(path, want)| (path.to_owned(), want.to_owned()));
        let (paths, want): (Vec<_>, Vec<_>) = names.into_iter().unzip();
        assert_eq!(renamed(&paths), want);
    }

    proptest::proptest! {
        #[test]
        fn new_names_keep_the_order_and_are_new_only_once(
            stems in proptest::collection::btree_set("[a0.-]{0,3}(gpu|vfio|alice|0|local-0001|)[a-]{0,2}", 0..12)
        ) {
            let paths: Vec<String> = stems.iter().map(|stem| format!("/etc/modprobe.d/{stem}.conf")).collect();
            let paths: BTreeSet<String> = paths.into_iter().collect();
            let once = renamed(&paths.into_iter().collect::<Vec<_>>());
            proptest::prop_assert!(once.windows(2).all(|pair| pair[0] < pair[1]), "{once:?}");
            proptest::prop_assert_eq!(renamed(&once), once);
        }
    }
}
