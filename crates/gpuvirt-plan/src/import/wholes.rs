//! Traces of GPUs that are given whole to VMs: domains' host devices, and lines that keep drivers away for that.

use gpuvirt_model::import::Origin;
use gpuvirt_model::{Domain, Hostdev, PciAddress};

use super::{Collected, Part, Sources, Trace, adopt};

pub(super) fn collect(sources: &Sources<'_>, collected: &mut Collected) {
    for kept in &sources.foreign.kept_away {
        let trace = Trace::about(&kept.origin, kept.says.clone());
        let runs =
            ["install vfio-pci ", "install vfio_pci "].iter().any(|start| kept.says.starts_with(start));
        collected.traces.push(trace.noting(if runs {
            "what that program binds is not read: gpuvirt gpu set GPU --type direct does it by address, for each of its cards"
        } else {
            "gpuvirt needs no such line: it binds by address"
        }));
    }
    for domain in sources.observed.domains.known().into_iter().flatten() {
        hostdevs(domain, sources, collected);
    }
}

/// A domain's PCI host devices, one for each card: the GPU itself where it has that; its mediated devices are traces of shared
/// GPUs.
fn hostdevs(domain: &Domain, sources: &Sources<'_>, collected: &mut Collected) {
    let origin = Origin::file("libvirt");
    let mut cards: Vec<(PciAddress, Part, Trace)> = Vec::new();
    for hostdev in &domain.config {
        let Hostdev::Pci { address, managed } = hostdev else { continue };
        let Some(gpu) = sources.observed.gpu_of(*address) else { continue };
        let part = Part::of(gpu, *address, sources.observed);
        let trace = Trace::about(&origin, format!("VM {} has {address}", domain.name));
        let trace = trace.gives(gpu.address, part);
        let trace = match managed {
            true if part != Part::Companion => {
                trace.noting("libvirt binds and unbinds it there (managed='yes')")
            }
            _ => trace,
        };
        match cards.iter_mut().find(|(card, _, _)| *card == gpu.address) {
            None => cards.push((gpu.address, part, trace)),
            Some(known) if known.1 == Part::Companion => *known = (gpu.address, part, trace),
            Some(_) => {}
        }
    }
    for (gpu, part, trace) in cards {
        if let Some(becomes) = part.makes().filter(|_| domain.requests.list.is_empty()) {
            collected.after(gpu, becomes, adopt(domain));
        }
        collected.traces.push(trace);
    }
}
