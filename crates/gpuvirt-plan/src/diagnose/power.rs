//! Power: a card that does not answer, or does not wake.

use gpuvirt_model::{Finding, FindingCode, Gpu, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.gpus().filter_map(|gpu| unresponsive(case, gpu).or_else(|| stuck(case, gpu))).collect()
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
        .remedy(format!("keep it awake from the next boot on: echo 0 > {}", file("d3cold_allowed")))
        .remedy("for cards that VFIO puts to sleep: options vfio-pci disable_idle_d3=1 in /etc/modprobe.d")
    })
}
