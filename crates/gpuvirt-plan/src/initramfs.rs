//! The initramfs, which holds what modprobe.d said when it was made.

/// What makes it anew, by what a host has: initramfs-tools, dracut, mkinitcpio.
pub(crate) const MADE_ANEW: &str = "update-initramfs -u, dracut -f, or mkinitcpio -P";
