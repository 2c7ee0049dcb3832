//! The holders of everything in a picture.

use gpuvirt_model::{Holder, Holders, Observed, PciAddress};

use super::console::Consoles;
use super::process::{self, Found};
use super::targets::{Target, Targets};
use super::{drm, sound, usb};
use crate::files::Files;

/// Fills in who holds each card and each vGPU.
pub(crate) fn fill(files: Files<'_>, observed: &mut Observed) {
    if observed.gpus.is_empty() {
        return;
    }
    let targets = Targets::of(files, observed);
    let mut found = process::scan(files, &targets);
    let consoles = Consoles::read(files);
    let without_process: Vec<(PciAddress, Vec<Holder>)> = observed
        .gpus
        .values()
        .map(|gpu| {
            let mut holders = consoles.on(observed, gpu);
            holders.extend(drm::clients(files, observed, gpu));
            holders.extend(sound::streams(files, observed, gpu));
            holders.extend(usb::devices(files, observed, gpu));
            (gpu.address, holders)
        })
        .collect();
    for (address, holders) in without_process {
        if let Some(gpu) = observed.gpus.get_mut(&address) {
            gpu.holders = take(&mut found, Target::Gpu(address));
            add_others(&mut gpu.holders, holders);
        }
    }
    for (id, vgpu) in &mut observed.vgpus {
        vgpu.holders = take(&mut found, Target::Vgpu(*id));
    }
}

fn take(found: &mut Found, target: Target) -> Holders {
    Holders { seen: found.holders.remove(&target).unwrap_or_default(), unseen: found.unseen.clone() }
}

/// Adds holders that are no processes; a sound stream only when its owner is not listed already.
fn add_others(holders: &mut Holders, others: Vec<Holder>) {
    let listed: Vec<u32> = holders
        .seen
        .iter()
        .filter_map(|holder| if let Holder::Process { pid, .. } = holder { Some(*pid) } else { None })
        .collect();
    holders.seen.extend(
        others
            .into_iter()
            .filter(|holder| !matches!(holder, Holder::Sound { pid: Some(pid), .. } if listed.contains(pid))),
    );
}
