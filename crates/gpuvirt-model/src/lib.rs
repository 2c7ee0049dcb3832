//! The nouns of gpuvirt, as plain values.
//!
//! Everything here is data: what a host shows ([`Observed`]), what an admin asked for ([`Desired`]), what we
//! remember having done ([`Records`]), and why we will not do something ([`Refusal`]). Nothing here reads a
//! file, a clock or a random number, so that every decision made on these values can be replayed.
//!
//! The same noun has the same file name in each layer: `gpu.rs` here is the value, in `gpuvirt-host` it is how
//! the value is read, in `gpuvirt-api` how it is shown.

pub mod cause;
pub mod config;
pub mod desired;
pub mod domain;
pub mod driver;
pub mod driver_rule;
pub mod finding;
pub mod function;
pub mod gpu;
pub mod gpu_match;
pub mod guest;
pub mod health;
pub mod holder;
pub mod host;
pub mod host_driver;
pub mod import;
pub mod iommu;
pub mod machine;
pub mod mig;
pub mod migration;
pub mod observed;
pub mod outcome;
pub mod params;
pub mod pci;
pub mod pci_device_id;
pub mod policy;
pub mod power_control;
pub mod profile;
pub mod profile_name;
pub mod reading;
pub mod records;
pub mod refusal;
pub mod request;
pub mod testimony;
pub mod vgpu;
pub mod vgpu_mode;

pub use cause::chain;
pub use config::{Configuration, ConfigurationError, GpuSettings, HostSettings};
pub use desired::{ConfiguredType, Desired, DesiredGpu, DesiredHost, DesiredVgpu, Reservation, When};
pub use domain::{Domain, DomainState, Hostdev};
pub use driver::{DriverBinding, DriverName};
pub use driver_rule::{DriverRule, DriverRules, ProgramPath, UnitName};
pub use finding::{Evidence, Finding, FindingCode, Severity, Subject};
pub use function::{Function, Sriov};
pub use gpu::{Gpu, GpuUsage, GraphicsType};
pub use gpu_match::GpuMatch;
pub use guest::{Guest, HostMemory, HugePages, Viommu};
pub use health::{Fact, Health};
pub use holder::{Holder, Holders, Via};
pub use host::{HostFacts, ModulePresence};
pub use host_driver::{HostDriver, HostDriverKind};
pub use iommu::{IommuGroup, MemberRole};
pub use machine::{Machine, MachineBus, MachineDevice, MachineFirmware};
pub use mig::{GpuInstance, GpuInstanceProfile, GpuInstanceRecord, MigPlacement, MigState};
pub use migration::{Hypervisor, ReleaseNumber, VfioMigration};
pub use observed::Observed;
pub use outcome::Outcome;
pub use params::VgpuParams;
pub use pci::{Bar, ClassCode, PciAddress, PciIdentity};
pub use pci_device_id::PciDeviceId;
pub use policy::AssignmentPolicy;
pub use power_control::PowerControl;
pub use profile::{Profile, ProfileClass, ProfileName, Sharing};
pub use profile_name::{NamedTraits, named_traits};
pub use reading::{Reading, Unknown};
pub use records::{HostBinding, Records, VfsRecord, VgpuModeRecord, VgpuRecord};
pub use refusal::{Refusal, RefusalCode, Warning, WarningCode};
pub use request::{CardIds, CardMatch, Request, Requests, Wanted};
pub use testimony::{Testimony, TestimonyText};
pub use vgpu::{Framework, Vgpu, VgpuId};
pub use vgpu_mode::VgpuMode;
