//! The filters: why a GPU can't take a vGPU, one reason each.

use gpuvirt_model::{Gpu, RefusalCode};

use super::card::{Card, Lock, Rule};
use super::kept::Kept;
use super::picture::Known;
use super::request::{Request, Unsuitable};
use super::room::Room;

/// Filters.
pub(super) fn unsuitable(
    request: &Request,
    room: &Room,
    (known, card): &(Known, Card),
    kept: &Kept,
) -> Option<Unsuitable> {
    let found = |code, because: String| Some(Unsuitable { code, because });
    if let Some(closed) = room.host().closed_with(known) {
        return found(closed.code, closed.because);
    }
    let label = known.entry.and_then(|entry| entry.label.as_deref());
    if request.label.is_some() && request.label != label {
        return found(RefusalCode::NoSuitableGpu, "it has another label, or none".to_owned());
    }
    let Some(offer) = card.offer(request.profile) else {
        return found(RefusalCode::ProfileNotOffered, format!("it does not offer {} now", request.profile));
    };
    let free = card.room(request.profile);
    if (1..request.count.get()).contains(&free) {
        return found(RefusalCode::NoCapacity, format!("it has room for {free} only"));
    }
    if free == 0 {
        let because = match (&card.rule, card.lock(), offer.size_mib) {
            (Rule::SameSize, Lock::Size(locked), Some(size)) if locked != size => {
                format!("locked to {} by {}", mib(locked), owners(room, known.gpu))
            }
            (Rule::Mig(Some(_)), ..) => "no GPU instance for it is free".to_owned(),
            (Rule::MixedSize(Some(_)), ..) if offer.available > 0 => {
                format!("no placement of {} is free", offer.size_mib.map(mib).unwrap_or_default())
            }
            _ if card.alive() == 0 => "its driver says that none is available".to_owned(),
            _ => format!("no room is left beside {}", owners(room, known.gpu)),
        };
        return found(RefusalCode::NoCapacity, because);
    }
    kept.for_others(card)
}

/// The VMs that run on a GPU's vGPUs, or the vGPUs where no VM is known.
fn owners(room: &Room, gpu: &Gpu) -> String {
    let mut names: Vec<String> = Vec::new();
    for vgpu in room.living(gpu) {
        let name =
            room.owner(vgpu.id).map_or_else(|| format!("vGPU {}", vgpu.id), |name| format!("VM {name}"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let rest = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    if rest > 0 {
        names.push(format!("{rest} more"));
    }
    names.join(", ")
}

/// How many owners a line names.
const SHOWN: usize = 3;

fn mib(mib: u64) -> String {
    if mib % 1024 == 0 { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}
