//! vGPUs that somebody wants, before and after a place was found for them.

use gpuvirt_model::{DesiredVgpu, Framework, Profile, ProfileName, VgpuId, VgpuParams};
use uuid::Uuid;

/// A vGPU that somebody wants, on a GPU that is chosen already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What is to name it. A uuid is a mediated device's; where the profile is made of virtual functions, any free
    /// one will do, and its address becomes the name. An address is that virtual function and no other.
    pub id: VgpuId,
    /// The profile.
    pub profile: ProfileName,
    /// Its parameters.
    pub params: VgpuParams,
    /// The domain for whose start it is made: it ends with that, and is never restored. None: the admin wants it, so
    /// the desired document gets it too.
    pub domain: Option<Uuid>,
    /// Its id is one that whoever asks comes back with, and is recorded where something else will name it.
    pub comes_back: bool,
}

/// A vGPU with the place that was found for it.
#[derive(Debug, Clone, Copy)]
pub struct Making<'a> {
    /// What will name it.
    pub id: VgpuId,
    /// The profile as the function offers it on which it is made.
    pub profile: &'a Profile,
}

impl Wish {
    /// A vGPU that an admin wants, without parameters.
    pub fn new(id: VgpuId, profile: ProfileName) -> Self {
        Self { id, profile, params: VgpuParams::default(), domain: None, comes_back: false }
    }

    /// One that the desired document has.
    pub fn lasting(vgpu: &DesiredVgpu) -> Self {
        Self {
            id: vgpu.id,
            profile: vgpu.profile.clone(),
            params: vgpu.params.clone(),
            domain: None,
            comes_back: false,
        }
    }

    /// The same with the place that was found for it.
    pub fn at<'a>(&self, profile: &'a Profile) -> Making<'a> {
        let id = match profile.framework {
            Framework::Mdev => self.id,
            Framework::NvidiaVfio | Framework::Sriov => VgpuId::Vf(profile.parent),
        };
        Making { id, profile }
    }
}
