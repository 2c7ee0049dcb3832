//! Lists of installed modules: `modules.dep` and `modules.builtin` below `/lib/modules/RELEASE`.

/// Whether a list names a module. Each line begins with the module's file (`kernel/drivers/vfio/pci/vfio-pci.ko.xz:`
/// with its dependencies, or without anything in `modules.builtin`); `-` and `_` are the same in module names.
pub fn lists(list: &[u8], module: &str) -> bool {
    list.split(|b| *b == b'\n').any(|line| {
        let file = line.split(|b| *b == b':').next().unwrap_or_default();
        let base = file.rsplit(|b| *b == b'/').next().unwrap_or_default();
        same_name(base, module)
    })
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
    fn a_module_is_found_by_its_file() {
        let list = b"kernel/drivers/vfio/pci/vfio-pci-core.ko: kernel/drivers/vfio/vfio.ko\n\
                     kernel/drivers/vfio/pci/vfio-pci.ko.zst: kernel/drivers/vfio/pci/vfio-pci-core.ko\n";
        assert!(lists(list, "vfio-pci"));
        assert!(lists(list, "vfio_pci"));
        assert!(lists(list, "vfio_pci_core"));
        assert!(!lists(list, "vfio"));
        assert!(!lists(b"", "vfio-pci"));
        assert!(!lists(b"\xff\xfe/:\n/", "vfio-pci"));
    }
}
