//! Who puts the command line before the kernel: by which loader this host was started, and which tools keep its entries.

use gpuvirt_model::health::Loader;
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::parse::modprobe;
use crate::paths;

/// What is known of a loader's surroundings; unknown is none of them.
struct Found {
    /// What it calls itself; none where that is not known.
    name: Option<String>,
    proxmox: bool,
    kernelstub: bool,
    grubby: bool,
    update_grub: bool,
    grub_mkconfig: bool,
    unified: bool,
    stored: bool,
    hook: bool,
    image: Option<String>,
}

pub(super) fn read(reader: Reader<'_>, release: Option<&str>) -> Fact<Loader> {
    let there = |path: &str| reader.presence(path).is(&true);
    // UTF-16 behind four bytes of attributes; a host that was not booted by UEFI has no such file.
    let info = reader
        .text(paths::LOADER_INFO)
        .map(|text: Option<String>| text.unwrap_or_default().replace('\0', ""));
    // All are asked for, whatever the first ones say: a snapshot records what was asked for.
    let images: Vec<String> = release.map(paths::kernel_images).into_iter().flatten().collect();
    let mut images: Vec<String> = images.into_iter().filter(|path| there(path)).collect();
    let found = Found {
        name: info.known().cloned(),
        proxmox: there(paths::PROXMOX_BOOT),
        kernelstub: there(paths::KERNELSTUB),
        grubby: there(paths::GRUBBY),
        update_grub: there(paths::UPDATE_GRUB),
        grub_mkconfig: there(paths::GRUB_MKCONFIG),
        unified: makes_unified_images(reader),
        stored: there(paths::KERNEL_CMDLINE),
        hook: there(paths::SYSTEMD_BOOT_HOOK),
        image: if images.is_empty() { None } else { Some(images.remove(0)) },
    };
    match loader(found) {
        Some(loader) => Fact { source: info.source, value: Reading::Known(loader) },
        None => Fact { source: info.source, ..Fact::default() },
    }
}

/// Whether one of mkinitcpio's presets makes a unified image, which holds the command line (mkinitcpio(8)).
fn makes_unified_images(reader: Reader<'_>) -> bool {
    let names = reader.list(paths::MKINITCPIO_PRESETS).known().cloned().flatten().unwrap_or_default();
    let presets = names.iter().filter(|name| name.ends_with(".preset"));
    let texts = presets.map(|name| reader.text(&format!("{}/{name}", paths::MKINITCPIO_PRESETS)));
    // All are asked for.
    let texts: Vec<String> = texts.filter_map(|text| text.known().cloned().flatten()).collect();
    texts.iter().any(|text| modprobe::lines(text).iter().any(|line| line.starts_with("default_uki=")))
}

fn loader(found: Found) -> Option<Loader> {
    let name = found.name?;
    if name.contains("systemd-boot") {
        return Some(if found.proxmox {
            Loader::ProxmoxSystemdBoot
        } else if found.kernelstub {
            Loader::Kernelstub
        } else if found.unified {
            Loader::Mkinitcpio { stored: found.stored }
        } else if found.hook || found.stored {
            Loader::KernelInstall { stored: found.stored, image: found.image }
        } else {
            Loader::OwnEntries
        });
    }
    if found.grubby {
        Some(Loader::Grubby)
    } else if found.update_grub {
        Some(if found.proxmox { Loader::ProxmoxGrub } else { Loader::UpdateGrub })
    } else if found.unified && !name.contains("GRUB") {
        // The firmware itself can start them.
        Some(Loader::Mkinitcpio { stored: found.stored })
    } else {
        found.grub_mkconfig.then_some(Loader::GrubMkconfig)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::plain_tree::PlainTree;

    const SYSTEMD_BOOT: &str = "\u{6}\0\0\0s\0y\0s\0t\0e\0m\0d\0-\0b\0o\0o\0t\0 \x002\x005\x007\0\0\0";
    const GRUB: &str = "\u{6}\0\0\0G\0R\0U\0B\0 \x002\0.\x001\x002\0\0\0";

    fn on(files: &[(&str, &str)]) -> Option<Loader> {
        let tree = PlainTree::of(files);
        let sysfs = tree.sysfs();
        read(Reader::new(Files::new(&sysfs)), Some("6.12-x")).known().cloned()
    }

    #[test]
    fn each_loader_is_told_by_its_name_and_its_tools() {
        let systemd_boot = (paths::LOADER_INFO, SYSTEMD_BOOT);
        let (proxmox, cmdline) =
            ((paths::PROXMOX_BOOT, "A1B2-C3D4\n"), (paths::KERNEL_CMDLINE, "ro quiet\n"));
        let grub = (paths::UPDATE_GRUB, "");
        assert_eq!(on(&[grub]), Some(Loader::UpdateGrub), "without UEFI");
        assert_eq!(on(&[grub, (paths::LOADER_INFO, GRUB)]), Some(Loader::UpdateGrub));
        assert_eq!(on(&[grub, proxmox]), Some(Loader::ProxmoxGrub));
        assert_eq!(on(&[grub, cmdline]), Some(Loader::UpdateGrub), "a file that GRUB does not read");
        assert_eq!(on(&[(paths::GRUBBY, ""), cmdline]), Some(Loader::Grubby));
        assert_eq!(on(&[systemd_boot, proxmox, cmdline, grub]), Some(Loader::ProxmoxSystemdBoot));
        assert_eq!(on(&[systemd_boot, (paths::KERNELSTUB, "{}")]), Some(Loader::Kernelstub));
        assert_eq!(on(&[systemd_boot, grub]), Some(Loader::OwnEntries), "GRUB was there before");
        let image = "/boot/vmlinuz-6.12-x";
        let of_debian = Loader::KernelInstall { stored: false, image: Some(image.to_owned()) };
        assert_eq!(on(&[systemd_boot, (paths::SYSTEMD_BOOT_HOOK, ""), (image, "")]), Some(of_debian));
        let of_fedora =
            Loader::KernelInstall { stored: true, image: Some("/lib/modules/6.12-x/vmlinuz".to_owned()) };
        assert_eq!(on(&[systemd_boot, cmdline, ("/lib/modules/6.12-x/vmlinuz", "")]), Some(of_fedora));
        assert_eq!(on(&[]), None);
        let mkconfig = (paths::GRUB_MKCONFIG, "");
        assert_eq!(on(&[mkconfig]), Some(Loader::GrubMkconfig));
        assert_eq!(on(&[mkconfig, grub]), Some(Loader::UpdateGrub), "Debian has both");
        let preset = |text: &'static str| ("/etc/mkinitcpio.d/linux.preset", text);
        let unified = preset("PRESETS=('default')\ndefault_uki=\"/efi/EFI/Linux/arch.efi\"\n");
        let plain = preset("default_image=\"/boot/initramfs-linux.img\"\n#default_uki=\"/efi/x.efi\"\n");
        assert_eq!(on(&[systemd_boot, cmdline, unified]), Some(Loader::Mkinitcpio { stored: true }));
        assert_eq!(
            on(&[cmdline, unified, mkconfig]),
            Some(Loader::Mkinitcpio { stored: true }),
            "by firmware"
        );
        assert_eq!(on(&[unified]), Some(Loader::Mkinitcpio { stored: false }));
        let by_grub = (paths::LOADER_INFO, GRUB);
        assert_eq!(on(&[by_grub, cmdline, unified, mkconfig]), Some(Loader::GrubMkconfig));
        assert_eq!(on(&[systemd_boot, plain]), Some(Loader::OwnEntries));
    }
}
