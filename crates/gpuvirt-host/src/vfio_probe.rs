//! Explicit inspection of an idle function through VFIO: what a guest would find.
//!
//! Opening a VFIO device is exclusive, and may reset it: QEMU would get EBUSY while we have it. So this is done on
//! request only, never by a check or a listing, for a function that is on a VFIO driver and held by nobody, and the
//! device is closed before the answer is given. The kernel's own claim decides the race that is left: of two openers
//! one is refused.

use std::path::Path;
use std::sync::Arc;

use gpuvirt_model::{Holder, Observed, PciAddress};
use serde::Serialize;
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError, VfioOps};

use crate::error::HostError;
use crate::host::LinuxHost;
use crate::inventory::GpuRules;
use crate::linux::LinuxSysfs;
use crate::paths;

/// What VFIO offers of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VfioInspection {
    /// The windows and special regions that have a size.
    pub regions: Vec<VfioRegion>,
    /// Legacy interrupts.
    pub intx: u32,
    /// MSI vectors.
    pub msi: u32,
    /// MSI-X vectors.
    pub msix: u32,
    /// How the driver can move a running guest's device to another host; none: it can't.
    pub migration: Option<VfioMigration>,
}

/// One region of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VfioRegion {
    /// VFIO's number for PCI functions: 0 to 5 the BARs, 6 the ROM, 7 config space, 8 legacy VGA.
    pub index: u32,
    /// Bytes.
    pub size: u64,
    /// A guest's access needs no exit to the VMM.
    pub mappable: bool,
}

/// The driver's migration features (`VFIO_DEVICE_FEATURE_MIGRATION`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VfioMigration {
    /// The device can be stopped and its state copied.
    pub stop_copy: bool,
    /// It can be quiesced towards its peers first.
    pub peer_to_peer: bool,
    /// State can be copied while it still runs.
    pub pre_copy: bool,
}

/// Why a function was not inspected.
///
/// Whether it can be reset is not here: the crate keeps that flag to itself, and sysfs tells (`reset_method`).
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The host could not be read.
    #[error("the host could not be read")]
    Host(#[source] HostError),
    /// No GPU has a function at this address.
    #[error("{0} is no function of a GPU")]
    NotAGpu(PciAddress),
    /// Its driver is none of VFIO's.
    #[error("{0} is not bound to a VFIO driver")]
    NotOnVfio(PciAddress),
    /// Somebody holds it.
    #[error("{address} is held by {holder}")]
    Held {
        /// The function.
        address: PciAddress,
        /// The first holder found.
        holder: Holder,
    },
    /// Holders may be hidden from us.
    #[error("it cannot be told whether somebody holds {0}: not every process can be seen")]
    HoldersUnseen(PciAddress),
    /// VFIO refused.
    #[error("VFIO refused to open {address}")]
    Vfio {
        /// The function.
        address: PciAddress,
        /// Its error.
        #[source]
        source: VfioError,
    },
}

/// Regions that are asked about: the BARs, the ROM, config space and legacy VGA.
const REGIONS: u32 = 9;
/// `VFIO_REGION_INFO_FLAG_MMAP`.
const FLAG_MAPPABLE: u32 = 1 << 2;
/// VFIO's numbers for a PCI function's interrupts.
const INTX: u32 = 0;
const MSI: u32 = 1;
const MSIX: u32 = 2;

/// Inspects one function of a GPU of this machine.
///
/// # Errors
/// [`InspectError`]; nothing was opened unless it is [`InspectError::Vfio`].
pub fn inspect(address: PciAddress, rules: GpuRules) -> Result<VfioInspection, InspectError> {
    let host = LinuxHost::new(Arc::new(LinuxSysfs::this_machine()), rules);
    let observed = host.observe().map_err(InspectError::Host)?;
    may_inspect(&observed, address)?;
    open_and_ask(address).map_err(|source| InspectError::Vfio { address, source })
}

/// Whether a function may be opened: on a VFIO driver, and nobody holds its card.
///
/// # Errors
/// [`InspectError`], never [`InspectError::Vfio`].
pub fn may_inspect(observed: &Observed, address: PciAddress) -> Result<(), InspectError> {
    let owner = observed.gpus.values().find(|gpu| gpu.functions.contains(&address));
    let function = observed.functions.get(&address);
    let (Some(gpu), Some(function)) = (owner, function) else { return Err(InspectError::NotAGpu(address)) };
    if !function.on_vfio() {
        return Err(InspectError::NotOnVfio(address));
    }
    if let Some(holder) = gpu.holders.seen.first() {
        return Err(InspectError::Held { address, holder: holder.clone() });
    }
    if gpu.holders.unseen.is_some() {
        return Err(InspectError::HoldersUnseen(address));
    }
    Ok(())
}

/// Opens the device, asks, and closes it.
fn open_and_ask(address: PciAddress) -> Result<VfioInspection, VfioError> {
    let container: Arc<dyn VfioOps> = Arc::new(VfioContainer::new(None)?);
    let device = VfioDevice::new(Path::new(&paths::function(address)), container, true)?;
    let count = |index| device.get_irq_info(index).map_or(0, |irq| irq.count);
    Ok(VfioInspection {
        regions: (0..REGIONS).filter_map(|index| region(&device, index)).collect(),
        intx: count(INTX),
        msi: count(MSI),
        msix: count(MSIX),
        migration: device.query_migration_support()?.map(migration),
    })
}

fn region(device: &VfioDevice, index: u32) -> Option<VfioRegion> {
    let size = device.get_region_size(index);
    let mappable = device.get_region_flags(index) & FLAG_MAPPABLE != 0;
    (size > 0).then_some(VfioRegion { index, size, mappable })
}

/// `VFIO_MIGRATION_STOP_COPY`, `_P2P`, `_PRE_COPY` of include/uapi/linux/vfio.h.
fn migration(flags: u64) -> VfioMigration {
    VfioMigration {
        stop_copy: flags & 1 != 0,
        peer_to_peer: flags & (1 << 1) != 0,
        pre_copy: flags & (1 << 2) != 0,
    }
}
