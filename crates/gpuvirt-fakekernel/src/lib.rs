//! A live in-memory kernel behind the [`Sysfs`](gpuvirt_host::Sysfs) seam.
//!
//! It stands below the production code in tests, and below the whole daemon when that runs over a recorded host:
//! drivers bind and unbind, virtual functions and mediated devices come and go, and what the kernel would refuse is
//! refused with the kernel's errno. One suite of behaviours holds it to the real kernel (tests/conformance).
//!
//! It is no second implementation of gpuvirt: it knows files and drivers, and nothing of plans or requests.
//!
//! ```text
//! write(path) -> inject (a fault?) -> dispatch (whose file?) -> driver | pci | sriov | mdev | console | iommu
//!                                                                   \-> files: the tree as it is afterwards
//! ```

mod bus;
mod console;
mod dispatch;
mod driver;
mod files;
mod function;
mod import;
mod inject;
mod iommu;
mod kernel;
mod mdev;
mod mig;
mod module;
mod nvidia_vfio;
mod pci;
mod process;
mod program;
mod seam;
mod sriov;
mod state;
mod unbind_lock;
mod vf;
mod vfio;
mod writes;

pub use inject::{Fault, On};
pub use kernel::FakeKernel;
pub use nix::errno::Errno;
pub use state::{InstanceKind, Process, Program, SizeRule};
pub use writes::Written;
