//! Profiles: why none of one can be created now, which names come near a wrong one, and the names of types that the
//! driver tells no more.
//!
//! Questions about a picture, asked by listings and by refusals. Nothing here decides whether a vGPU may be made: that
//! is [`checks::vgpu`](crate::checks::vgpu).

mod blocked;
mod names;
mod nearest;

pub use blocked::{judged, may_name_vms};
pub use names::remember_names;
pub use nearest::nearest;
