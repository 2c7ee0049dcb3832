//! How the kernel was built and started.

use std::collections::BTreeMap;

use super::Fact;

/// How the kernel was built and started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootHealth {
    /// The words of the kernel's command line; of those behind `--` the ones that others than the kernel read there.
    pub command_line: Fact<Vec<String>>,
    /// Options that the kernel was built with, by name (`CONFIG_VFIO_PCI`); of the file, those that matter here.
    pub config: Fact<BTreeMap<String, String>>,
    /// Who puts the command line before the kernel, and so where an admin changes it.
    pub loader: Fact<Loader>,
}

/// What an admin edits to change the kernel's command line, and what must be run then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loader {
    /// GRUB with `/etc/default/grub` and Debian's update-grub.
    UpdateGrub,
    /// The same, where proxmox-boot-tool keeps the boot partitions.
    ProxmoxGrub,
    /// The same, with GRUB's own grub-mkconfig, as on Arch.
    GrubMkconfig,
    /// Unified kernel images that mkinitcpio makes, each with the command line in it.
    Mkinitcpio {
        /// `/etc/kernel/cmdline` is there; without it an image gets the words that the host was started with.
        stored: bool,
    },
    /// Fedora's grubby, which edits every entry.
    Grubby,
    /// systemd-boot on Proxmox: `/etc/kernel/cmdline` and proxmox-boot-tool.
    ProxmoxSystemdBoot,
    /// systemd-boot on Pop!_OS: kernelstub.
    Kernelstub,
    /// systemd-boot with entries that kernel-install writes.
    KernelInstall {
        /// `/etc/kernel/cmdline` is there; without it an entry gets the words that the host was started with.
        stored: bool,
        /// The running kernel's file.
        image: Option<String>,
    },
    /// systemd-boot with entries that somebody writes by hand, or by means that are not known here.
    OwnEntries,
}

impl BootHealth {
    /// The words of the command line that begin so.
    pub fn words<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let words = self.command_line.known().into_iter().flatten();
        words.map(String::as_str).filter(move |word| word.starts_with(start))
    }

    /// Whether the command line has this word.
    pub fn has_word(&self, word: &str) -> bool {
        self.command_line.known().into_iter().flatten().any(|have| have == word)
    }

    /// Whether the kernel was built with an option, as a module or not; none where it is not known.
    pub fn built_with(&self, option: &str) -> Option<bool> {
        let value = self.config.known()?.get(option);
        Some(value.is_some_and(|value| value == "y" || value == "m"))
    }
}
