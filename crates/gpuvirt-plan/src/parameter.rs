//! Drivers that make virtual functions only when a parameter told them so at loading: nothing can be written then, but
//! it can be said what to write where.

use gpuvirt_model::Function;

use crate::initramfs::MADE_ANEW;

/// What must be told a driver before it makes virtual functions, as a sentence with the line and its place; none where
/// nothing is missing, or where it is not known.
///
/// - `gim` (AMD's host driver) makes them when it is loaded, and has no `sriov_configure`.
/// - `i915` with Intel's patches shows none that could be had until both parameters are set.
/// - `xe` has none where its `max_vfs` says so, which is its default before Linux 6.17.
pub fn missing(function: &Function, count: Option<u16>) -> Option<String> {
    let (driver, sriov) = (function.binding.driver.as_ref()?, function.sriov.as_ref()?);
    if sriov.enabled != 0 || !sriov.vfs.is_empty() {
        return None;
    }
    match driver.as_str() {
        "gim" => {
            let count = count.unwrap_or_else(|| sriov.total.max(1));
            Some(format!(
                "its driver gim makes virtual functions when it is loaded: write `options gim vf_num={count}` to \
                 /etc/modprobe.d/gim.conf, and reboot, or load it anew while nothing uses its cards"
            ))
        }
        "i915" if sriov.total == 0 => {
            let count = count.unwrap_or(7);
            Some(format!(
                "its driver i915 makes no virtual functions without its parameters: add `i915.enable_guc=3 \
                 i915.max_vfs={count}` to the kernel's command line (with GRUB to GRUB_CMDLINE_LINUX in \
                 /etc/default/grub, then `update-grub`, on Arch `grub-mkconfig -o /boot/grub/grub.cfg`; where /etc/kernel/cmdline is used, there, then \
                 `proxmox-boot-tool refresh` on Proxmox, `mkinitcpio -P` for its unified images, `kernel-install add-all` or your distribution's way \
                 elsewhere), and reboot; the kernel's own i915 has none at all"
            ))
        }
        "xe" if sriov.total == 0 => {
            let count = count.unwrap_or(7);
            Some(format!(
                "its driver xe makes no virtual functions: before Linux 6.17 it has to be told to, and later it was told \
                 max_vfs=0. Write `options xe max_vfs={count}` to /etc/modprobe.d/xe.conf, make the initramfs anew where it \
                 has xe ({MADE_ANEW}), and reboot; where it has none then, this kernel's xe knows none of this graphics"
            ))
        }
        _ => None,
    }
}

/// Whether a driver makes virtual functions at its loading only, whatever `sriov_numvfs` is asked for.
pub(crate) fn at_loading_only(function: &Function) -> bool {
    function.binding.driver.as_ref().is_some_and(|driver| driver.as_str() == "gim")
}
