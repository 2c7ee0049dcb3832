//! What is done by programs: virtual functions by the vendor's tool, the mixed-size mode by its command, services by
//! `systemctl`. What a program answers is for the message; whether it is so is read from the kernel, or asked again.

use std::io;
use std::time::{Duration, Instant};

use gpuvirt_model::{DriverName, PciAddress, ProgramPath, UnitName};
use gpuvirt_plan::{MixedSize, UnbindLock};

use super::settle::{State, not_as_planned, nothing_under_way, settle, within};
use super::sriov::count_of;
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::inventory::service_processes;
use crate::parse::nvidia;
use crate::paths;
use crate::vendor::{ProgramCall, ProgramEnd, ProgramError};

/// Why the lock can't be had. `nvidia_drm` with `modeset=1` has the card open from within the kernel, where no process is to be
/// named.
const LOCK_REFUSED: &str = "a program or a VM has the card, or a module of the kernel's: modprobe -r nvidia_uvm nvidia_drm \
                            nvidia_modeset";
/// A client that has just closed the card, or a monitoring program that looks every few seconds, is gone on one of these
/// tries; one that stays is not.
const LOCK_TRIES: usize = 5;
/// Between two of them; nothing tells when the card is free.
const LOCK_TRY_EVERY: Duration = Duration::from_secs(1);
/// Some drivers show their virtual functions after their tool has ended.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// How long a service may take to stop: these hold a card and keep nothing on disk.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take from its start to its first process.
const STARTED_WITHIN: Duration = Duration::from_secs(5);

/// Has the vendor's tool make all virtual functions, or remove them, and waits until so many show.
pub(super) fn cycle_vfs(
    files: Files<'_>,
    function: PciAddress,
    tool: &ProgramPath,
    (from, to): (u16, u16),
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("changing the virtual functions of {function} from {from} to {to} by {tool}");
    let found = count_of(files, function, &what, deadline)?;
    if found == (to, usize::from(to)) {
        return nothing_under_way(files, &what, |act| act.function() == Some(function));
    }
    if found.0 != from || (from != 0 && to != 0) {
        return Err(not_as_planned(&what, format!("there are {} by now", found.0)));
    }
    let look = || match count_of(files, function, &what, deadline) {
        Ok(now) if now == (to, usize::from(to)) => State::Reached,
        Ok((count, shown)) => State::NotYet(format!("sriov_numvfs is {count}, and {shown} show")),
        Err(e) => State::NotYet(e.to_string()),
    };
    let end = Instant::now() + deadline;
    for attempt in 1.. {
        let ended =
            run(files, &call(tool, [vf_flag(to), &function.to_string()], function, &what)?, &what, deadline)?;
        let state = if ended.is_success() { within(SHOWN_WITHIN.min(deadline), look) } else { look() };
        let again = nvidia::lock_was_refused(&ended.stdout, &ended.stderr)
            && attempt < LOCK_TRIES
            && Instant::now() + LOCK_TRY_EVERY < end;
        if matches!(state, State::Reached) || !again {
            return settle(&what, answer(&ended), state);
        }
        std::thread::park_timeout(LOCK_TRY_EVERY);
    }
    Ok(())
}

/// What the tool is told.
pub(super) fn vf_flag(to: u16) -> &'static str {
    if to == 0 { "-d" } else { "-e" }
}

/// Sets the mixed-size mode and asks whether it is so.
pub(super) fn set_mixed_size(
    files: Files<'_>,
    gpu: PciAddress,
    command: &ProgramPath,
    to: MixedSize,
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("switching the mixed-size mode of {gpu} {} by {command}", mixed_size_word(to));
    let address = gpu.to_string();
    let ask = || -> Result<Option<bool>, HostError> {
        let ended =
            run(files, &call(command, ["vgpu", "-i", &address, "-ghm"], gpu, &what)?, &what, deadline)?;
        Ok(nvidia::heterogeneous_mode(&ended.stdout))
    };
    let wanted = Some(to == MixedSize::On);
    if ask()? == wanted {
        return Ok(());
    }
    let set = ["vgpu", "-i", &address, "-shm", mixed_size_flag(to)];
    let ended = run(files, &call(command, set, gpu, &what)?, &what, deadline)?;
    let state = match ask()? {
        now if now == wanted => State::Reached,
        Some(_) => State::NotYet("it is as it was".to_owned()),
        None => State::NotYet("the command does not say that the card has such a mode".to_owned()),
    };
    settle(&what, answer(&ended), state)
}

/// What the command is told.
pub(super) fn mixed_size_flag(to: MixedSize) -> &'static str {
    match to {
        MixedSize::On => "1",
        MixedSize::Off => "0",
    }
}

fn mixed_size_word(to: MixedSize) -> &'static str {
    match to {
        MixedSize::On => "on",
        MixedSize::Off => "off",
    }
}

