//! Placement: on which GPU a vGPU is made, and where on it.
//!
//! ```text
//! picture -> cards -> filter -> score -> choice
//! ```
//!
//! [`HostPicture`] is what is known, [`Card`] a GPU as the allocators see it. There are three allocators, one for each
//! vGPU mode: same-size (`card`), mixed-size ([`mixed_size`], over the vendor's [`table`]) and MIG ([`mig`]). A GPU whose
//! driver tells too little has none: then what the driver calls available is all that counts, and it has the last word
//! everywhere. The outcome is data, a line for each GPU that was not chosen among it.
//!
//! Several vGPUs that one VM wants are placed one after the other on a [`Room`]; whole GPUs of a kind are chosen by rules of
//! their own (`whole`).
//!
//! Nothing here is a promise: availability is read again when the vGPU is made.

mod card;
mod choice;
mod claim;
mod filter;
mod kept;
pub mod mig;
pub mod mixed_size;
mod picture;
mod request;
mod room;
mod settle;
pub mod table;
mod whole;

pub use card::{Card, Offer, Rule};
pub use choice::{Assignment, Choice, Rejected, choose, refusals_on};
pub use claim::{Claim, Claimant, claims};
pub use picture::{Closed, Details, HostPicture};
pub use request::Request;
pub use room::Room;
pub use settle::{Settled, settle};
pub use whole::{Naming, WholeChoice, WholeRequest, choose_whole, named_by_others};
