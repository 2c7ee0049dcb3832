//! Checks on the card itself.

use gpuvirt_model::{
    Function, Observed, PciAddress, Reading, Refusal, RefusalCode, Vgpu, Warning, WarningCode,
};

use super::{Switch, list, with_explain};
use crate::{sriov, vendor};

/// No such GPU.
pub fn not_found(address: PciAddress, observed: &Observed) -> Refusal {
    let present = list(observed.gpus.keys());
    let because = match observed.functions.get(&address) {
        Some(function) => match (function.physfn, observed.gpu_of(address)) {
            (Some(pf), _) => format!("{address} is a virtual function of {pf}"),
            (None, Some(gpu)) => format!("{address} is a companion function of the GPU {}", gpu.address),
            (None, None) => format!("{address} is no GPU: class {}", function.identity.class),
        },
        None if present.is_empty() => "this host has no GPU".to_owned(),
        None => format!("the GPUs of this host are {present}"),
    };
    Refusal {
        code: RefusalCode::GpuNotFound,
        summary: format!("there is no GPU {address}"),
        because,
        remedy: with_explain(RefusalCode::GpuNotFound, vec!["gpuvirt gpu list".to_owned()]),
    }
}

pub(super) fn identity_changed(switch: &Switch) -> Option<Refusal> {
    let entry = switch.desired.gpu(switch.gpu.address)?;
    let found = switch.observed.primary_of(switch.gpu)?.identity;
    (found != entry.identity).then(|| {
        switch.refuse(
            RefusalCode::IdentityChanged,
            format!("{} was configured as {}, and now is {found}", switch.gpu.address, entry.identity),
            vec![format!(
                "gpuvirt gpu unset {0}, then configure the card that sits there now",
                switch.gpu.address
            )],
        )
    })
}

pub(super) fn not_an_endpoint(switch: &Switch) -> Option<Refusal> {
    let bad: Vec<&Function> = switch.observed.functions_of(switch.gpu).filter(|f| !f.endpoint).collect();
    let because =
        format!("only endpoints can be given to a VM; no endpoint: {}", list(bad.iter().map(|f| f.address)));
    (!bad.is_empty()).then(|| switch.refuse(RefusalCode::NotAnEndpoint, because, Vec::new()))
}

pub(super) fn unresponsive(switch: &Switch) -> Option<Refusal> {
    let dead: Vec<&Function> = switch.observed.functions_of(switch.gpu).filter(|f| f.unresponsive).collect();
    let states =
        list(dead.iter().map(|f| {
            format!("{} (power state {})", f.address, f.power_state.as_deref().unwrap_or("unknown"))
        }));
    (!dead.is_empty()).then(|| {
        switch.refuse(
            RefusalCode::GpuUnresponsive,
            format!("config space reads as all ones: {states}"),
            vec![
                "wake the card: echo on into its power/control, and try again".to_owned(),
                "a card that fell off the bus comes back with a power cycle of the host".to_owned(),
            ],
        )
    })
}

pub(super) fn vfs_alive(switch: &Switch) -> Option<Refusal> {
    let alive =
        |f: &Function| f.sriov.as_ref().is_some_and(|sriov| !sriov.vfs.is_empty() || sriov.enabled > 0);
    let pf = switch.observed.functions_of(switch.gpu).find(|function| alive(function))?;
    let vfs = pf.sriov.as_ref().map(|sriov| list(&sriov.vfs)).unwrap_or_default();
    Some(switch.refuse(
        RefusalCode::VfsAlive,
        format!("{} has virtual functions, which would vanish with its driver: {vfs}", pf.address),
        vec![format!("stop their VMs, then disable them: {}", without_vfs(pf, switch.observed))],
    ))
}

/// What disables a function's virtual ones, by hand; some drivers want their own tool to do it.
pub fn without_vfs(pf: &Function, observed: &Observed) -> String {
    match vendor::vf_tool(pf, observed) {
        Some(tool) => format!("{tool} -d {}", pf.address),
        None => format!("echo 0 into {}'s sriov_numvfs", pf.address),
    }
}

/// Virtual functions that are to go and that a driver has: somebody bound them, and would lose them.
pub(super) fn vfs_bound(switch: &Switch) -> Option<Refusal> {
    let bound: Vec<String> = sriov::bound_by_others(switch.gpu, switch.observed)
        .filter_map(|f| Some(format!("{} ({})", f.address, f.binding.driver.as_ref()?)))
        .collect();
    let because = format!("its virtual functions would vanish, and drivers have {}", list(&bound));
    let stop = "stop what uses them, and unbind them from these drivers".to_owned();
    (!bound.is_empty()).then(|| switch.refuse(RefusalCode::VfsAlive, because, vec![stop]))
}

/// vGPUs that live, with who has each: they would vanish, or keep the GPU from what it is to be.
pub(super) fn vgpus_alive(switch: &Switch) -> Option<Refusal> {
    let alive: Vec<&Vgpu> = switch.observed.vgpus_of(switch.gpu).collect();
    let because =
        format!("it has live vGPUs: {}", list(alive.iter().map(|vgpu| with_user(vgpu, switch.observed))));
    let remove = || alive.iter().map(|vgpu| format!("gpuvirt vgpu remove {}", vgpu.id));
    let idle = format!("or --when idle: it becomes {} when they are gone", switch.to);
    let refuse = || switch.refuse(RefusalCode::VgpusAlive, because, remove().chain([idle]).collect());
    (!alive.is_empty()).then(refuse)
}

/// A vGPU with the VM that runs with it, or else whoever holds it.
fn with_user(vgpu: &Vgpu, observed: &Observed) -> String {
    let (id, profile, device) = (vgpu.id, &vgpu.profile, vgpu.id.hostdev());
    let vm = observed.domains.known().into_iter().flatten().find(|domain| domain.has_live(&device));
    match (vm, vgpu.holders.seen.as_slice()) {
        (Some(vm), _) => format!("{id} ({profile}, VM {} is running with it)", vm.name),
        (None, []) => format!("{id} ({profile})"),
        (None, holders) => format!("{id} ({profile}, held by {})", list(holders)),
    }
}

pub(super) fn no_reset_method(switch: &Switch) -> Option<Warning> {
    let primary = switch.observed.primary_of(switch.gpu)?;
    matches!(&primary.reset_methods, Reading::Known(methods) if methods.is_empty()).then(|| Warning {
        code: WarningCode::NoResetMethod,
        text: format!(
            "{} CANNOT BE RESET: the kernel knows no reset method for it. A guest gets it as the last one left it, \
             and a guest that crashes may leave it unusable until the host is power-cycled",
            primary.address
        ),
    })
}
