//! The vGPUs of the desired document: those that the admin made, and that come back after a reboot.

use crate::{Desired, DesiredVgpu, PciAddress, VgpuId};

impl Desired {
    /// The document with these vGPUs on a managed GPU, each in the place of an earlier entry of its name; one
    /// generation on where that says anything new. A GPU that is not managed has none.
    #[must_use]
    pub fn with_vgpus(&self, gpu: PciAddress, vgpus: &[DesiredVgpu]) -> Self {
        self.changed(|next| {
            let Some(entry) = next.gpus.iter_mut().find(|entry| entry.address == gpu) else { return };
            for vgpu in vgpus {
                match entry.vgpus.iter_mut().find(|known| known.id == vgpu.id) {
                    Some(known) => known.clone_from(vgpu),
                    None => entry.vgpus.push(vgpu.clone()),
                }
            }
        })
    }

    /// The document without these vGPUs, whichever GPU had them; one generation on where it had any.
    #[must_use]
    pub fn without_vgpus(&self, ids: &[VgpuId]) -> Self {
        self.changed(|next| {
            for entry in &mut next.gpus {
                entry.vgpus.retain(|vgpu| !ids.contains(&vgpu.id));
            }
        })
    }

    /// Whether the document has a vGPU of this name.
    pub fn has_vgpu(&self, id: VgpuId) -> bool {
        self.gpus.iter().flat_map(|entry| &entry.vgpus).any(|vgpu| vgpu.id == id)
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        if next.gpus != self.gpus {
            next.generation = self.generation.saturating_add(1);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{ClassCode, ConfiguredType, DesiredGpu, PciIdentity, ProfileName, VgpuParams};

    const GPU: PciAddress = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 };

    const IDENTITY: PciIdentity = PciIdentity {
        vendor: 1,
        device: 2,
        subsystem_vendor: 3,
        subsystem_device: 4,
        class: ClassCode(0x03_00_00),
    };

    fn vgpu(id: u128, profile: &str) -> DesiredVgpu {
        let (id, profile) = (Uuid::from_u128(id).into(), ProfileName(profile.to_owned()));
        DesiredVgpu { id, profile, params: VgpuParams::default() }
    }

    #[test]
    fn the_generation_rises_with_what_changes_and_only_then() {
        let entry = DesiredGpu::new(GPU, IDENTITY, ConfiguredType::SharedDirect);
        let managed = Desired::default().with_gpu(entry);
        let two = managed.with_vgpus(GPU, &[vgpu(1, "a"), vgpu(2, "a")]);
        assert_eq!(two.generation, managed.generation + 1);
        assert!(two.has_vgpu(Uuid::from_u128(2).into()));
        assert_eq!(two.with_vgpus(GPU, &[vgpu(2, "a")]), two);
        let other = two.with_vgpus(GPU, &[vgpu(2, "b")]);
        assert_eq!((other.generation, other.gpus[0].vgpus.len()), (two.generation + 1, 2));

        assert_eq!(two.without_vgpus(&[Uuid::from_u128(3).into()]), two);
        let none = two.without_vgpus(&[Uuid::from_u128(1).into(), Uuid::from_u128(2).into()]);
        assert_eq!((none.generation, none.gpus[0].vgpus.len()), (two.generation + 1, 0));
        assert_eq!(Desired::default().with_vgpus(GPU, &[vgpu(1, "a")]), Desired::default());
    }
}
