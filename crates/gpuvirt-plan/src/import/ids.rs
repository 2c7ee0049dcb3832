//! Traces of GPUs that `vfio-pci` takes by vendor and device: its parameter `ids`, and udev's rules that do the same.

use gpuvirt_model::import::{ForeignSetup, Origin, VfioIds};
use gpuvirt_model::{ConfiguredType, Observed, PciAddress, PciDeviceId};

use super::overrides::{driven_by_the_host, kept_by, taken_back};
use super::{COMPANION, Collected, Sources, Trace};
use crate::initramfs::MADE_ANEW;
use crate::vfio_ids::{self, is_parameter, is_the_kernels};

pub(super) fn collect(sources: &Sources<'_>, collected: &mut Collected) {
    let values = sources.foreign.vfio_ids.iter().map(|value| (value.origin.path.as_str(), value.heard));
    let heeded = vfio_ids::heeded(values, sources.foreign.vfio_built_in);
    for (at, value) in sources.foreign.vfio_ids.iter().enumerate() {
        match unheeded(at, value, heeded, sources.foreign) {
            Some(note) => not_taking(value, &note, sources.observed, collected),
            None if value.ids.is_empty() => collected.traces.push(taking_nothing(value)),
            None => {
                for id in &value.ids {
                    takes(*id, &value.origin, sources, collected);
                }
            }
        }
    }
}

fn taking(id: PciDeviceId, origin: &Origin) -> Trace {
    Trace::about(origin, format!("vfio-pci takes every {id}"))
}

fn taking_nothing(value: &VfioIds) -> Trace {
    Trace::about(&value.origin, "vfio-pci takes nothing by its ids".to_owned())
}

/// Why a value does not count; none for one that does.
fn unheeded(at: usize, value: &VfioIds, heeded: Option<usize>, foreign: &ForeignSetup) -> Option<String> {
    if !is_parameter(&value.origin.path) {
        return None;
    }
    if foreign.vfio_built_in && !is_the_kernels(&value.origin.path) {
        return Some(format!("not heeded: {}", vfio_ids::BUILT_IN));
    }
    if !value.heard {
        return Some(format!("not heeded: {}", vfio_ids::LOADED_EARLIER));
    }
    let later = &foreign.vfio_ids.get(heeded.filter(|last| *last != at)?)?.origin;
    Some(format!("not heeded: {later} says otherwise later, and a parameter's last value counts"))
}

fn not_taking(value: &VfioIds, note: &str, observed: &Observed, collected: &mut Collected) {
    if value.ids.is_empty() {
        collected.traces.push(taking_nothing(value).noting(note));
    }
    for id in &value.ids {
        collected.traces.push(taking(*id, &value.origin).noting(note));
        // It counts once the later one is gone, or under another kernel.
        for gpu in fitting(*id, observed) {
            collected.after(gpu, ConfiguredType::Direct, out_of_the_way(&value.origin));
        }
    }
}

fn fits(id: PciDeviceId, function: PciAddress, observed: &Observed) -> bool {
    observed.functions.get(&function).is_some_and(|function| id.matches(&function.identity))
}

/// The GPUs that it takes.
fn fitting(id: PciDeviceId, observed: &Observed) -> Vec<PciAddress> {
    observed.gpus.keys().copied().filter(|gpu| fits(id, *gpu, observed)).collect()
}

fn takes(id: PciDeviceId, origin: &Origin, sources: &Sources<'_>, collected: &mut Collected) {
    let observed = sources.observed;
    let trace = taking(id, origin);
    let found = fitting(id, observed);
    if found.is_empty() {
        let companion =
            observed.gpus.values().find(|gpu| gpu.functions.iter().any(|one| fits(id, *one, observed)));
        let note = match companion {
            Some(_) => COMPANION,
            None => "no GPU of this host is one",
        };
        collected.traces.push(trace.of(companion.map(|gpu| gpu.address)).noting(note));
        return;
    }
    let several = (found.len() > 1)
        .then(|| format!("it takes all {} of that kind; the entries here are by address", found.len()));
    for gpu in found {
        // Only the driver that an override names takes a card, whatever ids another one has.
        if let Some(over) = kept_by(gpu, sources) {
            let note = format!("{} keeps it on {} by its address", over.origin, over.driver);
            collected.traces.push(trace.clone().of(Some(gpu)).noting(note));
            continue;
        }
        let trace = trace.clone().makes(gpu, ConfiguredType::Direct);
        let notes: Vec<String> = several.iter().cloned().chain(driven_by_the_host(gpu, observed)).collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        collected.traces.push(Trace { note, ..trace });
        collected.after(gpu, ConfiguredType::Direct, out_of_the_way(origin));
    }
}

fn out_of_the_way(origin: &Origin) -> String {
    match origin.line {
        None => {
            "take vfio-pci.ids= off the kernel's command line (with GRUB: /etc/default/grub, then update-grub, on Arch \
             grub-mkconfig -o /boot/grub/grub.cfg; with systemd-boot: /etc/kernel/cmdline, then kernel-install, proxmox-boot-tool \
             refresh, or mkinitcpio -P for its unified images)"
                .to_owned()
        }
        Some(_) if origin.path.ends_with(".rules") => taken_back(origin),
        Some(line) => {
            format!(
                "take the option ids= out of line {line} of {}, then make the initramfs anew ({MADE_ANEW})",
                origin.path
            )
        }
    }
}
