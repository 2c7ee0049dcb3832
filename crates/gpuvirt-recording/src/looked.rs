//! What listings and the doctor look at beside devices, as files of a snapshot: each file that they read is recorded as far as
//! it may be shown, and each that is not there is named, so that the recording tells absent from not recorded.
//!
//! Their own code runs over a seam that listens. So a snapshot has what `--host` asks of it, no less and no more.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gpuvirt_host::parse::kernel_config;
use gpuvirt_host::parse::taken_by_id::{self, Taking};
use gpuvirt_host::parse::vfio_ids;
use gpuvirt_host::{DeviceNumber, GpuMatch, GpuRules, Sysfs, WriteError, host_health, host_inventory};
use nix::libc;

use crate::module_lines;

/// What a path was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Looked {
    /// A file with this text.
    File(String),
    /// A file whose content is nobody's business, or a folder's entry that was only asked for.
    Present,
    /// A folder with these names.
    Folder(Vec<String>),
    /// Not there.
    Absent,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// What was found, by path.
    pub(crate) found: BTreeMap<String, Looked>,
    /// Permissions that were asked for.
    pub(crate) modes: BTreeMap<String, u32>,
}

/// Everything that listings and the doctor look at on a host, but for devices and processes.
pub(crate) fn at(host: &dyn Sysfs, release: Option<&str>, extra: &[GpuMatch]) -> Heard {
    let listener = Listener { host, heard: Mutex::default() };
    let _ = host_health(&listener, release);
    let rules = GpuRules { extra: extra.to_vec(), ..GpuRules::default() };
    // A host without a PCI bus is no snapshot, which its maker says.
    let _ = host_inventory(&listener, &rules);
    let mut heard = listener.heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Devices are in the dump, their names too, and processes are gone in a moment.
    heard
        .found
        .retain(|path, _| !IN_THE_DUMP.iter().any(|start| path.starts_with(start)) && !is_process(path));
    heard
}

/// What the dump holds, or what is recorded in a way of its own, or not at all: a boot is one host's affair.
const IN_THE_DUMP: [&str; 10] = [
    "/proc/sys/kernel/random/",
    "/sys/bus/mdev/",
    "/sys/bus/pci/",
    "/sys/class/drm",
    "/sys/class/mdev_bus",
    "/sys/class/vtconsole",
    "/sys/kernel/debug/",
    "/sys/kernel/iommu_groups",
    "/usr/share/",
    "/var/lib/pciutils/",
];

fn is_process(path: &str) -> bool {
    let name = path.strip_prefix("/proc/").and_then(|rest| rest.split('/').next());
    path == "/proc" || name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()))
}

/// What of a file goes into a snapshot; none: only that it is there.
pub(crate) fn part(path: &str, text: &str) -> Option<String> {
    let lines = |keep: &dyn Fn(&str) -> bool| -> String {
        text.lines().filter(|line| keep(line)).map(|line| format!("{line}\n")).collect()
    };
    match path {
        "/proc/cpuinfo" => {
            let first = text.split("\n\n").next().unwrap_or_default();
            let keys = ["vendor_id", "model name", "flags", "address sizes"];
            let kept = first.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
            Some(kept.map(|line| format!("{line}\n")).collect())
        }
        "/proc/meminfo" => {
            Some(lines(&|line| line.starts_with("MemTotal") || line.starts_with("Hugepagesize")))
        }
        // Where the kernel lies in memory is a secret of its own; names and functions are enough.
        "/proc/iomem" => Some(without_addresses(text)),
        "/etc/libvirt/hooks/qemu.d/50-gpuvirt" => {
            Some(if text.contains("gpuvirt") { "gpuvirt\n" } else { "another program\n" }.to_owned())
        }
        // Empty, it is masked.
        "/etc/systemd/system/gpuvirt-claim.service" => {
            Some(if text.is_empty() { "" } else { "another unit\n" }.to_owned())
        }
        // Its number is its device node's; what else it tells are the card's serial numbers.
        path if path.starts_with("/proc/driver/nvidia/gpus/") => {
            Some(lines(&|line| line.starts_with("Device Minor")))
        }
        "/sys/kernel/security/apparmor/profiles" => {
            Some(lines(&|line| line.contains("libvirtd") || line.contains("virtqemud")))
        }
        path if path.starts_with("/etc/apparmor.d/") => Some(lines(&|line| {
            let kept = ["/etc/libvirt/hooks/", "include <local/", "include if exists <local/"];
            kept.iter().any(|part| line.contains(part)) || line.trim_end().ends_with('{')
        })),
        // Empty, it is masked.
        path if path.ends_with("/udev/rules.d/70-gpuvirt.rules") => {
            Some(if text.trim().is_empty() { "" } else { "rules\n" }.to_owned())
        }
        "/etc/initramfs-tools/modules" => {
            // One without a value too: the first line that names a module loads it.
            let found = vfio_ids::of_initramfs(text).into_iter();
            let kept = found.map(|(_, line, _)| module_lines::kept_of_initramfs(&line));
            Some(kept.map(|line| line.unwrap_or_else(|| "vfio-pci".to_owned()) + "\n").collect())
        }
        path if is_own_rule(path) => Some(own_lines(taken_by_id::of_udev(text))),
        path if module_lines::is_file(path) => Some(module_lines::kept(text)),
        // Where the image lies is the host's own.
        path if is_preset(path) => {
            let unified = text.lines().any(|line| line.trim_start().starts_with("default_uki="));
            Some(if unified { "default_uki=\n" } else { "" }.to_owned())
        }
        path if is_kernel_config(path) => Some(lines(&|line| {
            [
                "CONFIG_VFIO",
                "CONFIG_IOMMU",
                "CONFIG_INTEL_IOMMU",
                "CONFIG_AMD_IOMMU",
                "CONFIG_KVM",
                "CONFIG_IRQ_REMAP",
                "CONFIG_PCI_IOV",
            ]
            .iter()
            .any(|start| line.starts_with(start))
        })),
        path if path.starts_with("/proc/") || path.starts_with("/sys/") => Some(text.to_owned()),
        _ => None,
    }
}

