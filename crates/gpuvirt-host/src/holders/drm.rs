//! DRM clients inside the kernel, where debugfs shows them (to root).

use gpuvirt_model::{Gpu, Holder, Observed};

use crate::files::Files;
use crate::parse::pci;
use crate::paths;

/// The kernel's own clients on a card's nodes. The frame buffer emulation is one on every card with a driver and
/// holds nothing by itself: whether the console draws on it is the console's question.
pub(super) fn clients(files: Files<'_>, observed: &Observed, gpu: &Gpu) -> Vec<Holder> {
    let mut found = Vec::new();
    for node in observed.functions_of(gpu).flat_map(|function| &function.drm_nodes) {
        let Some(minor) = node.strip_prefix("card").and_then(pci::count) else { continue };
        let text = files.long_text(&paths::drm_internal_clients(minor), crate::sysfs::ATTRIBUTE);
        for name in text.unwrap_or_default().lines().map(str::trim) {
            if !name.is_empty() && !name.contains("fbdev") {
                found.push(Holder::DrmClient { node: node.clone(), name: name.to_owned() });
            }
        }
    }
    found
}
