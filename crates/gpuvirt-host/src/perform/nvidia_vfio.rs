//! The vGPU type of a virtual function of NVIDIA's: setting one makes the vGPU, setting 0 takes it.
//!
//! The virtual function stays with its driver throughout: it is never unbound here.

use std::io;
use std::time::{Duration, Instant};

use gpuvirt_model::PciAddress;

use super::settle::{State, not_as_planned, nothing_under_way, settle_blocking};
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::parse::{nvidia, pci};
use crate::paths;
use crate::sysfs::WriteError;

/// How long the driver may refuse to take a type from a virtual function that nobody holds any more: QEMU has
/// ended, and the driver still takes its vGPU down. Ten seconds on busy hosts.
const TEARDOWN_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked again meanwhile; nothing tells when it is ready.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Gives a virtual function without a type one.
pub(super) fn set(
    files: Files<'_>,
    vf: PciAddress,
    (from, to): (u32, u32),
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("setting the vGPU type of {vf} to {to}");
    match type_of(files, vf, &what)? {
        now if now == to => return Ok(()),
        now if now != from => return Err(not_as_planned(&what, format!("its type is {now} by now"))),
        // The driver takes a new type only where none is set.
        0 => {}
        now => {
            return Err(not_as_planned(&what, format!("it has the type {now}, which must be taken first")));
        }
    }
    if is_not_creatable(files, vf, to) {
        // Somebody else took the room since the plan was made.
        let found = format!("it can't be created any more{}", creatable(files, vf));
        return Err(not_as_planned(&what, found));
    }
    let path = paths::nvidia_vgpu_file(vf, "current_vgpu_type");
    let written = files.sysfs.write_that_may_block(&path, to.to_string().as_bytes(), deadline);
    let refused = matches!(&written, Err(WriteError::Errno(_)));
    let what = if refused { what + &creatable(files, vf) } else { what };
    settle_blocking(&what, written, || state(files, vf, to))
}

/// Takes the type from a virtual function.
pub(super) fn clear(
    files: Files<'_>,
    vf: PciAddress,
    from: u32,
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("taking the vGPU type {from} from {vf}");
    match type_of(files, vf, &what)? {
        0 => return nothing_under_way(files, &what, |write| write.function() == Some(vf)),
        now if now != from => return Err(not_as_planned(&what, format!("its type is {now} by now"))),
        _ => {}
    }
    let path = paths::nvidia_vgpu_file(vf, "current_vgpu_type");
    let end = Instant::now() + TEARDOWN_WITHIN.min(deadline);
    loop {
        let left = end.saturating_duration_since(Instant::now()).max(ASK_EVERY);
        let written = files.sysfs.write_that_may_block(&path, b"0", left);
        let again = matches!(&written, Err(WriteError::Errno(error)) if is_busy(error));
        match settle_blocking(&what, written, || state(files, vf, 0)) {
            Err(_) if again && Instant::now() + ASK_EVERY < end => std::thread::park_timeout(ASK_EVERY),
            settled => return settled,
        }
    }
}

/// What the driver was seen to answer while a guest's vGPU is still being taken down.
fn is_busy(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let busy = [Errno::EPERM, Errno::EBUSY, Errno::EIO, Errno::EAGAIN].map(|errno| errno as i32);
    error.raw_os_error().is_some_and(|errno| busy.contains(&errno))
}

/// Whether the driver lists other types for the virtual function and not this one. A list that can't be understood
/// says nothing: then the write decides.
fn is_not_creatable(files: Files<'_>, vf: PciAddress, to: u32) -> bool {
    let text = files.text(&paths::nvidia_vgpu_file(vf, "creatable_vgpu_types")).unwrap_or_default();
    let listed = nvidia::creatable_types(&text);
    !text.trim().is_empty() && listed.iter().all(|(id, _)| *id != to)
}

/// What can be had instead tells more than the driver's errno, which is EIO for everything.
fn creatable(files: Files<'_>, vf: PciAddress) -> String {
    let list = files.text(&paths::nvidia_vgpu_file(vf, "creatable_vgpu_types"));
    list.map(|text| format!(", where creatable_vgpu_types is {}", shown(text.trim()))).unwrap_or_default()
}

fn state(files: Files<'_>, vf: PciAddress, wanted: u32) -> State {
    match type_of(files, vf, "reading it back") {
        Ok(now) if now == wanted => State::Reached,
        Ok(now) => State::NotYet(format!("its type is {now}")),
        Err(e) => State::NotYet(e.to_string()),
    }
}

fn type_of(files: Files<'_>, vf: PciAddress, what: &str) -> Result<u32, HostError> {
    let refused = |source| HostError::Refused { what: what.to_owned(), source };
    let text = files.text(&paths::nvidia_vgpu_file(vf, "current_vgpu_type")).map_err(refused)?;
    let odd = || io::Error::other(format!("current_vgpu_type is {}", shown(&text)));
    pci::count(&text).ok_or_else(|| refused(odd()))
}