/// Whether it is a file of udev's rules of the admin's: of one that takes no card for VMs nothing is recorded.
pub(crate) fn is_own_rule(path: &str) -> bool {
    path.starts_with("/etc/udev/rules.d/") && !path.ends_with("/70-gpuvirt.rules")
}

/// What a kernel was built with, wherever it is kept.
fn is_kernel_config(path: &str) -> bool {
    let of_modules = path.strip_prefix("/lib/modules/").and_then(|rest| rest.split_once('/'));
    path == "/proc/config.gz"
        || path.starts_with("/boot/config-")
        || of_modules.is_some_and(|(_, file)| file == "config" || file == "build/.config")
}

fn is_preset(path: &str) -> bool {
    path.starts_with("/etc/mkinitcpio.d/") && path.ends_with(".preset")
}

fn own_lines(found: Vec<Taking>) -> String {
    found.into_iter().map(|(line, _)| line + "\n").collect()
}

/// The lines with their indentation and names.
fn without_addresses(text: &str) -> String {
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        line.split_once(" : ").map(|(_, name)| format!("{:indent$}0-0 : {}\n", "", name.trim()))
    };
    text.lines().filter_map(line).collect()
}

/// A seam that remembers what was asked.
struct Listener<'a> {
    host: &'a dyn Sysfs,
    heard: Mutex<Heard>,
}

impl Listener<'_> {
    fn hear<T>(&self, path: &str, result: io::Result<T>, found: impl FnOnce(&T) -> Looked) -> io::Result<T> {
        let looked = match &result {
            Ok(value) => Some(found(value)),
            // As the readers themselves tell it: below a file there is nothing either.
            Err(error) if is_absence(error) && self.host.knows_absence(path) => Some(Looked::Absent),
            // What may not be read stays unknown in the recording too.
            Err(_) => None,
        };
        if let Some(looked) = looked {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            // A text says more than that there is a file.
            let better = !matches!(looked, Looked::Present) || !heard.found.contains_key(path);
            if better {
                heard.found.insert(path.to_owned(), looked);
            }
        }
        result
    }
}

/// What a live host answers of a path that leads nowhere, and a recording of one whose permissions it does not have.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::Unsupported
    )
}

