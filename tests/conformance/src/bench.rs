//! What a behaviour has at hand: the files, the devices, and comparisons that say what they saw.

use std::io;
use std::time::{Duration, Instant};

use gpuvirt_host::Sysfs;
use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::testbed::Testbed;

pub(crate) const DEVICES: &str = "/sys/bus/pci/devices";
pub(crate) const DRIVERS: &str = "/sys/bus/pci/drivers";
pub(crate) const PROBE: &str = "/sys/bus/pci/drivers_probe";
pub(crate) const GROUPS: &str = "/sys/kernel/iommu_groups";
/// A function that no bench has.
pub(crate) const NOWHERE: &str = "ffff:ff:1f.7";

/// Work that the kernel leaves to its workers has ended by then, on an emulated machine too.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
/// Sysfs tells no events of such things.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How a behaviour ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The kernel did something else.
    Failed(String),
    /// It could not be tried here.
    NotRun(String),
}

/// How a behaviour ended.
pub(crate) type Check = Result<(), Stop>;

/// The kernel and the devices.
pub(crate) struct Bench<'a> {
    pub(crate) sysfs: &'a dyn Sysfs,
    pub(crate) testbed: &'a Testbed,
}

impl Bench<'_> {
    pub(crate) fn plain(&self) -> Result<PciAddress, Stop> {
        self.testbed.plain.ok_or_else(|| no("plain GPU"))
    }

    pub(crate) fn multi(&self) -> Result<(PciAddress, PciAddress), Stop> {
        self.testbed.multi.ok_or_else(|| no("card of two functions"))
    }

    pub(crate) fn twins(&self) -> Result<(PciAddress, PciAddress), Stop> {
        self.testbed.twins.ok_or_else(|| no("pair of twins"))
    }

    pub(crate) fn sriov(&self) -> Result<PciAddress, Stop> {
        self.testbed.sriov.ok_or_else(|| no("SR-IOV function"))
    }

    pub(crate) fn dirty(&self) -> Result<(PciAddress, PciAddress), Stop> {
        self.testbed.dirty.ok_or_else(|| no("GPU in a shared group"))
    }

    /// The parent of mediated devices, when its driver has it.
    pub(crate) fn mdev(&self) -> Result<PciAddress, Stop> {
        let parent = self.testbed.mdev.ok_or_else(|| no("mdev parent"))?;
        let types = format!("/sys/class/mdev_bus/{parent}/mdev_supported_types");
        match self.sysfs.list(&types) {
            Ok(names) if !names.is_empty() => Ok(parent),
            _ => Err(Stop::NotRun(format!("{parent} offers no mediated devices: is its driver loaded?"))),
        }
    }

    /// The virtual functions that take vGPU types, in the order of their links.
    pub(crate) fn typed(&self) -> Result<Vec<PciAddress>, Stop> {
        let pf = self.testbed.typed.ok_or_else(|| no("card whose virtual functions take vGPU types"))?;
        let vf = |number: u32| {
            let target = self.sysfs.read_link(&file(pf, &format!("virtfn{number}"))).ok()?;
            PciAddress::parse(target.rsplit('/').next()?).ok()
        };
        let vfs: Vec<PciAddress> = (0..).map_while(vf).collect();
        let ready = |vf: &PciAddress| self.sysfs.exists(&file(*vf, "nvidia/current_vgpu_type"));
        let none = || Stop::NotRun(format!("the virtual functions of {pf} take no types: are they enabled?"));
        if vfs.is_empty() || !vfs.iter().all(ready) { Err(none()) } else { Ok(vfs) }
    }

    /// The driver that has a function.
    pub(crate) fn driver(&self, function: PciAddress) -> Option<String> {
        let target = self.sysfs.read_link(&file(function, "driver")).ok()?;
        target.rsplit('/').next().map(str::to_owned)
    }

    /// The driver that a function has before anything is done, which the behaviour needs.
    pub(crate) fn native(&self, function: PciAddress) -> Result<String, Stop> {
        self.driver(function).ok_or_else(|| Stop::NotRun(format!("{function} has no driver")))
    }

    /// The IOMMU group of a function.
    pub(crate) fn group(&self, function: PciAddress) -> Result<String, Stop> {
        let target = self.sysfs.read_link(&file(function, "iommu_group"));
        let target = target.map_err(|_| Stop::NotRun(format!("{function} is in no IOMMU group")))?;
        Ok(target.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// A file's whole text, to the byte.
    pub(crate) fn text(&self, path: &str) -> Result<String, Stop> {
        let bytes =
            self.sysfs.read(path, 64 * 1024).map_err(|error| failed(format!("reading {path}: {error}")))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file's number.
    pub(crate) fn number(&self, path: &str) -> Result<u64, Stop> {
        let text = self.text(path)?;
        text.trim().parse().map_err(|_| failed(format!("{path} holds {text:?}, no number")))
    }

    /// The names in a folder; none where there is no folder.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        self.sysfs.list(path).unwrap_or_default()
    }

    /// A write that must succeed.
    pub(crate) fn done(&self, path: &str, data: &str) -> Check {
        let written = self.sysfs.write(path, data.as_bytes());
        written.map_err(|error| failed(format!("writing {:?} to {path}: {}", short(data), named(&error))))
    }

    /// A write that must fail with this errno.
    pub(crate) fn refused(&self, path: &str, data: &str, want: Errno) -> Check {
        match self.sysfs.write(path, data.as_bytes()) {
            Err(error) if error.raw_os_error() == Some(want as i32) => Ok(()),
            Err(error) => {
                let (data, got) = (short(data), named(&error));
                Err(failed(format!("writing {data:?} to {path} gave {got} instead of {want:?}")))
            }
            Ok(()) => {
                Err(failed(format!("writing {:?} to {path} succeeded instead of {want:?}", short(data))))
            }
        }
    }

    /// A read that must fail with this errno.
    pub(crate) fn unreadable(&self, path: &str, want: Errno) -> Check {
        match self.sysfs.read(path, 4096) {
            Err(error) if error.raw_os_error() == Some(want as i32) => Ok(()),
            Err(error) => Err(failed(format!("reading {path} gave {} instead of {want:?}", named(&error)))),
            Ok(bytes) => {
                Err(failed(format!("reading {path} gave {} bytes instead of {want:?}", bytes.len())))
            }
        }
    }

    /// The driver that a function must have now.
    pub(crate) fn bound(&self, function: PciAddress, want: Option<&str>) -> Check {
        same(&format!("the driver of {function}"), &self.driver(function).as_deref(), &want)
    }

    /// `driver_override` to the byte.
    pub(crate) fn overridden(&self, function: PciAddress, want: &str) -> Check {
        same(
            &format!("driver_override of {function}"),
            &self.text(&file(function, "driver_override"))?.as_str(),
            &want,
        )
    }

    /// Unbinds a function from whatever has it.
    pub(crate) fn unbind(&self, function: PciAddress) -> Check {
        if self.driver(function).is_none() {
            return Ok(());
        }
        self.done(&file(function, "driver/unbind"), &function.to_string())
    }

    /// Moves a function to a driver by override, unbind and probe.
    pub(crate) fn move_to(&self, function: PciAddress, driver: &str) -> Check {
        self.done(&file(function, "driver_override"), driver)?;
        self.unbind(function)?;
        self.done(PROBE, &function.to_string())?;
        self.bound(function, Some(driver))
    }
}

/// One file of a function.
pub(crate) fn file(function: PciAddress, name: &str) -> String {
    format!("{DEVICES}/{function}/{name}")
}

/// One file of a driver.
pub(crate) fn driver_file(driver: &str, name: &str) -> String {
    format!("{DRIVERS}/{driver}/{name}")
}

/// Equal, or what was seen.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Check {
    if got == want { Ok(()) } else { Err(failed(format!("{what} is {got:?} instead of {want:?}"))) }
}

/// True, or what is wrong.
pub(crate) fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Check {
    if condition { Ok(()) } else { Err(failed(otherwise())) }
}

/// True within [`SETTLES_WITHIN`], for what the kernel does after it has answered. Asked at least once.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) -> Check {
    let start = Instant::now();
    loop {
        if condition() {
            return Ok(());
        }
        if start.elapsed() >= SETTLES_WITHIN {
            return Err(failed(format!("it is not so after {SETTLES_WITHIN:?}: {what}")));
        }
        std::thread::park_timeout(BETWEEN_LOOKS);
    }
}

pub(crate) fn failed(what: String) -> Stop {
    Stop::Failed(what)
}

fn no(role: &str) -> Stop {
    Stop::NotRun(format!("the testbed has no {role}"))
}

fn named(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |code| format!("{:?}", Errno::from_raw(code)))
}

fn short(data: &str) -> String {
    if data.len() > 60 { format!("{} bytes", data.len()) } else { data.to_owned() }
}
