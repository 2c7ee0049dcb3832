//! GPU instances, a page of each card.

use gpuvirt_api::MigDocument;

use super::page::Page;
use super::size;
use super::table::Table;

/// The GPU instances of all cards or of one, each with what more it can have.
pub fn list(cards: &[MigDocument]) -> String {
    if cards.is_empty() {
        return "no GPU instances: no managed GPU has a vendor's command for them\n".to_owned();
    }
    let mut page = Page::new();
    for card in cards {
        let label = card.label.as_ref().map(|label| format!("  ({label})")).unwrap_or_default();
        page.heading(format_args!("{}{label}", card.gpu));
        one(&mut page, card);
    }
    page.into_text()
}

fn one(page: &mut Page, card: &MigDocument) {
    let mode = card.vgpu_mode.map_or_else(|| "not configured".to_owned(), |mode| mode.to_string());
    page.field("vGPU mode", mode);
    if let Some(why) = &card.unknown {
        page.field("GPU instances", format_args!("unknown: {why}"));
        return;
    }
    page.field("MIG mode", mig_mode(card));
    if !card.configured.is_empty() {
        page.field("configured", card.configured.join(", "));
    }
    if !card.instances.is_empty() {
        page.line("");
        page.table(2, &instances(card));
    } else if card.enabled {
        page.field("GPU instances", "none");
    }
    if !card.profiles.is_empty() {
        page.line("");
        page.table(2, &profiles(card));
    }
}

fn mig_mode(card: &MigDocument) -> &'static str {
    match (card.supported, card.enabled, card.pending) {
        (false, ..) => "none: the card can't be cut",
        (true, true, Some(false)) => "on, off from the card's next reset",
        (true, true, _) => "on",
        (true, false, Some(true)) => "off, on from the card's next reset",
        (true, false, _) => "off",
    }
}

fn instances(card: &MigDocument) -> Table<5> {
    let mut table = Table::new(["ID", "PROFILE", "PLACE", "MADE BY", "VGPUS"]);
    for document in &card.instances {
        let instance = &document.instance;
        let vgpus: Vec<String> = document.vgpus.iter().map(ToString::to_string).collect();
        table.row([
            instance.id.to_string(),
            instance.profile.clone(),
            instance.placement.map(|place| place.to_string()).unwrap_or_default(),
            if document.ours { "gpuvirt" } else { "others" }.to_owned(),
            vgpus.join(", "),
        ]);
    }
    table
}

fn profiles(card: &MigDocument) -> Table<5> {
    let mut table =
        Table::new(["PROFILE", "MEMORY", "SLICES", "FREE", "MAX"]).optional(&["MEMORY", "SLICES"]);
    for profile in &card.profiles {
        table.row([
            profile.name.clone(),
            profile.memory_mib.map(size::mib).unwrap_or_default(),
            profile.slices.map(|slices| slices.to_string()).unwrap_or_default(),
            profile.free.to_string(),
            profile.total.to_string(),
        ]);
    }
    table
}
