//! vGPUs that are to be placed together, and why a GPU can't take them.

use std::fmt;
use std::num::NonZeroU32;

use gpuvirt_model::{ProfileName, RefusalCode, VgpuId};

/// vGPUs that are to be placed, all on one GPU.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Their profile.
    pub profile: &'a ProfileName,
    /// How many.
    pub count: NonZeroU32,
    /// What will name them, where that is known: what is kept for those is their own.
    pub vgpus: &'a [VgpuId],
    /// Only on the GPU with this label.
    pub label: Option<&'a str>,
    /// Best on this NUMA node.
    pub numa_node: Option<u32>,
}

/// Why a GPU is not suitable.
pub(super) struct Unsuitable {
    pub(super) code: RefusalCode,
    pub(super) because: String,
}

impl<'a> Request<'a> {
    /// One vGPU, of which nothing else is known.
    pub fn one(profile: &'a ProfileName) -> Self {
        Self { profile, count: NonZeroU32::MIN, vgpus: &[], label: None, numa_node: None }
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count.get() {
            1 => write!(f, "a vGPU of profile {}", self.profile),
            count => write!(f, "{count} vGPUs of profile {}", self.profile),
        }
    }
}
