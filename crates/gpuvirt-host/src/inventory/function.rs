//! One PCI function, read in full.

use std::io;
use std::time::Duration;

use gpuvirt_model::{
    DriverBinding, DriverName, Function, PciAddress, PciIdentity, PowerControl, Reading, Sriov, Unknown,
};

use super::bus::Ids;
use super::extent::Extent;
use super::folder::Folder;
use super::nodes;
use crate::files::{Files, shown};
use crate::parse::pci;
use crate::sysfs::ReadError;

/// A function with the names in its folder, which tell what else there is to read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) function: Function,
    pub(super) folder: Folder,
}

/// Reads everything about one function that `extent` asks for. What can't be read is left empty and noted.
///
/// Where another device has taken its place meanwhile, what was read is of both, and it is read once more.
pub(super) fn read(files: Files<'_>, address: PciAddress, ids: Ids, extent: Extent) -> Seen {
    let look = || {
        let folder = Folder::open(files, address);
        if extent.in_full() { in_full(files, folder, ids) } else { of_offers(files, folder, ids) }
    };
    let mut seen = look();
    if seen.folder.was_replaced(files) {
        seen = look();
    }
    seen.folder.close();
    seen
}

/// What tells whether vGPUs can be made on it: whether a virtual function is free is told by its driver and its override.
fn of_offers(files: Files<'_>, mut folder: Folder, ids: Ids) -> Seen {
    let identity = identity(files, &mut folder, ids);
    let physfn = physfn(files, &mut folder);
    let Bound { binding, locked, unknown } = match physfn {
        Some(_) => begin_bound(files, &mut folder).bound(&mut folder),
        None => Bound { binding: driver(files, &mut folder), ..Bound::default() },
    };
    let function = Function {
        address: folder.address,
        identity,
        vendor_name: None,
        device_name: None,
        iommu_group: iommu_group(files, &mut folder),
        numa_node: None,
        bars: Vec::new(),
        reset_methods: Reading::Unknown(Unknown::Unreadable { what: "they were not looked for".to_owned() }),
        boot_vga: None,
        boot_display: None,
        sriov: sriov(files, &mut folder),
        physfn,
        drm_nodes: Vec::new(),
        device_nodes: Vec::new(),
        vfio_device: None,
        unresponsive: false,
        endpoint: is_endpoint(&folder),
        binding,
        power_state: None,
        power_control: None,
        locked,
        binding_unknown: unknown,
        oddities: std::mem::take(&mut folder.oddities),
    };
    Seen { function, folder }
}

fn in_full(files: Files<'_>, mut folder: Folder, ids: Ids) -> Seen {
    let identity = identity(files, &mut folder, ids);
    let begun = begin_bound(files, &mut folder);
    let driver = begun.driver.driver.clone();
    let power_state = folder.value(files, "power_state", pci::power_state);
    let unresponsive = is_unresponsive(files, &folder, power_state.as_deref());
    let mut function = Function {
        address: folder.address,
        identity,
        vendor_name: None,
        device_name: None,
        iommu_group: iommu_group(files, &mut folder),
        numa_node: folder.value(files, "numa_node", pci::numa_node).flatten(),
        bars: folder.value(files, "resource", pci::bars).unwrap_or_default(),
        reset_methods: reset_methods(files, &mut folder),
        boot_vga: folder.value(files, "boot_vga", pci::flag),
        boot_display: folder.value(files, "boot_display", pci::flag),
        sriov: sriov(files, &mut folder),
        physfn: physfn(files, &mut folder),
        drm_nodes: nodes::drm(files, &folder),
        device_nodes: nodes::others(files, &folder, driver.as_ref()),
        vfio_device: nodes::vfio_device(files, &folder),
        unresponsive,
        endpoint: is_endpoint(&folder),
        binding: DriverBinding::default(),
        power_state,
        power_control: power_control(files, &folder, driver.as_ref()),
        locked: false,
        binding_unknown: None,
        oddities: Vec::new(),
    };
    let bound = begun.bound(&mut folder);
    (function.binding, function.locked, function.binding_unknown) =
        (bound.binding, bound.locked, bound.unknown);
    function.oddities = std::mem::take(&mut folder.oddities);
    Seen { function, folder }
}

fn iommu_group(files: Files<'_>, folder: &mut Folder) -> Option<u32> {
    folder.link(files, "iommu_group").and_then(|name| pci::count(&name))
}

fn physfn(files: Files<'_>, folder: &mut Folder) -> Option<PciAddress> {
    folder.link(files, "physfn").and_then(|name| PciAddress::parse(&name).ok())
}

/// Only a bridge (a type 1 header) has these; asking config space would wake a sleeping card.
fn is_endpoint(folder: &Folder) -> bool {
    !folder.has("secondary_bus_number") && !folder.has("pci_bus")
}

fn identity(files: Files<'_>, folder: &mut Folder, ids: Ids) -> PciIdentity {
    let class = match ids {
        Ids::All(identity) => return identity,
        Ids::Class(class) => class,
    };
    // 0xffff is what the bus answers where there is nothing; no card has it.
    let mut id = |name| folder.required(files, name, pci::id).unwrap_or(u16::MAX);
    PciIdentity {
        vendor: id("vendor"),
        device: id("device"),
        subsystem_vendor: id("subsystem_vendor"),
        subsystem_device: id("subsystem_device"),
        class,
    }
}

/// How long a function's lock is waited for. Nothing holds it for long but a driver that comes or goes; a process may
/// have to be started first.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// What a function is bound to, and whether that can be relied on: what is taken for `none` by mistake would be what
/// a change is undone to.
#[derive(Default)]
struct Bound {
    binding: DriverBinding,
    locked: bool,
    unknown: Option<String>,
}

