//! From one binding to another: the order in which overrides, unbinds and probes are written.

use std::collections::BTreeMap;

use gpuvirt_model::{DriverBinding, DriverName, Function, PciAddress};

use crate::Step;

/// Where a function's binding should lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingGoal {
    /// Exactly this driver and override.
    Exactly(DriverBinding),
    /// The host's: whichever host driver the kernel finds that this override allows.
    Host {
        /// The lasting `driver_override`; never that of a driver which is not the host's.
        driver_override: Option<DriverName>,
    },
}

impl BindingGoal {
    /// Passthrough: `vfio-pci`, by override on the address.
    pub fn vfio() -> Self {
        let driver = Some(DriverName::vfio_pci());
        Self::Exactly(DriverBinding { driver: driver.clone(), driver_override: driver })
    }

    fn wanted_override(&self) -> Option<&DriverName> {
        match self {
            Self::Exactly(binding) => binding.driver_override.as_ref(),
            Self::Host { driver_override } => driver_override.as_ref(),
        }
    }

    /// Whether a function that has `driver` must be taken from it.
    fn must_leave(&self, driver: &DriverName) -> bool {
        match self {
            Self::Exactly(binding) => binding.driver.as_ref() != Some(driver),
            Self::Host { .. } => driver.leaves_group_viable(),
        }
    }

    /// Whether the kernel must be asked to bind a function that will be driverless, and what must come of it.
    fn probe(&self) -> Option<Option<DriverName>> {
        match self {
            Self::Exactly(binding) => binding.driver.clone().map(Some),
            Self::Host { .. } => Some(None),
        }
    }
}

/// The steps that lead every function to its goal.
///
/// Four phases over the whole card. Overrides first: they are harmless writes, and where one fails nothing has
/// been taken from anybody. Then unbinds, companions before the primary, because audio drivers hold on to the
/// display driver of the same card. Then probes, the primary first. A function whose driver is to differ from its
/// override, or that could be claimed by several drivers, is probed under an override of its own, and gets the
/// lasting one last. Functions that are at their goal get no step.
pub fn steps(functions: &[&Function], goals: &BTreeMap<PciAddress, BindingGoal>) -> Vec<Step> {
    let mut phases = Phases::default();
    for function in functions {
        if let Some(goal) = goals.get(&function.address) {
            phases.add(function, goal);
        }
    }
    phases.unbinds.reverse();
    [phases.overrides, phases.unbinds, phases.probes, phases.last_overrides].concat()
}

#[derive(Default)]
struct Phases {
    overrides: Vec<Step>,
    unbinds: Vec<Step>,
    probes: Vec<Step>,
    last_overrides: Vec<Step>,
}

impl Phases {
    fn add(&mut self, function: &Function, goal: &BindingGoal) {
        let address = function.address;
        let leaves = function.binding.driver.as_ref().filter(|driver| goal.must_leave(driver));
        let driverless = function.binding.driver.is_none() || leaves.is_some();
        let probe = goal.probe().filter(|_| driverless);
        let lasting = goal.wanted_override();
        let for_probe = probe.as_ref().and_then(Option::as_ref).or(lasting);
        let set =
            |driver: Option<&DriverName>| Step::SetOverride { function: address, driver: driver.cloned() };
        if function.binding.driver_override.as_ref() != for_probe {
            self.overrides.push(set(for_probe));
        }
        self.unbinds.extend(leaves.map(|driver| Step::Unbind { function: address, driver: driver.clone() }));
        self.probes
            .extend(probe.as_ref().map(|expect| Step::Probe { function: address, expect: expect.clone() }));
        if for_probe != lasting {
            self.last_overrides.push(set(lasting));
        }
    }
}
