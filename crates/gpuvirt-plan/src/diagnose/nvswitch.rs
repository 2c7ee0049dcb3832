//! NVSwitch: GPUs that are one machine can't be given away one by one.

use gpuvirt_model::{Finding, FindingCode, Gpu, PciAddress, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    fabric(case).into_iter().collect()
}

const NVIDIA: u16 = 0x10de;

fn fabric(case: &Case<'_>) -> Option<Finding> {
    let health = &case.health.nvswitch;
    let switches = health.switches.known().filter(|switches| !switches.is_empty())?;
    let of_nvidia =
        |gpu: &&Gpu| case.observed.primary_of(gpu).is_some_and(|primary| primary.identity.vendor == NVIDIA);
    let given: Vec<&Gpu> = case.gpus().filter(of_nvidia).filter(|gpu| case.is_for_passthrough(gpu)).collect();
    let list = |addresses: &mut dyn Iterator<Item = PciAddress>| {
        addresses.map(|address| address.to_string()).collect::<Vec<_>>().join(" ")
    };
    let given_list = list(&mut given.iter().map(|gpu| gpu.address));
    let (severity, cause) = if given.is_empty() {
        (Severity::Note, "the GPUs are joined by NVSwitches: which of them can be given to VMs together, NVIDIA's Fabric Manager decides".to_owned())
    } else {
        (
            Severity::Warning,
            format!(
                "{given_list} are for passthrough and are joined by NVSwitches: CUDA does not start in a guest unless Fabric \
                 Manager has a partition of just these GPUs, or the guest gets the switches with all of them"
            ),
        )
    };
    let finding = Finding::new(FindingCode::Nvswitch, severity, Subject::Host, cause)
        .seen(health.switches.shows(format!("NVSwitches {}", list(&mut switches.iter().copied()))));
    let finding = if health.fabric_manager.is(&false) {
        finding.seen(health.fabric_manager.shows("not there: nvidia-fabricmanager does not run"))
    } else {
        finding
    };
    Some(
        finding
            .remedy("shared NVSwitch model: FABRIC_MODE=1 in /usr/share/nvidia/nvswitch/fabricmanager.cfg; systemctl restart nvidia-fabricmanager")
            .remedy("full passthrough: give all GPUs and all NVSwitches to one VM, with Fabric Manager in it"),
    )
}
