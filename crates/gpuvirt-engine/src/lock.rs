//! A lock whose waiters are served in the order in which they came, may give up, and may have it lent to them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Held by a [`Guard`]; while its holder has lent it, by whoever came next.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The ticket of whoever has it.
    held: Option<u64>,
    /// From when on it may be taken though it is held.
    lent_from: Option<Instant>,
    next: u64,
    /// How often somebody came to have it, whoever took back what was lent too.
    takes: u64,
    queue: VecDeque<u64>,
}

/// Held until it is dropped, or until somebody took what was lent.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    lock: &'a Lock,
    ticket: u64,
    /// Which of all takes it came by.
    nth: u64,
}

impl Lock {
    /// Waits for the lock.
    pub(crate) fn take(&self) -> Guard<'_> {
        let mut state = self.state();
        let ticket = state.enter();
        while !state.may_take(ticket) {
            state = self.wait(state, ticket, None);
        }
        let nth = state.take();
        Guard { lock: self, ticket, nth }
    }

    /// How often it was taken, while nobody has it or waits for it: [`Guard::follows`] tells by it whether anybody had it since.
    /// Somebody who has lent it may be at work all the same, and take it back.
    pub(crate) fn at_rest(&self) -> Option<u64> {
        let state = self.state();
        (state.held.is_none() && state.queue.is_empty()).then_some(state.takes)
    }

    /// Waits for the lock until a moment, and at least looks once.
    pub(crate) fn take_until(&self, end: Instant) -> Option<Guard<'_>> {
        let mut state = self.state();
        let ticket = state.enter();
        while !state.may_take(ticket) {
            if Instant::now() >= end {
                state.queue.retain(|waiting| *waiting != ticket);
                self.freed.notify_all();
                return None;
            }
            state = self.wait(state, ticket, Some(end));
        }
        let nth = state.take();
        Some(Guard { lock: self, ticket, nth })
    }

    /// Its holder lets others take it from a moment on.
    pub(crate) fn lend(&self, ticket: u64, from: Instant) {
        let mut state = self.state();
        if state.held == Some(ticket) {
            state.lent_from = Some(from);
            if !state.queue.is_empty() {
                self.freed.notify_all();
            }
        }
    }

    /// The end of [`Lock::lend`]. Where somebody took it, it is waited for, before all others who wait; whether so. Who waits
    /// longest for what was to be had, and was not fast enough to take it, has it first.
    pub(crate) fn take_back(&self, ticket: u64) -> bool {
        let mut state = self.state();
        if state.held == Some(ticket) {
            if !state.give_way() {
                return false;
            }
            state.queue.insert(1, ticket);
            self.freed.notify_all();
        } else {
            state.queue.push_front(ticket);
        }
        while !state.may_take(ticket) {
            state = self.wait(state, ticket, None);
        }
        state.take();
        true
    }

    /// The same, not waited for: whether it is still held.
    pub(crate) fn keep(&self, ticket: u64) -> bool {
        let mut state = self.state();
        let mine = state.held == Some(ticket);
        if mine && state.give_way() {
            self.freed.notify_all();
            return false;
        }
        mine
    }

    /// Until something changes, or `end`; whoever is next also until what is lent may be taken.
    fn wait<'s>(
        &'s self,
        state: MutexGuard<'s, State>,
        ticket: u64,
        end: Option<Instant>,
    ) -> MutexGuard<'s, State> {
        let lent = state.lent_from.filter(|_| state.queue.front() == Some(&ticket));
        let until = lent.into_iter().chain(end).min();
        match until {
            None => self.freed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            }
        }
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
        let free = self.held.is_none() || self.lent_from.is_some_and(|from| from <= Instant::now());
        free && self.queue.front() == Some(&ticket)
    }

    fn take(&mut self) -> u64 {
        self.held = self.queue.pop_front();
        self.lent_from = None;
        self.takes += 1;
        self.takes
    }

    /// Ends the loan of whoever has it; whether it is free now, for somebody waits and could have had it.
    fn give_way(&mut self) -> bool {
        let due = self.lent_from.take().is_some_and(|from| from <= Instant::now());
        let gives = due && !self.queue.is_empty();
        if gives {
            self.held = None;
        }
        gives
    }
}

