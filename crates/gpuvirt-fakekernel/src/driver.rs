//! PCI drivers: which functions they match, and what binding to one and unbinding from it does.
//!
//! After `drivers/base/dd.c` and `drivers/pci/pci-driver.c`: `driver_override` decides alone when it is set; a probe
//! that fails leaves the function driverless and lets the next driver try.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::files::Node;
use crate::inject::{Fault, On};
use crate::state::{Driver, Kernel};
use crate::writes::{Answer, Stop};

pub(crate) const DRIVERS: &str = "/sys/bus/pci/drivers";

/// What a driver puts below a function while it has it.
const PUT_BY_DRIVERS: [&str; 7] =
    ["drm", "graphics", "sound", "mdev_supported_types", "nvidia", "i2c", "misc"];
/// Drivers whose removal waits for whoever has the device open; others let their users find it gone.
const WAIT_FOR_USERS: [&str; 2] = ["nvidia", "gpuvirt_mdev"];
/// Drivers with an `sriov_configure` of their own.
const MAKE_VFS: [&str; 9] =
    ["igb", "ixgbe", "ice", "mlx5_core", "nvme", "nvidia", "i915", "xe", "pci-pf-stub"];
/// Drivers that match whole classes of devices, with a mask as in their id tables.
const BY_CLASS: [(&str, u32, u32); 4] = [
    ("snd_hda_intel", 0x04_0300, 0xff_ff00),
    ("xhci_hcd", 0x0c_0330, 0xff_ffff),
    ("nvme", 0x01_0802, 0xff_ffff),
    ("pcieport", 0x06_0400, 0xff_ff00),
];

/// Why a probe did not bind.
pub(crate) enum ProbeError {
    /// Before the driver was asked: it ends the search for a driver.
    Early(Errno),
    /// The driver's own: the next driver may try.
    Driver(Errno),
    /// A test keeps it waiting.
    Blocks,
}

impl Kernel {
    /// `pci_bus_match`: the override alone when it is set, else the tables.
    pub(crate) fn matches(&self, driver: &str, function: PciAddress) -> bool {
        if let Some(wanted) = self.override_of(function) {
            return wanted == driver;
        }
        let Some(table) = self.drivers.get(driver) else { return false };
        let id = |name| self.id_of(function, name).and_then(|id| u16::try_from(id).ok());
        let class = self.id_of(function, "class").unwrap_or(0);
        let by_id = id("vendor").zip(id("device")).is_some_and(|ids| table.ids.contains(&ids));
        by_id || BY_CLASS.iter().any(|(name, want, mask)| *name == driver && class & mask == *want)
    }

    /// Lets one driver probe a driverless function.
    pub(crate) fn probe(&mut self, driver: &str, function: PciAddress) -> Result<(), ProbeError> {
        let Some(found) = self.drivers.get(driver).cloned() else {
            return Err(ProbeError::Early(Errno::ENODEV));
        };
        // iommu_device_use_default_domain: a host driver can't join a group that a process owns.
        if !found.manages_dma() && self.group_of(function).is_some_and(|group| self.is_group_owned(group)) {
            return Err(ProbeError::Early(Errno::EBUSY));
        }
        match self.strike(&On::Bind { driver: driver.to_owned(), function }) {
            Some(Fault::Errno(errno)) => return Err(ProbeError::Driver(errno)),
            Some(Fault::Silent) => return Err(ProbeError::Driver(Errno::ENODEV)),
            Some(Fault::Block) => return Err(ProbeError::Blocks),
            Some(Fault::DoneThenErrno(errno)) => {
                self.attach(driver, function);
                return Err(ProbeError::Driver(errno));
            }
            None => {}
        }
        self.driver_accepts(&found, function).map_err(ProbeError::Driver)?;
        self.attach(driver, function);
        Ok(())
    }

