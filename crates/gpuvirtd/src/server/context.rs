//! What every handler has: the engine over its outside worlds, called on a thread of its own.
//!
//! Reads run a few at a time and never wait for a change; changes run one after the other, as the engine wants them.
//! Dry runs only read, but may wait for libvirt longer than a listing does: they have a lane of their own. What has not
//! begun when its client leaves is never begun.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use gpuvirt_api::event::EventKind;
use gpuvirt_api::{ApiError, ErrorKind, List, Source};
use gpuvirt_engine::ports::{Domains, Host, PortError, Store};
use gpuvirt_engine::{Engine, EngineError, Report, View};
use gpuvirt_model::health::LibvirtVersions;
use gpuvirt_model::{Desired, Domain, PciAddress, Reading, Records, Refusal, RefusalCode, Unknown};
use tokio::sync::Semaphore;

use super::access::{Caller, Peer, ReadGate, WriteGate, Writer};
use super::answer::Failure;
use super::answers::Answers;
use super::autostart::Retried;
use super::input::Freshness;
use super::pictures::Pictures;
use super::presence;
use super::reconcile::Stir;
use super::restore::Restored;
use crate::events::EventLog;
use crate::hearing::Hearing;
use crate::hook_watch::HookWatch;
use gpuvirt_model::chain;

/// How many starts are judged at once: libvirt's workers, 20 by default, and some.
pub(crate) const HOOKS_AT_ONCE: usize = 24;
/// How many domains are started at once for who asks us to: each waits for libvirt.
pub(crate) const STARTS_AT_ONCE: usize = 4;
/// How many pictures of the host are taken at once.
const READS_AT_ONCE: usize = 4;

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
    fn listed_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        self.public_xml(name)
    }

    /// Where libvirt is asked, and the versions that it and QEMU have.
    ///
    /// Without another implementation there is no libvirt.
    fn libvirt(&self) -> (Option<String>, Reading<LibvirtVersions>) {
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
    pub(super) answers: Answers,
    pub(super) restored: Restored,
    pub(super) retried: Retried,
    /// Which VMs ended while no daemon lived was found out.
    pub(super) forgotten_are_known: AtomicBool,
    reads: Semaphore,
    pub(super) changes: Semaphore,
    dry_runs: Semaphore,
    /// Starts of VMs: as many at once as libvirt has workers for them.
    pub(super) hooks: Semaphore,
    pub(super) releases: Semaphore,
    pub(super) starts: Semaphore,
}

/// What a caller wants done.
pub(super) struct Order {
    /// For the log.
    pub(super) what: String,
    /// Only shown, not done.
    pub(super) dry_run: bool,
}

/// A picture of the host, and what is the matter with our own files.
pub(super) struct Picture {
    pub(super) view: View,
    /// Why the desired document is not part of it, when it is not.
    pub(super) problems: Vec<String>,
}

/// How a picture is taken.
struct Look {
    take: fn(&Context) -> Result<Picture, Failure>,
    /// Whether other questions may be answered from it too.
    serves_others: fn(&Picture) -> bool,
}

impl Look {
    /// For somebody's question.
    const ASKED_FOR: Self = Self { take: Context::picture, serves_others: |_| true };
    /// For what nobody asked. Whoever asks for VMs is told of them: a picture without is for this one alone.
    const UNASKED: Self = Self {
        take: |context| {
            context.picture_of(context.engine.view_waking_nobody(), |domains| domains.list_if_running())
        },
        serves_others: |picture| picture.view.observed.domains.known().is_some(),
    };
}

impl Context {
    /// A context over an engine and the worlds that it was made from.
    pub fn new(engine: Engine, outside: Outside, source: Source) -> Self {
        Self {
            engine,
            outside,
            gate: WriteGate::default(),
            read_gate: ReadGate::default(),
            source,
            write_deadline: crate::config::DEFAULT_WRITE_DEADLINE,
            events: Arc::default(),
            hearing: Arc::default(),
            stir: Arc::default(),
            hook_watch: Arc::default(),
            pictures: Pictures::default(),
            answers: Answers::default(),
            restored: Restored::default(),
            retried: Retried::default(),
            forgotten_are_known: AtomicBool::new(false),
            reads: Semaphore::new(READS_AT_ONCE),
            changes: Semaphore::new(1),
            dry_runs: Semaphore::new(1),
            hooks: Semaphore::new(HOOKS_AT_ONCE),
            releases: Semaphore::new(1),
            starts: Semaphore::new(STARTS_AT_ONCE),
        }
    }

