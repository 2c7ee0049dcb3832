//! One question for all who ask it: the listing of domains.
//!
//! Whoever asks gets an answer that was begun after they asked, never an older one, and all who wait share it. While
//! a question is overdue nobody begins another one: it would wait behind the same libvirtd, for as long, and each
//! caller would take a thread and its deadline's time with it.
//!
//! ```text
//! asked while nothing is under way   -> begin, wait
//! asked while one is under way       -> wait for its end, then one of the waiting begins the next for all of them
//! under way longer than the deadline -> told so at once, until it ends
//! ```

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A question of which one is under way at a time.
#[derive(Debug)]
pub(crate) struct SingleFlight<T> {
    round: Arc<Round<T>>,
    deadline: Duration,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It did not come in time.
    Late,
    /// An earlier question is overdue; nothing was waited for.
    Overdue,
    /// The question ended without an answer: it panicked, or its thread could not be started.
    Lost,
}

#[derive(Debug)]
struct Round<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// How many questions were begun, and how many of them ended; they differ by one at most.
    begun: u64,
    ended: u64,
    /// When the last one was begun.
    since: Instant,
    /// What the last one brought.
    answer: Option<T>,
    /// How long the last one took that brought something.
    took: Option<Duration>,
}

/// A question that was asked, by itself or with others.
#[derive(Debug)]
pub(crate) struct Asked<T, Q> {
    flight: SingleFlight<T>,
    /// The number of the question whose answer, or a later one, is waited for.
    wanted: u64,
    at: Instant,
    /// For who has to begin it.
    question: Option<Q>,
}

/// Ends a question when it is dropped, in a panic too.
struct Ending<T> {
    round: Arc<Round<T>>,
    answer: Option<T>,
}

impl<T: Clone + Send + 'static> SingleFlight<T> {
    /// A question that nobody waits for longer than `deadline`.
    pub(crate) fn new(deadline: Duration) -> Self {
        let state = State { begun: 0, ended: 0, since: Instant::now(), answer: None, took: None };
        Self { round: Arc::new(Round { state: Mutex::new(state), ended: Condvar::new() }), deadline }
    }

    /// How long an answer took lately; none: there was none yet.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.round.lock().took
    }

    /// The same question, for who waits no longer than this.
    pub(crate) fn within(&self, deadline: Duration) -> Self {
        Self { round: Arc::clone(&self.round), deadline }
    }

    /// Whether a question has been under way for longer than anybody waits.
    pub(crate) fn is_overdue(&self) -> bool {
        let state = self.round.lock();
        state.begun != state.ended && state.since.elapsed() >= self.deadline
    }

    /// Asks, together with all others who wait to ask. The answer can be waited for later.
    pub(crate) fn ask<Q: FnOnce() -> T + Send + 'static>(&self, question: Q) -> Asked<T, Q> {
        let state = self.round.lock();
        let idle = state.begun == state.ended;
        let mut asked = Asked {
            flight: self.clone(),
            wanted: state.begun + 1,
            at: Instant::now(),
            question: Some(question),
        };
        if idle {
            asked.begin(state);
        }
        asked
    }
}

