//! What other tools' files become in the desired document: `gpuvirt import`. Pure.
//!
//! Each thing that a file says about a GPU is a [`Trace`]: given whole to a VM, or shared as vGPUs. A GPU about which all
//! say the same gets an entry; one about which they don't is a [`Contradiction`], and nothing is chosen.

mod shares;
mod wholes;

use std::collections::BTreeMap;

use gpuvirt_model::import::{ForeignSetup, Origin};
use gpuvirt_model::{
    Configuration, ConfiguredType, Desired, DesiredVgpu, Domain, GpuSettings, Observed, PciAddress,
};
use serde::{Deserialize, Serialize};

use crate::checks::shell_word;

/// What an import found, and the document that it would apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The document.
    pub config: Configuration,
    /// What the files say, and what became of each.
    pub traces: Vec<Trace>,
    /// GPUs about which they say two things; none of these is in the document.
    pub contradictions: Vec<Contradiction>,
    /// What takes the other tools out of the way once the document is applied, as commands or sentences.
    pub afterwards: Vec<String>,
    /// Files and lines that are not understood.
    pub oddities: Vec<String>,
}

/// One thing that a file, or a domain's definition, says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// Where.
    pub origin: Origin,
    /// What it says.
    pub says: String,
    /// The GPU that it is about; none when no GPU of this host is.
    pub gpu: Option<PciAddress>,
    /// What it makes of that GPU; none when it changes nothing.
    pub becomes: Option<ConfiguredType>,
    /// What must be known besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A GPU about which two things are said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Contradiction {
    /// The GPU.
    pub gpu: PciAddress,
    /// In a sentence.
    pub text: String,
}

/// What an import is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Other tools' files.
    pub foreign: &'a ForeignSetup,
    /// The host, with libvirt's domains where they are known.
    pub observed: &'a Observed,
    /// What is configured already.
    pub desired: &'a Desired,
}

/// What is collected on the way.
#[derive(Debug, Default)]
struct Collected {
    traces: Vec<Trace>,
    vgpus: BTreeMap<PciAddress, Vec<DesiredVgpu>>,
    afterwards: Vec<String>,
}

/// The command that notes a domain's requests, once the document is in force.
fn adopt(domain: &Domain) -> String {
    format!("gpuvirt vm adopt {}", shell_word(&domain.name))
}

/// What the files become.
pub fn import(sources: &Sources<'_>) -> Import {
    let mut collected = Collected::default();
    wholes::collect(sources, &mut collected);
    shares::collect(sources, &mut collected);
    let Collected { traces, mut vgpus, mut afterwards } = collected;
    let (mut gpus, mut contradictions) = (Vec::new(), Vec::new());
    for gpu in sources.observed.gpus.keys().copied() {
        match agreed(gpu, &traces, sources.desired) {
            Ok(None) => {}
            Ok(Some(wanted)) => gpus.push(settings(gpu, wanted, vgpus.remove(&gpu), sources)),
            Err(text) => contradictions.push(Contradiction { gpu, text }),
        }
    }
    // What takes a file out of the way is advice for the time after the document is in force: all of it, or none.
    if gpus.is_empty() || !contradictions.is_empty() {
        afterwards.clear();
    }
    let config = Configuration { gpus, ..Configuration::default() };
    let mut seen = Vec::new();
    afterwards.retain(|line| {
        !seen.contains(line) && {
            seen.push(line.clone());
            true
        }
    });
    Import { config, traces, contradictions, afterwards, oddities: sources.foreign.oddities.clone() }
}

/// What all traces of a GPU say, where they say the same and what is configured already says no other.
fn agreed(gpu: PciAddress, traces: &[Trace], desired: &Desired) -> Result<Option<ConfiguredType>, String> {
    let said: Vec<(&Trace, ConfiguredType)> =
        traces.iter().filter(|t| t.gpu == Some(gpu)).filter_map(|t| Some((t, t.becomes?))).collect();
    let Some((first, wanted)) = said.first().copied() else { return Ok(None) };
    if let Some((other, differs)) = said.iter().find(|(_, said)| *said != wanted) {
        return Err(format!(
            "{gpu} would be {wanted} by {} ({}), and {differs} by {} ({})",
            first.origin, first.says, other.origin, other.says
        ));
    }
    match desired.gpu(gpu).map(|entry| entry.graphics_type) {
        Some(configured) if configured != wanted => Err(format!(
            "{gpu} is configured as {configured} already, and would be {wanted} by {} ({})",
            first.origin, first.says
        )),
        _ => Ok(Some(wanted)),
    }
}

fn settings(
    gpu: PciAddress,
    wanted: ConfiguredType,
    vgpus: Option<Vec<DesiredVgpu>>,
    sources: &Sources<'_>,
) -> GpuSettings {
    let mut settings = GpuSettings::at(gpu, wanted);
    settings.identity = sources.observed.functions.get(&gpu).map(|function| function.identity);
    // What is configured already stays: a document's list takes the place of the stored one.
    let stored = sources.desired.gpu(gpu).map(|entry| entry.vgpus.clone()).unwrap_or_default();
    let new =
        vgpus.unwrap_or_default().into_iter().filter(|vgpu| stored.iter().all(|known| known.id != vgpu.id));
    let all: Vec<DesiredVgpu> = stored.iter().cloned().chain(new).collect();
    settings.vgpus = (!all.is_empty()).then_some(all);
    settings
}

impl Trace {
    fn about(origin: &Origin, says: String) -> Self {
        Self { origin: origin.clone(), says, gpu: None, becomes: None, note: None }
    }

    fn makes(self, gpu: PciAddress, becomes: ConfiguredType) -> Self {
        Self { gpu: Some(gpu), becomes: Some(becomes), ..self }
    }

    fn of(self, gpu: Option<PciAddress>) -> Self {
        Self { gpu, ..self }
    }

    fn noting(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

/// What sits at an address, for a note.
fn what_sits_at(address: PciAddress, observed: &Observed) -> String {
    match observed.functions.get(&address) {
        None => "nothing sits there now".to_owned(),
        Some(function) => match &function.device_name {
            Some(name) => format!("{name} sits there, which is no GPU"),
            None => format!("{} sits there, which is no GPU", function.identity),
        },
    }
}
