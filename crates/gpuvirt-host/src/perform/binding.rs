//! The sysfs acts on a function's driver: `driver_override`, unbind, probe.

use std::io;
use std::time::Duration;

use gpuvirt_model::{DriverName, PciAddress};

use super::settle::{State, answered, not_as_planned, not_read, nothing_under_way, settle, settle_blocking};
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::parse::pci;
use crate::paths;

/// What `driver_override` shows where there is none (drivers/pci/pci-sysfs.c, `driver_override_show`).
const NO_OVERRIDE: [&str; 2] = ["(null)\n", "\n"];

/// Sets or clears `driver_override`. A single newline clears it; an empty write would never reach the kernel.
pub(super) fn set_override(
    files: Files<'_>,
    function: PciAddress,
    driver: Option<&DriverName>,
    deadline: Duration,
) -> Result<(), HostError> {
    let path = paths::function_file(function, "driver_override");
    let what = driver.map_or_else(
        || format!("clearing driver_override of {function}"),
        |driver| format!("setting driver_override of {function} to {driver}"),
    );
    let state = |text: &str| match pci::driver_override(text) {
        Some(found) if found.as_ref() == driver => State::Reached,
        _ => State::NotYet(format!("driver_override is {}", shown(text))),
    };
    let data = driver.map_or("\n", DriverName::as_str);
    let name = driver.map(|driver| format!("{driver}\n"));
    let name: Vec<&str> = name.iter().map(String::as_str).collect();
    let wanted = if driver.is_some() { &name[..] } else { &NO_OVERRIDE };
    // It takes the device's lock, for which it waits while somebody else's write to the device does.
    match answered(&what, files.set(&path, data, wanted, deadline))? {
        Ok(text) => settle(&what, Ok(()), state(&text)),
        Err(refused) => {
            let text = files.text_that_may_block(&path, deadline);
            let text = text.map_err(|error| not_read(&what, error, deadline))?;
            settle(&what, Err(refused), state(&text))
        }
    }
}

/// Unbinds a function from exactly this driver: its own `unbind` file answers ENODEV when another one has it.
pub(super) fn unbind(
    files: Files<'_>,
    function: PciAddress,
    driver: &DriverName,
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("unbinding {function} from {driver}");
    match driver_of(files, function, &what)? {
        None => return nothing_under_way(files, &what, |write| write.function() == Some(function)),
        Some(found) if found != *driver => {
            return Err(not_as_planned(&what, format!("it is bound to {found} by now")));
        }
        Some(_) => {}
    }
    let address = function.to_string();
    let written = files.sysfs.write_that_may_block(&paths::unbind(driver), address.as_bytes(), deadline);
    settle_blocking(&what, written, || match driver_of(files, function, &what) {
        Ok(None) => State::Reached,
        Ok(Some(found)) => State::NotYet(format!("{found} has it")),
        Err(e) => State::NotYet(e.to_string()),
    })
}

/// Lets the kernel look for a driver. It answers success when it found none, so the binding is read back.
///
/// The write lasts as long as the driver's own initialisation, which on a card that did not survive its reset may
/// never end: so it is made in the writer too.
pub(super) fn probe(
    files: Files<'_>,
    function: PciAddress,
    expect: Option<&DriverName>,
    deadline: Duration,
) -> Result<(), HostError> {
    let what = expect.map_or_else(
        || format!("probing drivers for {function}"),
        |driver| format!("binding {function} to {driver}"),
    );
    match (driver_of(files, function, &what)?, expect) {
        (Some(found), Some(wanted)) if found != *wanted => {
            return Err(not_as_planned(&what, format!("it is bound to {found} already")));
        }
        (Some(_), _) => return Ok(()),
        (None, _) => {}
    }
    let address = function.to_string();
    let written = files.sysfs.write_that_may_block(paths::DRIVERS_PROBE, address.as_bytes(), deadline);
    let accepted = written.is_ok();
    if accepted && driver_of(files, function, &what)?.is_none() {
        // The kernel passes over a function that is still being unbound.
        nothing_under_way(files, &what, |write| write.function() == Some(function))?;
    }
    settle_blocking(&what, written, || match (driver_of(files, function, &what), expect) {
        (Err(e), _) => State::NotYet(e.to_string()),
        (Ok(Some(found)), Some(wanted)) if found != *wanted => State::NotYet(format!("{found} took it")),
        (Ok(Some(_)), _) => State::Reached,
        // Whichever driver the kernel finds, or none: then only the probe's own error is a failure.
        (Ok(None), None) if accepted => State::Reached,
        (Ok(None), _) => State::NotYet("no driver took it".to_owned()),
    })
}

/// The driver that has a function now.
fn driver_of(files: Files<'_>, function: PciAddress, what: &str) -> Result<Option<DriverName>, HostError> {
    let refused = |source| HostError::Refused { what: what.to_owned(), source };
    match files.link(&paths::function_file(function, "driver")) {
        Ok(name) => DriverName::parse(&name)
            .map(Some)
            .map_err(|e| refused(io::Error::new(io::ErrorKind::InvalidData, e))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if files.sysfs.exists(&paths::function(function)) {
                Ok(None)
            } else {
                Err(refused(e))
            }
        }
        Err(e) => Err(refused(e)),
    }
}
