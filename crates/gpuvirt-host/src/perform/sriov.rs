//! Virtual functions: how many there are, and whether the kernel looks for drivers for new ones.

use std::io;
use std::time::Duration;

use gpuvirt_model::PciAddress;
use gpuvirt_plan::VfAutoprobe;

use super::settle::{State, not_as_planned, not_read, nothing_under_way, settle, settle_blocking, within};
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::parse::pci;
use crate::paths;
use crate::sysfs::WriteError;

/// Some drivers add their virtual functions after the write has returned.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// Sets the number of virtual functions, and waits until so many show.
pub(super) fn set_count(
    files: Files<'_>,
    function: PciAddress,
    (from, to): (u16, u16),
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("setting sriov_numvfs of {function} to {to}");
    let found = count_of(files, function, &what, deadline)?;
    let look = || match count_of(files, function, &what, deadline) {
        Ok(now) if now == (to, usize::from(to)) => State::Reached,
        Ok((count, shown)) => State::NotYet(format!("sriov_numvfs is {count}, and {shown} show")),
        Err(e) => State::NotYet(e.to_string()),
    };
    if found == (to, usize::from(to)) {
        return nothing_under_way(files, &what, |write| write.function() == Some(function));
    }
    if found.0 != from || (from != 0 && to != 0) {
        // The kernel goes from one number to another by way of none only (sriov_numvfs_store).
        return Err(not_as_planned(&what, format!("it is {} by now", found.0)));
    }
    let path = paths::function_file(function, "sriov_numvfs");
    let written = files.sysfs.write_that_may_block(&path, to.to_string().as_bytes(), deadline);
    let refused = written.is_err();
    let what =
        if makes_none(&written) { what.clone() + ", which its driver does not make" } else { what.clone() };
    settle_blocking(
        &what,
        written,
        || if refused { look() } else { within(SHOWN_WITHIN.min(deadline), look) },
    )
}

/// A driver without `sriov_configure` answers so; some have it only with a module's or the kernel's parameter.
fn makes_none(written: &Result<(), WriteError>) -> bool {
    let missing = |error: &io::Error| error.raw_os_error() == Some(nix::errno::Errno::ENOENT as i32);
    matches!(written, Err(WriteError::Errno(error)) if missing(error))
}

/// Sets whether new virtual functions are bound. It changes nothing on those that exist.
pub(super) fn set_autoprobe(
    files: Files<'_>,
    function: PciAddress,
    to: VfAutoprobe,
) -> Result<(), HostError> {
    let text = if to.is_on() { "1" } else { "0" };
    let what = format!("setting sriov_drivers_autoprobe of {function} to {text}");
    let path = paths::function_file(function, "sriov_drivers_autoprobe");
    let look = || match files.text(&path) {
        Ok(found) if found.trim() == text => State::Reached,
        Ok(found) => State::NotYet(format!("it is {}", shown(&found))),
        Err(e) => State::NotYet(e.to_string()),
    };
    if let State::Reached = look() {
        return Ok(());
    }
    let written = files.sysfs.write(&path, text.as_bytes());
    settle(&what, written, look())
}

/// `sriov_numvfs`, and how many virtual functions are linked.
pub(super) fn count_of(
    files: Files<'_>,
    function: PciAddress,
    what: &str,
    deadline: Duration,
) -> Result<(u16, usize), HostError> {
    let refused = |source| HostError::Refused { what: what.to_owned(), source };
    let path = paths::function_file(function, "sriov_numvfs");
    let text = files.text_that_may_block(&path, deadline).map_err(|error| not_read(what, error, deadline))?;
    let odd = || io::Error::other(format!("sriov_numvfs is {}", shown(&text)));
    let count = pci::count(&text).ok_or_else(|| refused(odd()))?;
    let names = files.sysfs.list(&paths::function(function)).map_err(refused)?;
    let linked = names.iter().filter(|name| {
        name.strip_prefix("virtfn").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    Ok((count, linked.count()))
}
