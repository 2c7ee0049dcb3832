//! What of modprobe.d goes into a snapshot: lines about modules that gpuvirt judges, and of what runs in a module's place
//! that something does.
//!
//! Options of other drivers may be anybody's secret (of a wireless card, of a storage driver), and an `install` line is a
//! shell command. Options of a GPU's own driver can name a card by its UUID, which is as good as a serial number, a file of
//! somebody's or a license; whatever stands behind a line's own words is somebody's comment.

use gpuvirt_host::parse::{command_line, modprobe};

use crate::parameter::{self, unquoted};

/// What is left out, in a manifest's words.
pub(crate) const LEFT_OUT: &str = "of modprobe.d all but lines about GPUs, VFIO and KVM, the commands of install lines, and texts, UUIDs and paths in options";
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

/// What begins a softdep's lists.
const SIDES: [&str; 2] = ["pre:", "post:"];
/// As long as a module's name is in the kernel, with its end (`MODULE_NAME_LEN`).
const LONGEST_NAME: usize = 64;

/// Whether modprobe reads this file.
pub(crate) fn is_file(path: &str) -> bool {
    path.contains(FOLDER)
}

/// The lines that are kept, one for each that modprobe reads.
pub(crate) fn kept(text: &str) -> String {
    modprobe::lines(text).iter().filter_map(|line| part(line)).map(|line| line + "\n").collect()
}

/// Of a line of what initramfs-tools loads, a module with its parameters, the same.
pub(crate) fn kept_of_initramfs(line: &str) -> Option<String> {
    let kept = part(&format!("options {line}"))?;
    kept.strip_prefix("options ").map(str::to_owned)
}

/// Whether something was left out that modprobe would have read.
pub(crate) fn lost(text: &str, kept: &str) -> bool {
    modprobe::lines(text) != modprobe::lines(kept)
}

fn part(line: &str) -> Option<String> {
    let (word, rest) = line.split_once(' ')?;
    let module = rest.split(' ').next().filter(|module| is_judged(module))?;
    let rest = rest.strip_prefix(module).unwrap_or_default().trim();
    match word {
        "blacklist" => Some(format!("blacklist {module}")),
        "softdep" => softdep(module, rest),
        "options" => options(module, rest),
        "install" => {
            let shown = if PLAIN_COMMANDS.contains(&rest) { rest } else { parameter::REDACTED };
            Some(format!("install {module} {shown}"))
        }
        _ => None,
    }
}

/// Of what a module is told the parameters that are known, without values that may tell something of somebody. The kernel reads
/// them as it reads its command line.
fn options(module: &str, rest: &str) -> Option<String> {
    let kernels = modprobe::kernels_name(module);
    let told: Vec<String> = words(rest)
        .filter_map(|word| {
            let name = unquoted(word).split('=').next().unwrap_or_default();
            let known = parameter::is_known(&kernels, name);
            known.then(|| parameter::told(word, |value| parameter::is_shown(name, value)))
        })
        .collect();
    (!told.is_empty()).then(|| format!("options {module} {}", told.join(" ")))
}

/// The modules that go before and after another.
fn softdep(module: &str, rest: &str) -> Option<String> {
    let named = words(rest).skip_while(|word| !SIDES.contains(word));
    let kept: Vec<&str> = named.filter(|word| SIDES.contains(word) || is_name(word)).collect();
    let has_names = kept.iter().any(|word| !SIDES.contains(word));
    has_names.then(|| format!("softdep {module} {}", kept.join(" ")))
}

/// The words of a line up to a comment: kmod knows none behind something, and people write them.
fn words(rest: &str) -> impl Iterator<Item = &str> {
    command_line::own(rest).take_while(|word| !word.starts_with('#'))
}

fn is_name(module: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    module.len() < LONGEST_NAME && module.bytes().all(plain)
}

fn is_judged(name: &str) -> bool {
    let module = modprobe::kernels_name(name);
    is_name(name)
        && JUDGED.iter().any(|judged| match judged.strip_suffix('*') {
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
            (
                "softdep nvidia of alice pre: vfio-pci alice@corp post: nvidia_uvm # by hunter2\n",
                "softdep nvidia pre: vfio-pci post: nvidia_uvm\n",
            ),
            ("softdep nvidia # pre: hunter2\nsoftdep nvidia pre:\nsoftdep nvidia\n", ""),
            ("remove nvidia curl hunter2\nalias hunter2 nvidia\noptions\n", ""),
            (
                "options nvidia NVreg_A=GPU-1-2 NVreg_B=1 hunter2=1\n",
                "options nvidia NVreg_A=redacted NVreg_B=1\n",
            ),
            (
                "options nvidia NVreg_A=\"GPU-1, gpu-2\" NVreg_B=/home/x NVreg_RegistryDwords=\"License=hunter8\"\n",
                "options nvidia NVreg_A=redacted NVreg_B=redacted NVreg_RegistryDwords=redacted\n",
            ),
            (
                "options vfio-pci ids=1:2 comment=hunter6 x=\"a ids=3:4\" disable_vga=1 #disable_vga=hunter7\n",
                "options vfio-pci ids=1:2 disable_vga=1\n",
            ),
            (
                "options vfio-pci \"ids=1:2\" disable_idle_d3\noptions nvidia-drm modeset=1\n",
                "options vfio-pci \"ids=1:2\" disable_idle_d3\noptions nvidia-drm modeset=1\n",
            ),
            ("options vfio-pci ids=\"1:2,3:4\"\n", "options vfio-pci ids=\"1:2,3:4\"\n"),
            (
                "options gim vf_num=4\noptions gim vf_num=\"hunter2\"\n",
                "options gim vf_num=4\noptions gim vf_num=redacted\n",
            ),
            ("options i915 vbt_firmware=alice/vbt.bin\nblacklist nvidia\"@alice\n", ""),
            ("options xen-pciback hide=(1)\noptions xe max_vfs=1\n", "options xe max_vfs=1\n"),
        ] {
            assert_eq!(kept(text), want, "{text:?}");
            assert!(!lost(&kept(text), &kept(&kept(text))), "the same again: {text:?}");
        }
        assert_eq!(kept_of_initramfs("vfio-pci ids=1:2 x=hunter2").as_deref(), Some("vfio-pci ids=1:2"));
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
