//! From one binding to another: the order in which overrides, unbinds and probes are written.

use std::collections::BTreeMap;

use gpuvirt_model::{DriverBinding, DriverName, Function, PciAddress};

use crate::Step;

/// Where a function's binding should lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingGoal {
    /// Exactly this driver and override.
    Exactly(DriverBinding),
    /// The host's: no override, whichever host driver the kernel finds.
    Host,
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
            Self::Host => None,
        }
    }

    /// Whether a function that has `driver` must be taken from it.
    fn must_leave(&self, driver: &DriverName) -> bool {
        match self {
            Self::Exactly(binding) => binding.driver.as_ref() != Some(driver),
            Self::Host => driver.is_vfio(),
        }
    }

    /// Whether the kernel must be asked to bind a function that will be driverless, and what must come of it.
    fn probe(&self) -> Option<Option<DriverName>> {
        match self {
            Self::Exactly(binding) => binding.driver.clone().map(Some),
            Self::Host => Some(None),
        }
    }
}

/// The steps that lead every function to its goal.
///
/// Three phases over the whole card. Overrides first: they are harmless writes, and where one fails nothing has
/// been taken from anybody. Then unbinds, companions before the primary, because audio drivers hold on to the
/// display driver of the same card. Then probes, the primary first. Functions that are at their goal get no step.
pub fn steps(functions: &[&Function], goals: &BTreeMap<PciAddress, BindingGoal>) -> Vec<Step> {
    let mut overrides = Vec::new();
    let mut unbinds = Vec::new();
    let mut probes = Vec::new();
    for function in functions {
        let Some(goal) = goals.get(&function.address) else { continue };
        let address = function.address;
        let wanted = goal.wanted_override();
        if function.binding.driver_override.as_ref() != wanted {
            overrides.push(Step::SetOverride { function: address, driver: wanted.cloned() });
        }
        let leaves = function.binding.driver.as_ref().filter(|driver| goal.must_leave(driver));
        if let Some(driver) = leaves {
            unbinds.push(Step::Unbind { function: address, driver: driver.clone() });
        }
        let driverless = function.binding.driver.is_none() || leaves.is_some();
        if let Some(expect) = goal.probe().filter(|_| driverless) {
            probes.push(Step::Probe { function: address, expect });
        }
    }
    unbinds.reverse();
    overrides.into_iter().chain(unbinds).chain(probes).collect()
}
