//! From a step to the code that carries it out.

use std::time::Duration;

use gpuvirt_plan::Step;

use super::{binding, mdev, module};
use crate::error::HostError;
use crate::files::Files;

/// Carries out one step; `deadline` bounds the wait for a write that can block.
pub(crate) fn perform(files: Files<'_>, step: &Step, deadline: Duration) -> Result<(), HostError> {
    match step {
        Step::LoadModule { module } => module::load(files, module),
        Step::SetOverride { function, driver } => {
            binding::set_override(files, *function, driver.as_ref(), deadline)
        }
        Step::Unbind { function, driver } => binding::unbind(files, *function, driver, deadline),
        Step::Probe { function, expect } => binding::probe(files, *function, expect.as_ref(), deadline),
        Step::CreateMdev { uuid, place } => mdev::create(files, place, *uuid, deadline),
        Step::RemoveMdev { parent, uuid } => mdev::remove(files, *parent, *uuid, deadline),
    }
}