    /// The same, with what is heard of the host and of libvirt.
    #[must_use]
    pub fn hearing(self, hearing: Arc<Hearing>, events: Arc<EventLog>, stir: Arc<Stir>) -> Self {
        Self { hearing, events, stir, ..self }
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

    /// Takes back what an earlier daemon began and did not settle, in the turn of a change.
    ///
    /// # Errors
    /// What stays hands-off, and why.
    pub async fn recover(self: &Arc<Self>) -> Result<(), ApiError> {
        let work = |context: &Self| {
            let _mark = context.hearing.own_change();
            Ok(context.engine.recover(context.write_deadline)?)
        };
        let report = self.on_a_thread(&self.changes, work).await.map_err(|failure| failure.error)?;
        self.tell_recovered(&report);
        Ok(())
    }

    /// Takes back what a write that has ended at last kept unsettled, in the turn of a change.
    ///
    /// # Errors
    /// What stays hands-off, and why.
    pub(super) async fn recover_these(self: &Arc<Self>, gpus: BTreeSet<PciAddress>) -> Result<(), ApiError> {
        let work = move |context: &Self| {
            let _mark = context.hearing.own_change();
            Ok(context.engine.recover_these(&gpus, context.write_deadline)?)
        };
        let report = self.on_a_thread(&self.changes, work).await.map_err(|failure| failure.error)?;
        self.tell_recovered(&report);
        Ok(())
    }

    fn tell_recovered(&self, report: &Report) {
        if report.outcome.is_changed() {
            self.events.tell(EventKind::Reconciled, None, report.outcome.value().clone());
            tracing::warn!(what = report.outcome.value(), "taken back");
            self.restored.note_settled(report.outcome.value().clone());
        }
    }

    /// Reads, while others may read too.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.on_a_thread(&self.reads, work).await
    }

