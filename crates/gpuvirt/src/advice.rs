//! The document of `gpuvirt advise`, and how GPUs become what is advised on.

use gpuvirt_api::{API_VERSION, GpuDocument, Source};
use gpuvirt_model::{PciAddress, Profile, Refusal, RefusalCode};
use gpuvirt_plan::advise::aspect::{ASPECTS, Aspect};
use gpuvirt_plan::advise::{Advice, Card, Makes, Offered, Question, advise};
use serde::Serialize;

/// Advice on this host.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdviceDocument {
    /// The wire's version.
    pub api_version: &'static str,
    /// Always `Advice`.
    pub kind: &'static str,
    /// Where the facts come from.
    pub source: Source,
    /// What was asked.
    pub question: Question,
    /// The GPUs that it was judged on.
    pub gpus: Vec<CardDocument>,
    /// The advice.
    #[serde(flatten)]
    pub advice: Advice,
    /// Both modes side by side, whatever the host.
    pub comparison: &'static [Aspect],
}

/// A GPU, as far as the choice goes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardDocument {
    /// Its address.
    pub address: PciAddress,
    /// Its name, where pci.ids has it.
    pub name: String,
    /// Why it can't be passed through; empty: it can.
    pub passthrough_obstacles: Vec<String>,
    /// What stands against it and can be accepted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passthrough_to_accept: Vec<RefusalCode>,
    /// Whether it makes vGPUs.
    pub vgpus: Makes,
}

impl AdviceDocument {
    /// Judges a question on GPUs.
    pub fn new(source: Source, question: Question, gpus: &[GpuDocument]) -> Self {
        let cards: Vec<Card> = gpus.iter().filter_map(card).collect();
        let advice = advise(&question, &cards);
        let gpus = cards.iter().map(document).collect();
        Self { api_version: API_VERSION, kind: "Advice", source, question, gpus, advice, comparison: ASPECTS }
    }
}

fn document(card: &Card) -> CardDocument {
    CardDocument {
        address: card.address,
        name: card.name.clone(),
        passthrough_obstacles: card.obstacles.clone(),
        passthrough_to_accept: card.to_accept.clone(),
        vgpus: card.makes(),
    }
}

/// None of a GPU that shows no function: it left the bus while it was looked at.
fn card(gpu: &GpuDocument) -> Option<Card> {
    let primary = gpu.function_details.first()?;
    let found = gpu.passthrough.as_ref();
    // Who uses it now can end; whether it could be given away is asked here.
    let refusals =
        found.into_iter().flat_map(|found| &found.obstacles).filter(|refusal| !refusal.code.passes());
    let (acceptable, absolute): (Vec<&Refusal>, Vec<&Refusal>) =
        refusals.partition(|refusal| refusal.code.acceptable());
    let mut warnings: Vec<String> = acceptable
        .iter()
        .map(|refusal| {
            format!("{}: {}; `--accept {}` goes ahead", gpu.address, refusal.because, refusal.code)
        })
        .collect();
    warnings.extend(found.into_iter().flat_map(|found| &found.warnings).map(|warning| warning.text.clone()));
    if found.is_none() {
        warnings.push(
            "a gpuvirtd of an earlier version does not tell whether cards can be passed through".to_owned(),
        );
    }
    Some(Card {
        address: gpu.address,
        identity: primary.identity,
        name: primary.device_name.clone().unwrap_or_default(),
        active: gpu.active,
        frameworks: gpu.gpu.frameworks.clone(),
        driver: gpu.host_driver.clone(),
        total_vfs: primary.sriov.as_ref().map_or(0, |sriov| sriov.total),
        obstacles: absolute.into_iter().map(told).collect(),
        to_accept: acceptable.iter().map(|refusal| refusal.code).collect(),
        warnings,
        profiles: profiles(&gpu.gpu.profiles),
    })
}

fn told(refusal: &Refusal) -> String {
    format!("{} [{}]", refusal.because, refusal.code)
}

/// Each profile once, whichever functions offer it.
fn profiles(all: &[Profile]) -> Vec<Offered> {
    let mut found: Vec<Offered> = Vec::new();
    for profile in all {
        if !found.iter().any(|known| known.name == profile.name) {
            found.push(Offered {
                name: profile.name.clone(),
                class: profile.class,
                sharing: profile.sharing,
                max: profile.max,
                framebuffer_mib: profile.framebuffer_mib,
            });
        }
    }
    found
}
