//! Traces of overrides, driverctl's and those of udev's rules: one function is bound to one driver.

use gpuvirt_model::import::{DriverOverride, Origin};
use gpuvirt_model::{ConfiguredType, Observed, PciAddress};

use super::{Collected, Part, Sources, Trace, what_sits_at};
use crate::checks::shell_word;

pub(super) fn collect(sources: &Sources<'_>, collected: &mut Collected) {
    for over in &sources.foreign.overrides {
        bound_by_address(over, sources.observed, collected);
    }
}

fn bound_by_address(over: &DriverOverride, observed: &Observed, collected: &mut Collected) {
    let trace = Trace::about(&over.origin, format!("{} is bound to {}", over.address, over.driver));
    let trace = match observed.gpu_of(over.address) {
        None => trace.noting(what_sits_at(over.address, observed)),
        Some(gpu) if !is_vfio(&over.driver) => {
            trace.of(Some(gpu.address)).noting("a host driver; gpuvirt leaves it as it is")
        }
        Some(gpu) => {
            let part = Part::of(gpu, over.address, observed);
            if part != Part::VirtualFunction {
                collected.after(gpu.address, ConfiguredType::Direct, taken_back(&over.origin));
                let by_driverctl = over.origin.line.is_none() && over.driver == "vfio-pci";
                let function = observed.functions.get(&over.address);
                let taught = function.filter(|_| by_driverctl).map(|function| function.identity);
                if let Some(identity) = taught {
                    let line = forget_id(identity.vendor, identity.device);
                    collected.after(gpu.address, ConfiguredType::Direct, line);
                }
            }
            match driven_by_the_host(over.address, observed).filter(|_| part == Part::Primary) {
                Some(note) => trace.gives(gpu.address, part).noting(note),
                None => trace.gives(gpu.address, part),
            }
        }
    };
    collected.traces.push(trace);
}

/// How an override's file stops saying it: driverctl's is a file for each function, udev's a line.
pub(super) fn taken_back(origin: &Origin) -> String {
    match origin.line {
        // `driverctl unset-override` would take the function from its driver at once.
        None => format!("rm {}", origin.path),
        Some(line) if origin.and_more => {
            format!(
                "take ATTR{{driver_override}}= out of the rule in line {line} of {}; udevadm control --reload",
                origin.path
            )
        }
        Some(line) => {
            // Of a rule of several lines each: what is left of it would be a rule for every device.
            let last = origin.last_line.unwrap_or(line);
            let lines = if last > line { format!("{line},{last}") } else { line.to_string() };
            format!("sed -i -e '{lines}s/^/#/' {}; udevadm control --reload", shell_word(&origin.path))
        }
    }
}

/// driverctl teaches vfio-pci the ids of what it gives to it (`new_id`), and nothing shows that afterwards. With them, vfio-pci
/// takes the card from the host again, and every other one of its kind.
fn forget_id(vendor: u16, device: u16) -> String {
    format!("echo {vendor:04x} {device:04x} > /sys/bus/pci/drivers/vfio-pci/remove_id")
}

/// `vfio-pci` and its variants, as the drivers themselves are called.
fn is_vfio(driver: &str) -> bool {
    driver == "vfio-pci" || driver.ends_with("-vfio-pci") || driver.ends_with("_vfio_pci")
}

/// What another driver has now is told: the files say what is to be, and may never have come into force.
pub(super) fn driven_by_the_host(gpu: PciAddress, observed: &Observed) -> Option<String> {
    let driver = observed.functions.get(&gpu)?.binding.driver.as_ref()?;
    (!driver.leaves_group_viable()).then(|| format!("{driver} has it now"))
}

/// An override of that function to a driver that is not VFIO's.
pub(super) fn kept_by<'a>(function: PciAddress, sources: &Sources<'a>) -> Option<&'a DriverOverride> {
    sources.foreign.overrides.iter().find(|over| over.address == function && !is_vfio(&over.driver))
}

/// The same, of any function of a card: whole, it can't go to a VM.
pub(super) fn kept_for_the_host<'a>(gpu: PciAddress, sources: &Sources<'a>) -> Option<&'a DriverOverride> {
    let card = sources.observed.gpus.get(&gpu)?;
    card.functions.iter().find_map(|function| kept_by(*function, sources))
}
