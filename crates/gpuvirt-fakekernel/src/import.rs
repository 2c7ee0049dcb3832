//! Starts the kernel as another host stands: its files are copied, its drivers and their behaviour follow from them.

use gpuvirt_host::Sysfs;
use gpuvirt_model::PciAddress;

use crate::driver::DRIVERS;
use crate::files::Node;
use crate::iommu::GROUPS;
use crate::state::Kernel;

/// Config space is the longest attribute; a list of interrupts the longest file.
const MAX_FILE: usize = 1 << 20;
/// Deeper than any device is nested.
const MAX_DEPTH: usize = 40;
/// Files of a function that can only be written.
const WRITE_ONLY: [&str; 3] = ["remove", "rescan", "reset"];

impl Kernel {
    pub(crate) fn import(&mut self, host: &dyn Sysfs) {
        for root in ["/sys", "/dev", "/proc", "/lib", "/usr"] {
            self.copy(host, root, 0);
        }
        self.files.put_text("/sys/bus/pci/drivers_autoprobe", "1\n");
        self.files.put("/sys/bus/pci/drivers_probe", Node::WriteOnly);
        self.files.put("/sys/bus/pci/rescan", Node::WriteOnly);
        for folder in
            ["/sys/bus/pci/devices", DRIVERS, "/sys/class/iommu", "/sys/class/vtconsole", "/proc", "/dev"]
        {
            self.files.put_folder(folder);
        }
        let functions = self.functions();
        for function in &functions {
            self.complete(*function);
        }
        self.import_drivers(&functions);
        self.import_groups();
        for function in &functions {
            if self.driver_of(*function).is_some_and(|driver| driver.contains("vfio")) {
                self.vfio_attach(*function);
            }
        }
        self.import_mdevs();
        self.import_vgpu_types(&functions);
        self.expect_vfio();
        self.renew_framebuffers();
    }

    /// Each driver gets the ids of what it has: it takes those back.
    fn import_drivers(&mut self, functions: &[PciAddress]) {
        for driver in self.files.names(DRIVERS) {
            let ids = functions.iter().filter(|f| self.driver_of(**f).as_ref() == Some(&driver));
            let id = |f: &PciAddress, name| self.id_of(*f, name).and_then(|id| u16::try_from(id).ok());
            let ids = ids.filter_map(|f| id(f, "vendor").zip(id(f, "device"))).collect();
            // A VFIO driver takes what it is told to, by override, and nothing by its table.
            let ids = if driver.contains("vfio") { Vec::new() } else { ids };
            self.import_driver(&driver, ids);
        }
    }

    fn import_groups(&mut self) {
        for group in self.files.names(GROUPS) {
            let at = format!("{GROUPS}/{group}/type");
            if self.files.get(&at).is_none() {
                self.files.put_text(&at, "DMA-FQ\n");
            }
        }
    }

    fn import_mdevs(&mut self) {
        let parents = self.files.names("/sys/class/mdev_bus");
        let parents: Vec<PciAddress> =
            parents.iter().filter_map(|name| PciAddress::parse(name).ok()).collect();
        self.import_mdev(&parents);
        for uuid in self.files.names("/sys/bus/mdev/devices") {
            self.import_live_mdev(&uuid);
            self.complete_mdev(&uuid);
        }
    }

    fn copy(&mut self, host: &dyn Sysfs, path: &str, depth: usize) {
        if let Ok(target) = host.read_link(path) {
            self.files.put(path, Node::Link(target));
        } else if let Ok(names) = host.list(path) {
            self.files.put_folder(path);
            for name in names.iter().filter(|_| depth < MAX_DEPTH) {
                self.copy(host, &format!("{path}/{name}"), depth + 1);
            }
        } else if path.starts_with("/dev/") {
            self.files.put(path, Node::Device(host.device_number(path).ok().flatten()));
        } else if let Ok(bytes) = host.read(path, MAX_FILE) {
            self.files.put(path, Node::File(bytes));
        }
    }

    /// Gives a function the files that a live one has and a recording may lack.
    fn complete(&mut self, function: PciAddress) {
        let Some(folder) = self.folder(function) else { return };
        for (name, text) in [("driver_override", "(null)\n"), ("uevent", "")] {
            let path = format!("{folder}/{name}");
            if self.files.get(&path).is_none() {
                self.files.put_text(&path, text);
            }
        }
        let virtual_one = self.physfn_of(function).is_some();
        for name in WRITE_ONLY {
            let path = format!("{folder}/{name}");
            if self.files.get(&path).is_some() || (name != "reset" && !virtual_one) {
                self.files.put(&path, Node::WriteOnly);
            }
        }
        if self.text_of(function, "sriov_totalvfs").is_some()
            && self.text_of(function, "sriov_numvfs").is_none()
        {
            let count = self.vfs_of(function).len();
            self.files.put_text(&format!("{folder}/sriov_numvfs"), format!("{count}\n"));
        }
    }

    fn complete_mdev(&mut self, uuid: &str) {
        let Some(device) = self.files.target(&format!("/sys/bus/mdev/devices/{uuid}")) else { return };
        self.files.put(&format!("{device}/remove"), Node::WriteOnly);
        let group =
            self.files.target_name(&format!("{device}/iommu_group")).and_then(|name| name.parse().ok());
        if let Some(group) = group {
            self.files.put_text(&format!("{GROUPS}/{group}/type"), "unknown\n");
            self.vfio_show(&device, group);
        }
    }
}
