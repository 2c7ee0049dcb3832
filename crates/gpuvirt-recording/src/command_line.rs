//! What of the kernel's command line goes into a snapshot: the words that the doctor and `gpuvirt import` read, and those that
//! explain what GPUs, the IOMMU and memory do. Of all others nothing is told: they hold keys, hosts and people's names.

use gpuvirt_host::parse::{command_line, modprobe};

use crate::parameter::{self, unquoted};

/// The kernel's own words, and those of the initramfs that keep modules away, by their whole names.
const WORDS: [&str; 25] = [
    "amd_iommu",
    "default_hugepagesz",
    "fbcon",
    "hugepages",
    "hugepagesz",
    "initcall_blacklist",
    "intel_iommu",
    "intremap",
    "iommu",
    "iommu.forcedac",
    "iommu.passthrough",
    "iommu.strict",
    "lockdown",
    "modprobe.blacklist",
    "module.sig_enforce",
    "module_blacklist",
    "nointremap",
    "nomodeset",
    "pci",
    "pcie_acs_override",
    "pcie_aspm",
    "rd.driver.blacklist",
    "rd.driver.pre",
    "rdblacklist",
    "video",
];

/// The words that are kept, as they are: of those behind `--` the ones that somebody reads there.
pub(crate) fn kept(text: &str) -> String {
    line(text, &|_, word| word.to_owned())
}

/// The same, without values that may tell something of somebody.
pub(crate) fn told(text: &str) -> String {
    line(text, &|name, word| {
        parameter::told(word, |value| match parameter_of(name) {
            Some((_, parameter)) => parameter::is_shown(parameter, value),
            None if name == "pci" => parameter::is_of_devices(value),
            None => parameter::is_plain(value),
        })
    })
}

fn line(text: &str, shown: &dyn Fn(&str, &str) -> String) -> String {
    let part = |word| {
        let name = unquoted(word).split('=').next().unwrap_or_default();
        matters(name).then(|| shown(name, word))
    };
    let mut words: Vec<String> = command_line::own(text).filter_map(part).collect();
    let behind: Vec<String> = command_line::behind(text).filter_map(part).collect();
    if !behind.is_empty() {
        words.push("--".to_owned());
    }
    words.extend(behind);
    words.join(" ") + "\n"
}

fn matters(name: &str) -> bool {
    let known = |(module, parameter)| parameter::is_known(&modprobe::kernels_name(module), parameter);
    WORDS.contains(&name) || parameter_of(name).is_some_and(known)
}

/// A module and its parameter, where the kernel's own words are not called so.
fn parameter_of(name: &str) -> Option<(&str, &str)> {
    name.split_once('.').filter(|_| !WORDS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_matter_are_told_and_nothing_else_is() {
        for (text, want) in [
            ("BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n", ""),
            (
                "intel_iommu=on,sm_on iommu=pt pcie_acs_override=downstream,multifunction nointremap",
                "intel_iommu=on,sm_on iommu=pt pcie_acs_override=downstream,multifunction nointremap",
            ),
            (
                "vfio-pci.ids=10de:2204,10de:1aef \"vfio_pci.ids=1:2\" vfio_pci.ids=\"1:2,3:4\" pci-stub.ids=1:2",
                "vfio-pci.ids=10de:2204,10de:1aef \"vfio_pci.ids=1:2\" vfio_pci.ids=\"1:2,3:4\" pci-stub.ids=1:2",
            ),
            (
                "modprobe.blacklist=nouveau,snd_hda_intel,nvidiafb,nvidia_drm,nvidia rd.driver.pre=vfio-pci",
                "modprobe.blacklist=nouveau,snd_hda_intel,nvidiafb,nvidia_drm,nvidia rd.driver.pre=vfio-pci",
            ),
            ("fbcon=map:1 video=efifb:off i915.max_vfs=7", "fbcon=map:1 video=efifb:off i915.max_vfs=7"),
            // The rest of a quoted word is not a word.
            (
                "systemd.setenv=\"FOO=1 nvidia_token=hunter2\" dyndbg=\"file x nvidia-secret=hunter3\" iommu.passphrase=zzz",
                "",
            ),
            ("x=\"a intel_iommu=on b\" intel_iommu=off", "intel_iommu=off"),
            (
                "pci=realloc,disable_acs_redir=0000:00:1c.0/00.0;pci:8086:1901 pci=\"config_acs=10x@pci:0:0\"",
                "pci=realloc,disable_acs_redir=0000:00:1c.0/00.0;pci:8086:1901 pci=\"config_acs=10x@pci:0:0\"",
            ),
            ("pci=disable_acs_redir=/home/alice pci=x/y", "pci=redacted pci=redacted"),
            ("vfio-pci.ids=\"10de:2204, 10de:1aef\"", "vfio-pci.ids=\"10de:2204, 10de:1aef\""),
            ("pci=\"hunter2 hunter3\" video=/home/alice", "pci=redacted video=redacted"),
            ("nvidia.token=hunter2 vfio_secret=hunter3 nvidia-x hugepages_of=alice vfio-pci.comment=x", ""),
            ("nvidia.NVreg_RegistryDwords=\"License=hunter8\"", "nvidia.NVreg_RegistryDwords=redacted"),
            ("quiet -- intel_iommu=off single token=hunter2", ""),
            (
                "quiet iommu=pt -- single vfio-pci.ids=10de:2204 rd.driver.pre=vfio-pci iommu.strict=0 nvidia.token=hunter2",
                "iommu=pt -- vfio-pci.ids=10de:2204 rd.driver.pre=vfio-pci",
            ),
        ] {
            assert_eq!(told(text), format!("{want}\n"), "{text}");
            assert_eq!(told(&told(text)), told(text), "the same again: {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,80}") {
            let once = told(&text);
            proptest::prop_assert_eq!(kept(&once), once);
        }
    }
}
