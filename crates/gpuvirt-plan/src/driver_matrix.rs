//! Which driver package goes where: branches, releases of vGPU software, and which of them work together.
//!
//! ```text
//! name or version --> package --> judge <-- what a GPU or the devices of a VM are used as
//!                                   |
//!               branch, release, card: NVIDIA's tables, as data
//! ```
//!
//! Data with its sources, and pure decisions on it. A version that no table has is judged by its branch, and that is said.
//! Nothing here opens a package or knows a host.

pub mod branch;
pub mod card;
pub mod judge;
pub mod judgement;
pub mod package;
pub mod release;
pub mod together;
pub mod version;

pub use branch::{Branch, BranchKind};
pub use judge::judge;
pub use judgement::{Judgement, Use, UsedAs, Verdict};
pub use package::{Brand, Guest, Package, PackageKind, Unrecognised};
pub use release::{Part, Release};
pub use together::Together;
pub use version::DriverVersion;
