//! What shows that VFIO has a device: the group's node, the device's own name, and who has them open.

use gpuvirt_host::DeviceNumber;
use gpuvirt_model::PciAddress;

use crate::files::Node;
use crate::state::Kernel;

/// The kernel gives VFIO's groups a major number at run time; any that nothing else here has will do.
const VFIO_MAJOR: u64 = 243;
/// The container, a miscellaneous device with a fixed number (`VFIO_MINOR`).
const CONTAINER: DeviceNumber = DeviceNumber { major: 10, minor: 196 };

impl Kernel {
    /// Shows the container node, as loading the vfio module does.
    pub(crate) fn vfio_show_container(&mut self) {
        self.files.put("/dev/vfio/vfio", Node::Device(Some(CONTAINER)));
        self.files.put_folder("/sys/class/vfio");
    }

    /// What binding to a VFIO driver brings: the nodes, and leave for the function to sleep
    /// (`vfio_pci_core_register_device`).
    pub(crate) fn vfio_attach(&mut self, function: PciAddress) {
        if let Some((folder, group)) = self.folder(function).zip(self.group_of(function)) {
            self.vfio_show(&folder, group);
            self.files.put_text(&format!("{folder}/power/control"), "auto\n");
        }
    }

    /// The leave to sleep is taken back, whatever was set before VFIO came.
    pub(crate) fn vfio_detach(&mut self, function: PciAddress) {
        if let Some((folder, group)) = self.folder(function).zip(self.group_of(function)) {
            self.vfio_hide(&folder, group);
            self.files.put_text(&format!("{folder}/power/control"), "on\n");
        }
    }

    /// Registers a device with VFIO: `vfio-dev/vfioN` below it, and its group's node.
    pub(crate) fn vfio_show(&mut self, folder: &str, group: u32) {
        self.vfio_show_container();
        if self.files.names(&format!("{folder}/vfio-dev")).is_empty() {
            let names = self.files.names("/sys/class/vfio-dev");
            let used = names.iter().filter_map(|name| name.strip_prefix("vfio")?.parse().ok());
            let number = lowest_free(used.collect());
            let device = format!("{folder}/vfio-dev/vfio{number}");
            self.files.put_text(&format!("{device}/uevent"), "");
            self.files.put_link(&format!("{device}/device"), folder);
            self.files.put_link(&format!("{device}/subsystem"), "/sys/class/vfio-dev");
            self.files.put_link(&format!("/sys/class/vfio-dev/vfio{number}"), &device);
        }
        let node = format!("/dev/vfio/{group}");
        if self.files.get(&node).is_some() {
            return;
        }
        let groups = self.files.names("/sys/class/vfio");
        let minor = |name: &String| {
            self.files.text(&format!("/sys/devices/virtual/vfio/{name}/dev"))?.split(':').nth(1)?.parse().ok()
        };
        let minor = lowest_free(groups.iter().filter_map(minor).collect());
        let device = format!("/sys/devices/virtual/vfio/{group}");
        self.files.put(&node, Node::Device(Some(DeviceNumber { major: VFIO_MAJOR, minor })));
        self.files.put_text(&format!("{device}/dev"), format!("{VFIO_MAJOR}:{minor}\n"));
        let uevent = format!("MAJOR={VFIO_MAJOR}\nMINOR={minor}\nDEVNAME=vfio/{group}\n");
        self.files.put_text(&format!("{device}/uevent"), uevent);
        self.files.put_link(&format!("{device}/subsystem"), "/sys/class/vfio");
        self.files.put_link(&format!("/sys/class/vfio/{group}"), &device);
    }

    /// Takes a device back from VFIO; the group's node goes with the last one of the group.
    pub(crate) fn vfio_hide(&mut self, folder: &str, group: u32) {
        for name in self.files.names(&format!("{folder}/vfio-dev")) {
            self.files.take(&format!("/sys/class/vfio-dev/{name}"));
        }
        self.files.take(&format!("{folder}/vfio-dev"));
        let members = self.group_members(group);
        let left = members.iter().any(|member| !self.files.names(&format!("{member}/vfio-dev")).is_empty());
        if !left {
            self.files.take(&format!("/dev/vfio/{group}"));
            self.files.take(&format!("/sys/class/vfio/{group}"));
            self.files.take(&format!("/sys/devices/virtual/vfio/{group}"));
        }
    }

    /// The nodes through which a guest has a function of VFIO.
    pub(crate) fn vfio_nodes(&self, function: PciAddress) -> Vec<String> {
        let own = self.folder(function).map(|folder| self.files.names(&format!("{folder}/vfio-dev")));
        let devices = own.unwrap_or_default().into_iter().map(|name| format!("/dev/vfio/devices/{name}"));
        let group = self.group_of(function).map(|group| format!("/dev/vfio/{group}"));
        group.into_iter().chain(devices).collect()
    }
}

/// The number that the kernel's allocator gives next.
fn lowest_free(used: Vec<u64>) -> u64 {
    (0..).find(|number| !used.contains(number)).unwrap_or_default()
}
