//! A PCI function's folder: where it is, what it is bound to, in which group.

use gpuvirt_model::PciAddress;
use uuid::Uuid;

use crate::files::Node;
use crate::state::Kernel;

pub(crate) const DEVICES: &str = "/sys/bus/pci/devices";

impl Kernel {
    /// The folder of a function, without links.
    pub(crate) fn folder(&self, function: PciAddress) -> Option<String> {
        self.files.target(&format!("{DEVICES}/{function}"))
    }

    /// One file of a function.
    pub(crate) fn file_of(&self, function: PciAddress, name: &str) -> Option<String> {
        self.folder(function).map(|folder| format!("{folder}/{name}"))
    }

    /// A file's text without its newline.
    pub(crate) fn text_of(&self, function: PciAddress, name: &str) -> Option<String> {
        self.files.text(&self.file_of(function, name)?)
    }

    /// Where a link of a function leads, by its last name.
    pub(crate) fn link_of(&self, function: PciAddress, name: &str) -> Option<String> {
        self.files.target_name(&self.file_of(function, name)?)
    }

    /// All functions on the bus.
    pub(crate) fn functions(&self) -> Vec<PciAddress> {
        self.files.names(DEVICES).iter().filter_map(|name| PciAddress::parse(name).ok()).collect()
    }

    /// The driver that has a function.
    pub(crate) fn driver_of(&self, function: PciAddress) -> Option<String> {
        self.link_of(function, "driver")
    }

    /// `driver_override`, when it is set.
    pub(crate) fn override_of(&self, function: PciAddress) -> Option<String> {
        self.text_of(function, "driver_override").filter(|text| text != "(null)" && !text.is_empty())
    }

    /// The IOMMU group of a function.
    pub(crate) fn group_of(&self, function: PciAddress) -> Option<u32> {
        self.link_of(function, "iommu_group")?.parse().ok()
    }

    /// The physical function of a virtual one.
    pub(crate) fn physfn_of(&self, function: PciAddress) -> Option<PciAddress> {
        PciAddress::parse(&self.link_of(function, "physfn")?).ok()
    }

    /// The virtual functions of a physical one, in the order of their links.
    pub(crate) fn vfs_of(&self, function: PciAddress) -> Vec<PciAddress> {
        let Some(folder) = self.folder(function) else { return Vec::new() };
        let mut links: Vec<(u32, String)> = self
            .files
            .names(&folder)
            .into_iter()
            .filter_map(|name| Some((name.strip_prefix("virtfn")?.parse().ok()?, name)))
            .collect();
        links.sort();
        let target = |(_, name): (u32, String)| self.files.target_name(&format!("{folder}/{name}"));
        links.into_iter().filter_map(target).filter_map(|name| PciAddress::parse(&name).ok()).collect()
    }

    /// An identity file as a number.
    pub(crate) fn id_of(&self, function: PciAddress, name: &str) -> Option<u32> {
        let text = self.text_of(function, name)?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    }

    /// The function that a write to this path locks (`device_lock`): the one whose folder it is in, or whose
    /// address is written to a driver's file.
    pub(crate) fn function_of_path(&self, path: &str) -> Option<PciAddress> {
        let at = self.files.resolve(path, true).unwrap_or_else(|_| path.to_owned());
        at.split('/').chain(path.split('/')).filter_map(|name| PciAddress::parse(name).ok()).next_back()
    }

    /// The mediated device whose `remove` file this is.
    pub(crate) fn mdev_of_path(&self, path: &str) -> Option<String> {
        let at = self.files.resolve(path, true).ok()?;
        let uuid = at.strip_suffix("/remove")?.rsplit('/').next()?;
        Uuid::try_parse(uuid).ok().map(|_| uuid.to_owned())
    }

    /// The process whose waiting write keeps a file from being read: `driver_override_show` takes the device's lock
    /// until the override moves into struct device, `sriov_numvfs_show` before 6.10.
    pub(crate) fn lock_holder(&self, path: &str, at: &str) -> Option<u32> {
        let locks = ["/driver_override", "/sriov_numvfs"].iter().any(|name| at.ends_with(name));
        let function = locks.then(|| self.function_of_path(path)).flatten()?;
        self.waiting.iter().find(|write| write.function == Some(function)).map(|write| write.writer)
    }

    /// Whether a waiting write holds a function locked.
    pub(crate) fn is_locked(&self, function: PciAddress) -> bool {
        self.waiting.iter().any(|write| write.function == Some(function))
    }

    /// Writes the `DRIVER=` line of the uevent file anew.
    pub(crate) fn renew_uevent(&mut self, folder: &str, driver: Option<&str>) {
        let path = format!("{folder}/uevent");
        let old = self.files.text(&path).unwrap_or_default();
        let mut text = driver.map(|driver| format!("DRIVER={driver}\n")).unwrap_or_default();
        for line in old.lines().filter(|line| !line.starts_with("DRIVER=")) {
            text.push_str(line);
            text.push('\n');
        }
        self.files.put_text(&path, text);
    }

    /// The device nodes of devices below a folder: `(path below /dev, number)`.
    pub(crate) fn nodes_below(&self, folder: &str) -> Vec<String> {
        let mut nodes = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for name in self.files.names(&folder) {
                let path = format!("{folder}/{name}");
                if matches!(self.files.get(&path), Some(Node::Folder(_))) && PciAddress::parse(&name).is_err()
                {
                    folders.push(path);
                }
            }
            let uevent = self.files.text(&format!("{folder}/uevent")).unwrap_or_default();
            let node = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="));
            nodes.extend(node.map(|node| format!("/dev/{}", node.trim_start_matches("/dev/"))));
        }
        nodes
    }
}