/// The driver alone.
fn driver(files: Files<'_>, folder: &mut Folder) -> DriverBinding {
    let driver = folder.link(files, "driver").and_then(|name| match DriverName::parse(&name) {
        Ok(driver) => Some(driver),
        Err(e) => {
            folder.note("driver", &e.to_string());
            None
        }
    });
    DriverBinding { driver, ..DriverBinding::default() }
}

/// A binding whose override was asked for, which may take as long as somebody holds the device.
struct Binding<O> {
    driver: DriverBinding,
    driver_override: Option<O>,
    /// What is odd about the driver; none: there was nothing to be seen.
    odd: Option<String>,
}

/// Reads the driver, and asks for the override.
fn begin_bound<'a>(
    files: Files<'a>,
    folder: &mut Folder,
) -> Binding<impl FnOnce() -> Result<String, ReadError> + use<'a>> {
    let noted = folder.oddities.len();
    let driver = driver(files, folder);
    let driver_override = folder
        .has("driver_override")
        .then(|| files.begin_text_that_may_block(&folder.path("driver_override"), LOCK_WAIT));
    // A folder that could not be listed has no driver only as far as we can see.
    let noted = if folder.names().is_empty() { 0 } else { noted };
    Binding {
        driver,
        driver_override,
        odd: folder.oddities.get(noted..).and_then(|odd| odd.first()).cloned(),
    }
}

impl<O: FnOnce() -> Result<String, ReadError>> Binding<O> {
    /// Waits for the override.
    fn bound(self, folder: &mut Folder) -> Bound {
        let noted = folder.oddities.len();
        let mut bound = Bound { binding: self.driver, ..Bound::default() };
        match self.driver_override.map(|answer| answer()) {
            None => {}
            Some(Ok(text)) => match pci::driver_override(&text) {
                Some(found) => bound.binding.driver_override = found,
                None => folder.note("driver_override", &format!("{} makes no sense", shown(&text))),
            },
            // Gone since the folder was listed.
            Some(Err(ReadError::Errno(e))) if e.kind() == io::ErrorKind::NotFound => {}
            Some(Err(ReadError::Errno(e) | ReadError::Reader(e))) => {
                folder.note("driver_override", &e.to_string());
            }
            // No oddity: the file is as it should be.
            Some(Err(ReadError::StillWaiting { .. })) => bound.locked = true,
        }
        bound.unknown = self.odd.or_else(|| folder.oddities.get(noted).cloned());
        bound
    }
}

/// `reset_method` is there since 5.15, and only where a method works; before, `reset` alone tells that one does.
fn reset_methods(files: Files<'_>, folder: &mut Folder) -> Reading<Vec<String>> {
    if !folder.has("reset_method") {
        let unnamed = folder.has("reset").then(|| "reset".to_owned());
        return Reading::Known(unnamed.into_iter().collect());
    }
    folder.value(files, "reset_method", pci::reset_methods).map_or_else(
        || Reading::Unknown(Unknown::Unreadable { what: "reset_method makes no sense".to_owned() }),
        Reading::Known,
    )
}

/// `sriov_numvfs` itself is not read: kernels before 6.10 take the device's lock for it.
fn sriov(files: Files<'_>, folder: &mut Folder) -> Option<Sriov> {
    // 0 is an answer: the card could, and its driver was not told to.
    let total = folder.value(files, "sriov_totalvfs", pci::count::<u16>)?;
    let links = folder.names().iter().filter(|name| is_virtual_function(name)).count();
    Some(Sriov {
        total,
        enabled: u16::try_from(links).unwrap_or(u16::MAX),
        drivers_autoprobe: folder.value(files, "sriov_drivers_autoprobe", pci::flag).unwrap_or(true),
        vfs: virtual_functions(files, folder),
    })
}

/// The targets of `virtfnN`, by N: their addresses can't be computed (offset and stride change with `sriov_numvfs`).
fn virtual_functions(files: Files<'_>, folder: &mut Folder) -> Vec<PciAddress> {
    let mut links: Vec<(u32, String)> = folder
        .names()
        .iter()
        .filter_map(|name| Some((pci::count(name.strip_prefix("virtfn")?)?, name.clone())))
        .collect();
    links.sort_unstable();
    links
        .iter()
        .filter_map(|(_, name)| folder.link(files, name))
        .filter_map(|target| PciAddress::parse(&target).ok())
        .collect()
}

fn is_virtual_function(name: &str) -> bool {
    name.strip_prefix("virtfn").and_then(pci::count::<u32>).is_some()
}

/// `power/control`, which VFIO changes: so of every function that may go to it. A virtual function that a host driver has
/// never does, and there may be hundreds.
fn power_control(files: Files<'_>, folder: &Folder, driver: Option<&DriverName>) -> Option<PowerControl> {
    let stays = folder.has("physfn") && driver.is_some_and(|driver| !driver.leaves_group_viable());
    let reads = folder.has("power") && !stays;
    pci::power_control(&reads.then(|| files.text_in(folder.open_folder(), "power/control").ok())??)
}

/// Whether config space answers with all ones. Asked only in D0: reading it resumes a sleeping card and its bridge.
fn is_unresponsive(files: Files<'_>, folder: &Folder, power_state: Option<&str>) -> bool {
    /// Vendor and device id: the kernel reads no more of the bus than is asked for.
    const IDS: usize = 4;
    let awake = matches!(power_state, Some("D0"));
    let is_physical = !folder.has("physfn"); // a VF's ids read as ones by specification
    awake
        && is_physical
        && files.sysfs.read_in(folder.open_folder(), "config", IDS).is_ok_and(|ids| ids == [u8::MAX; IDS])
}
