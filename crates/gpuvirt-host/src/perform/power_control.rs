//! `power/control` of a function, as the host had it before VFIO.

use std::time::Duration;

use gpuvirt_model::{PciAddress, PowerControl};

use super::settle::{State, settle_blocking};
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::parse::pci;
use crate::paths;

/// Sets it, where the driver that has the function has not done so itself.
///
/// Reading never waits. The write takes the device's lock, and with `on` it wakes the device (drivers/base/power/sysfs.c,
/// `control_store`).
pub(super) fn set(
    files: Files<'_>,
    function: PciAddress,
    to: PowerControl,
    deadline: Duration,
) -> Result<(), HostError> {
    let path = paths::power_control(function);
    let look = || match files.text(&path) {
        Ok(found) if pci::power_control(&found) == Some(to) => State::Reached,
        Ok(found) => State::NotYet(format!("it is {}", shown(&found))),
        Err(e) => State::NotYet(e.to_string()),
    };
    if let State::Reached = look() {
        return Ok(());
    }
    let written = files.sysfs.write_that_may_block(&path, to.as_str().as_bytes(), deadline);
    settle_blocking(&format!("setting power/control of {function} to {to}"), written, look)
}
