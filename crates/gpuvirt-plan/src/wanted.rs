//! What a GPU is to be, as an order or the desired document says: what a switch is planned for.

use gpuvirt_model::{DesiredGpu, DesiredHost, GraphicsType, VgpuMode};

/// What a GPU is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The type.
    pub to: GraphicsType,
    /// Which profiles may live together on it, where the admin chose.
    pub vgpu_mode: Option<VgpuMode>,
    /// How many virtual functions it gets, where the admin chose.
    pub vf_count: Option<u16>,
    /// Its GPU instances by profile, one for each, in vGPU mode `mig`.
    pub gpu_instances: &'a [String],
}

impl<'a> Wanted<'a> {
    /// A type, and no more.
    pub fn of(to: GraphicsType) -> Self {
        Self { to, vgpu_mode: None, vf_count: None, gpu_instances: &[] }
    }

    /// What an entry of the desired document asks for.
    pub fn by(entry: &'a DesiredGpu, host: &DesiredHost) -> Self {
        let to = entry.graphics_type.resolve(host);
        let gpu_instances = entry.gpu_instances.as_slice();
        Self { to, vgpu_mode: entry.vgpu_mode, vf_count: entry.vf_count, gpu_instances }
    }
}