    /// Makes a document of a picture: the one that questions share, where it will do, else a new one.
    pub(super) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        freshness: Freshness,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.look_by(Look::ASKED_FOR, freshness, work).await
    }

    /// The same for what asks time and again of itself: it starts no libvirt that somebody stopped.
    pub(super) async fn look_waking_nobody<T: Send + 'static>(
        self: &Arc<Self>,
        freshness: Freshness,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.look_by(Look::UNASKED, freshness, work).await
    }

    async fn look_by<T: Send + 'static>(
        self: &Arc<Self>,
        look: Look,
        freshness: Freshness,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let count = self.hearing.reliable_count();
        let shared =
            count.filter(|_| freshness == Freshness::AsHeard).and_then(|count| self.pictures.at(count));
        if let Some(picture) = shared {
            return work(self, &picture);
        }
        self.read(move |context| {
            let (count, taken) = (context.hearing.reliable_count(), Instant::now());
            let picture = Arc::new((look.take)(context)?);
            context.pictures.seen(&picture);
            if let Some(count) = count.filter(|_| (look.serves_others)(&picture)) {
                context.pictures.keep(&picture, count, taken);
            }
            work(context, &picture)
        })
        .await
    }

    /// Changes, after all changes that were asked for earlier. Who asked goes to the log.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        peer: &Peer,
        what: String,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.change_on(&self.changes, peer, what, work).await
    }

    async fn change_on<T: Send + 'static>(
        self: &Arc<Self>,
        lane: &Semaphore,
        peer: &Peer,
        what: String,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (uid, pid) = (peer.uid, peer.pid.unwrap_or_default());
        tracing::info!(uid, pid, what, "asked");
        let checked = |context: &Self| {
            let _mark = context.hearing.own_change();
            context.state_is_readable().and_then(|()| work(context))
        };
        let result = self.on_a_thread(lane, checked).await;
        match &result {
            Ok(_) => {
                self.stir.released();
                self.events.tell(EventKind::Changed, None, format!("{what} (uid {uid})"));
                tracing::info!(uid, pid, what, "done");
            }
            Err(failure) => {
                let (kind, why) = (failure.error.kind, failure.error.message.as_str());
                if kind == ErrorKind::Failed {
                    // A write of it may still wait: its end is looked for.
                    self.stir.released();
                }
                let refusals = codes(&failure.error);
                self.events.tell(
                    EventKind::NotChanged,
                    None,
                    format!("{what} (uid {uid}): {why} {refusals}"),
                );
                tracing::warn!(uid, pid, what, ?kind, code = refusals, why, "not done");
            }
        }
        result
    }

    /// A change that this caller may make, or a dry run of it, which everybody may see.
    pub(super) async fn change_or_dry_run<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        order: Order,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if order.dry_run {
            return self.on_a_thread(&self.dry_runs, work).await;
        }
        let Writer(peer) = caller.writer(self).await?;
        self.change(&peer, order.what, work).await
    }

    /// Starts a domain, or shows how it would be. It takes the turn of changes by itself, and only while it needs it.
    pub(super) async fn start<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        order: Order,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if order.dry_run {
            return self.on_a_thread(&self.dry_runs, work).await;
        }
        let Writer(peer) = caller.writer(self).await?;
        self.change_on(&self.starts, &peer, order.what, work).await
    }

    /// Nothing is changed on top of files that can't be understood: corrupt is not absent.
    pub(super) fn state_is_readable(&self) -> Result<(), Failure> {
        let store = &self.outside.store;
        let Err(error) = store.load().map(drop).and_then(|()| store.open_intents().map(drop)) else {
            return Ok(());
        };
        Err(Failure::refused(Refusal {
            code: RefusalCode::StateUnreadable,
            summary: "nothing can be changed".to_owned(),
            because: chain(&error),
            remedy: vec![format!("gpuvirt explain {}", RefusalCode::StateUnreadable)],
        }))
    }

    pub(super) async fn on_a_thread<T: Send + 'static>(
        self: &Arc<Self>,
        lane: &Semaphore,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let _turn = tokio::select! {
            biased;
            () = presence::left() => return Err(Failure::unavailable("its client left before it began")),
            turn = lane.acquire() => turn.map_err(|_| Failure::bug())?,
        };
        let (context, about) = (Arc::clone(self), tracing::Span::current());
        match tokio::task::spawn_blocking(move || about.in_scope(|| work(&context))).await {
            Ok(result) => result,
            // The panic's message and place are on stderr already.
            Err(_) => Err(Failure::bug()),
        }
    }

    /// A fresh picture. Where our own files can't be understood, the host is shown all the same, and the reason with it.
    pub(super) fn picture(&self) -> Result<Picture, Failure> {
        self.picture_of(self.engine.view(), |domains| domains.list())
    }

    fn picture_of(
        &self,
        view: Result<View, EngineError>,
        domains: impl FnOnce(&dyn Domains) -> Reading<Vec<Domain>>,
    ) -> Result<Picture, Failure> {
        let error = match view {
            Ok(view) => return Ok(Picture { view, problems: Vec::new() }),
            Err(error) => error,
        };
        let Err(unreadable) = self.outside.store.load() else { return Err(error.into()) };
        let mut observed = self.outside.host.observe()?;
        observed.domains = domains(&*self.outside.domains);
        let view = View { observed, desired: Desired::default(), records: Records::default() };
        let problem =
            format!("what is configured is not known, and nothing is changed: {}", chain(&unreadable));
        Ok(Picture { view, problems: vec![problem] })
    }

    /// The envelope of a listing.
    pub(super) fn list<T>(&self, kind: &str, picture: &Picture, items: Vec<T>) -> List<T> {
        let observed = &picture.view.observed;
        let mut list = List::new(kind, self.source, items);
        if let Reading::Unknown(why) = &observed.domains {
            list.domains_unknown = Some(why.clone());
        }
        list.oddities.clone_from(&observed.host.oddities);
        list.oddities.extend(picture.problems.iter().cloned());
        list
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

/// The names of all refusals, as `gpuvirt explain` knows them.
pub(super) fn codes(error: &ApiError) -> String {
    let codes: Vec<&str> = error.refusals.iter().map(|refusal| refusal.code.as_str()).collect();
    codes.join(",")
}
