//! What other tools' files become in the desired document: `gpuvirt import`. Pure.
//!
//! Each thing that a file says about a GPU is a [`Trace`]: given whole to a VM, or shared as vGPUs. A GPU about which all
//! say the same gets an entry; one about which they don't is a [`Contradiction`], and nothing is chosen.

mod ids;
mod overrides;
mod proxmox;
mod shares;
mod wholes;

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::import::{ForeignSetup, Origin};
use gpuvirt_model::{
    Configuration, ConfiguredType, Desired, DesiredVgpu, Domain, Gpu, GpuSettings, Observed, PciAddress,
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
    afterwards: Vec<Afterwards>,
}

/// What takes another tool out of the way, once the document has made a GPU what that tool made of it.
#[derive(Debug)]
struct Afterwards {
    gpu: PciAddress,
    becomes: ConfiguredType,
    line: String,
}

impl Collected {
    fn after(&mut self, gpu: PciAddress, becomes: ConfiguredType, line: String) {
        self.afterwards.push(Afterwards { gpu, becomes, line });
    }
}

/// What of a card a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The GPU itself: with it goes the whole card.
    Primary,
    /// Another function, such as its audio.
    Companion,
    /// A virtual function.
    VirtualFunction,
}

impl Part {
    fn of(gpu: &Gpu, address: PciAddress, observed: &Observed) -> Self {
        let is_vf = observed.functions.get(&address).is_some_and(|function| function.physfn.is_some());
        match () {
            () if is_vf => Self::VirtualFunction,
            () if address == gpu.address => Self::Primary,
            () => Self::Companion,
        }
    }

    /// What a GPU is of which this part is given to VMs. An audio function says nothing of its card.
    fn makes(self) -> Option<ConfiguredType> {
        match self {
            Self::Primary => Some(ConfiguredType::Direct),
            Self::Companion => None,
            Self::VirtualFunction => Some(ConfiguredType::SharedDirect),
        }
    }
}

/// The command that notes a domain's requests, once the document is in force.
fn adopt(domain: &Domain) -> String {
    format!("gpuvirt vm adopt {}", shell_word(&domain.name))
}

/// What the files become.
pub fn import(sources: &Sources<'_>) -> Import {
    let mut collected = Collected::default();
    overrides::collect(sources, &mut collected);
    ids::collect(sources, &mut collected);
    wholes::collect(sources, &mut collected);
    shares::collect(sources, &mut collected);
    proxmox::collect(sources, &mut collected);
    let Collected { traces, mut vgpus, afterwards } = collected;
    let (mut gpus, mut contradictions) = (Vec::new(), shares::defined_twice(sources));
    let twice: BTreeSet<PciAddress> = contradictions.iter().map(|found| found.gpu).collect();
    for gpu in sources.observed.gpus.keys().copied().filter(|gpu| !twice.contains(gpu)) {
        match agreed(gpu, &traces, sources) {
            Ok(None) => {}
            Ok(Some(wanted)) => gpus.push(settings(gpu, wanted, vgpus.remove(&gpu), sources)),
            Err(text) => contradictions.push(Contradiction { gpu, text }),
        }
    }
    let afterwards = if contradictions.is_empty() { of_use(afterwards, &gpus) } else { Vec::new() };
    let config = Configuration { gpus, ..Configuration::default() };
    Import { config, traces, contradictions, afterwards, oddities: sources.foreign.oddities.clone() }
}

/// What is advice for the time after the document is in force: each line once, of cards that it makes what the line counts on.
fn of_use(afterwards: Vec<Afterwards>, gpus: &[GpuSettings]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for Afterwards { gpu, becomes, line } in afterwards {
        let made = gpus.iter().any(|made| made.address == Some(gpu) && made.graphics_type == becomes);
        if made && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// What all traces of a GPU say, where they say the same and what is configured already says no other.
fn agreed(
    gpu: PciAddress,
    traces: &[Trace],
    sources: &Sources<'_>,
) -> Result<Option<ConfiguredType>, String> {
    let said: Vec<(&Trace, ConfiguredType)> =
        traces.iter().filter(|t| t.gpu == Some(gpu)).filter_map(|t| Some((t, t.becomes?))).collect();
    let Some((first, wanted)) = said.first().copied() else { return Ok(None) };
    if let Some((other, differs)) = said.iter().find(|(_, said)| *said != wanted) {
        return Err(format!(
            "{gpu} would be {wanted} by {} ({}), and {differs} by {} ({})",
            first.origin, first.says, other.origin, other.says
        ));
    }
    let kept =
        (wanted == ConfiguredType::Direct).then(|| overrides::kept_for_the_host(gpu, sources)).flatten();
    if let Some(over) = kept {
        return Err(format!(
            "{gpu} would be {wanted} by {} ({}), and {} keeps {} of it on {}",
            first.origin, first.says, over.origin, over.address, over.driver
        ));
    }
    match sources.desired.gpu(gpu).map(|entry| entry.graphics_type) {
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

    /// That part of a GPU is given to VMs.
    fn gives(self, gpu: PciAddress, part: Part) -> Self {
        let trace = Self { gpu: Some(gpu), becomes: part.makes(), ..self };
        match part {
            Part::Primary => trace,
            Part::Companion => trace.noting(COMPANION),
            Part::VirtualFunction => trace.noting("a virtual function of that GPU"),
        }
    }

    fn of(self, gpu: Option<PciAddress>) -> Self {
        Self { gpu, ..self }
    }

    fn noting(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

/// The note on an audio function and the like.
const COMPANION: &str = "a companion function; it goes with its card";

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
