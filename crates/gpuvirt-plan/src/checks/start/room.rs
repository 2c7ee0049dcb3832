//! Whether what is to be made for a start fits.

use gpuvirt_model::{PciAddress, Refusal, RefusalCode, VgpuId};

use super::subject::{Missing, Start};
use crate::placement::{self, HostPicture, Room};

impl Start<'_> {
    /// Whether all that is to be made fits, each on what the others leave.
    pub(super) fn room_for(&self, missing: &[Missing]) -> Vec<Refusal> {
        if missing.is_empty() {
            return Vec::new();
        }
        let Self { observed, desired, records, details, .. } = *self;
        let mut room = Room::of(&HostPicture { observed, desired, records, details });
        let ids: Vec<VgpuId> = missing.iter().map(|missing| missing.id).collect();
        let mut found = Vec::new();
        // Those that have a place already, and give it up, need no other one.
        for missing in missing.iter().filter(|missing| !missing.replaces) {
            let numa_node = self.domain.guest.numa_node;
            let request =
                placement::Request { vgpus: &ids, numa_node, ..placement::Request::one(&missing.profile) };
            match self.place(missing, &request, &room) {
                Ok(gpu) => room.take(gpu, &missing.profile),
                Err((code, because)) => {
                    let other_vf = missing.id.vf().map(|_| self.start_command());
                    let free = other_vf.unwrap_or_else(|| match code {
                        RefusalCode::Maintenance => "gpuvirt host maintenance off".to_owned(),
                        _ => "stop a VM that has one: gpuvirt vgpu list".to_owned(),
                    });
                    let refusal = self.refuse(code, because, vec![free]);
                    if !found.contains(&refusal) {
                        found.push(refusal);
                    }
                }
            }
        }
        found
    }

    /// The GPU for one of them: that of the virtual function that the definition names, or the one that is chosen.
    fn place(
        &self,
        missing: &Missing,
        request: &placement::Request<'_>,
        room: &Room<'_>,
    ) -> Result<PciAddress, (RefusalCode, String)> {
        let profile = &missing.profile;
        let cannot = |why: &str| format!("no vGPU of profile {profile} can be made for it: {why}");
        let Some(vf) = missing.id.vf() else {
            return room.choose(request).map(|choice| choice.gpu).map_err(|refusal| {
                let code = match refusal.code {
                    RefusalCode::NoSuitableGpu => RefusalCode::NoCapacity,
                    other => other,
                };
                (code, cannot(&refusal.because))
            });
        };
        let gpu = self.observed.gpu_of(vf).ok_or((RefusalCode::GpuNotFound, cannot("it is not there")))?;
        if let Some(obstacle) = room.obstacle(request, gpu.address) {
            return Err((obstacle.code, cannot(&format!("{}: {}", gpu.address, obstacle.because))));
        }
        let offers = |offer: &gpuvirt_model::Profile| {
            offer.parent == vf && offer.name == *profile && offer.available > 0
        };
        let here = gpu.profiles.iter().any(offers);
        here.then_some(gpu.address)
            .ok_or_else(|| (RefusalCode::NoCapacity, cannot(&format!("{vf} has no room for it now"))))
    }
}
