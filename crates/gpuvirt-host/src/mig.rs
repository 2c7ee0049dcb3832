//! A card's GPU instances, read through the vendor's command.
//!
//! Only when somebody asks for them: the command is a client of the vendor's library, and while one is open its tool
//! for virtual functions does not get the card. It runs to its end each time, so that none stays open.

use std::io;
use std::time::{Duration, Instant};

use gpuvirt_model::{GpuInstance, MigState, PciAddress, ProgramPath};

use crate::error::HostError;
use crate::files::Files;
use crate::parse::mig::{self as text, NotUnderstood};
use crate::perform::program_error;
use crate::vendor::{ProgramCall, ProgramEnd};

/// Reads a card: its mode, what it could have, and what it has.
///
/// # Errors
/// [`HostError`] when the command fails or is not understood.
pub(crate) fn read(
    files: Files<'_>,
    gpu: PciAddress,
    command: &ProgramPath,
    deadline: Duration,
) -> Result<MigState, HostError> {
    let reader = Reader::new(files, gpu, command, deadline);
    let mode = reader.mode()?;
    let mut state = MigState {
        supported: mode.supported,
        enabled: mode.enabled,
        pending: mode.pending,
        ..MigState::default()
    };
    if state.supported {
        // Many releases list no profiles while the mode is off.
        state.profiles = reader.listed("-lgip", text::profiles)?;
    }
    if state.enabled {
        for (id, places) in reader.listed("-lgipp", text::placements).unwrap_or_default() {
            for profile in state.profiles.iter_mut().filter(|profile| profile.id == id) {
                profile.placements.clone_from(&places);
            }
        }
        state.instances = reader.instances()?;
    }
    Ok(state)
}

/// Reads a card through a program of ours that asks the vendor's library: it prints a [`MigState`] as JSON and ends.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_from(
    files: Files<'_>,
    gpu: PciAddress,
    program: &ProgramPath,
    deadline: Duration,
) -> Result<MigState, HostError> {
    let what = format!("asking the vendor's library about {gpu}");
    let refused = |source| HostError::Refused { what: what.clone(), source };
    let invalid = |error| refused(io::Error::new(io::ErrorKind::InvalidInput, error));
    let args = ["gpu-instances".to_owned(), gpu.to_string()];
    let call = ProgramCall::new(program, args, Some(gpu)).map_err(invalid)?;
    let ended = files.sysfs.run(&call, deadline).map_err(|error| program_error(&what, program, error))?;
    if !ended.is_success() {
        return Err(refused(io::Error::other(ended.said())));
    }
    serde_json::from_str(&ended.stdout)
        .map_err(|error| refused(io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// A call of the command for one card: `COMMAND -i ADDRESS ...`, or `COMMAND mig -i ADDRESS ...`.
pub(crate) fn call(gpu: PciAddress, command: &ProgramPath, args: &[&str]) -> Result<ProgramCall, HostError> {
    let address = gpu.to_string();
    let (verb, rest) = match args.split_first() {
        Some((&"mig", rest)) => (Some("mig"), rest),
        _ => (None, args),
    };
    let all = verb.into_iter().chain(["-i", address.as_str()]).chain(rest.iter().copied());
    ProgramCall::new(command, all, Some(gpu)).map_err(|error| HostError::Refused {
        what: format!("asking {command} about {gpu}"),
        source: io::Error::new(io::ErrorKind::InvalidInput, error),
    })
}

/// Asks the command about one card, within one deadline.
pub(crate) struct Reader<'a> {
    files: Files<'a>,
    gpu: PciAddress,
    command: &'a ProgramPath,
    end: Instant,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        files: Files<'a>,
        gpu: PciAddress,
        command: &'a ProgramPath,
        deadline: Duration,
    ) -> Self {
        Self { files, gpu, command, end: Instant::now() + deadline }
    }

    /// The card's MIG mode.
    pub(crate) fn mode(&self) -> Result<text::MigMode, HostError> {
        let args = ["--query-gpu=mig.mode.current,mig.mode.pending", "--format=csv,noheader"];
        let ended = self.run(&args)?;
        if !ended.is_success() {
            return Err(self.failed(&args, &ended));
        }
        text::mode(&ended.stdout).map_err(|error| self.not_understood(&args, error))
    }

    /// The GPU instances with their compute instances.
    pub(crate) fn instances(&self) -> Result<Vec<GpuInstance>, HostError> {
        let mut found = self.listed("-lgi", text::instances)?;
        if found.is_empty() {
            return Ok(found);
        }
        let compute = self.listed("-lci", text::compute_instances)?;
        for instance in &mut found {
            let own = compute.iter().filter(|(parent, _)| *parent == instance.id).map(|(_, id)| *id);
            instance.compute_instances = Some(own.collect());
        }
        Ok(found)
    }

    /// A listing; none where the command says, by failing, that there is nothing.
    fn listed<T>(
        &self,
        what: &str,
        parse: impl Fn(&str) -> Result<Vec<T>, NotUnderstood>,
    ) -> Result<Vec<T>, HostError> {
        let args = ["mig", what];
        let ended = self.run(&args)?;
        if text::is_none_found(&ended.stdout) || text::is_none_found(&ended.stderr) {
            return Ok(Vec::new());
        }
        if !ended.is_success() {
            return Err(self.failed(&args, &ended));
        }
        parse(&ended.stdout).map_err(|error| self.not_understood(&args, error))
    }

    fn run(&self, args: &[&str]) -> Result<ProgramEnd, HostError> {
        self.act(&self.doing(), args)
    }

    /// Has the command do something; `what` is for messages.
    pub(crate) fn act(&self, what: &str, args: &[&str]) -> Result<ProgramEnd, HostError> {
        let left = self.end.saturating_duration_since(Instant::now());
        let ended = self.files.sysfs.run(&call(self.gpu, self.command, args)?, left);
        ended.map_err(|error| program_error(what, self.command, error))
    }

    fn doing(&self) -> String {
        format!("reading the GPU instances of {}", self.gpu)
    }

    fn failed(&self, args: &[&str], ended: &ProgramEnd) -> HostError {
        let what = format!("{}: {} {}", self.doing(), self.command, args.join(" "));
        HostError::Refused { what, source: io::Error::other(ended.said()) }
    }

    fn not_understood(&self, args: &[&str], error: NotUnderstood) -> HostError {
        let what = format!("{}: {} {}", self.doing(), self.command, args.join(" "));
        HostError::Refused { what, source: io::Error::new(io::ErrorKind::InvalidData, error) }
    }
}
