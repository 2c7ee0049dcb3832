//! What helps after a profile that a GPU does not offer: who does, and what was meant.

use gpuvirt_model::{Observed, PciAddress};

use super::holder::shell_word;
use super::vgpu::Creation;
use crate::profile::nearest;

/// The other GPUs that offer it.
pub(super) fn offered_elsewhere(wanted: &Creation, observed: &Observed) -> Vec<PciAddress> {
    let others = observed.gpus.values().filter(|gpu| gpu.address != wanted.gpu.address);
    let offering = others.filter(|gpu| gpu.profiles.iter().any(|profile| profile.name == *wanted.profile));
    offering.map(|gpu| gpu.address).collect()
}

/// The next step: on another GPU, or with the name that was meant.
pub(super) fn what_was_meant(wanted: &Creation, others: &[PciAddress]) -> Vec<String> {
    if let Some(other) = others.first() {
        let profile = shell_word(&wanted.profile.0);
        return vec![format!("gpuvirt vgpu create --gpu {other} --profile {profile}")];
    }
    let near = nearest(wanted.profile, wanted.gpu.profiles.iter());
    near.iter().map(|name| format!("perhaps --profile {name} was meant")).collect()
}
