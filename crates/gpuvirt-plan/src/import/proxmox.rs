//! Traces of Proxmox guests' `hostpci` lines: whole cards, virtual functions, mediated devices.

use gpuvirt_model::import::{HostPci, HostPciDevice, MappedDevice};
use gpuvirt_model::{ConfiguredType, Gpu, Observed, PciAddress};

use super::{Collected, Part, Sources, Trace, what_sits_at};

pub(super) fn collect(sources: &Sources<'_>, collected: &mut Collected) {
    for line in &sources.foreign.hostpci {
        match &line.mdev {
            None => whole(line, sources.observed, collected),
            Some(mdev) => shared(line, mdev, sources.observed, collected),
        }
    }
}

fn whole(line: &HostPci, observed: &Observed, collected: &mut Collected) {
    for named in &line.devices {
        let address = named.device.address();
        let trace = Trace::about(&line.origin, format!("guest {} has {address}", line.guest));
        collected.traces.push(match gpu_at(named, observed) {
            Err(note) => trace.noting(note),
            Ok(gpu) => {
                let part = match named.device {
                    HostPciDevice::Slot(_) => Part::Primary,
                    HostPciDevice::Function(_) => Part::of(gpu, address, observed),
                };
                trace.gives(gpu.address, part)
            }
        });
    }
}

fn shared(line: &HostPci, mdev: &str, observed: &Observed, collected: &mut Collected) {
    let mut gpus: Vec<PciAddress> = Vec::new();
    for named in &line.devices {
        let address = named.device.address();
        let trace = Trace::about(&line.origin, format!("guest {} gets {mdev} on {address}", line.guest));
        let gpu = match gpu_at(named, observed) {
            Ok(gpu) => gpu,
            Err(note) => {
                collected.traces.push(trace.noting(note));
                continue;
            }
        };
        if gpus.contains(&gpu.address) {
            continue;
        }
        gpus.push(gpu.address);
        let offered =
            gpu.profiles.iter().find(|profile| profile.type_id == mdev).map(|profile| &profile.name);
        let trace = trace.makes(gpu.address, ConfiguredType::SharedDirect);
        collected.traces.push(match offered {
            Some(name) => trace.noting(format!("here: gpuvirt vm add VM --profile {name}")),
            None => trace.noting(format!("{} offers no type {mdev} now", gpu.address)),
        });
    }
}

/// The GPU that is meant; else why none is. A mapping that names a card's ids means that card, as Proxmox does: it starts no
/// guest with another one.
fn gpu_at<'a>(named: &MappedDevice, observed: &'a Observed) -> Result<&'a Gpu, String> {
    let address = named.device.address();
    let gpu = observed.gpu_of(address).ok_or_else(|| what_sits_at(address, observed))?;
    let Some(identity) = observed.functions.get(&address).map(|function| function.identity) else {
        return Ok(gpu);
    };
    let here = |vendor: u16, device: u16| format!("{vendor:04x}:{device:04x}");
    let is_other = |expected: Option<(u16, u16)>, found: (u16, u16)| expected.is_some_and(|ids| ids != found);
    let of_card = (identity.vendor, identity.device);
    let of_board = (identity.subsystem_vendor, identity.subsystem_device);
    let differs = [(named.id, of_card, "id"), (named.subsystem_id, of_board, "subsystem-id")];
    let differs = differs.into_iter().find(|(expected, found, _)| is_other(*expected, *found));
    match differs {
        Some((Some(expected), found, key)) => Err(format!(
            "the mapping means {key}={}, and {} sits there",
            here(expected.0, expected.1),
            here(found.0, found.1)
        )),
        _ => Ok(gpu),
    }
}
