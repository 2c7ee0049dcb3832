//! Open sound streams of a card's audio function. Everybody may read them, so they show what `/proc` hides.

use gpuvirt_model::{Gpu, Holder, Observed};

use crate::files::Files;
use crate::inventory::sound_cards;
use crate::parse::sound::open_stream;
use crate::paths;

/// The streams that are open.
pub(super) fn streams(files: Files<'_>, observed: &Observed, gpu: &Gpu) -> Vec<Holder> {
    let mut found = Vec::new();
    for card in observed.functions_of(gpu).flat_map(sound_cards) {
        let folder = paths::sound_card(card);
        for pcm in children(files, &folder, "pcm") {
            for sub in children(files, &format!("{folder}/{pcm}"), "sub") {
                let status = files.text(&format!("{folder}/{pcm}/{sub}/status")).unwrap_or_default();
                if let Some(stream) = open_stream(&status) {
                    let name = format!("card{card}/{pcm}/{sub}");
                    found.push(Holder::Sound { stream: name, pid: stream.owner });
                }
            }
        }
    }
    found
}

fn children(files: Files<'_>, folder: &str, prefix: &str) -> Vec<String> {
    let mut names = files.sysfs.list(folder).unwrap_or_default();
    names.retain(|name| name.starts_with(prefix));
    names
}
