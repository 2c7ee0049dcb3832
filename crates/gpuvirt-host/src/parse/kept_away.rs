//! What keeps host drivers from GPUs, or leads cards to VFIO or `pci-stub`, on the kernel's command line and in modprobe.d:
//! blacklists, soft dependencies, programs in the place of a module, aliases, `pci-stub`'s ids. With gpuvirt, which binds by address, none of it is needed.

use super::command_line;
use super::modprobe::{self, kernels_name};

/// Host drivers of GPUs and of their sound, with `_` for `-`.
const HOST_DRIVERS: [&str; 11] = [
    "amdgpu",
    "gim",
    "i915",
    "nouveau",
    "nvidia",
    "nvidia_drm",
    "nvidia_modeset",
    "nvidia_uvm",
    "radeon",
    "snd_hda_intel",
    "xe",
];
/// Words of the command line that name modules: the kernel's own, modprobe's, dracut's.
const BLACKLISTS: [&str; 4] =
    ["module_blacklist", "modprobe.blacklist", "rd.driver.blacklist", "rdblacklist"];

/// Such words of a kernel command line, as they are written.
pub fn of_command_line(line: &str) -> Vec<String> {
    let ours = command_line::words(line).filter(|word| {
        let Some((name, value)) = word.split_once('=') else { return false };
        let mut modules = value.split(',');
        (BLACKLISTS.contains(&name) && modules.any(is_host_driver))
            || (name == "rd.driver.pre" && modules.any(is_vfio))
            || kernels_name(name) == "pci_stub.ids"
    });
    ours.map(str::to_owned).collect()
}

/// Such lines of a file of modprobe.d, each with its number.
pub fn of_modprobe(text: &str) -> Vec<(usize, String)> {
    modprobe::numbered(text).into_iter().filter(|(_, line)| is_ours(line)).collect()
}

fn is_ours(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["blacklist", module, ..] => is_host_driver(module),
        ["softdep", module, needs @ ..] => is_host_driver(module) && needs.iter().any(|need| is_vfio(need)),
        ["install", module, ..] => is_host_driver(module) || is_vfio(module),
        ["alias", name, module, ..] => {
            is_vfio(module) || (is_host_driver(name) && ["off", "null"].contains(module))
        }
        ["options", module, options @ ..] => {
            kernels_name(module) == "pci_stub" && options.iter().any(|option| option.starts_with("ids="))
        }
        _ => false,
    }
}

fn is_host_driver(module: &str) -> bool {
    HOST_DRIVERS.contains(&kernels_name(module).as_str())
}

fn is_vfio(module: &str) -> bool {
    matches!(kernels_name(module).as_str(), "vfio" | "vfio_pci")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_lines_words_are_found() {
        let line = "quiet modprobe.blacklist=pcspkr,nouveau module_blacklist=floppy rd.driver.pre=vfio-pci \
                    pci-stub.ids=10de:1aef vfio-pci.ids=10de:2204 nouveau.modeset=0 -- module_blacklist=nouveau modprobe.blacklist=xe";
        let want = [
            "modprobe.blacklist=pcspkr,nouveau",
            "rd.driver.pre=vfio-pci",
            "pci-stub.ids=10de:1aef",
            "modprobe.blacklist=xe",
        ];
        assert_eq!(of_command_line(line), want);
    }

    #[test]
    fn lines_of_files_are_found_with_their_numbers() {
        let text = "# blacklist nouveau\nblacklist  nouveau\nblacklist pcspkr\nsoftdep nvidia pre: \\\n vfio-pci\n\
                    softdep nvidia post: nvidia-uvm\noptions pci_stub ids=10de:1aef\noptions vfio-pci ids=1:2\n\
                    install vfio-pci /usr/local/bin/take.sh\ninstall amdgpu /bin/false\ninstall floppy /bin/false\n\
                    alias pci:v00001002d000073BFsv*sd*bc*sc*i* vfio-pci\nalias nouveau off\nalias nouveau x\n";
        let want = [
            (2, "blacklist nouveau"),
            (4, "softdep nvidia pre: vfio-pci"),
            (7, "options pci_stub ids=10de:1aef"),
            (9, "install vfio-pci /usr/local/bin/take.sh"),
            (10, "install amdgpu /bin/false"),
            (12, "alias pci:v00001002d000073BFsv*sd*bc*sc*i* vfio-pci"),
            (13, "alias nouveau off"),
        ];
        assert_eq!(of_modprobe(text), want.map(|(number, line)| (number, line.to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = (of_command_line(&text), of_modprobe(&text));
        }
    }
}
