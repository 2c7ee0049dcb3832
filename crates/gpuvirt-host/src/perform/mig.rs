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

/// Turns MIG mode on or off. A mode that only becomes so at the next reset is not so now.
pub(super) fn set_mode(card: &Reader, to: MigMode) -> Result<(), HostError> {
    let word = if to == MigMode::On { "1" } else { "0" };
    let what = format!("setting MIG mode to {word}");
    carry_out(card, &what, &[&["-mig", word]], || Ok(mode_state(card.mode()?, to)))
}

/// Makes a GPU instance with its default compute instance.
pub(super) fn create(card: &Reader, wanted: &Wanted) -> Result<(), HostError> {
    let what = format!("making a GPU instance {}", wanted.profile);
    let place = wanted.start.map_or_else(String::new, |start| format!(":{start}"));
    let profile = format!("{}{place}", wanted.profile_id);
    let make: &[&str] = &["mig", "-cgi", &profile, "-C"];
    carry_out(card, &what, &[make], || Ok(is_made(&card.instances()?, wanted)))
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
    let bare = found.compute_instances.as_deref() == Some(&[]);
    let calls: &[&[&str]] = if bare { &[own] } else { &[compute, own] };
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

fn is_made(found: &[GpuInstance], wanted: &Wanted) -> State {
    let of_profile: Vec<&GpuInstance> =
        found.iter().filter(|instance| instance.profile == wanted.profile).collect();
    let at = |start: u32| {
        of_profile.iter().any(|instance| instance.placement.is_none_or(|place| place.start == start))
    };
    let count = u32::try_from(of_profile.len()).unwrap_or(u32::MAX);
    let there = wanted.start.is_none_or(at) && count >= wanted.count;
    let bare = of_profile.iter().find(|instance| instance.compute_instances.as_deref() == Some(&[]));
    match bare {
        Some(bare) if there => State::NotYet(format!("GPU instance {} has no compute instance", bare.id)),
        _ if there => State::Reached,
        _ => State::NotYet(format!("the card has {count} of that profile")),
    }
}
