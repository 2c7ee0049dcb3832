//! What of modprobe.d goes into a snapshot: lines about modules that gpuvirt judges, and of what runs in a module's place
//! that something does.
//!
//! Options of other drivers may be anybody's secret (of a wireless card, of a storage driver), and an `install` line is a
//! shell command. Options of a GPU's own driver can name a card by its UUID, which is as good as a serial number, or a file
//! of somebody's.

use gpuvirt_host::parse::modprobe;

/// What is left out, in a manifest's words.
pub(crate) const LEFT_OUT: &str = "of modprobe.d all but lines about GPUs, VFIO and KVM, the commands of install lines, and UUIDs and paths in options";
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
        "options" => Some(told(line.split(" #").next().unwrap_or_default())),
        "install" => {
            let command = rest.strip_prefix(module).unwrap_or_default().trim();
            let shown = if PLAIN_COMMANDS.contains(&command) { command } else { "redacted" };
            Some(format!("install {module} {shown}"))
        }
        _ => None,
    }
}

/// What modules are told, without values that name a GPU by its UUID (`NVreg_ExcludedGpus=GPU-...`) or a file by its path.
pub(crate) fn told(text: &str) -> String {
    let mut quoted = false;
    let words = text.split_inclusive(|c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    });
    let blanked = |part: &str| {
        let word = part.trim_end();
        let end = part.strip_prefix(word).unwrap_or_default();
        match word.split_once('=') {
            _ if !tells(word) => part.to_owned(),
            Some((key, _)) if !key.contains('"') => format!("{key}=redacted{end}"),
            _ => format!("redacted{end}"),
        }
    };
    words.map(blanked).collect()
}

fn tells(word: &str) -> bool {
    let value = word.split_once('=').map_or(word, |(_, value)| value);
    let mut parts = value.split(['"', '\'', '=', ',', ';', ':']);
    value.to_ascii_lowercase().contains("gpu-") || parts.any(|part| part.trim_start().starts_with('/'))
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
            ("options nvidia A=GPU-1-2 B=1\n", "options nvidia A=redacted B=1\n"),
            (
                "options nvidia A=\"GPU-1, gpu-2\" B=/home/x C=\"/a b\"\n",
                "options nvidia A=redacted B=redacted C=redacted\n",
            ),
            ("options i915 vbt_firmware=i915/vbt.bin\n", "options i915 vbt_firmware=i915/vbt.bin\n"),
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
