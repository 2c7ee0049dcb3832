//! Who puts the command line before the kernel: by which loader this host was started, and which tools keep its entries.

use gpuvirt_model::health::Loader;
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::paths;

/// What is known of a loader's surroundings; unknown is none of them.
struct Found {
    /// It calls itself systemd-boot; none where that is not known.
    systemd_boot: Option<bool>,
    proxmox: bool,
    kernelstub: bool,
    grubby: bool,
    update_grub: bool,
    stored: bool,
    hook: bool,
    image: Option<String>,
}

pub(super) fn read(reader: Reader<'_>, release: Option<&str>) -> Fact<Loader> {
    let there = |path: &str| reader.presence(path).is(&true);
    // UTF-16 behind four bytes of attributes; a host that was not booted by UEFI has no such file.
    let named =
        |text: Option<String>| text.is_some_and(|text| text.replace('\0', "").contains("systemd-boot"));
    let info = reader.text(paths::LOADER_INFO).map(named);
    // All are asked for, whatever the first ones say: a snapshot records what was asked for.
    let images: Vec<String> = release.map(paths::kernel_images).into_iter().flatten().collect();
    let mut images: Vec<String> = images.into_iter().filter(|path| there(path)).collect();
    let found = Found {
        systemd_boot: info.known().copied(),
        proxmox: there(paths::PROXMOX_BOOT),
        kernelstub: there(paths::KERNELSTUB),
        grubby: there(paths::GRUBBY),
        update_grub: there(paths::UPDATE_GRUB),
        stored: there(paths::KERNEL_CMDLINE),
        hook: there(paths::SYSTEMD_BOOT_HOOK),
        image: if images.is_empty() { None } else { Some(images.remove(0)) },
    };
    match loader(found) {
        Some(loader) => Fact { source: info.source, value: Reading::Known(loader) },
        None => Fact { source: info.source, ..Fact::default() },
    }
}

fn loader(found: Found) -> Option<Loader> {
    if found.systemd_boot? {
        return Some(if found.proxmox {
            Loader::ProxmoxSystemdBoot
        } else if found.kernelstub {
            Loader::Kernelstub
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
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinuxSysfs;
    use crate::files::Files;

    const SYSTEMD_BOOT: &str = "\u{6}\0\0\0s\0y\0s\0t\0e\0m\0d\0-\0b\0o\0o\0t\0 \x002\x005\x007\0\0\0";
    const GRUB: &str = "\u{6}\0\0\0G\0R\0U\0B\0 \x002\0.\x001\x002\0\0\0";

    // Not the kernel's: files of this test's own.
    #[allow(clippy::disallowed_methods)]
    fn on(files: &[(&str, &str)]) -> Option<Loader> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let sysfs = LinuxSysfs::below(root.path().to_str().unwrap());
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
    }
}