    fn driver_accepts(&self, driver: &Driver, function: PciAddress) -> Result<(), Errno> {
        // pci_device_can_probe: VFs of a PF that switched automatic probing off, unless an override is set.
        if let Some(physfn) = self.physfn_of(function) {
            let off = self.text_of(physfn, "sriov_drivers_autoprobe").as_deref() == Some("0");
            if off && self.override_of(function).is_none() {
                return Err(Errno::ENODEV);
            }
        }
        // vfio_pci_core: no bridges, and no function without a group.
        let bridge = self.id_of(function, "class").is_some_and(|class| class >> 16 == 6);
        if driver.name == "vfio-pci" && (bridge || self.group_of(function).is_none()) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// `device_attach`: the first driver that matches and takes the function. Whether one did is not told.
    pub(crate) fn search_driver(&mut self, function: PciAddress) -> Result<(), ProbeError> {
        for driver in self.drivers.names() {
            if !self.matches(&driver, function) {
                continue;
            }
            match self.probe(&driver, function) {
                Ok(()) => return Ok(()),
                Err(ProbeError::Driver(_)) if self.driver_of(function).is_none() => {}
                Err(ProbeError::Driver(_)) => return Ok(()),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Binds, with everything that shows it.
    pub(crate) fn attach(&mut self, driver: &str, function: PciAddress) {
        let Some(folder) = self.folder(function) else { return };
        self.files.put_link(&format!("{folder}/driver"), &format!("{DRIVERS}/{driver}"));
        self.files.put_link(&format!("{DRIVERS}/{driver}/{function}"), &folder);
        self.renew_uevent(&folder, Some(driver));
        for (path, node) in self.put_away.remove(&(function, driver.to_owned())).unwrap_or_default() {
            match node {
                Node::Folder(_) => self.files.put_folder(&path),
                node => self.files.put(&path, node),
            }
        }
        self.renew_pool_of(function);
        self.renew_lock(function);
        // VFIO enables a function only while a guest has it open.
        let vfio = driver.contains("vfio");
        self.files.put_text(&format!("{folder}/enable"), if vfio { "0\n" } else { "1\n" });
        if vfio {
            self.vfio_attach(function);
        } else if self.let_sleep.contains(driver) {
            self.files.put_text(&format!("{folder}/power/control"), "auto\n");
        }
        self.renew_framebuffers();
    }

    /// Whether unbinding waits for somebody.
    pub(crate) fn must_wait(&self, function: PciAddress) -> bool {
        let Some((driver, folder)) = self.driver_of(function).zip(self.folder(function)) else {
            return false;
        };
        if driver.contains("vfio") || !self.files.names(&format!("{folder}/vfio-dev")).is_empty() {
            return self.vfio_nodes(function).iter().any(|node| self.is_open(node));
        }
        let waits = WAIT_FOR_USERS.contains(&driver.as_str());
        let held = waits && self.nodes_below(&folder).iter().any(|node| self.is_open(node));
        held || self.mdevs_of(function).iter().any(|uuid| self.is_mdev_open(uuid))
    }

    /// Unbinds a function: `device_driver_detach`.
    pub(crate) fn detach(&mut self, function: PciAddress) -> Answer {
        if self.must_wait(function) || self.is_locked(function) {
            return Err(Stop::Blocks);
        }
        let after = self.struck(&On::Unbind { function })?;
        self.detach_now(function);
        after
    }

    /// Unbinds without asking anybody.
    pub(crate) fn detach_now(&mut self, function: PciAddress) {
        let Some((driver, folder)) = self.driver_of(function).zip(self.folder(function)) else { return };
        for uuid in self.mdevs_of(function) {
            self.remove_mdev_now(&uuid);
        }
        // A driver that goes takes its virtual functions along.
        for vf in self.vfs_of(function) {
            self.remove_vf(vf);
        }
        self.clear_vf_links(function);
        let mut away = Vec::new();
        let is_usb_bus =
            |name: &String| name.strip_prefix("usb").is_some_and(|bus| bus.parse::<u32>().is_ok());
        let buses = self.files.names(&folder).into_iter().filter(is_usb_bus);
        for name in PUT_BY_DRIVERS.map(str::to_owned).into_iter().chain(buses) {
            let below = format!("{folder}/{name}");
            for node in self.nodes_below(&below) {
                away.extend(self.files.take(&node));
            }
            for link in self.files.links_into("/sys/class", &below) {
                away.extend(self.files.take(&link));
            }
            away.extend(self.files.take(&below));
        }
        for link in self.files.links_into("/sys/class/mdev_bus", &folder) {
            away.extend(self.files.take(&link));
        }
        self.put_away.insert((function, driver.clone()), away);
        self.files.take(&format!("{folder}/driver"));
        self.files.take(&format!("{DRIVERS}/{driver}/{function}"));
        self.renew_lock(function);
        self.renew_uevent(&folder, None);
        self.files.put_text(&format!("{folder}/enable"), "0\n");
        if driver.contains("vfio") {
            self.vfio_detach(function);
        } else if !self.files.names(&format!("{folder}/vfio-dev")).is_empty() {
            // A host driver may register its function with VFIO itself.
            if let Some(group) = self.group_of(function) {
                self.vfio_hide(&folder, group);
            }
        }
        self.renew_framebuffers();
    }

    /// Whether the driver of a function makes virtual functions.
    pub(crate) fn makes_vfs(&self, function: PciAddress) -> bool {
        self.driver_of(function).is_some_and(|driver| MAKE_VFS.contains(&driver.as_str()))
    }

    /// Adds a driver to the bus, with its files, and lets it look for functions.
    pub(crate) fn register_driver(&mut self, driver: Driver) {
        let name = driver.name.clone();
        self.show_driver(&name);
        self.drivers.register(driver);
        if self.files.text("/sys/bus/pci/drivers_autoprobe").as_deref() == Some("0") {
            return;
        }
        for function in self.functions() {
            if self.driver_of(function).is_none() && self.matches(&name, function) {
                let _ = self.probe(&name, function);
            }
        }
    }

    /// The files of a driver.
    pub(crate) fn show_driver(&mut self, name: &str) {
        let folder = format!("{DRIVERS}/{name}");
        self.files.put_folder(&folder);
        for file in ["bind", "unbind", "new_id", "remove_id", "uevent"] {
            self.files.put(&format!("{folder}/{file}"), Node::WriteOnly);
        }
    }
}
