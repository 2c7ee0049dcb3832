//! What every handler has: the engine over its outside worlds, and what is kept from one request to the next.

use std::sync::Arc;
use std::time::Duration;

use gpuvirt_api::{ApiError, ErrorKind, Source};
use gpuvirt_engine::Engine;
use gpuvirt_engine::ports::{Domains, Host, PortError, Store};
use gpuvirt_model::health::LibvirtVersions;
use gpuvirt_model::{Reading, Unknown};

use super::answer::Failure;
use super::answers::Answers;
use super::event_stream::Listeners;
use super::forgotten::Forgotten;
use super::gate::{ReadGate, WriteGate};
use super::lane::Lane;
use super::last_mig::LastMig;
use super::pictures::Pictures;
use super::restored::Restored;
use super::retried::Retried;
use super::sparingly::Sparingly;
use super::stir::Stir;
use crate::events::EventLog;
use crate::hearing::Hearing;
use crate::hook_watch::HookWatch;

/// How many starts are judged at once: libvirt's workers, 20 by default, and some.
pub(crate) const HOOKS_AT_ONCE: usize = 24;
/// How many domains are started at once for who asks us to: each waits for libvirt.
pub(crate) const STARTS_AT_ONCE: usize = 4;
/// How many changes may wait for the kernel at once, each at a card of its own.
pub(crate) const CHANGES_AT_ONCE: usize = 16;
/// How many removals of what ended VMs had.
pub(crate) const RELEASES_AT_ONCE: usize = 4;
/// How many pictures of the host are taken at once.
pub(crate) const READS_AT_ONCE: usize = 4;

/// How long who asks waits for libvirt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as listings do.
    Usual,
    /// Less than a second: what libvirt has not told by then is unknown.
    Short,
}

/// Definitions as anybody may see them.
pub trait Definitions: Send + Sync {
    /// The stored definition without its secrets; `None` is no such domain.
    ///
    /// # Errors
    /// [`PortError`] when libvirt does not answer.
    fn public_xml(&self, name: &str) -> Result<Option<String>, PortError>;

    /// The same, of a domain that a listing has just shown, so that none is made before it.
    ///
    /// # Errors
    /// As [`Definitions::public_xml`].
    fn listed_xml(&self, name: &str, _: Patience) -> Result<Option<String>, PortError> {
        self.public_xml(name)
    }

    /// Whether libvirt owes the answer to a listing for longer than who asks with this patience waits.
    fn owes_answer(&self, _: Patience) -> bool {
        false
    }

    /// Where libvirt is asked, and the versions that it and QEMU have.
    ///
    /// Without another implementation there is no libvirt.
    fn libvirt(&self, _: Patience) -> (Option<String>, Reading<LibvirtVersions>) {
        (None, Reading::Unknown(Unknown::NotRecorded))
    }
}

/// The outside worlds, shared between the engine and what the server asks directly.
#[derive(Clone)]
pub struct Outside {
    /// The host's kernel.
    pub host: Arc<dyn Host>,
    /// libvirt.
    pub domains: Arc<dyn Domains>,
    /// The durable files.
    pub store: Arc<dyn Store>,
    /// Definitions as anybody may see them.
    pub definitions: Arc<dyn Definitions>,
}

/// What every handler has.
pub struct Context {
    pub(super) engine: Engine,
    pub(super) outside: Outside,
    pub(super) gate: WriteGate,
    pub(super) read_gate: ReadGate,
    pub(super) source: Source,
    /// Longest wait for one write that can block, where the request names none.
    pub(super) write_deadline: Duration,
    /// What happened lately.
    pub events: Arc<EventLog>,
    /// When the host changed.
    pub hearing: Arc<Hearing>,
    /// What happened that may let something pending come into force.
    pub stir: Arc<Stir>,
    /// Whether libvirt runs our hook.
    pub(super) hook_watch: Arc<HookWatch>,
    pub(super) pictures: Pictures,
    pub(super) last_mig: LastMig,
    pub(super) answers: Answers,
    pub(super) listeners: Listeners,
    pub(super) restored: Restored,
    pub(super) retried: Retried,
    pub(super) forgotten: Forgotten,
    pub(super) reads: Lane,
    pub(super) changes: Lane,
    pub(super) dry_runs: Lane,
    /// Those of who may not change anything.
    pub(super) sparingly: Sparingly,
    /// Starts of VMs: as many at once as libvirt has workers for them.
    pub(super) hooks: Lane,
    pub(super) releases: Lane,
    pub(super) starts: Lane,
}

impl Context {
    /// A context over an engine and the worlds that it was made from.
    pub fn new(engine: Engine, outside: Outside, source: Source) -> Self {
        let stir = Arc::<Stir>::default();
        Self {
            engine: told_to(engine, &stir),
            outside,
            gate: WriteGate::default(),
            read_gate: ReadGate::default(),
            source,
            write_deadline: crate::config::DEFAULT_WRITE_DEADLINE,
            events: Arc::default(),
            hearing: Arc::default(),
            stir,
            hook_watch: Arc::default(),
            pictures: Pictures::default(),
            last_mig: LastMig::default(),
            answers: Answers::default(),
            listeners: Listeners::default(),
            restored: Restored::default(),
            retried: Retried::default(),
            forgotten: Forgotten::default(),
            reads: Lane::of(READS_AT_ONCE),
            changes: Lane::one_by_one(CHANGES_AT_ONCE),
            dry_runs: Lane::of(1),
            sparingly: Sparingly::default(),
            hooks: Lane::of(HOOKS_AT_ONCE),
            releases: Lane::one_by_one(RELEASES_AT_ONCE),
            starts: Lane::of(STARTS_AT_ONCE),
        }
    }

    /// The same, with what is heard of the host and of libvirt.
    #[must_use]
    pub fn hearing(self, hearing: Arc<Hearing>, events: Arc<EventLog>, stir: Arc<Stir>) -> Self {
        Self { engine: told_to(self.engine, &stir), hearing, events, stir, ..self }
    }

    /// The same, with what libvirt tells of starts.
    #[must_use]
    pub fn with_hook_watch(self, hook_watch: Arc<HookWatch>) -> Self {
        Self { hook_watch, ..self }
    }

    /// The same with others who may write.
    #[must_use]
    pub fn with_gate(self, gate: WriteGate) -> Self {
        Self { gate, ..self }
    }

    /// The same with others who may read.
    #[must_use]
    pub fn with_read_gate(self, read_gate: ReadGate) -> Self {
        Self { read_gate, ..self }
    }

    /// The same with another wait for writes that can block.
    #[must_use]
    pub fn with_write_deadline(self, write_deadline: Duration) -> Self {
        Self { write_deadline, ..self }
    }

    /// The wait that a request may ask for instead of ours.
    pub(super) fn deadline(&self, seconds: Option<u64>) -> Result<Duration, Failure> {
        let Some(seconds) = seconds else { return Ok(self.write_deadline) };
        let asked = Duration::from_secs(seconds);
        if asked > crate::config::MAX_WRITE_DEADLINE {
            let max = crate::config::MAX_WRITE_DEADLINE.as_secs();
            let text = format!("a wait of {seconds} s is too long: at most {max} s");
            return Err(ApiError::new(ErrorKind::Usage, text).into());
        }
        Ok(asked)
    }
}

/// The engine, whose word that removals are due stirs.
fn told_to(engine: Engine, stir: &Arc<Stir>) -> Engine {
    let stir = Arc::clone(stir);
    engine.telling_of_releases(move || stir.removals_due())
}
