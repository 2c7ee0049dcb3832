//! Kernel modules: what `modprobe` finds and what loading it brings.

use std::io;

use nix::errno::Errno;
use uuid::Uuid;

use crate::inject::{Fault, On};
use crate::state::{Driver, Kernel, Process};

/// What a live host's kernel calls itself here.
const RELEASE: &str = "6.12.0-fake";
/// What vfio-pci brings along.
const WITH_VFIO: [&str; 4] = ["vfio", "vfio_iommu_type1", "vfio_pci", "vfio_pci_core"];
/// Modules without a PCI driver.
const NO_DRIVER: [&str; 4] = ["vfio_iommu_type1", "vfio", "mdev", "iommufd"];

impl Kernel {
    pub(crate) fn load_module(&mut self, name: &str) -> io::Result<()> {
        let at = On::LoadModule { name: name.to_owned() };
        match self.strike(&at) {
            Some(Fault::Errno(errno) | Fault::DoneThenErrno(errno)) => return Err(errno.into()),
            Some(Fault::Silent | Fault::Block) => return Ok(()),
            None => {}
        }
        if NO_DRIVER.contains(&name) {
            self.show_module(name);
            return Ok(());
        }
        if self.drivers.get(name).is_some() {
            return Ok(());
        }
        let driver = self.drivers.loadable(name).ok_or(Errno::ENOENT)?;
        if name == "vfio-pci" {
            for module in WITH_VFIO {
                self.show_module(module);
            }
            self.vfio_show_container();
        } else {
            self.show_module(&name.replace('-', "_"));
        }
        self.register_driver(driver);
        Ok(())
    }

    fn show_module(&mut self, name: &str) {
        self.files.put_text(&format!("/sys/module/{name}/initstate"), "live\n");
        if name == "vfio_iommu_type1" {
            self.files.put_text(&format!("/sys/module/{name}/parameters/allow_unsafe_interrupts"), "N\n");
        }
    }

    /// Takes a module off the disk. A driver that is registered stays.
    pub(crate) fn forget_module(&mut self, name: &str) {
        self.drivers.forget(name);
        self.files.put_text(&format!("/lib/modules/{RELEASE}/modules.dep"), "");
    }

    pub(crate) fn add_proc(&mut self) {
        self.files.put_text("/proc/sys/kernel/osrelease", format!("{RELEASE}\n"));
        self.files.put_text("/proc/sys/kernel/random/boot_id", format!("{}\n", Uuid::new_v4()));
        let remaps = !self.files.names("/sys/class/iommu").is_empty();
        let chip = if remaps { "IR-IO-APIC" } else { "IO-APIC" };
        let interrupts = format!(
            "           CPU0\n   1:          9   {chip}    1-edge      i8042\n NMI:          0   Non-maskable interrupts\n"
        );
        self.files.put_text("/proc/interrupts", interrupts);
        self.files.put_text("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda1\n");
        self.files.put_folder("/proc/asound");
        let list = "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/pci/vfio-pci-core.ko.xz\n";
        self.files.put_text(&format!("/lib/modules/{RELEASE}/modules.dep"), list);
        self.files.put_text(&format!("/lib/modules/{RELEASE}/modules.builtin"), "");
        self.drivers.add_loadable("vfio-pci", &[]);
        // Where process 1 is not seen, others are hidden too.
        self.start(Process::new(1, "systemd"));
        self.renew_framebuffers();
    }

    /// Makes vfio-pci loadable where nothing says that it is not there.
    pub(crate) fn expect_vfio(&mut self) {
        if self.files.get("/lib/modules").is_none() {
            self.drivers.add_loadable("vfio-pci", &[]);
        }
    }

    /// A driver of a recording: it takes back what it had.
    pub(crate) fn import_driver(&mut self, name: &str, ids: Vec<(u16, u16)>) {
        self.show_driver(name);
        self.drivers.register(Driver { name: name.to_owned(), ids });
    }
}
