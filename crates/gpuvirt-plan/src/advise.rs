//! Passthrough or vGPU: which of the two suits a workload on this host, with the reasons and the commands to get there.
//!
//! ```text
//! Card (what the host shows) --+
//! Question (workload, needs) --+--> advise --> Advice { recommendation, modes, steps, unknown }
//! ```
//!
//! Pure rules. Each names its reason, and what can't be known from a host stands in the answer. Sources of the facts in
//! [`aspect`]: the vendors' and the projects' own documents, named in each row.

pub mod aspect;
mod card;
mod decide;
mod mode;
mod question;
mod steps;
mod workload;

pub use card::{Card, Makes, Offered};
pub use decide::{Advice, Recommendation, advise};
pub use mode::{Mode, ModeAdvice};
pub use question::Question;
pub use workload::{Need, Workload};
