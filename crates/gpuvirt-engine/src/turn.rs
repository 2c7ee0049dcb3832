//! Whose turn it is: two locks, and what each may be held across.
//!
//! ```text
//! orders  one admin's change at a time. Held while libvirt is asked.
//!   host  one change of the host and of our documents at a time. Held across writes; never while libvirt is asked.
//!     starts  which VMs start and run. Held for a look and a note; never across anything that waits.
//! ```
//!
//! They are taken in this order and no other. libvirt answers no listing while a domain starts, hooks included, so
//! what a hook waits for must not wait for libvirt: a hook takes `host` and `starts` alone.
//!
//! A write that the kernel keeps waiting costs its card alone, and so do many short ones: once a change has had the host for
//! long, whoever else comes may take both locks while a step of it lasts ([`Engine::lending`]). `host` is taken back when it has ended, before all who wait; `orders` is not, for what is left of
//! the change asks libvirt nothing. Whoever has `host` sees in [`crate::starts::Starts::changing`] exactly the cards of
//! changes that wait so, and leaves those alone. Nobody waits for such a card with one of the locks in hand.

use std::cell::Cell;
use std::time::{Duration, Instant};

use gpuvirt_model::{Domain, Observed, PciAddress, Reading, Unknown};
use gpuvirt_plan::profile::may_name_vms;

use crate::lock::Guard;
use crate::ports::Asker;
use crate::{Engine, EngineError, View};

/// The turn of a change: libvirt's domains as they were just before it, and the host to itself from then on.
///
/// A dry run holds nothing and waits for nobody.
pub(crate) struct Turn<'a> {
    engine: &'a Engine,
    domains: Reading<Vec<Domain>>,
    /// A picture of one GPU from just before it, once.
    seen: Cell<Option<View>>,
    _host: Option<Guard<'a>>,
    _orders: Option<Guard<'a>>,
}

/// How long a change may take before others have their turn in the midst of it. Most take less, and go on undisturbed.
pub(crate) const LENT_AFTER: Duration = Duration::from_millis(500);

/// What this thread's turn holds.
#[derive(Clone, Copy, Default)]
struct Mine {
    /// Its ticket of the host: then it must not ask libvirt.
    host: Option<u64>,
    /// Its ticket of the orders, which somebody may have taken since.
    orders: Option<u64>,
    /// How often others had the host meanwhile.
    lent: u64,
    /// Since when it has done what may take long, without others having had the host.
    since: Option<Instant>,
}

thread_local! {
    static MINE: Cell<Mine> = const { Cell::new(Mine { host: None, orders: None, lent: 0, since: None }) };
}

/// Panics in tests where libvirt would be asked while the host is held.
pub(crate) fn may_ask_libvirt() {
    debug_assert!(
        MINE.get().host.is_none(),
        "libvirt is asked while the host is held: use the turn's own view"
    );
}

