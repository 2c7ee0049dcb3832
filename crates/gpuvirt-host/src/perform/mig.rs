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

/// Makes a GPU instance with its default compute instance. One that is there where it is to be, and lost its compute
/// instance, gets that alone.
pub(super) fn create(card: &Reader, wanted: &Wanted) -> Result<(), HostError> {
    let what = format!("making a GPU instance {}", wanted.profile);
    let before = card.instances()?;
    let place = wanted.start.map_or_else(String::new, |start| format!(":{start}"));
    let profile = format!("{}{place}", wanted.profile_id);
    let bare = match already(&before, wanted) {
        Some(there) if there.iter().all(|one| !is_bare(one)) => return Ok(()),
        Some(there) => there.into_iter().find(|one| is_bare(one)).map(|one| one.id.to_string()),
        None => None,
    };
    let answer = match &bare {
        Some(id) => all(card, &what, &[&["mig", "-gi", id, "-cci"]])?,
        None => all(card, &what, &[&["mig", "-cgi", &profile, "-C"]])?,
    };
    let after = card.instances()?;
    let made = after.iter().find(|one| match &bare {
        Some(id) => one.id.to_string() == *id,
        None => wanted.is(one) && !before.iter().any(|known| known.is_same(one)),
    });
    settle(&what, answer, made_state(made, wanted, after.len()))
}

/// What tells that nothing is to be made: the one that is where it is to be, or none in particular when there are as
/// many as there are to be.
fn already<'a>(found: &'a [GpuInstance], wanted: &Wanted) -> Option<Vec<&'a GpuInstance>> {
    let there: Vec<&GpuInstance> = found.iter().filter(|one| wanted.is(one)).collect();
    let count = u32::try_from(there.len()).unwrap_or(u32::MAX);
    match wanted.start {
        Some(_) => (!there.is_empty()).then_some(there),
        None => (count >= wanted.count).then(Vec::new),
    }
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
    let answer = all(card, &what, calls)?;
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
    let answer = all(card, what, calls)?;
    settle(what, answer, look()?)
}

/// Makes the calls one after the other, to the first that fails.
fn all(card: &Reader, what: &str, calls: &[&[&str]]) -> Result<io::Result<()>, HostError> {
    for args in calls {
        let ended = card.act(what, args)?;
        if !ended.is_success() {
            return Ok(Err(io::Error::other(ended.said())));
        }
    }
    Ok(Ok(()))
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