impl<T: Clone + Send + 'static, Q: FnOnce() -> T + Send + 'static> Asked<T, Q> {
    /// The answer, waited for as long as anybody waits.
    pub(crate) fn answer(mut self) -> Result<T, NoAnswer> {
        let round = Arc::clone(&self.flight.round);
        let deadline = self.flight.deadline;
        let mut state = round.lock();
        while state.ended < self.wanted {
            if state.begun == state.ended {
                self.begin(state);
                state = round.lock();
                continue;
            }
            let left = deadline.saturating_sub(state.since.elapsed().max(self.at.elapsed()));
            if left.is_zero() {
                let at_once = state.begun < self.wanted && state.since + deadline <= self.at;
                return Err(if at_once { NoAnswer::Overdue } else { NoAnswer::Late });
            }
            state = round.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.answer.clone().ok_or(NoAnswer::Lost)
    }

    /// Begins the next question, while none is under way.
    fn begin(&mut self, mut state: MutexGuard<'_, State<T>>) {
        state.begun += 1;
        state.since = Instant::now();
        drop(state);
        // Dropped where the thread can't be started, or where there is nothing to ask: the question has ended then.
        let mut ending = Ending { round: Arc::clone(&self.flight.round), answer: None };
        let Some(question) = self.question.take() else { return };
        let thread = std::thread::Builder::new().name("libvirt-listing".to_owned());
        drop(thread.spawn(move || ending.bring(question())));
    }
}

impl<T> Clone for SingleFlight<T> {
    fn clone(&self) -> Self {
        Self { round: Arc::clone(&self.round), deadline: self.deadline }
    }
}

impl<T> Round<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Ending<T> {
    fn bring(&mut self, answer: T) {
        self.answer = Some(answer);
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        let mut state = self.round.lock();
        state.ended = state.begun;
        state.answer = self.answer.take();
        if state.answer.is_some() {
            state.took = Some(state.since.elapsed());
        }
        drop(state);
        self.round.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn each_answer_is_begun_after_it_was_asked_for() {
        let flight = SingleFlight::new(LONG);
        assert_eq!(flight.ask(|| 1).answer(), Ok(1));
        assert_eq!(flight.ask(|| 2).answer(), Ok(2));
    }

    #[test]
    fn who_asks_while_one_is_under_way_gets_a_later_answer() {
        let flight = SingleFlight::new(LONG);
        let begun = Arc::new(AtomicUsize::new(0));
        let (release, released) = mpsc::channel::<()>();
        let (reached, first_runs) = mpsc::channel();
        let count = |begun: &Arc<AtomicUsize>| {
            let begun = Arc::clone(begun);
            move || begun.fetch_add(1, Ordering::SeqCst)
        };
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let count = count(&begun);
                let asked = flight.ask(move || {
                    let number = count();
                    reached.send(()).unwrap();
                    let _closed = released.recv();
                    number
                });
                asked.answer()
            });
            first_runs.recv().unwrap();
            let (asking, asked) = mpsc::channel();
            let others: Vec<_> = (0..8)
                .map(|_| {
                    let asking = asking.clone();
                    let (flight, count) = (&flight, count(&begun));
                    scope.spawn(move || {
                        asking.send(()).unwrap();
                        flight.ask(count).answer()
                    })
                })
                .collect();
            others.iter().for_each(|_| asked.recv().unwrap());
            drop(release);
            // Its own answer, or a later one that was there before its thread woke.
            assert!(first.join().unwrap().is_ok());
            for other in others {
                // Begun after it was asked for. Who only came after the release may have begun one of its own.
                assert!(other.join().unwrap().unwrap() >= 1);
            }
        });
    }

    #[test]
    fn while_one_is_overdue_everybody_is_told_at_once_and_none_is_begun() {
        let flight = SingleFlight::new(SHORT);
        let (release, released) = mpsc::channel::<()>();
        let late = flight.ask(move || {
            let _closed = released.recv();
        });
        assert_eq!(late.answer(), Err(NoAnswer::Late));
        assert!(flight.is_overdue());
        let asked = Instant::now();
        for _ in 0..100 {
            assert_eq!(flight.ask(|| panic!("begun beside an overdue one")).answer(), Err(NoAnswer::Overdue));
        }
        // Each of them would have been a wait of its own.
        assert!(asked.elapsed() < SHORT * 50, "{:?} for a hundred answers", asked.elapsed());
        drop(release);
        // The overdue one ends now; its thread may need a moment.
        let patience = Instant::now() + LONG;
        while flight.is_overdue() {
            assert!(Instant::now() < patience);
            std::thread::yield_now();
        }
        assert_eq!(flight.ask(|| ()).answer(), Ok(()));
    }

    #[test]
    fn it_is_asked_before_it_is_waited_for() {
        let flight = SingleFlight::new(LONG);
        let (reached, runs) = mpsc::channel();
        let asked = flight.ask(move || reached.send(()).is_ok());
        runs.recv().unwrap();
        assert_eq!(asked.answer(), Ok(true));
        // One that nobody waits for keeps nobody from the next.
        drop(flight.ask(|| false));
        assert_eq!(flight.ask(|| true).answer(), Ok(true));
    }

    #[test]
    fn a_panic_is_a_lost_answer_and_the_next_is_asked() {
        let flight = SingleFlight::new(LONG);
        assert_eq!(flight.ask(|| panic!("on purpose")).answer(), Err::<u8, _>(NoAnswer::Lost));
        assert_eq!(flight.ask(|| 7).answer(), Ok(7));
    }
}
