//! What a plan promises: what [`verify`](crate::verify) holds a fresh observation to.
//!
//! That a write succeeded is no promise kept: `drivers_probe` succeeds when nothing was bound.

use std::collections::BTreeMap;

use gpuvirt_model::{DriverBinding, DriverName, PciAddress, VgpuId, VgpuParams};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::setting::{MdevPlace, MigMode, VfSetting};

/// What a plan promises of the host after its last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "promise", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Promise {
    /// The function is bound exactly so.
    Bound {
        /// The function.
        function: PciAddress,
        /// How.
        binding: DriverBinding,
    },
    /// The function is the host's: this override, and no driver that is not the host's.
    WithHost {
        /// The function.
        function: PciAddress,
        /// Its lasting `driver_override`.
        driver_override: Option<DriverName>,
    },
    /// The mediated device exists there.
    MdevAlive {
        /// The device.
        uuid: Uuid,
        /// Where, and of which type.
        place: MdevPlace,
    },
    /// The mediated device does not exist.
    MdevGone {
        /// The device.
        uuid: Uuid,
    },
    /// The virtual function has this vGPU type.
    VgpuType {
        /// The virtual function.
        vf: PciAddress,
        /// The type; 0 is none, and a virtual function that is gone has none.
        type_id: u32,
    },
    /// The vGPU has these parameters, and no others.
    VgpuParams {
        /// The vGPU.
        vgpu: VgpuId,
        /// The parameters.
        params: VgpuParams,
    },
    /// The physical function has so many virtual ones.
    Vfs {
        /// The physical function.
        function: PciAddress,
        /// How many, and what becomes of new ones.
        #[serde(flatten)]
        setting: VfSetting,
    },
    /// The card has this MIG mode, and so many GPU instances of each profile.
    Mig {
        /// The card.
        gpu: PciAddress,
        /// The mode.
        mode: MigMode,
        /// How many of each profile; none of any other.
        instances: BTreeMap<String, u32>,
    },
    /// The GPU offers vGPUs, in whichever way.
    OffersVgpus {
        /// The GPU.
        gpu: PciAddress,
    },
}
