//! The decision: what rules a mode out comes first, then what is needed, then what the workload would rather have.

use serde::Serialize;

use super::card::{Card, Makes};
use super::mode::{self, Mode, ModeAdvice};
use super::question::Question;
use super::steps;
use super::workload::{Need, Workload};

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recommendation {
    /// A whole card.
    Passthrough,
    /// Shares.
    Vgpu,
    /// Neither is possible, or nothing was asked for that would decide.
    None,
}

/// Advice with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// Which mode.
    pub recommendation: Recommendation,
    /// Why, a sentence each.
    pub because: Vec<String>,
    /// Both modes.
    pub modes: Vec<ModeAdvice>,
    /// The commands to get there.
    pub steps: Vec<String>,
    /// What is to be known besides.
    pub notes: Vec<String>,
    /// What a host does not show.
    pub unknown: Vec<String>,
}

/// Judges a question on the cards of a host.
pub fn advise(question: &Question, cards: &[Card]) -> Advice {
    let (whole, share) = (mode::passthrough(question, cards), mode::vgpu(question, cards));
    let (recommendation, because) = decide(question, &whole, &share);
    let steps = match recommendation {
        Recommendation::Passthrough => steps::passthrough(question, cards),
        Recommendation::Vgpu => steps::vgpu(question, cards),
        Recommendation::None => Vec::new(),
    };
    let mut unknown = vec!["how much of a card's memory and time the workload takes".to_owned()];
    let licensed = |card: &Card| card.is_licensed() && !matches!(card.makes(), Makes::Never(_));
    if share.possible && cards.iter().any(licensed) {
        unknown.push("which licences of NVIDIA's you have".to_owned());
    }
    if question.needs.contains(&Need::Migration) {
        unknown.push("what the other host offers: gpuvirt vm migratable VM --to-host FILE".to_owned());
    }
    Advice {
        recommendation,
        because,
        modes: vec![whole, share],
        steps,
        notes: notes(question, recommendation),
        unknown,
    }
}

fn decide(question: &Question, whole: &ModeAdvice, share: &ModeAdvice) -> (Recommendation, Vec<String>) {
    let guess = share.possible && share.unsure;
    match (whole.possible, share.possible && !guess) {
        (false, false) if guess => {
            let unsure = "it can't be told whether a card here makes vGPUs".to_owned();
            let ruled_out = whole.obstacles.iter().map(|text| format!("no {}: {text}", whole.mode.text()));
            let because = std::iter::once(unsure).chain(share.provisos.iter().cloned()).chain(ruled_out);
            (Recommendation::None, because.collect())
        }
        (true, false) if guess => {
            let mut because = whole.reasons.clone();
            because.push("it can't be told whether a card here makes vGPUs".to_owned());
            (Recommendation::Passthrough, because)
        }
        (false, false) => {
            let why = |mode: &ModeAdvice| {
                let name = mode.mode.text();
                mode.obstacles.iter().map(|text| format!("no {name}: {text}")).collect::<Vec<_>>()
            };
            (Recommendation::None, why(whole).into_iter().chain(why(share)).collect())
        }
        (true, false) => (Recommendation::Passthrough, only(whole, share)),
        (false, true) => (Recommendation::Vgpu, only(share, whole)),
        (true, true) => preferred(question, whole, share),
    }
}

/// What is recommended since the other is ruled out.
fn only(possible: &ModeAdvice, other: &ModeAdvice) -> Vec<String> {
    let ruled_out = other.obstacles.iter().map(|text| format!("no {}: {text}", other.mode.text()));
    possible.reasons.iter().cloned().chain(ruled_out).collect()
}

/// Both are possible: more reasons count, and the simpler of the two where none speaks.
fn preferred(question: &Question, whole: &ModeAdvice, share: &ModeAdvice) -> (Recommendation, Vec<String>) {
    if question.workload.is_none() && question.needs.is_empty() {
        return (Recommendation::None, vec!["both are possible: name a workload or a need".to_owned()]);
    }
    if share.reasons.len() > whole.reasons.len() {
        let mut because = share.reasons.clone();
        because
            .extend(whole.reasons.iter().map(|text| format!("though a whole card has this for it: {text}")));
        return (Recommendation::Vgpu, because);
    }
    let mut because = whole.reasons.clone();
    if because.len() == share.reasons.len() {
        because.push("it takes no driver on the host, no licence, and is quicker set up".to_owned());
    }
    because.extend(share.reasons.iter().map(|text| format!("though a share has this for it: {text}")));
    (Recommendation::Passthrough, because)
}

fn notes(question: &Question, recommendation: Recommendation) -> Vec<String> {
    let mut notes = Vec::new();
    if recommendation == Recommendation::Vgpu {
        let text = "install the GRID driver in the guests, of a release that goes with the host's: gpuvirt driver check FILE --vm VM";
        notes.push(text.to_owned());
    }
    let desktop = matches!(question.workload, Some(Workload::Vdi | Workload::Cad | Workload::Gaming));
    if recommendation != Recommendation::None && !desktop {
        let text = "in a VM that is a Kubernetes node the driver is installed by hand or by the GPU operator, not by both: whichever \
                    loads first wins, and the other's libraries do not match it (docs/drivers.md)";
        notes.push(text.to_owned());
    }
    notes
}

impl Recommendation {
    /// The mode, where there is one.
    pub fn mode(self) -> Option<Mode> {
        match self {
            Self::Passthrough => Some(Mode::Passthrough),
            Self::Vgpu => Some(Mode::Vgpu),
            Self::None => None,
        }
    }
}
