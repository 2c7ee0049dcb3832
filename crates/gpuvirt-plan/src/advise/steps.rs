//! The commands that lead to a mode on this host.

use gpuvirt_model::{GraphicsType, Sharing};

use super::card::{Card, Makes, Offered};
use super::question::Question;
use super::workload::Need;

/// Whole cards: as many as VMs run at once.
pub(super) fn passthrough(question: &Question, cards: &[Card]) -> Vec<String> {
    let mut usable: Vec<&Card> = cards.iter().filter(|card| card.obstacles.is_empty()).collect();
    // Those that take nothing to be accepted first: the host keeps its display.
    usable.sort_by_key(|card| card.to_accept.len());
    let wanted = usize::try_from(question.vms).unwrap_or(usize::MAX);
    let mut lines = Vec::new();
    for card in usable.iter().take(wanted).filter(|card| card.active != GraphicsType::Direct) {
        let accept: String = card.to_accept.iter().map(|code| format!(" --accept {code}")).collect();
        lines.push(format!("gpuvirt gpu set {} --type direct{accept} --dry-run", card.address));
        lines.push(format!("gpuvirt gpu set {} --type direct{accept}", card.address));
    }
    let alike = |card: &&&Card| usable.iter().any(|other| other.address != card.address && same(other, card));
    match usable.iter().find(alike) {
        Some(card) if wanted > 1 => {
            let ids = format!("{:04x}:{:04x}", card.identity.vendor, card.identity.device);
            lines.push(format!("gpuvirt vm add VM --match {ids}, for each VM: any of the cards alike"));
        }
        _ => lines.extend(usable.first().map(|card| format!("gpuvirt vm add VM --gpu {}", card.address))),
    }
    lines.push("gpuvirt vm start VM".to_owned());
    lines
}

fn same(a: &Card, b: &Card) -> bool {
    (a.identity.vendor, a.identity.device) == (b.identity.vendor, b.identity.device)
}

/// Shares: the card that makes them now, else the one that would.
pub(super) fn vgpu(question: &Question, cards: &[Card]) -> Vec<String> {
    let rank = |card: &&Card| match card.makes() {
        Makes::Now => 0,
        Makes::With(_) => 1,
        Makes::Unknown(_) => 2,
        Makes::Never(_) => 3,
    };
    let mut lines = Vec::new();
    let Some(card) = cards.iter().min_by_key(rank) else { return lines };
    let address = card.address;
    if card.makes() != Makes::Now {
        lines.push(format!(
            "gpuvirt driver check PACKAGE --gpu {address}, before the host's driver is installed"
        ));
    }
    if card.active != GraphicsType::SharedDirect {
        let mig = question.needs.contains(&Need::Isolation) && card.is_licensed();
        let mode = if mig { " --vgpu-mode mig, where the card can" } else { "" };
        lines.push(format!("gpuvirt gpu set {address} --type shared-direct{mode}"));
    }
    match profile(question, card) {
        Some(offered) => lines.push(format!("gpuvirt vm add VM --profile {}", offered.name)),
        None => {
            lines.push(format!("gpuvirt profile list --gpu {address}"));
            lines.push("gpuvirt vm add VM --profile PROFILE".to_owned());
        }
    }
    lines.push("gpuvirt vm start VM".to_owned());
    lines
}

/// The largest of the workload's class of which enough fit on one card; MIG-backed where isolation is needed.
fn profile<'a>(question: &Question, card: &'a Card) -> Option<&'a Offered> {
    let workload = question.workload?;
    let isolated = question.needs.contains(&Need::Isolation);
    let fits = |offered: &&Offered| {
        let classed = offered.class == Some(workload.class());
        let enough = offered.max.is_some_and(|max| max >= question.vms);
        classed && enough && (!isolated || offered.sharing == Some(Sharing::MigBacked))
    };
    card.profiles.iter().filter(fits).max_by_key(|offered| offered.framebuffer_mib)
}
