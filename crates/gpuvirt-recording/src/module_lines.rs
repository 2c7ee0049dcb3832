//! What of modprobe.d goes into a snapshot: lines about modules that gpuvirt judges, and of what runs in a module's place
//! that something does.
//!
//! Options of other drivers may be anybody's secret (of a wireless card, of a storage driver), and an `install` line is a
//! shell command.

use gpuvirt_host::parse::modprobe;

/// What is left out, in a manifest's words.
pub(crate) const LEFT_OUT: &str =
    "of modprobe.d all but lines about GPUs, VFIO and KVM, and the commands of install lines";
/// Where modprobe reads its files.
const FOLDER: &str = "/modprobe.d/";
/// Modules that the doctor and listings judge, with `_` for `-`; a last `*` stands for any end.
const JUDGED: [&str; 14] = [
    "amdgpu",
    "gim",
    "i915",
    "iommufd",
    "irqbypass",
    "kvm*",
    "mdev",
    "nouveau",
    "nvidia*",
    "pci_stub",
    "radeon",
    "snd_hda_intel",
    "vfio*",
    "xe",
];
/// Commands of `install` lines that keep a module away and say nothing else.
const PLAIN_COMMANDS: [&str; 6] =
    ["/bin/false", "/bin/true", "/sbin/false", "/usr/bin/false", "/usr/bin/true", "/usr/sbin/false"];

/// Whether modprobe reads this file.
pub(crate) fn is_file(path: &str) -> bool {
    path.contains(FOLDER)
}

/// The lines that are kept, one for each that modprobe reads.
pub(crate) fn kept(text: &str) -> String {
    modprobe::lines(text).iter().filter_map(|line| part(line)).map(|line| line + "\n").collect()
}

/// Whether something was left out that modprobe would have read.
pub(crate) fn lost(text: &str, kept: &str) -> bool {
    modprobe::lines(text) != modprobe::lines(kept)
}

fn part(line: &str) -> Option<String> {
    let (word, rest) = line.split_once(' ')?;
    let module = rest.split(' ').next().filter(|module| is_judged(module))?;
    match word {
        "blacklist" => Some(format!("blacklist {module}")),
        // Module names all.
        "softdep" => Some(line.to_owned()),
        "options" => Some(line.split(" #").next().unwrap_or_default().to_owned()),
        "install" => {
            let command = rest.strip_prefix(module).unwrap_or_default().trim();
            let shown = if PLAIN_COMMANDS.contains(&command) { command } else { "redacted" };
            Some(format!("install {module} {shown}"))
        }
        _ => None,
    }
}

fn is_judged(module: &str) -> bool {
    let module = modprobe::kernels_name(module);
    JUDGED.iter().any(|judged| match judged.strip_suffix('*') {
        Some(start) => module.starts_with(start),
        None => module == *judged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_about_judged_modules_are_kept() {
        for (text, want) in [
            ("# mine\noptions vfio-pci \\\n  ids=1:2\n", "options vfio-pci ids=1:2\n"),
            ("options iwlwifi key=hunter2\n", ""),
            ("options kvm_amd nested=1 # of alice\n", "options kvm_amd nested=1\n"),
            ("blacklist nouveau hunter2\n", "blacklist nouveau\n"),
            ("blacklist pcspkr\n", ""),
            ("install nouveau /bin/false\n", "install nouveau /bin/false\n"),
            ("install nvidia curl -H token:hunter2 x\n", "install nvidia redacted\n"),
            ("install nvidia /bin/true; curl hunter2\n", "install nvidia redacted\n"),
            ("install nvidia\n", "install nvidia redacted\n"),
            ("install ath9k curl hunter2\n", ""),
            ("softdep nvidia pre: vfio-pci\nsoftdep ahci pre: x\n", "softdep nvidia pre: vfio-pci\n"),
            ("remove nvidia curl hunter2\nalias hunter2 nvidia\noptions\n", ""),
            ("options xen-pciback hide=(1)\noptions xe max_vfs=1\n", "options xe max_vfs=1\n"),
        ] {
            assert_eq!(kept(text), want, "{text:?}");
            assert!(!lost(&kept(text), &kept(&kept(text))), "the same again: {text:?}");
        }
        assert!(!lost("# a comment\noptions  vfio-pci\\\n x=1\n", "options vfio-pci x=1\n"));
        assert!(lost("options iwlwifi x=1\n", ""));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,80}") {
            let once = kept(&text);
            proptest::prop_assert_eq!(kept(&once), once);
        }
    }
}