impl Guard<'_> {
    /// For [`Lock::lend`].
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Whether nobody else has had it since it was [`Lock::at_rest`].
    pub(crate) fn follows(&self, at_rest: u64) -> bool {
        self.nth == at_rest + 1
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut state = self.lock.state();
        if state.held == Some(self.ticket) {
            (state.held, state.lent_from) = (None, None);
            drop(state);
            self.lock.freed.notify_all();
        }
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
    fn who_had_it_in_between_is_noticed() {
        let lock = Lock::default();
        let rest = lock.at_rest().unwrap();
        let held = lock.take();
        assert!(held.follows(rest) && lock.at_rest().is_none());
        drop(held);
        let rest = lock.at_rest().unwrap();
        drop(lock.take());
        assert!(!lock.take().follows(rest));
    }

    #[test]
    fn who_took_back_what_was_lent_is_noticed_too() {
        let lock = Lock::default();
        let lender = lock.take();
        lock.lend(lender.ticket(), Instant::now());
        drop(lock.take());
        let rest = lock.at_rest().unwrap();
        assert!(lock.take_back(lender.ticket()));
        drop(lender);
        assert!(!lock.take().follows(rest), "it had it in between");
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

    #[test]
    fn what_is_lent_is_taken_from_that_moment_on_and_comes_back_before_all_others() {
        let lock = Arc::new(Lock::default());
        let mine = lock.take();
        lock.lend(mine.ticket(), Instant::now() + Duration::from_secs(60));
        assert!(lock.take_until(Instant::now() + Duration::from_millis(5)).is_none(), "too early");
        assert!(lock.keep(mine.ticket()));
        lock.lend(mine.ticket(), Instant::now() + Duration::from_millis(50));
        let other = lock.take_until(Instant::now() + Duration::from_secs(60)).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let next = std::thread::spawn({
            let (lock, order) = (Arc::clone(&lock), Arc::clone(&order));
            move || {
                let _held = lock.take();
                order.lock().unwrap().push("next");
            }
        });
        while lock.state().queue.is_empty() {
            std::thread::yield_now();
        }
        let back = std::thread::spawn({
            let (lock, order, ticket) = (Arc::clone(&lock), Arc::clone(&order), mine.ticket());
            move || {
                assert!(lock.take_back(ticket));
                order.lock().unwrap().push("back");
            }
        });
        while lock.state().queue.len() < 2 {
            std::thread::yield_now();
        }
        drop(other);
        back.join().unwrap();
        assert!(lock.take_until(Instant::now()).is_none(), "it is held again");
        drop(mine);
        next.join().unwrap();
        assert_eq!(*order.lock().unwrap(), ["back", "next"]);
    }

    #[test]
    fn what_nobody_took_is_simply_kept() {
        let lock = Lock::default();
        let mine = lock.take();
        lock.lend(mine.ticket(), Instant::now());
        assert!(!lock.take_back(mine.ticket()));
        assert!(lock.take_until(Instant::now()).is_none());
        lock.lend(mine.ticket(), Instant::now());
        let other = lock.take();
        assert!(!lock.keep(mine.ticket()));
        drop(mine);
        assert!(lock.take_until(Instant::now()).is_none(), "the other one has it");
        drop(other);
        assert!(lock.take_until(Instant::now()).is_some());
    }

    #[test]
    fn who_waits_has_it_before_it_comes_back_however_short_the_loan() {
        let lock = Arc::new(Lock::default());
        for taken_back in [true, false] {
            let mine = lock.take();
            let waiting = std::thread::spawn({
                let lock = Arc::clone(&lock);
                move || drop(lock.take())
            });
            while lock.state().queue.is_empty() {
                std::thread::yield_now();
            }
            // Not due yet: nobody is let through.
            lock.lend(mine.ticket(), Instant::now() + Duration::from_secs(60));
            assert!(lock.keep(mine.ticket()) && !waiting.is_finished());
            lock.lend(mine.ticket(), Instant::now());
            assert_eq!(
                if taken_back { lock.take_back(mine.ticket()) } else { lock.keep(mine.ticket()) },
                taken_back
            );
            waiting.join().unwrap();
            assert_eq!(lock.take_until(Instant::now()).is_some(), !taken_back, "it is held again, or gone");
        }
    }

    #[test]
    fn who_gives_up_is_not_waited_for() {
        let lock = Arc::new(Lock::default());
        let mine = lock.take();
        let leaving = std::thread::spawn({
            let lock = Arc::clone(&lock);
            move || drop(lock.take_until(Instant::now() + Duration::from_millis(20)))
        });
        // On a loaded machine it may have left before it is seen here.
        while lock.state().queue.is_empty() && !leaving.is_finished() {
            std::thread::yield_now();
        }
        leaving.join().unwrap();
        lock.lend(mine.ticket(), Instant::now());
        assert!(!lock.take_back(mine.ticket()));
    }
}
