//! Small trees of plain files that stand in for a kernel's, for reading only.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gpuvirt_host::{GpuRules, LinuxHost, LinuxSysfs};

/// A tree in a folder of its own, removed at the end.
pub struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    /// An empty bus.
    pub fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(tree.path("/sys/bus/pci/devices")).unwrap();
        fs::create_dir_all(tree.path("/proc/1/fd")).unwrap();
        tree
    }

    /// The real file behind a kernel path.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file, with the folders above it.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::File::create(file).unwrap().write_all(content.as_ref()).unwrap();
        self
    }

    /// Makes a folder.
    pub fn folder(&self, path: &str) -> &Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    /// Makes a link.
    pub fn link(&self, path: &str, target: &str) -> &Self {
        let link = self.path(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(Path::new(target), link).unwrap();
        self
    }

    /// A PCI function with what every function has.
    pub fn function(&self, address: &str, vendor: &str, class: &str) -> &Self {
        for (name, text) in [
            ("vendor", vendor),
            ("device", "0x2235"),
            ("subsystem_vendor", vendor),
            ("subsystem_device", "0x145a"),
            ("class", class),
            ("numa_node", "-1"),
            ("driver_override", "(null)"),
            ("reset_method", "flr bus"),
            ("power_state", "D0"),
            ("resource", "0x00000000a1000000 0x00000000a1ffffff 0x0000000000040200"),
        ] {
            self.attribute(address, name, text);
        }
        self
    }

    /// One attribute of a function, with the kernel's newline.
    pub fn attribute(&self, address: &str, name: &str, text: &str) -> &Self {
        self.file(&format!("/sys/bus/pci/devices/{address}/{name}"), format!("{text}\n"))
    }

    /// Binds a function to a driver.
    pub fn driver(&self, address: &str, driver: &str) -> &Self {
        self.folder(&format!("/sys/bus/pci/drivers/{driver}"));
        self.link(
            &format!("/sys/bus/pci/devices/{address}/driver"),
            &format!("../../../../bus/pci/drivers/{driver}"),
        )
    }

    /// Puts functions into an IOMMU group.
    pub fn group(&self, id: u32, members: &[&str]) -> &Self {
        self.file(&format!("/sys/kernel/iommu_groups/{id}/type"), "DMA-FQ\n");
        for member in members {
            self.folder(&format!("/sys/kernel/iommu_groups/{id}/devices/{member}"));
            let link = format!("/sys/bus/pci/devices/{member}/iommu_group");
            self.link(&link, &format!("../../../../kernel/iommu_groups/{id}"));
        }
        self
    }

    /// The production host over this tree.
    pub fn host(&self) -> LinuxHost {
        self.host_with(GpuRules::default())
    }

    /// The same, with rules.
    pub fn host_with(&self, rules: GpuRules) -> LinuxHost {
        LinuxHost::new(Arc::new(LinuxSysfs::below(self.folder.path().to_str().unwrap())), rules)
    }
}
