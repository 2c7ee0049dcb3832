//! Power: a card that does not answer, or does not wake.

use gpuvirt_model::{Finding, FindingCode, Gpu, Severity, Subject};

use super::Case;
use crate::initramfs::MADE_ANEW;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let of_gpu = |gpu| unresponsive(case, gpu).or_else(|| stuck(case, gpu)).or_else(|| off(case, gpu));
    case.gpus().filter_map(of_gpu).collect()
}

fn unresponsive(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let dead = case.observed.functions_of(gpu).find(|function| function.unresponsive)?;
    Some(
        Finding::new(
            FindingCode::GpuUnresponsive,
            Severity::Error,
            Subject::Gpu(gpu.address),
            "it does not answer on the bus: it has hung, lost its power, or fallen off",
        )
        .seen_at(format!("/sys/bus/pci/devices/{}/config", dead.address), "all ones")
        .remedy("journalctl -k | grep -i -e 'fallen off the bus' -e AER -e pcieport")
        .remedy("power the host off, and the mains with it: a reboot may not be enough")
        .remedy("look at the card's power cables and its seat in the slot"),
    )
}

/// States that a card in use has no business to be in, as `pci_power_name` spells them.
const ASLEEP: [&str; 4] = ["D3hot", "D3cold", "error", "unknown"];

fn stuck(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu)?;
    let state = primary.power_state.as_deref().filter(|state| ASLEEP.contains(state))?;
    let status = case.health.functions.get(&gpu.address)?.runtime_status.as_deref()?;
    // `unknown` is also what a function shows that nobody has asked to be in any state, and some drivers leave a card that they
    // count as awake in D3hot.
    let is_stuck = status == "error" || (status == "active" && state == "D3cold") || state == "error";
    is_stuck.then(|| {
        let file = |name: &str| format!("/sys/bus/pci/devices/{}/{name}", gpu.address);
        Finding::new(
            FindingCode::PowerStuck,
            Severity::Error,
            Subject::Gpu(gpu.address),
            "it is asleep and does not wake: drivers and VMs find a dead card",
        )
        .seen_at(file("power_state"), state)
        .seen_at(file("power/runtime_status"), status)
        .remedy(format!("echo on > {}", file("power/control")))
        .remedy(format!("echo 0 > {} # keeps it awake, until the next boot", file("d3cold_allowed")))
        .remedy(KEPT_AWAKE)
        .remedy(in_the_initramfs())
    })
}

/// sysfs forgets at a reboot, modprobe.d does not; it is for the time in which VFIO has the card.
const KEPT_AWAKE: &str =
    "echo 'options vfio-pci disable_idle_d3=1' > /etc/modprobe.d/vfio-pci-awake.conf # from the next boot on";

fn in_the_initramfs() -> String {
    format!("make the initramfs anew ({MADE_ANEW}) where it has vfio-pci")
}

/// vfio-pci lets a card sleep that no VM has, and the platform cuts its power then. Most come back when a VM starts; of those that
/// do not, this is what they have in common. Where the platform can't, cards stay in D3hot, from which they come back.
fn off(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu).filter(|primary| primary.on_vfio())?;
    let health = case.health.functions.get(&gpu.address)?;
    let is_off = primary.power_state.as_deref() == Some("D3cold")
        && health.runtime_status.as_deref() == Some("suspended");
    let awake = &case.health.vfio.keeps_awake;
    if !is_off || health.d3cold_allowed == Some(false) || awake.is(&Some(true)) {
        return None;
    }
    let file = |name: &str| format!("/sys/bus/pci/devices/{}/{name}", gpu.address);
    let finding = Finding::new(
        FindingCode::D3cold,
        Severity::Note,
        Subject::Gpu(gpu.address),
        "its power is off while no VM has it, and some cards do not come back from there: where a start fails with \"Unable to \
         change power state from D3cold to D0\" or \"stuck in D3\", keep it awake",
    )
    .seen_at(file("power_state"), "D3cold")
    .seen_at(file("power/runtime_status"), "suspended");
    let finding = match health.d3cold_allowed {
        Some(_) => finding.seen_at(file("d3cold_allowed"), 1),
        None => finding,
    };
    let finding = if awake.is(&Some(false)) { finding.seen(awake.shows("N")) } else { finding };
    Some(
        finding
            .remedy(format!("echo 0 > {} # wakes it, until the next boot", file("d3cold_allowed")))
            .remedy(KEPT_AWAKE)
            .remedy(in_the_initramfs()),
    )
}