impl Engine {
    /// Waits for the change in progress to end. A change that panicked left the journal open, which keeps its GPU
    /// hands-off; the locks themselves guard no data.
    pub(crate) fn begin(&self) -> Turn<'_> {
        self.turn(false)
    }

    /// The turn of a change; a dry run only reads and waits for nobody.
    pub(crate) fn turn(&self, dry_run: bool) -> Turn<'_> {
        let orders = (!dry_run).then(|| self.orders.take());
        let domains = self.listed();
        let host = (!dry_run).then(|| self.host_lock.take());
        Turn::of(self, domains, host, orders)
    }

    /// The turn of a change of one GPU, which is looked at while libvirt is asked, for each takes about as long as the other.
    /// What was seen counts where nobody has had the host in between; else [`Turn::view_of`] looks again. A GPU that is not to be
    /// touched is not looked at: its device may be locked.
    pub(crate) fn turn_and_look(&self, gpu: PciAddress, dry_run: bool) -> Turn<'_> {
        let orders = (!dry_run).then(|| self.orders.take());
        let at_rest = self.host_lock.at_rest().filter(|_| self.hands_on(gpu).is_ok());
        let look = || at_rest.map(|_| self.view_by(|host| host.observe_gpu_and_holders(gpu)));
        let (domains, seen) = self.listed_while(Asker::Somebody, look);
        let host = (!dry_run).then(|| self.host_lock.take());
        let stands = at_rest.is_some_and(|rest| host.as_ref().is_none_or(|host| host.follows(rest)));
        let seen = seen.and_then(Result::ok).filter(|_| stands);
        let turn = Turn::of(self, domains, host, orders);
        turn.seen.set(seen);
        turn
    }

    /// The turn of a change that is decided on what the kernel shows: libvirt is not asked, its domains are unknown.
    pub(crate) fn kernel_turn(&self) -> Turn<'_> {
        let host = self.host_lock.take();
        let domains = Reading::Unknown(Unknown::Unreadable { what: "libvirt is not asked".to_owned() });
        Turn::of(self, domains, Some(host), None)
    }

    /// The host for a hook, waited for until a moment. Domains are those of the claims: libvirt is not asked.
    pub(crate) fn hook_turn(&self, end: Instant) -> Option<Turn<'_>> {
        let host = self.host_lock.take_until(end)?;
        let domains = Reading::Known(self.awaited());
        Some(Turn::of(self, domains, Some(host), None))
    }

    /// Does something that may take long, in this thread's turn: others have theirs meanwhile when it does, or when what was
    /// done so before in this turn has taken as long already.
    pub(crate) fn lending<T>(&self, work: impl FnOnce() -> T) -> T {
        let mine = MINE.get();
        let Some(host) = mine.host else { return work() };
        let since = mine.since.unwrap_or_else(Instant::now);
        let from = since + self.lent_after;
        self.host_lock.lend(host, from);
        mine.orders.inspect(|orders| self.orders.lend(*orders, from));
        let done = work();
        let lent = self.host_lock.take_back(host);
        let orders = mine.orders.filter(|orders| self.orders.keep(*orders));
        let since = Some(if lent { Instant::now() } else { since });
        MINE.set(Mine { orders, lent: mine.lent + u64::from(lent), since, ..mine });
        done
    }

    /// Whether this thread's turn has the host: a dry run has not.
    pub(crate) fn has_host(&self) -> bool {
        MINE.get().host.is_some()
    }

    /// How often others had the host in this thread's turn: what was read before may be old since.
    pub(crate) fn lent(&self) -> u64 {
        MINE.get().lent
    }

    /// libvirt's domains; what they tell of running VMs is noted.
    pub(crate) fn listed(&self) -> Reading<Vec<Domain>> {
        self.listed_for(Asker::Somebody)
    }

    /// The same for whoever asks.
    pub(crate) fn listed_for(&self, asker: Asker) -> Reading<Vec<Domain>> {
        self.listed_while(asker, || ()).0
    }

    /// A picture for a listing: libvirt is asked while the kernel is looked at, for each takes about as long as the other.
    pub(crate) fn view_while(&self, asker: Asker) -> Result<View, EngineError> {
        let (domains, view) = self.listed_while(asker, || self.kernel_view());
        let view = view?;
        let domains = self.starts.joined(domains);
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
    }

    /// libvirt's domains, which are asked for before something is done on this thread, and waited for after it.
    fn listed_while<T>(&self, asker: Asker, work: impl FnOnce() -> T) -> (Reading<Vec<Domain>>, T) {
        may_ask_libvirt();
        let before = self.starts.mark();
        let answer = self.domains.begin_list(asker);
        let done = work();
        let domains = answer();
        if let Reading::Known(known) = &domains {
            self.starts.sync(before, known);
        }
        (domains, done)
    }

    /// A picture with these domains and, among them, the VMs that start now.
    pub(crate) fn view_of(&self, domains: Reading<Vec<Domain>>) -> Result<View, EngineError> {
        let view = self.kernel_view()?;
        let domains = self.starts.joined(domains);
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
    }

    /// A fresh picture for listings of what GPUs offer, which tell nothing of holders: no process is looked at.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub fn view_without_holders(&self) -> Result<View, EngineError> {
        self.store.load()?;
        let domains = self.listed();
        let view = self.view_by(|host| host.observe_without_holders())?;
        let domains = self.starts.joined(domains);
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
    }

    /// A fresh picture for the listing of what GPUs offer, and of nothing else. libvirt is asked only where
    /// something of it leads to VMs: why a profile is used up.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub fn view_of_offers(&self) -> Result<View, EngineError> {
        let view = self.view_by(|host| host.observe_offers())?;
        if !may_name_vms(&view.observed) {
            return Ok(view);
        }
        let domains = self.starts.joined(self.listed());
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
    }
}

impl<'a> Turn<'a> {
    fn of(
        engine: &'a Engine,
        domains: Reading<Vec<Domain>>,
        host: Option<Guard<'a>>,
        orders: Option<Guard<'a>>,
    ) -> Self {
        let ticket = |guard: &Option<Guard<'_>>| guard.as_ref().map(Guard::ticket);
        MINE.set(Mine { host: ticket(&host), orders: ticket(&orders), ..Mine::default() });
        Self { engine, domains, seen: Cell::new(None), _host: host, _orders: orders }
    }

    /// A fresh picture of the host, with the domains as they were when the turn began.
    pub(crate) fn view(&self) -> Result<View, EngineError> {
        self.engine.view_of(self.domains.clone())
    }

    /// The same of one GPU, with everything that its change is decided on. Of the whole host where the GPU is not there:
    /// what is there instead is told then.
    pub(crate) fn view_of(&self, gpu: PciAddress) -> Result<View, EngineError> {
        let look = || self.engine.view_by(|host| host.observe_gpu_and_holders(gpu));
        let view = self.seen.take().map_or_else(look, Ok)?;
        if !view.observed.gpus.contains_key(&gpu) {
            return self.view();
        }
        let domains = self.engine.starts.joined(self.domains.clone());
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
    }

    /// The same for changes that take nothing from anybody: without holders.
    pub(crate) fn view_without_holders(&self) -> Result<View, EngineError> {
        let view = self.engine.view_by(|host| host.observe_without_holders())?;
        let domains = self.engine.starts.joined(self.domains.clone());
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        MINE.set(Mine::default());
    }
}
