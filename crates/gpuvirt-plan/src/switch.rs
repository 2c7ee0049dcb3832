//! The plan that leads a GPU to a graphics type.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{
    DriverBinding, DriverName, Function, Gpu, GraphicsType, HostBinding, ModulePresence, Observed,
    PciAddress, Records,
};

use crate::driver::{self, BindingGoal};
use crate::wanted::Wanted;
use crate::{
    Marks, MixedSize, MixedSizeSetting, Plan, Promise, Snapshot, Step, mig, power_control, sriov, vendor,
};

/// Plans a GPU's way to a type, as [`plan_for`] does.
pub fn plan(gpu: &Gpu, observed: &Observed, to: GraphicsType, records: &Records) -> Plan {
    plan_for(gpu, observed, &Wanted::of(to), records)
}

/// Plans a GPU's way to what is `wanted`: empty when it is there. `records` say how the host had the card.
///
/// `basic` can't be asked for; it plans like `shared`.
///
/// It takes no virtual functions away but those that `records` call ours.
pub fn plan_for(gpu: &Gpu, observed: &Observed, wanted: &Wanted, records: &Records) -> Plan {
    let mut plan = bindings(gpu, observed, wanted.to, records);
    let Some(primary) = observed.primary_of(gpu) else { return plan };
    let tool = vendor::vf_tool(primary, observed);
    let now = sriov::setting(primary);
    let turn = mig::turn(gpu, observed, wanted, records);
    // Virtual functions that keep the mode from being turned are made anew, where they are ours.
    let anew = now.filter(|now| turn.is_some() && sriov::are_ours(gpu, *now, records));
    let setting = sriov::wanted(gpu, observed, wanted, records);
    if let Some((now, setting)) = now.zip(setting.or(anew)) {
        // Before the driver goes: it would take them along, and nobody would wait for that.
        let steps = match setting == now {
            true => sriov::made_anew(gpu.address, tool, now),
            false => sriov::steps(gpu.address, tool, now, setting),
        };
        plan.steps.splice(0..0, steps);
        plan.before.vfs.insert(gpu.address, now);
        plan.promises.push(Promise::Vfs { function: gpu.address, setting });
        if setting.count != 0 {
            plan.promises.push(Promise::OffersVgpus { gpu: gpu.address });
        }
    }
    mig::add_to(&mut plan, gpu, observed, wanted, records);
    let cycles = sriov::cycles_vfs(&plan);
    let mixed = vendor::mixed_size_step(gpu, observed, wanted, records, cycles);
    if let Some((was, step)) = mixed {
        // Behind the virtual functions, with which the mode goes.
        plan.steps.push(step);
        plan.before.mixed_sizes.insert(gpu.address, was);
    } else if let Some(command) = vendor::rule(primary, observed).and_then(|rule| rule.command.clone()) {
        let on = vendor::mixed_size(gpu.address, records);
        if cycles && on == MixedSize::On {
            plan.before.mixed_sizes.insert(gpu.address, MixedSizeSetting { on, command });
        }
    }
    let functions: Vec<&Function> = observed.functions_of(gpu).collect();
    power_control::note(&mut plan, &functions);
    if wanted.to != GraphicsType::Direct {
        plan.steps.extend(power_control::hosts(&plan, &functions, records));
    }
    let services = vendor::running_services(primary, observed);
    plan.steps = vendor::surround(gpu.address, plan.steps, &services, observed);
    if plan.steps.iter().any(|step| matches!(step, Step::StopService { .. })) {
        plan.before.services = services;
    }
    plan
}

/// The part of it that is about drivers.
fn bindings(gpu: &Gpu, observed: &Observed, to: GraphicsType, records: &Records) -> Plan {
    let functions: Vec<&Function> = observed.functions_of(gpu).collect();
    let goal = |function: &Function| match to {
        GraphicsType::Direct => direct_goal(function),
        GraphicsType::Shared | GraphicsType::SharedDirect | GraphicsType::Basic => {
            let drivers = &observed.host.pci_drivers;
            host_goal(function, function.address == gpu.address, records.host_binding(function), drivers)
        }
    };
    let goals: BTreeMap<PciAddress, BindingGoal> =
        functions.iter().map(|function| (function.address, goal(function))).collect();
    let mut steps = driver::steps(&functions, &goals);
    // A host function that has no driver and no override is left alone unless the card comes back from VFIO.
    if to != GraphicsType::Direct && !steps.iter().any(|step| !matches!(step, Step::Probe { .. })) {
        steps.clear();
    }
    let loads = to == GraphicsType::Direct && observed.host.vfio_pci == ModulePresence::Loadable;
    if loads && !steps.is_empty() {
        steps.insert(0, Step::LoadModule { module: DriverName::vfio_pci() });
    }
    Plan {
        gpu: gpu.address,
        purpose: format!("{} becomes {to}", gpu.address),
        before: Snapshot {
            bindings: functions.iter().map(|f| (f.address, f.binding.clone())).collect(),
            identities: functions.iter().map(|f| (f.address, f.identity)).collect(),
            ..Snapshot::default()
        },
        promises: functions.iter().map(|f| promise(f.address, &goals)).collect(),
        steps,
        marks: Marks::default(),
    }
}

/// A function that a VFIO driver has already, `vfio-pci` or a vendor's variant of it, keeps it.
fn direct_goal(function: &Function) -> BindingGoal {
    if function.on_vfio() { BindingGoal::Exactly(function.binding.clone()) } else { BindingGoal::vfio() }
}

/// A function with a host driver keeps whatever it has, an admin's own override included. One that the host gave away
/// goes back to how the host had it, as far as that is known and its driver is there; a companion that had no driver
/// gets none.
fn host_goal(
    function: &Function,
    primary: bool,
    recorded: Option<&HostBinding>,
    drivers: &BTreeSet<DriverName>,
) -> BindingGoal {
    let binding = &function.binding;
    if binding.driver.as_ref().is_some_and(|driver| !driver.leaves_group_viable()) {
        return BindingGoal::Exactly(binding.clone());
    }
    let lasting = |recorded: &HostBinding| {
        recorded.driver_override.clone().filter(|driver| !driver.leaves_group_viable())
    };
    let driver_override = recorded.and_then(lasting);
    match recorded.map(|recorded| recorded.driver.as_ref()) {
        Some(Some(driver)) if drivers.contains(driver) => {
            BindingGoal::Exactly(DriverBinding { driver: Some(driver.clone()), driver_override })
        }
        Some(None) if !primary => BindingGoal::Exactly(DriverBinding { driver: None, driver_override }),
        Some(_) | None => BindingGoal::Host { driver_override },
    }
}

fn promise(function: PciAddress, goals: &BTreeMap<PciAddress, BindingGoal>) -> Promise {
    match goals.get(&function) {
        Some(BindingGoal::Exactly(binding)) => Promise::Bound { function, binding: binding.clone() },
        Some(BindingGoal::Host { driver_override }) => {
            Promise::WithHost { function, driver_override: driver_override.clone() }
        }
        None => Promise::WithHost { function, driver_override: None },
    }
}
