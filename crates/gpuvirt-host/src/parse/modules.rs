//! Lists of installed modules: `modules.dep` and `modules.builtin` below `/lib/modules/RELEASE`.

/// More than any distribution's list has bytes.
pub(crate) const LIST_LIMIT: usize = 16 << 20;

/// Whether a list names a module. Each line begins with the module's file (`kernel/drivers/vfio/pci/vfio-pci.ko.xz:`
/// with its dependencies, or without anything in `modules.builtin`); `-` and `_` are the same in module names.
pub fn lists(list: &[u8], module: &str) -> bool {
    file_of(list, module).is_some()
}

/// The display drivers whose absence, while installed, means something.
pub const DISPLAY_DRIVERS: [&str; 7] = ["amdgpu", "gim", "i915", "nouveau", "nvidia", "radeon", "xe"];

/// The part of a list that is asked for: files of display drivers and of everything about VFIO, without dependencies.
pub fn judged(list: &str) -> String {
    let files = list.lines().map(|line| line.split_once(':').map_or((line, ""), |(file, _)| (file, ":")));
    let is_judged = |file: &str| {
        let base = file.rsplit('/').next().unwrap_or_default();
        base.contains("vfio") || DISPLAY_DRIVERS.iter().any(|driver| same_name(base.as_bytes(), driver))
    };
    files.filter(|(file, _)| is_judged(file)).map(|(file, colon)| format!("{file}{colon}\n")).collect()
}

/// A module's file, below `/lib/modules/RELEASE`: those that came with the kernel are in `kernel`.
pub fn file_of<'a>(list: &'a [u8], module: &str) -> Option<&'a [u8]> {
    let mut files =
        list.split(|b| *b == b'\n').map(|line| line.split(|b| *b == b':').next().unwrap_or_default());
    files.find(|file| same_name(file.rsplit(|b| *b == b'/').next().unwrap_or_default(), module))
}

/// Whether a module's file name is `module` and then `.ko`, compressed or not.
fn same_name(base: &[u8], module: &str) -> bool {
    let Some((name, ending)) = base.split_at_checked(module.len()) else { return false };
    let plain = |b: u8| if b == b'-' { b'_' } else { b };
    let ends = matches!(ending, b".ko" | b".ko.xz" | b".ko.zst" | b".ko.gz");
    ends && name.iter().zip(module.bytes()).all(|(a, b)| plain(*a) == plain(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_what_is_judged_is_kept_without_what_it_needs() {
        let list = "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n\
                    kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko: kernel/drivers/acme/secret.ko\n\
                    kernel/drivers/gpu/drm/amd/amdxcp/amdxcp.ko:\nkernel/drivers/vfio/ls.ko:\nupdates/dkms/nvidia.ko.zst:\n";
        let want = "kernel/drivers/vfio/pci/vfio-pci.ko.xz:\nkernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko:\n\
                    updates/dkms/nvidia.ko.zst:\n";
        assert_eq!(judged(list), want);
        assert_eq!(judged(want), want);
        assert_eq!(judged("kernel/drivers/vfio/vfio.ko\nkernel/x.ko\n"), "kernel/drivers/vfio/vfio.ko\n");
    }

    #[test]
    fn a_module_is_found_by_its_file() {
        let list = b"kernel/drivers/vfio/pci/vfio-pci-core.ko: kernel/drivers/vfio/vfio.ko\n\
                     kernel/drivers/vfio/pci/vfio-pci.ko.zst: kernel/drivers/vfio/pci/vfio-pci-core.ko\n";
        assert!(lists(list, "vfio-pci"));
        assert!(lists(list, "vfio_pci"));
        assert!(lists(list, "vfio_pci_core"));
        assert!(!lists(list, "vfio"));
        assert_eq!(
            file_of(b"updates/dkms/nvidia.ko.xz:\n", "nvidia"),
            Some(&b"updates/dkms/nvidia.ko.xz"[..])
        );
        assert!(!lists(b"", "vfio-pci"));
        assert!(!lists(b"\xff\xfe/:\n/", "vfio-pci"));
    }
}
