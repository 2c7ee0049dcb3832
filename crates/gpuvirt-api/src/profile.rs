//! Profiles as they are shown: one document for each profile of a GPU, whichever of its functions offer it.

use gpuvirt_model::{
    Desired, Framework, Gpu, Observed, PciAddress, Profile, ProfileClass, ProfileName, Sharing, Vgpu,
};
use gpuvirt_plan::migration::{self, Check};
use gpuvirt_plan::profile::judged;
use serde::{Deserialize, Serialize};

/// A profile of one GPU: what a VM can ask for, and how many of it are to be had. A card with 16 virtual functions offers
/// each profile 16 times, and whoever asks wants one vGPU of the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProfileDocument {
    /// The GPU that offers it.
    pub gpu: PciAddress,
    /// The name to ask for.
    pub name: ProfileName,
    /// How it is made.
    pub framework: Framework,
    /// The driver's own name for it, as shown.
    pub title: String,
    /// What the guest's driver talks to, e.g. `vfio-pci`.
    pub device_api: String,
    /// How many fit on the empty card, when the driver says.
    pub max: Option<u32>,
    /// How many of it exist on this GPU, whoever made them.
    pub consumed: u32,
    /// How many more can be made now, as far as the drivers tell. Capacity is shared between profiles.
    pub available: u32,
    /// Frame buffer of each in MiB, when the driver says.
    pub framebuffer_mib: Option<u64>,
    /// What it is made for, where its name says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ProfileClass>,
    /// How it shares the card, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Virtual display heads, when the driver says.
    pub heads: Option<u32>,
    /// Largest resolution, e.g. `5120x2880`, when the driver says.
    pub max_resolution: Option<String>,
    /// Why none can be made now on any function, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// Whether a VM with such a vGPU can move to another host while it runs, as far as this host shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_migration: Option<Check>,
    /// The functions that offer it.
    pub functions: Vec<OfferingFunction>,
}

/// A function on which vGPUs of a profile are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OfferingFunction {
    /// Its address: the GPU's own, or a virtual function's.
    pub function: PciAddress,
    /// The driver's identifier of the profile there, e.g. the folder `nvidia-231` below `mdev_supported_types`.
    pub type_id: String,
    /// How many of it exist there.
    pub consumed: u32,
    /// How many more this function says it could have now: the card has less room than the sum of them.
    pub available: u32,
    /// Why none can be made there now, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
}

impl ProfileDocument {
    /// Every profile of every GPU, in the order of the GPUs.
    pub fn all(observed: &Observed, desired: &Desired) -> Vec<Self> {
        let of = |gpu: &Gpu| {
            let live: Vec<&Vgpu> = observed.vgpus_of(gpu).collect();
            let mut documents = Self::of_gpu(gpu.address, &judged(gpu, observed, desired), &live);
            for document in &mut documents {
                let profile = gpu.profiles.iter().find(|profile| profile.name == document.name);
                document.live_migration =
                    profile.map(|profile| migration::of_profile(profile, gpu, observed));
            }
            documents
        };
        observed.gpus.values().flat_map(of).collect()
    }

    /// What a GPU's functions offer, in the order in which profiles come first; `live`: its vGPUs.
    pub fn of_gpu(gpu: PciAddress, offers: &[Profile], live: &[&Vgpu]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for offer in offers {
            let function = OfferingFunction::of(offer, live);
            match all.iter_mut().find(|seen| seen.name == offer.name) {
                Some(seen) => seen.add(function),
                None => all.push(Self::first(gpu, offer, function)),
            }
        }
        let memory = memory_left(&all);
        all.iter_mut().for_each(|document| document.bound(memory));
        all
    }

    fn first(gpu: PciAddress, offer: &Profile, function: OfferingFunction) -> Self {
        Self {
            gpu,
            name: offer.name.clone(),
            framework: offer.framework,
            title: offer.title.clone(),
            device_api: offer.device_api.clone(),
            max: offer.max,
            consumed: function.consumed,
            available: function.available,
            framebuffer_mib: offer.framebuffer_mib,
            class: offer.class,
            sharing: offer.sharing,
            heads: offer.heads,
            max_resolution: offer.max_resolution.clone(),
            blocked: function.blocked.clone(),
            live_migration: None,
            functions: vec![function],
        }
    }

    fn add(&mut self, function: OfferingFunction) {
        self.consumed = self.consumed.saturating_add(function.consumed);
        self.available = self.available.saturating_add(function.available);
        if function.blocked.is_none() {
            self.blocked = None;
        }
        self.functions.push(function);
    }

    /// Each function tells only whether *it* could have one, so their sum is bounded by the card's own limit, and by the
    /// frame buffer that its vGPUs leave.
    fn bound(&mut self, memory_left: Option<u64>) {
        if self.functions.len() < 2 {
            return;
        }
        let limit = self.max.map_or(u32::MAX, |max| max.saturating_sub(self.consumed));
        let fit = memory_left.zip(self.framebuffer_mib).and_then(|(left, each)| left.checked_div(each));
        let fit = fit.and_then(|fit| u32::try_from(fit).ok()).unwrap_or(u32::MAX);
        self.available = self.available.min(limit).min(fit);
    }
}

impl OfferingFunction {
    fn of(offer: &Profile, live: &[&Vgpu]) -> Self {
        let same = |vgpu: &&&Vgpu| vgpu.parent == offer.parent && vgpu.type_id == offer.type_id;
        Self {
            function: offer.parent,
            type_id: offer.type_id.clone(),
            consumed: u32::try_from(live.iter().filter(same).count()).unwrap_or(u32::MAX),
            available: offer.available,
            blocked: offer.blocked.clone(),
        }
    }
}

/// What the largest set of equal vGPUs takes of a card, less what those alive take, in MiB; none where the driver does not
/// say enough to tell.
fn memory_left(of_gpu: &[ProfileDocument]) -> Option<u64> {
    let size = |document: &ProfileDocument| document.framebuffer_mib;
    let whole = of_gpu.iter().filter_map(|d| size(d)?.checked_mul(u64::from(d.max?))).max()?;
    let taken = of_gpu.iter().filter(|document| document.consumed > 0);
    let taken: Option<u64> = taken.map(|d| size(d)?.checked_mul(u64::from(d.consumed))).sum();
    Some(whole.saturating_sub(taken?))
}
