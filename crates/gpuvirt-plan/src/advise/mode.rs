//! One of the two modes, judged for a question.

use serde::Serialize;

use super::card::{Card, Makes};
use super::question::Question;
use super::workload::Need;

/// Passthrough or vGPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A whole card for a VM.
    Passthrough,
    /// A share of one.
    Vgpu,
}

impl Mode {
    /// The word.
    pub fn text(self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::Vgpu => "vGPU",
        }
    }
}

/// A mode with everything that speaks for it and against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModeAdvice {
    /// The mode.
    pub mode: Mode,
    /// Nothing rules it out.
    pub possible: bool,
    /// Whether it can be is not known: nothing rules it out, and nothing shows it.
    pub unsure: bool,
    /// What rules it out.
    pub obstacles: Vec<String>,
    /// What it takes first, or what is not known of it.
    pub provisos: Vec<String>,
    /// What speaks for it.
    pub reasons: Vec<String>,
}

impl ModeAdvice {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            possible: true,
            unsure: false,
            obstacles: Vec::new(),
            provisos: Vec::new(),
            reasons: Vec::new(),
        }
    }

    fn closed(mut self) -> Self {
        self.possible = self.obstacles.is_empty();
        self
    }
}

const NO_GPU: &str = "this host has no GPU";

fn has(question: &Question, need: Need) -> bool {
    question.needs.contains(&need)
}

/// A whole card for each VM.
pub(super) fn passthrough(question: &Question, cards: &[Card]) -> ModeAdvice {
    let mut found = ModeAdvice::new(Mode::Passthrough);
    let usable: Vec<&Card> = cards.iter().filter(|card| card.obstacles.is_empty()).collect();
    if cards.is_empty() {
        found.obstacles.push(NO_GPU.to_owned());
    } else if usable.is_empty() {
        let each = |card: &Card| format!("{}: {}", card.address, card.obstacles.join("; "));
        found.obstacles.extend(cards.iter().map(each));
    } else if question.vms as usize > usable.len() {
        let text =
            format!("{} VMs at once, and {} that can be passed through", question.vms, count(usable.len()));
        found.obstacles.push(text);
    }
    if has(question, Need::Migration) {
        found.obstacles.push("a VM with a whole card does not move while it runs".to_owned());
    }
    if has(question, Need::Density) {
        found.obstacles.push("one running VM has the card".to_owned());
    }
    for text in usable.iter().flat_map(|card| &card.warnings) {
        if !found.provisos.contains(text) {
            found.provisos.push(text.clone());
        }
    }
    found.reasons.extend(question.workload.and_then(|workload| workload.wants_whole()).map(str::to_owned));
    for (need, text) in [
        (Need::Performance, "all of the card's speed, whatever others do"),
        (Need::Isolation, "nothing is shared with another VM"),
        (Need::NoLicence, "it takes no licence of the hypervisor's"),
    ] {
        found.reasons.extend(has(question, need).then(|| text.to_owned()));
    }
    found.closed()
}

/// Shares of cards.
pub(super) fn vgpu(question: &Question, cards: &[Card]) -> ModeAdvice {
    let mut found = ModeAdvice::new(Mode::Vgpu);
    let makers: Vec<(&Card, Makes)> = cards.iter().map(|card| (card, card.makes())).collect();
    let can = |makes: &Makes| !matches!(makes, Makes::Never(_));
    for (card, makes) in &makers {
        match makes {
            Makes::Now => {}
            Makes::With(what) => found.provisos.push(format!("{} takes {what}", card.address)),
            Makes::Unknown(why) => found.provisos.push(format!("{}: {why}", card.address)),
            Makes::Never(why) if makers.iter().any(|(_, makes)| can(makes)) => {
                found.provisos.push(format!("not {}: {why}", card.address));
            }
            Makes::Never(why) => found.obstacles.push(format!("{}: {why}", card.address)),
        }
    }
    let able: Vec<&Card> = makers.iter().filter(|(_, makes)| can(makes)).map(|(card, _)| *card).collect();
    if cards.is_empty() {
        found.obstacles.push(NO_GPU.to_owned());
    }
    let shown = |makes: &Makes| matches!(makes, Makes::Now | Makes::With(_));
    found.unsure = !makers.iter().any(|(_, makes)| shown(makes));
    let licensed = !able.is_empty() && able.iter().all(|card| card.is_licensed());
    if licensed && has(question, Need::NoLicence) {
        found.obstacles.push("NVIDIA's vGPUs take a licence for each VM".to_owned());
    } else if licensed {
        found.provisos.push("NVIDIA's vGPUs take a licence for each VM, and a licence server".to_owned());
    }
    if has(question, Need::Isolation) {
        let text =
            "time-sliced vGPUs share engines: take MIG-backed ones, where the card can (`--vgpu-mode mig`)";
        found.provisos.push(text.to_owned());
    }
    if has(question, Need::Performance) {
        found.provisos.push("a share is a share: the others' load is felt".to_owned());
    }
    found.reasons.extend(question.workload.and_then(|workload| workload.wants_share()).map(str::to_owned));
    for (need, text) in [
        (Need::Migration, "a VM with vGPUs can move while it runs, where driver and kernel can"),
        (Need::Density, "several VMs share a card"),
    ] {
        found.reasons.extend(has(question, need).then(|| text.to_owned()));
    }
    if question.vms as usize > cards.len() && !cards.is_empty() {
        found.reasons.push(format!("{} VMs at once on {}", question.vms, count(cards.len())));
    }
    found.closed()
}

fn count(cards: usize) -> String {
    if cards == 1 { "one card".to_owned() } else { format!("{cards} cards") }
}
