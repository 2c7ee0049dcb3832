//! Claims: vGPUs that room is kept for.

use std::collections::BTreeMap;

use gpuvirt_model::{Domain, DomainState, Hostdev, PciAddress, ProfileName, VgpuId, Wanted};

use super::picture::HostPicture;

/// vGPUs to come that room is kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Their profile.
    pub profile: ProfileName,
    /// How many.
    pub count: u32,
    /// The only GPU that they can be on, where there is one.
    pub gpu: Option<PciAddress>,
    /// Who claims them.
    pub whose: Claimant,
}

/// Who claims room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimant {
    /// A reservation of the host.
    Reservation,
    /// A domain that starts with the host and names a vGPU that does not exist now.
    Domain {
        /// Its name.
        name: String,
        /// The vGPU.
        vgpu: VgpuId,
    },
}

/// Everything that room is kept for, the unused part of reservations first.
pub fn claims(host: &HostPicture) -> Vec<Claim> {
    let mut wanted: BTreeMap<&ProfileName, u32> = BTreeMap::new();
    for reservation in &host.desired.host.reservations {
        let count = wanted.entry(&reservation.profile).or_insert(0);
        *count = count.saturating_add(reservation.count);
    }
    let mut claims = Vec::new();
    for (profile, count) in wanted {
        let used = host.observed.vgpus.values().filter(|vgpu| host.profile_of(vgpu) == *profile).count();
        let count = count.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        if count > 0 {
            let profile = profile.clone();
            claims.push(Claim { profile, count, gpu: None, whose: Claimant::Reservation });
        }
    }
    for domain in host.observed.domains.known().into_iter().flatten() {
        claims.extend(of_domain(domain, host));
    }
    claims
}

/// The vGPUs that a domain which starts with the host will want, and which are not there: those that its requests are
/// for, and those that it names without any.
fn of_domain<'a>(domain: &'a Domain, host: &'a HostPicture) -> impl Iterator<Item = Claim> + 'a {
    let waits = domain.autostart && domain.state == DomainState::ShutOff;
    // Its start is refused as a clone's.
    let waits = waits && !domain.requests.of_another(domain.uuid);
    domain.config.iter().filter(move |_| waits).filter_map(|hostdev| {
        let vgpu = match hostdev {
            Hostdev::Mdev { uuid } => VgpuId::Mdev(*uuid),
            Hostdev::Pci { address, .. } => VgpuId::Vf(*address),
        };
        let wanted = domain.requests.of_device(hostdev).map(|request| &request.wanted);
        let there = host.observed.vgpus.get(&vgpu);
        let (profile, gpu) = match wanted {
            // A virtual function that has become another's vGPU leaves the request unmet.
            Some(Wanted::Profile { profile, .. }) => {
                let unmet = there.is_none_or(|there| host.profile_of(there) != *profile);
                unmet.then(|| (profile.clone(), None))?
            }
            _ if there.is_some() => return None,
            _ => remembered(vgpu, host)?,
        };
        Some(Claim { profile, count: 1, gpu, whose: Claimant::Domain { name: domain.name.clone(), vgpu } })
    })
}

/// The profile of a vGPU that is not there, and the GPU that it is restored on.
fn remembered(vgpu: VgpuId, host: &HostPicture) -> Option<(ProfileName, Option<PciAddress>)> {
    let stored = host.desired.gpus.iter().find_map(|gpu| {
        let entry = gpu.vgpus.iter().find(|entry| entry.id == vgpu)?;
        Some((entry.profile.clone(), Some(gpu.address)))
    });
    let recorded = || Some((host.records.vgpus.get(&vgpu)?.profile.clone(), None));
    stored.or_else(recorded)
}
