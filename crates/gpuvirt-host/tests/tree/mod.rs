//! Small trees of plain files that stand in for a kernel's, for reading only.

#![allow(dead_code)] // each test program uses a part of it

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpuvirt_host::{DeviceNumber, GpuRules, LinuxHost, LinuxSysfs, Sysfs, WriteError};

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

/// A reaction to a write: what the kernel would change in the tree, or its errno.
pub type Reaction = Box<dyn Fn(&Tree, &str, &str) -> io::Result<()> + Send + Sync>;

/// A tree that reacts to writes, and whose `/proc` may be this machine's.
pub struct Reacting {
    /// The tree.
    pub tree: Tree,
    /// What a write does.
    pub reaction: Reaction,
    /// Every write, as `path=data`.
    pub written: Mutex<Vec<String>>,
    /// Paths that only root may look at.
    pub denied: Vec<String>,
    /// `/proc` is this machine's own.
    pub real_proc: bool,
    /// What a descriptor on a memory file holds: in a tree its link leads nowhere.
    pub memory_file: Option<String>,
}

impl Reacting {
    /// A tree whose kernel refuses every write.
    pub fn new(tree: Tree) -> Self {
        let reaction: Reaction = Box::new(|_, _, _| Err(io::Error::from_raw_os_error(22)));
        Self {
            tree,
            reaction,
            written: Mutex::default(),
            denied: Vec::new(),
            real_proc: false,
            memory_file: None,
        }
    }

    /// The production host over it.
    pub fn host(self: &Arc<Self>) -> LinuxHost {
        LinuxHost::new(Arc::clone(self) as Arc<dyn Sysfs>, GpuRules::default())
    }

    fn files(&self, path: &str) -> LinuxSysfs {
        if self.real_proc && path.starts_with("/proc") {
            return LinuxSysfs::this_machine();
        }
        LinuxSysfs::below(self.tree.folder.path().to_str().unwrap())
    }

    fn allowed(&self, path: &str) -> io::Result<()> {
        if self.denied.iter().any(|denied| denied == path) {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        Ok(())
    }
}

impl Sysfs for Reacting {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        self.allowed(path)?;
        if let Some(content) = self.memory_file.as_ref().filter(|_| path.contains("/fd/")) {
            return Ok(content.clone().into_bytes());
        }
        self.files(path).read(path, limit)
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.allowed(path)?;
        self.files(path).list(path)
    }
    fn read_link(&self, path: &str) -> io::Result<String> {
        self.allowed(path)?;
        self.files(path).read_link(path)
    }
    fn exists(&self, path: &str) -> bool {
        self.files(path).exists(path)
    }
    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>> {
        self.allowed(path)?;
        self.files(path).device_number(path)
    }
    fn write(&self, path: &str, data: &[u8]) -> io::Result<()> {
        let data = String::from_utf8(data.to_vec()).unwrap();
        self.written.lock().unwrap().push(format!("{path}={data}"));
        (self.reaction)(&self.tree, path, &data)
    }
    fn write_that_may_block(&self, path: &str, data: &[u8], deadline: Duration) -> Result<(), WriteError> {
        self.write(path, data).map_err(|e| match e.kind() {
            io::ErrorKind::TimedOut => WriteError::StillWaiting { writer: 4711, waited: deadline },
            _ => WriteError::Errno(e),
        })
    }
    fn load_module(&self, name: &str) -> io::Result<()> {
        self.write("modprobe", name.as_bytes())
    }
}
