//! GPU instances, through the vendor's command: each act is one call, and what came of it is read by others.
//!
//! The command's exit status and its words are for people only: early releases ended with 0 on failure, and
//! `-mig 1` does when the mode only becomes pending.

use std::io;

use gpuvirt_model::{GpuInstance, ProgramPath};
use gpuvirt_plan::MigMode;

use super::settle::{State, not_as_planned, settle};
use crate::error::HostError;
use crate::mig::Reader;
use crate::parse::mig as text;
use crate::vendor::ProgramError;

/// A GPU instance that is to be.
pub(super) struct Wanted<'a> {
    pub(super) profile: &'a str,
    pub(super) profile_id: u32,
    pub(super) start: Option<u32>,
    pub(super) count: u32,
}

impl Wanted<'_> {
    /// Whether an instance is of its profile, and where it is to be.
    fn is(&self, one: &GpuInstance) -> bool {
        let there = |start: u32| one.placement.is_none_or(|place| place.start == start);
        one.profile == self.profile && self.start.is_none_or(there)
    }
}

/// Turns MIG mode on or off. A mode that only becomes so at the next reset is not so now.
pub(super) fn set_mode(card: &Reader, to: MigMode) -> Result<(), HostError> {
    let word = if to == MigMode::On { "1" } else { "0" };
    let what = format!("setting MIG mode to {word}");
    carry_out(card, &what, &[&["-mig", word]], || Ok(mode_state(card.mode()?, to)))
}

/// Makes a GPU instance with its default compute instance, and tells its number. One that is there where it is to be,
/// and lost its compute instance, gets that alone.
pub(super) fn create(card: &Reader, wanted: &Wanted) -> Result<Option<u32>, HostError> {
    let what = format!("making a GPU instance {}", wanted.profile);
    let before = card.instances()?;
    if wanted.start.is_none() && count(&before, wanted) >= wanted.count {
        // Each is asked for once: this one is somebody else's.
        let by_now = format!("{} of them are there by now", count(&before, wanted));
        return Err(not_as_planned(&what, by_now));
    }
    let place = wanted.start.map_or_else(String::new, |start| format!(":{start}"));
    let profile = format!("{}{place}", wanted.profile_id);
    let there = before.iter().find(|one| wanted.start.is_some() && wanted.is(one));
    let bare = match there {
        Some(there) if !is_bare(there) => return Ok(None),
        Some(there) => Some(there.id.to_string()),
        None => None,
    };
    let (answer, said) = match &bare {
        Some(id) => all(card, &what, &[&["mig", "-gi", id, "-cci"]])?,
        None => all(card, &what, &[&["mig", "-cgi", &profile, "-C"]])?,
    };
    let after = card.instances()?;
    let new = |one: &&GpuInstance| match &bare {
        Some(id) => one.id.to_string() == *id,
        None => wanted.is(one) && !before.iter().any(|known| known.is_same(one)),
    };
    let new: Vec<&GpuInstance> = after.iter().filter(new).collect();
    let made = match new.as_slice() {
        [] | [_] => new.first().copied(),
        // Somebody else makes some at the same time: only the command's own words tell which is whose.
        several => several.iter().copied().find(|one| Some(one.id) == text::created(&said)),
    };
    settle(&what, answer, made_state(made, wanted, after.len()))?;
    Ok(made.map(|one| one.id))
}

fn count(found: &[GpuInstance], wanted: &Wanted) -> u32 {
    u32::try_from(found.iter().filter(|one| wanted.is(one)).count()).unwrap_or(u32::MAX)
}

fn is_bare(instance: &GpuInstance) -> bool {
    instance.compute_instances.as_deref() == Some(&[])
}

fn made_state(made: Option<&GpuInstance>, wanted: &Wanted, count: usize) -> State {
    match made {
        Some(made) if is_bare(made) => {
            State::NotYet(format!("GPU instance {} has no compute instance", made.id))
        }
        Some(_) => State::Reached,
        None => State::NotYet(format!("no new {} is among the {count} of the card", wanted.profile)),
    }
}

/// Removes a GPU instance, its compute instances first.
pub(super) fn remove(card: &Reader, instance: &GpuInstance) -> Result<(), HostError> {
    let what = format!("removing GPU instance {} ({})", instance.id, instance.profile);
    let found = card.instances()?;
    let Some(found) = found.iter().find(|found| found.id == instance.id) else { return Ok(()) };
    if !found.is_same(instance) {
        let by_now = format!("{} is the number of another by now, a {}", found.id, found.profile);
        return Err(not_as_planned(&what, by_now));
    }
    let id = instance.id.to_string();
    let compute: &[&str] = &["mig", "-dci", "-gi", &id];
    let own: &[&str] = &["mig", "-dgi", "-gi", &id];
    let calls: &[&[&str]] = if is_bare(found) { &[own] } else { &[compute, own] };
    let (answer, _) = all(card, &what, calls)?;
    let there = card.instances()?.iter().any(|found| found.is_same(instance));
    settle(&what, answer, if there { State::NotYet("it is still there".to_owned()) } else { State::Reached })
}

/// Looks; makes the calls unless they are needless; looks again.
fn carry_out(
    card: &Reader,
    what: &str,
    calls: &[&[&str]],
    look: impl Fn() -> Result<State, HostError>,
) -> Result<(), HostError> {
    if matches!(look()?, State::Reached) {
        return Ok(());
    }
    let (answer, _) = all(card, what, calls)?;
    settle(what, answer, look()?)
}

/// Makes the calls one after the other, to the first that fails; the second value is what the last of them said.
fn all(card: &Reader, what: &str, calls: &[&[&str]]) -> Result<(io::Result<()>, String), HostError> {
    let mut said = String::new();
    for args in calls {
        let ended = card.act(what, args)?;
        if !ended.is_success() {
            return Ok((Err(io::Error::other(ended.said())), ended.stdout));
        }
        said = ended.stdout;
    }
    Ok((Ok(()), said))
}

/// What became of a program, as a step's failure.
pub(crate) fn program_error(what: &str, command: &ProgramPath, error: ProgramError) -> HostError {
    let what = format!("{what}: {command}");
    match error {
        ProgramError::StillWaiting { writer, waited } => HostError::StillWaiting { what, writer, waited },
        ProgramError::Start(source) | ProgramError::Writer(source) => HostError::Refused { what, source },
    }
}

fn mode_state(now: text::MigMode, to: MigMode) -> State {
    let is = if now.enabled { "on" } else { "off" };
    match now.pending {
        _ if !now.supported => State::NotYet("the card has no MIG mode".to_owned()),
        _ if MigMode::of(now.enabled) == to => State::Reached,
        Some(next) if MigMode::of(next) == to => State::NotYet(format!(
            "it is {is} until the card is reset: somebody uses it, or the host must reboot"
        )),
        _ => State::NotYet(format!("it is {is}")),
    }
}
