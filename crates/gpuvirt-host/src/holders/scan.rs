//! The holders of everything in a picture.

use std::collections::BTreeMap;

use gpuvirt_model::{Holder, Holders, Observed, PciAddress, Unknown, Via};

use super::console::Consoles;
use super::process::{self, Seen, Use};
use super::targets::{Target, Targets};
use super::{counted, drm, sound, usb};
use crate::error::HostError;
use crate::files::Files;
use crate::parse::container::container;
use crate::paths;

/// A picture, made by `observe`, with who holds each card and each vGPU of it.
///
/// # Errors
/// That of `observe`.
pub(crate) fn filled(
    files: Files<'_>,
    observe: impl FnOnce() -> Result<Observed, HostError>,
) -> Result<Observed, HostError> {
    let (observed, seen) = process::seen_while(files, observe);
    let mut observed = observed?;
    fill(files, &mut observed, seen);
    Ok(observed)
}

/// The same of one card, where the kernel says first whether anybody has it open: few changes come to a card that is in use.
///
/// # Errors
/// That of `observe`.
pub(crate) fn filled_where_open(
    files: Files<'_>,
    observe: impl FnOnce() -> Result<Observed, HostError>,
) -> Result<Observed, HostError> {
    let mut observed = observe()?;
    let seen = match counted::nobody(files, &observed) {
        true => Seen::default(),
        false => process::seen_while(files, || ()).1,
    };
    fill(files, &mut observed, seen);
    Ok(observed)
}

fn fill(files: Files<'_>, observed: &mut Observed, seen: Seen) {
    if observed.gpus.is_empty() {
        return;
    }
    // Where nobody has anything open, nothing need be looked for.
    let targets = if seen.uses.is_empty() { Targets::default() } else { Targets::of(files, observed) };
    let mut found = Found::of(files, &targets, seen);
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
            gpu.holders = found.take(Target::Gpu(address));
            add_others(&mut gpu.holders, holders);
        }
    }
    for (id, vgpu) in &mut observed.vgpus {
        vgpu.holders = found.take(Target::Vgpu(*id));
    }
}

/// Processes that hold what is looked for, and what was hidden.
struct Found {
    holders: BTreeMap<Target, Vec<Holder>>,
    unseen: Option<Unknown>,
}

/// How one process holds things, one way for each thing and path.
type Ways = BTreeMap<Target, Vec<Via>>;

impl Found {
    /// Those of everything that processes have open that is looked for.
    fn of(files: Files<'_>, targets: &Targets, seen: Seen) -> Self {
        let mut found = Self { holders: BTreeMap::new(), unseen: seen.unseen };
        for uses in seen.uses.chunk_by(|one, other| one.pid == other.pid) {
            let mut ways = Ways::new();
            for each in uses {
                targets.of_thing(each.thing).for_each(|target| add_way(&mut ways, target, &each.via));
            }
            if let Some(Use { pid, .. }) = uses.first().filter(|_| !ways.is_empty()) {
                found.record(files, *pid, ways);
            }
        }
        found
    }

    fn record(&mut self, files: Files<'_>, pid: u32, ways: Ways) {
        let text = |name: &str| files.text(&paths::process_file(pid, name)).unwrap_or_default();
        let command = text("comm").trim_end().to_owned();
        let container = container(&text("cgroup"));
        for (target, via) in ways {
            let holder =
                |via| Holder::Process { pid, command: command.clone(), via, container: container.clone() };
            self.holders.entry(target).or_default().extend(via.into_iter().map(holder));
        }
    }

    fn take(&mut self, target: Target) -> Holders {
        Holders { seen: self.holders.remove(&target).unwrap_or_default(), unseen: self.unseen.clone() }
    }
}

/// A mapping tells more only where there is no descriptor any more.
fn add_way(ways: &mut Ways, target: Target, via: &Via) {
    let known = ways.entry(target).or_default();
    let is_new = match via {
        Via::Fd { path, .. } => {
            !known.iter().any(|known| matches!(known, Via::Fd { path: p, .. } if p == path))
        }
        Via::Mapping { .. } => known.is_empty(),
    };
    if is_new {
        known.push(via.clone());
    }
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