impl Sysfs for Listener<'_> {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        // A recording is text: it has what is compressed as it is read.
        let text = |bytes: &Vec<u8>| {
            let text = kernel_config::text(bytes).filter(|_| is_kernel_config(path));
            Looked::File(text.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned()))
        };
        self.hear(path, self.host.read(path, limit), text)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.hear(path, self.host.list(path), |names| Looked::Folder(names.clone()))
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        self.host.read_link(path)
    }

    fn exists(&self, path: &str) -> bool {
        let there = self.host.exists(path);
        if there {
            let _ = self.hear(path, Ok(()), |()| Looked::Present);
        }
        there
    }

    fn mode(&self, path: &str) -> io::Result<u32> {
        let mode = self.host.mode(path);
        if let Ok(mode) = mode {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.modes.insert(path.to_owned(), mode);
        }
        self.hear(path, mode, |_| Looked::Present)
    }

    fn knows_absence(&self, path: &str) -> bool {
        self.host.knows_absence(path)
    }

    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>> {
        self.host.device_number(path)
    }

    fn write(&self, _path: &str, _data: &[u8]) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EROFS))
    }

    fn write_that_may_block(&self, _: &str, _: &[u8], _: Duration) -> Result<(), WriteError> {
        Err(WriteError::Errno(io::Error::from_raw_os_error(libc::EROFS)))
    }

    fn load_module(&self, _name: &str) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EROFS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_list_of_the_kernels_is_recorded_as_text() {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path().join("proc");
        std::fs::create_dir_all(&proc).unwrap();
        let gzip = "printf 'CONFIG_KVM=m\\n' | gzip -n >config.gz";
        assert!(
            std::process::Command::new("sh")
                .args(["-c", gzip])
                .current_dir(&proc)
                .status()
                .unwrap()
                .success()
        );
        let host = gpuvirt_host::LinuxSysfs::below(root.path().to_str().unwrap());
        let heard = at(&host, Some("6.12-x"), &[]);
        assert_eq!(heard.found.get("/proc/config.gz"), Some(&Looked::File("CONFIG_KVM=m\n".to_owned())));
        assert_eq!(heard.found.get("/boot/config-6.12-x"), Some(&Looked::Absent));
    }

    #[test]
    fn of_a_file_only_what_the_doctor_reads_is_kept() {
        for (path, text, want) in [
            (
                "/etc/mkinitcpio.d/linux.preset",
                "ALL_kver=\"/boot/vmlinuz-linux\"\ndefault_uki=\"/efi/EFI/Linux/mine.efi\"\n",
                Some("default_uki=\n"),
            ),
            ("/etc/mkinitcpio.d/linux.preset", "#default_uki=\"/efi/EFI/Linux/mine.efi\"\n", Some("")),
            ("/proc/config.gz", "CONFIG_VFIO=m\nCONFIG_BUILD_SALT=\"x\"\n", Some("CONFIG_VFIO=m\n")),
            ("/lib/modules/6.12/config", "CONFIG_KVM=m\nCONFIG_X=y\n", Some("CONFIG_KVM=m\n")),
            ("/lib/modules/6.12/build/.config", "CONFIG_KVM=m\nCONFIG_X=y\n", Some("CONFIG_KVM=m\n")),
            (
                "/proc/cpuinfo",
                "processor\t: 0\nflags\t: vmx\nserial\t: 12\n\nprocessor\t: 1\nflags\t: x\n",
                Some("flags\t: vmx\n"),
            ),
            (
                "/proc/iomem",
                "0010-00ff : Kernel code\n  00aa-00bb : BOOTFB\n",
                Some("0-0 : Kernel code\n  0-0 : BOOTFB\n"),
            ),
            (
                "/etc/modprobe.d/x.conf",
                "# my secret\noptions vfio-pci ids=1:2\n",
                Some("options vfio-pci ids=1:2\n"),
            ),
            ("/etc/libvirt/hooks/qemu.d/50-gpuvirt", "#!/bin/sh\ncurl secret\n", Some("another program\n")),
            (
                "/proc/driver/nvidia/gpus/0000:41:00.0/information",
                "Model: \t NVIDIA\nGPU UUID: \t GPU-1-2\nDevice Minor: \t 3\n",
                Some("Device Minor: \t 3\n"),
            ),
            ("/usr/bin/gpuvirt", "binary", None),
            (
                "/etc/initramfs-tools/modules",
                "iwlwifi key=secret\nvfio-pci  ids=10de:2204 comment=secret # of mine\n",
                Some("vfio-pci ids=10de:2204\n"),
            ),
            (
                "/etc/udev/rules.d/10-mine.rules",
                "ENV{KEY}=\"x\"\nATTR{vendor}==\"0x1\", ATTR{device}==\"0x2\", ATTR{driver_override}=\"vfio-pci\"\n",
                Some(
                    "ATTR{vendor}==\"0x0001\", ATTR{device}==\"0x0002\", ATTR{driver_override}=\"vfio-pci\"\n",
                ),
            ),
            ("/etc/systemd/system/gpuvirt-claim.service", "", Some("")),
            (
                "/etc/systemd/system/gpuvirt-claim.service",
                "[Service]\nEnvironment=KEY=x\n",
                Some("another unit\n"),
            ),
            ("/etc/udev/rules.d/70-gpuvirt.rules", "", Some("")),
            ("/usr/lib/udev/rules.d/70-gpuvirt.rules", "ENV{KEY}=\"x\"\n", Some("rules\n")),
            (
                "/etc/apparmor.d/usr.sbin.libvirtd",
                "profile libvirtd {\n  /my/secret r,\n  #include <local/usr.sbin.libvirtd>\n}\n",
                Some("profile libvirtd {\n  #include <local/usr.sbin.libvirtd>\n"),
            ),
            (
                "/sys/kernel/security/apparmor/profiles",
                "libvirtd (enforce)\nsecret (enforce)\n",
                Some("libvirtd (enforce)\n"),
            ),
        ] {
            assert_eq!(part(path, text).as_deref(), want, "{path}");
        }
        assert!(is_process("/proc/12/comm") && is_process("/proc") && !is_process("/proc/meminfo"));
    }
}