/// Takes or gives back the lock of a card's driver. The write succeeds either way; reading it back tells.
///
/// A driver without one is unbound without.
pub(super) fn set_unbind_lock(
    files: Files<'_>,
    (function, driver): (PciAddress, &DriverName),
    to: UnbindLock,
    deadline: Duration,
) -> Result<(), HostError> {
    let (path, what) = (paths::unbind_lock(driver, function), format!("taking the unbindLock of {function}"));
    let refused = |source| HostError::Refused { what: what.clone(), source };
    let read = || match files.text(&path) {
        Ok(text) if text.trim() == "1" => Ok(Some(UnbindLock::Taken)),
        Ok(text) if text.trim() == "0" || text.trim().is_empty() => Ok(Some(UnbindLock::Free)),
        Ok(text) => Err(refused(io::Error::other(format!("it is {}", shown(&text))))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refused(e)),
    };
    match (read()?, to) {
        (None, _) | (Some(UnbindLock::Free), UnbindLock::Free) => return Ok(()),
        (Some(UnbindLock::Taken), UnbindLock::Taken) => {
            // It belongs to nobody: whoever took it may be at work on the card.
            return Err(not_as_planned(&what, "somebody else has taken it".to_owned()));
        }
        (Some(UnbindLock::Taken), UnbindLock::Free) => {
            let written = files.sysfs.write(&path, b"0");
            let state = State::NotYet("it is taken still".to_owned());
            let state = if read()? == Some(UnbindLock::Taken) { state } else { State::Reached };
            return settle(&format!("giving the unbindLock of {function} back"), written, state);
        }
        (Some(UnbindLock::Free), UnbindLock::Taken) => {}
    }
    let end = Instant::now() + deadline;
    for attempt in 1.. {
        let written = files.sysfs.write(&path, b"1");
        let got = read()? == Some(UnbindLock::Taken);
        if got || written.is_err() || attempt == LOCK_TRIES || Instant::now() + LOCK_TRY_EVERY >= end {
            let state = State::NotYet(LOCK_REFUSED.to_owned());
            return settle(&what, written, if got { State::Reached } else { state });
        }
        std::thread::park_timeout(LOCK_TRY_EVERY);
    }
    Ok(())
}

/// Stops a service and waits until it has no process any more.
pub(super) fn stop_service(
    files: Files<'_>,
    gpu: PciAddress,
    unit: &UnitName,
    deadline: Duration,
) -> Result<(), HostError> {
    service(files, (gpu, unit), "stop", deadline)
}

/// Starts a service and waits until it has one.
pub(super) fn start_service(
    files: Files<'_>,
    gpu: PciAddress,
    unit: &UnitName,
    deadline: Duration,
) -> Result<(), HostError> {
    service(files, (gpu, unit), "start", deadline)
}

/// `systemctl` only hands the job over: systemd itself bounds how long a stop may take, and we how long we wait.
fn service(
    files: Files<'_>,
    (gpu, unit): (PciAddress, &UnitName),
    verb: &str,
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("{verb} of the service {unit}");
    let look = || match (service_processes(files, unit).is_empty(), verb) {
        (true, "stop") | (false, "start") => State::Reached,
        (true, _) => State::NotYet("it has no process".to_owned()),
        (false, _) => State::NotYet("it runs still".to_owned()),
    };
    if matches!(look(), State::Reached) {
        return Ok(());
    }
    let systemctl = ProgramPath::parse(paths::SYSTEMCTL).map_err(|e| not_as_planned(&what, e.to_string()))?;
    let ended =
        run(files, &call(&systemctl, ["--no-block", verb, unit.as_str()], gpu, &what)?, &what, deadline)?;
    let limit = if verb == "stop" { STOPPED_WITHIN } else { STARTED_WITHIN };
    let state = if ended.is_success() { within(limit.min(deadline), look) } else { look() };
    settle(&what, answer(&ended), state)
}

fn call<const N: usize>(
    program: &ProgramPath,
    args: [&str; N],
    gpu: PciAddress,
    what: &str,
) -> Result<ProgramCall, HostError> {
    ProgramCall::new(program, args, Some(gpu)).map_err(|e| not_as_planned(what, e.to_string()))
}

/// Runs a program; that it still runs at the deadline is told as of a write that waits.
fn run(
    files: Files<'_>,
    call: &ProgramCall,
    what: &str,
    deadline: Duration,
) -> Result<ProgramEnd, HostError> {
    let what = what.to_owned();
    files.sysfs.run(call, deadline).map_err(|error| match error {
        ProgramError::StillWaiting { writer, waited } => HostError::StillWaiting { what, writer, waited },
        ProgramError::Start(source) => {
            let source =
                io::Error::new(source.kind(), format!("{} cannot be started: {source}", call.program()));
            HostError::Refused { what, source }
        }
        ProgramError::Writer(e) => {
            let source = io::Error::new(e.kind(), format!("the writer process failed: {e}"));
            HostError::Refused { what, source }
        }
    })
}

/// A program's exit status as an answer like a write's.
fn answer(ended: &ProgramEnd) -> io::Result<()> {
    if ended.is_success() { Ok(()) } else { Err(io::Error::other(format!("it says: {}", ended.said()))) }
}
