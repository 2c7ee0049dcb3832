//! What a vendor's driver wants besides the kernel's files: its own tool for virtual functions, its lock before it is
//! unbound, services that let go of its cards meanwhile, and its command for the mixed-size mode.
//!
//! The order is the vendor's: the tool takes GPU instances and the mixed-size mode along with the virtual functions, so
//! both come after it.

use std::collections::BTreeSet;

use gpuvirt_model::{
    DriverName, DriverRule, Function, Gpu, GraphicsType, Observed, PciAddress, ProgramPath, Records,
    UnitName, VgpuMode,
};

use crate::wanted::Wanted;
use crate::{MixedSize, MixedSizeSetting, Plan, Step, UnbindLock};

/// The rule of the driver that has a function.
pub fn rule<'a>(function: &Function, observed: &'a Observed) -> Option<&'a DriverRule> {
    observed.host.driver_rules.of(function.binding.driver.as_ref()?)
}

/// The tool that makes a function's virtual ones, where its driver wants one.
pub fn vf_tool<'a>(function: &Function, observed: &'a Observed) -> Option<&'a ProgramPath> {
    rule(function, observed)?.vf_tool.as_ref()
}

/// Whether virtual functions that are there belong to their card's own driver, by its tool: nobody bound them.
pub fn has_typed_vfs(gpu: &Gpu, observed: &Observed) -> bool {
    observed.primary_of(gpu).is_some_and(|primary| vf_tool(primary, observed).is_some())
}

/// The services of a function's driver that run now: they may be stopped.
pub(crate) fn running_services(function: &Function, observed: &Observed) -> Vec<UnitName> {
    let units = rule(function, observed).map(|rule| rule.services.as_slice()).unwrap_or_default();
    units.iter().filter(|unit| observed.host.running_services.contains_key(unit)).cloned().collect()
}

/// The processes of the services that a plan stops: they are in nobody's way.
pub fn stopped_processes(plan: &Plan, observed: &Observed) -> BTreeSet<u32> {
    let stopped = plan.steps.iter().filter_map(|step| match step {
        Step::StopService { unit, .. } => observed.host.running_services.get(unit),
        _ => None,
    });
    stopped.flatten().copied().collect()
}

/// Puts before each unbinding from a driver with a rule that driver's lock, and stops services around the whole where
/// anything of it needs the card to be nobody's.
pub(crate) fn surround(
    gpu: PciAddress,
    steps: Vec<Step>,
    services: &[UnitName],
    observed: &Observed,
) -> Vec<Step> {
    let ruled = |driver: &DriverName| observed.host.driver_rules.of(driver).is_some();
    let alone = |step: &Step| match step {
        Step::CycleVfs { .. } | Step::SetMigMode { .. } => true,
        Step::Unbind { driver, .. } => ruled(driver),
        _ => false,
    };
    let services = if steps.iter().any(alone) { services } else { &[] };
    let mut all: Vec<Step> =
        services.iter().map(|unit| Step::StopService { gpu, unit: unit.clone() }).collect();
    for step in steps {
        if let Step::Unbind { function, driver } = &step {
            if ruled(driver) {
                let (function, driver) = (*function, driver.clone());
                all.push(Step::SetUnbindLock { function, driver, to: UnbindLock::Taken });
            }
        }
        all.push(step);
    }
    all.extend(services.iter().rev().map(|unit| Step::StartService { gpu, unit: unit.clone() }));
    all
}

/// The mixed-size mode of a card as far as we know it: nothing but the vendor's command shows it, so what we set in
/// this boot is what counts.
pub fn mixed_size(gpu: PciAddress, records: &Records) -> MixedSize {
    match records.vgpu_modes.get(&gpu).map(|record| record.mode) {
        Some(VgpuMode::MixedSize) => MixedSize::On,
        Some(VgpuMode::SameSize | VgpuMode::Mig) | None => MixedSize::Off,
    }
}

/// How the card's mixed-size mode is now and what sets it to what is wanted; none where it stays, or where nothing can
/// set it. `cycles`: the plan makes the virtual functions anew, and the mode goes with the old ones.
pub(crate) fn mixed_size_step(
    gpu: &Gpu,
    observed: &Observed,
    wanted: &Wanted,
    records: &Records,
    cycles: bool,
) -> Option<(MixedSizeSetting, Step)> {
    let to = match wanted.vgpu_mode.filter(|_| wanted.to == GraphicsType::SharedDirect)? {
        VgpuMode::SameSize => MixedSize::Off,
        VgpuMode::MixedSize => MixedSize::On,
        VgpuMode::Mig => return None,
    };
    let command = rule(observed.primary_of(gpu)?, observed)?.command.clone()?;
    let known = mixed_size(gpu.address, records);
    let now = if cycles { MixedSize::Off } else { known };
    let was = MixedSizeSetting { on: known, command: command.clone() };
    (now != to).then_some((was, Step::SetMixedSize { gpu: gpu.address, command, to }))
}

/// Why the configured vGPU mode is not in force, when it is not: a reboot loses it, and so does whoever makes the
/// virtual functions anew.
pub fn mode_pending(gpu: &Gpu, wanted: &Wanted, records: &Records) -> Option<String> {
    let asked = wanted.vgpu_mode == Some(VgpuMode::MixedSize) && wanted.to == GraphicsType::SharedDirect;
    let there = gpu.active_type(Some(wanted.to)) == GraphicsType::SharedDirect;
    (asked && there && mixed_size(gpu.address, records) == MixedSize::Off).then(|| {
        format!(
            "its vGPU mode is same-size, not mixed-size, which a reboot loses: run `gpuvirt gpu set {} --type \
             shared-direct`",
            gpu.address
        )
    })
}
