//! Checks on preparing a card for vGPUs: how many virtual functions it can get, which vGPU mode, and who keeps the
//! vendor's tool from it.

use gpuvirt_model::{Framework, GraphicsType, Holder, Refusal, RefusalCode, VgpuMode};

use super::{Switch, list};
use crate::{Step, Wanted, sriov, vendor};

/// Everything that is in the way of the number of virtual functions and of the vGPU mode that are wanted, besides
/// [`super::refusals`].
pub fn refusals(switch: &Switch, wanted: &Wanted) -> Vec<Refusal> {
    if wanted.to != GraphicsType::SharedDirect {
        return Vec::new();
    }
    let mut found: Vec<Refusal> = vf_count(switch, wanted).into_iter().collect();
    found.extend(no_mixed_size(switch, wanted));
    found.extend(mode_in_use(switch));
    found
}

/// A number that the card can't have, that its tool does not make, or that would take others' virtual functions.
fn vf_count(switch: &Switch, wanted: &Wanted) -> Option<Refusal> {
    let count = wanted.vf_count?;
    let primary = switch.observed.primary_of(switch.gpu)?;
    let address = switch.gpu.address;
    let Some(sriov) = &primary.sriov else {
        let because = "it has no SR-IOV capability, so it can have no virtual functions".to_owned();
        return Some(switch.refuse(RefusalCode::TooManyVfs, because, vec!["leave out --vfs".to_owned()]));
    };
    if let Some(tool) = vendor::vf_tool(primary, switch.observed).filter(|_| count != sriov.total) {
        let because = format!("{tool}, which its driver wants, always makes all {}", sriov.total);
        let remedy = vec!["leave out --vfs".to_owned()];
        return Some(switch.refuse(RefusalCode::VfCountFixed, because, remedy));
    }
    // A driver that has not been told of any yet (a parameter of it) shows 0.
    if count > sriov.total && sriov.total != 0 {
        let because = format!("it can have {} virtual functions, not {count}", sriov.total);
        let remedy = vec![format!("gpuvirt gpu set {address} --type shared-direct --vfs {}", sriov.total)];
        return Some(switch.refuse(RefusalCode::TooManyVfs, because, remedy));
    }
    let others = sriov.enabled != 0 && sriov.enabled != count && !sriov::makes_vfs(switch.plan);
    others.then(|| {
        let because = format!("somebody else enabled the {} virtual functions that it has", sriov.enabled);
        let remedy = vec![
            "leave out --vfs, to use them as they are".to_owned(),
            format!("or stop what uses them, and disable them: echo 0 into {address}'s sriov_numvfs"),
        ];
        switch.refuse(RefusalCode::VfsAlive, because, remedy)
    })
}

/// Only a vendor's command mixes sizes, and only where sizes are the driver's choice.
fn no_mixed_size(switch: &Switch, wanted: &Wanted) -> Option<Refusal> {
    let asked = wanted.vgpu_mode == Some(VgpuMode::MixedSize) && switch.gpu.host_driver;
    let primary = switch.observed.primary_of(switch.gpu)?;
    let plain = switch.gpu.frameworks == [Framework::Sriov];
    let command = vendor::rule(primary, switch.observed).and_then(|rule| rule.command.as_ref());
    let driver = primary.binding.driver.as_ref()?;
    (asked && (plain || command.is_none())).then(|| {
        let because = format!("no command is known that makes its driver {driver} mix sizes");
        let remedy = vec![
            "leave out --vgpu-mode".to_owned(),
            format!(
                "where {driver} has such a command: name it in gpuvirtd.toml, [[driver]] name = \"{driver}\""
            ),
        ];
        switch.refuse(RefusalCode::NoMixedSize, because, remedy)
    })
}

/// The mode is changed on an empty card only.
fn mode_in_use(switch: &Switch) -> Option<Refusal> {
    let changes = switch.plan.steps.iter().any(|step| matches!(step, Step::SetMixedSize { .. }));
    let takes = sriov::takes_vfs(switch.plan);
    (changes && !takes).then(|| super::gpu::vgpus_alive(switch)).flatten()
}

/// A plan that has the vendor's tool at work needs the card to be nobody's but that of services which it stops.
pub(super) fn tool_in_the_way(switch: &Switch) -> Option<Refusal> {
    let stopped = vendor::stopped_processes(switch.plan, switch.observed);
    let holds = |holder: &&Holder| match holder {
        Holder::Process { pid, .. } => !stopped.contains(pid),
        Holder::DrmClient { .. } | Holder::Sound { .. } | Holder::UsbDevice { .. } => false,
        Holder::Console { .. } | Holder::Domain { .. } => false,
    };
    let holders: Vec<&Holder> = switch.gpu.holders.seen.iter().filter(holds).collect();
    let turns = switch.plan.steps.iter().any(|step| matches!(step, Step::SetMigMode { .. }));
    let cycles = sriov::cycles_vfs(switch.plan) || turns;
    (cycles && !holders.is_empty()).then(|| {
        let because = format!("the vendor's tool gets the card from nobody, and it is held by {}", list(&holders));
        let services = "end these processes; a service that may be stopped for it can be listed in gpuvirtd.toml, \
                        [[driver]] services";
        switch.refuse(RefusalCode::GpuInUse, because, vec![services.to_owned()])
    })
}
