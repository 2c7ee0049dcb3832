//! Failures on demand: what a test makes go wrong.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;
use uuid::Uuid;

/// Where a failure strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// The driver's probe of a function, through whichever file it was asked for.
    Bind {
        /// The driver.
        driver: String,
        /// The function.
        function: PciAddress,
    },
    /// The unbinding of a function.
    Unbind {
        /// The function.
        function: PciAddress,
    },
    /// A write to a function's `driver_override`.
    Override {
        /// The function.
        function: PciAddress,
    },
    /// A write of a function's address to `drivers_probe`.
    Probe {
        /// The function.
        function: PciAddress,
    },
    /// A write to a function's `sriov_numvfs`.
    Numvfs {
        /// The function.
        function: PciAddress,
    },
    /// A write to a virtual function's `current_vgpu_type`.
    VgpuType {
        /// The virtual function.
        vf: PciAddress,
    },
    /// The creation of a mediated device.
    CreateMdev {
        /// The parent function.
        parent: PciAddress,
    },
    /// The removal of a mediated device.
    RemoveMdev {
        /// The device.
        uuid: Uuid,
    },
    /// The loading of a module.
    LoadModule {
        /// Its name.
        name: String,
    },
    /// A write to a card's `unbindLock`.
    UnbindLock {
        /// The card.
        card: PciAddress,
    },
    /// A run of a program. With an errno it fails, silently it does nothing and says that all is well.
    Program {
        /// Its path.
        path: String,
    },
    /// The write with this number, whatever it is, programs that are run included, counted from 1 when the failure is asked for.
    NthWrite {
        /// Its number.
        nth: usize,
    },
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The kernel refuses with this errno, and nothing has changed.
    Errno(Errno),
    /// The kernel says that it was done, and nothing has changed.
    Silent,
    /// The kernel keeps the write waiting until [`FakeKernel::release`](crate::FakeKernel::release).
    Block,
    /// The kernel does it, and says that it failed.
    DoneThenErrno(Errno),
}

/// The failures asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    on: On,
    fault: Fault,
    once: bool,
}

impl Faults {
    pub(crate) fn add(&mut self, on: On, fault: Fault, once: bool) {
        // The nth write comes once by its nature.
        let once = once || matches!(on, On::NthWrite { .. });
        self.list.push(Planned { on, fault, once });
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// Drops everything that blocks.
    pub(crate) fn release(&mut self) {
        self.list.retain(|planned| planned.fault != Fault::Block);
    }

    /// The failure at this place, when one was asked for.
    pub(crate) fn strike(&mut self, at: &On) -> Option<Fault> {
        let index = self.list.iter().position(|planned| planned.on == *at)?;
        let planned = self.list.get(index)?;
        // A write that waits comes by again when it is released; until then it stays blocked.
        let (fault, once) = (planned.fault, planned.once && planned.fault != Fault::Block);
        if once {
            self.list.remove(index);
        }
        Some(fault)
    }

    /// Counts a write.
    pub(crate) fn count_write(&mut self) -> Option<Fault> {
        for planned in &mut self.list {
            if let On::NthWrite { nth } = &mut planned.on {
                *nth = nth.saturating_sub(1);
            }
        }
        let index = self.list.iter().position(|planned| planned.on == On::NthWrite { nth: 0 })?;
        Some(self.list.remove(index).fault)
    }
}
