//! Plain SR-IOV: virtual functions that are vGPUs as they are, once VFIO has them.
//!
//! The card offers one profile. How much of it each virtual function gets is the driver's affair, and shows nowhere
//! in a way that drivers share.

use gpuvirt_model::{Framework, Function, Holders, PciAddress, Profile, ProfileName, Sharing, Vgpu, VgpuId};

/// The only profile, and its type.
const PROFILE: &str = "vf";

/// What one virtual function offers: itself, while it is known that nobody has it.
pub(super) fn profile(vf: &Function, all: usize) -> Profile {
    let known = !vf.locked && vf.binding_unknown.is_none();
    let free = known && vf.binding.driver.is_none() && vf.binding.driver_override.is_none();
    Profile {
        name: ProfileName(PROFILE.to_owned()),
        parent: vf.address,
        framework: Framework::Sriov,
        type_id: PROFILE.to_owned(),
        title: "virtual function".to_owned(),
        device_api: "vfio-pci".to_owned(),
        available: u32::from(free),
        max: u32::try_from(all).ok(),
        framebuffer_mib: None,
        class: None,
        sharing: Some(Sharing::Partitioned),
        heads: None,
        max_resolution: None,
        blocked: None,
    }
}

/// The vGPU that a virtual function is; none while VFIO does not have it.
pub(super) fn live(vf: &Function, gpu: PciAddress) -> Option<Vgpu> {
    vf.on_vfio().then(|| Vgpu {
        id: VgpuId::Vf(vf.address),
        uuid: None,
        parent: vf.address,
        gpu,
        framework: Framework::Sriov,
        type_id: PROFILE.to_owned(),
        profile: ProfileName(PROFILE.to_owned()),
        iommu_group: vf.iommu_group,
        gpu_instance: None,
        placement_id: None,
        removing: false,
        params: None,
        holders: Holders::default(),
    })
}
