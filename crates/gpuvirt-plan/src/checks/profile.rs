//! What helps after a profile that a GPU does not offer: who does, and what was meant.

use gpuvirt_model::{Gpu, Observed, PciAddress, ProfileName};

use super::holder::shell_word;
use crate::profile::nearest;

/// The other GPUs that offer it.
pub(super) fn offered_elsewhere(profile: &ProfileName, gpu: &Gpu, observed: &Observed) -> Vec<PciAddress> {
    let others = observed.gpus.values().filter(|other| other.address != gpu.address);
    let offering = others.filter(|gpu| gpu.profiles.iter().any(|offer| offer.name == *profile));
    offering.map(|gpu| gpu.address).collect()
}

/// The next step: on another GPU, or with the name that was meant.
pub(super) fn what_was_meant(profile: &ProfileName, gpu: &Gpu, others: &[PciAddress]) -> Vec<String> {
    if let Some(other) = others.first() {
        let profile = shell_word(&profile.0);
        return vec![format!("gpuvirt vgpu create --gpu {other} --profile {profile}")];
    }
    let near = nearest(profile, gpu.profiles.iter());
    near.iter().map(|name| format!("perhaps --profile {name} was meant")).collect()
}
