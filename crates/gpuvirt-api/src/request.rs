//! Requests that change something, and what comes back.

use gpuvirt_model::{
    AssignmentPolicy, CardMatch, ConfiguredType, Outcome, PciAddress, ProfileName, RefusalCode, Reservation,
    VgpuId, VgpuMode, VgpuParams, Warning, When,
};
use gpuvirt_plan::placement::{Assignment, Choice};
use gpuvirt_plan::running::RunningVm;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `PUT /v1/gpus/{gpu}/type`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetType {
    /// The type to become.
    #[serde(rename = "type")]
    pub graphics_type: ConfiguredType,
    /// Which vGPU profiles may live together on it; for shared-direct. None leaves what was asked for before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vgpu_mode: Option<VgpuMode>,
    /// How many virtual functions it gets; for shared-direct. None leaves what was asked for before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf_count: Option<u16>,
    /// A name for the GPU, which others may have too; none leaves the present one, an empty one takes it away.
    #[serde(default)]
    pub label: Option<String>,
    /// Refusals to accept.
    #[serde(default)]
    pub accept: Vec<RefusalCode>,
    /// When it comes into force.
    #[serde(default)]
    pub when: When,
    /// Show the plan, write nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Longest wait for a write that can block, in seconds; none: the daemon's own.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// `PUT /v1/gpus/{gpu}/cordon`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCordon {
    /// Whether nothing more is placed on it.
    pub cordoned: bool,
}

/// `PUT /v1/host`. What is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetHost {
    /// What `default` means for a GPU: shared or shared-direct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_type: Option<ConfiguredType>,
    /// On which of several suitable GPUs a vGPU is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_policy: Option<AssignmentPolicy>,
    /// Whether nothing more is placed on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
    /// Room for so many of a profile is kept; 0 takes that back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Reservation>,
    /// GPUs that follow the default type are changed with it.
    #[serde(default)]
    pub yes: bool,
}

/// `POST /v1/vgpus`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateVgpu {
    /// The GPU; none: the one that placement chooses.
    #[serde(default)]
    pub gpu: Option<PciAddress>,
    /// The profile.
    pub profile: ProfileName,
    /// The new vGPU's uuid, where it is a mediated device; none: the daemon chooses one. A virtual function is
    /// named by its address, whatever stands here.
    #[serde(default)]
    pub uuid: Option<Uuid>,
    /// The same for several of them.
    #[serde(default)]
    pub uuids: Vec<Uuid>,
    /// How many to make, all of them or none; none: as many as uuids are given, at least one. The daemon chooses the
    /// uuids that are missing.
    #[serde(default)]
    pub count: Option<u32>,
    /// Parameters of each.
    #[serde(default, skip_serializing_if = "VgpuParams::is_empty")]
    pub params: VgpuParams,
    /// Show the plan, write nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `PUT /v1/vgpus/{id}/params`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetVgpuParams {
    /// Parameters to have, in the place of earlier values.
    #[serde(default)]
    pub params: VgpuParams,
    /// Those that are not named go; otherwise they stay.
    #[serde(default)]
    pub clear: bool,
    /// Show the plan, write nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// The most vGPUs that one request makes or removes: more than any host can have at once.
pub const MOST_VGPUS: u32 = 1024;

/// `POST /v1/vgpus/remove`: these vGPUs, or every one that gpuvirt made on a GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveVgpus {
    /// These, all of one GPU.
    #[serde(default)]
    pub ids: Vec<VgpuId>,
    /// All of this GPU, where no vGPU is named.
    #[serde(default)]
    pub all_of: Option<PciAddress>,
    /// Show the plan, write nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/vms/{name}/devices`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "device", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum VmAdd {
    /// A whole GPU.
    Gpu {
        /// The GPU.
        gpu: PciAddress,
        /// Show the edited definition's new part, change nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// A vGPU that exists.
    Vgpu {
        /// Its uuid, or the virtual function's address.
        #[serde(alias = "uuid")]
        id: VgpuId,
        /// Show the edited definition's new part, change nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// vGPUs of a profile, made when the VM starts.
    Profile {
        /// The profile.
        profile: ProfileName,
        /// How many; none: one.
        #[serde(default)]
        count: Option<u32>,
        /// Parameters for the vendor's driver.
        #[serde(default, skip_serializing_if = "VgpuParams::is_empty")]
        params: VgpuParams,
        /// Show the edited definition's new part, change nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// A whole GPU of a kind, chosen when the VM starts.
    Match {
        /// The kind.
        #[serde(rename = "match")]
        kind: CardMatch,
        /// Show the edited definition's new part, change nothing.
        #[serde(default)]
        dry_run: bool,
    },
}

/// `POST /v1/vms/{name}/start`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmStart {
    /// Show which devices it would get and why, change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/vms/{name}/adopt`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmAdopt {
    /// Show what would be adopted, change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `PUT /v1/vms/{name}/guest-driver`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmGuestDriver {
    /// The package in the guest by its name, or its version; none: what was stated is forgotten.
    #[serde(default)]
    pub package: Option<String>,
    /// Say what would be noted, change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/vms/{name}/devices/remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "device", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum VmRemove {
    /// A whole GPU.
    Gpu {
        /// The GPU.
        gpu: PciAddress,
    },
    /// A vGPU.
    Vgpu {
        /// Its uuid, or the virtual function's address.
        #[serde(alias = "uuid")]
        id: VgpuId,
    },
    /// A request by its number, with the device that it got.
    Request {
        /// The number.
        request: u32,
    },
}

/// What a change did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Changed or found as asked, and the sentence that says so.
    pub outcome: Outcome<String>,
    /// Only shown, not done.
    pub dry_run: bool,
    /// The plan in sentences.
    pub sentences: Vec<String>,
    /// The plan as the equivalent shell commands.
    pub shell: Vec<String>,
    /// What must be known besides.
    pub warnings: Vec<Warning>,
    /// Accepted, but not in force yet, and why.
    pub pending: Option<String>,
    /// The vGPUs, when some were made or removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<VgpuId>,
    /// The same when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<VgpuId>,
    /// The same where that is a uuid.
    pub uuid: Option<Uuid>,
    /// The domain XML that was added, when a domain was edited.
    pub xml: Option<String>,
    /// Where the vGPU was placed and why, when no GPU was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Choice>,
    /// What each request of a VM got or would get, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignments: Vec<Assignment>,
    /// The VMs that still run where nothing more is placed: on the GPU that was cordoned, on the host in maintenance. None
    /// where that is not known, which the outcome says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub still_running: Vec<RunningVm>,
}
