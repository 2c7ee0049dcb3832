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

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gpuvirt_model::{Domain, Observed, PciAddress, Reading, Unknown};
use gpuvirt_plan::profile::may_name_vms;

use crate::ports::Domains;
use crate::{Engine, EngineError, View};

/// A lock whose waiters are served in the order in which they came, and may give up.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held: bool,
    next: u64,
    queue: VecDeque<u64>,
}

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Guard<'a>(&'a Lock);

impl Lock {
    /// Waits for the lock.
    pub(crate) fn take(&self) -> Guard<'_> {
        let mut state = self.state();
        let ticket = state.enter();
        while !state.may_take(ticket) {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.take();
        Guard(self)
    }

    /// Waits for the lock until a moment, and at least looks once.
    pub(crate) fn take_until(&self, end: Instant) -> Option<Guard<'_>> {
        let mut state = self.state();
        let ticket = state.enter();
        while !state.may_take(ticket) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.queue.retain(|waiting| *waiting != ticket);
                self.freed.notify_all();
                return None;
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.take();
        Some(Guard(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self) -> u64 {
        self.next += 1;
        self.queue.push_back(self.next);
        self.next
    }

    fn may_take(&self, ticket: u64) -> bool {
        !self.held && self.queue.front() == Some(&ticket)
    }

    fn take(&mut self) {
        self.held = true;
        self.queue.pop_front();
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.state().held = false;
        self.0.freed.notify_all();
    }
}

/// The turn of a change: libvirt's domains as they were just before it, and the host to itself from then on.
///
/// A dry run holds nothing and waits for nobody.
pub(crate) struct Turn<'a> {
    engine: &'a Engine,
    domains: Reading<Vec<Domain>>,
    _host: Option<Guard<'a>>,
    _orders: Option<Guard<'a>>,
}

thread_local! {
    /// Whether this thread has the host to itself: then it must not ask libvirt.
    static HAS_HOST: Cell<bool> = const { Cell::new(false) };
}

/// Panics in tests where libvirt would be asked while the host is held.
pub(crate) fn may_ask_libvirt() {
    debug_assert!(!HAS_HOST.get(), "libvirt is asked while the host is held: use the turn's own view");
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
        HAS_HOST.set(!dry_run);
        Turn { engine: self, domains, _host: host, _orders: orders }
    }

    /// The turn of a change that is decided on what the kernel shows: libvirt is not asked, its domains are unknown.
    pub(crate) fn kernel_turn(&self) -> Turn<'_> {
        let host = self.host_lock.take();
        HAS_HOST.set(true);
        let domains = Reading::Unknown(Unknown::Unreadable { what: "libvirt is not asked".to_owned() });
        Turn { engine: self, domains, _host: Some(host), _orders: None }
    }

    /// The host for a hook, waited for until a moment. Domains are those of the claims: libvirt is not asked.
    pub(crate) fn hook_turn(&self, end: Instant) -> Option<Turn<'_>> {
        let host = self.host_lock.take_until(end)?;
        HAS_HOST.set(true);
        let domains = Reading::Known(self.starts.awaited());
        Some(Turn { engine: self, domains, _host: Some(host), _orders: None })
    }

    /// libvirt's domains; what they tell of running VMs is noted.
    pub(crate) fn listed(&self) -> Reading<Vec<Domain>> {
        self.listed_by(|domains| domains.list())
    }

    /// The same where libvirt runs, and unknown where it would have to be started for it.
    pub(crate) fn listed_if_running(&self) -> Reading<Vec<Domain>> {
        self.listed_by(|domains| domains.list_if_running())
    }

    fn listed_by(&self, list: impl FnOnce(&dyn Domains) -> Reading<Vec<Domain>>) -> Reading<Vec<Domain>> {
        may_ask_libvirt();
        let before = self.starts.mark();
        let domains = list(&*self.domains);
        if let Reading::Known(known) = &domains {
            self.starts.sync(before, known);
        }
        domains
    }

    /// A picture for a listing: libvirt is asked while the kernel is looked at, for each takes about as long as the other.
    pub(crate) fn view_while(&self, list: fn(&Self) -> Reading<Vec<Domain>>) -> Result<View, EngineError> {
        may_ask_libvirt();
        let (domains, view) = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("domains".to_owned());
            let Ok(listing) = thread.spawn_scoped(scope, || list(self)) else {
                return (list(self), self.kernel_view());
            };
            let view = self.kernel_view();
            (listing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), view)
        });
        let view = view?;
        let domains = self.starts.joined(domains);
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
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

impl Turn<'_> {
    /// A fresh picture of the host, with the domains as they were when the turn began.
    pub(crate) fn view(&self) -> Result<View, EngineError> {
        self.engine.view_of(self.domains.clone())
    }

    /// The same of one GPU, with everything that its change is decided on. Of the whole host where the GPU is not there:
    /// what is there instead is told then.
    pub(crate) fn view_of(&self, gpu: PciAddress) -> Result<View, EngineError> {
        let view = self.engine.view_by(|host| host.observe_gpu_and_holders(gpu))?;
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
        HAS_HOST.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_gives_up_lets_the_next_one_through() {
        let lock = Arc::new(Lock::default());
        let held = lock.take();
        assert!(lock.take_until(Instant::now()).is_none());
        let waiting = std::thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.take_until(Instant::now() + Duration::from_secs(60)).is_some()
        });
        assert!(lock.take_until(Instant::now() + Duration::from_millis(20)).is_none());
        drop(held);
        assert!(waiting.join().unwrap());
        assert!(lock.take_until(Instant::now()).is_some());
    }

    #[test]
    fn a_panic_frees_the_lock() {
        let lock = Arc::new(Lock::default());
        let panicked = std::thread::spawn({
            let lock = Arc::clone(&lock);
            move || {
                let _held = lock.take();
                std::panic::panic_any("on purpose");
            }
        });
        assert!(panicked.join().is_err());
        assert!(lock.take_until(Instant::now()).is_some());
    }
}
