//! One question for all who ask it: the listing of domains.
//!
//! Whoever asks gets an answer that was begun after they asked, never an older one, and all who wait share it. While
//! a question is overdue nobody begins another one: it would wait behind the same libvirtd, for as long, and each
//! caller would take a thread and its deadline's time with it.
//!
//! ```text
//! asked while nothing is under way   -> begun at once
//! asked while one is under way       -> the next, begun when that one ends, for all who asked meanwhile
//! under way longer than the deadline -> told so at once, until it ends
//! ```

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

type Question<T> = Box<dyn FnOnce() -> T + Send>;

/// For so long a thread that has answered waits for the next question: changes come in rows, and a thread's start takes as long
/// as a step of theirs.
const RESTS: Duration = Duration::from_secs(10);

struct Round<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
    handed: Condvar,
}

struct State<T> {
    /// How many questions were begun, and how many of them ended; they differ by one at most.
    begun: u64,
    ended: u64,
    /// When the last one was begun.
    since: Instant,
    /// The one that begins when the last one ends, if that is before this moment: else nobody waits for it any more.
    next: Option<(Question<T>, Instant)>,
    /// What the last one brought.
    answer: Option<T>,
    /// How long the last one took that brought something.
    took: Option<Duration>,
    /// A thread that has answered waits for the next question, and which that is.
    rests: bool,
    handed: Option<Question<T>>,
}

/// A question that was asked, by itself or with others.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    flight: SingleFlight<T>,
    /// The number of the question whose answer, or a later one, is waited for; none: an earlier one is overdue.
    wanted: Option<u64>,
    at: Instant,
}

impl<T: Clone + Send + 'static> SingleFlight<T> {
    /// A question that nobody waits for longer than `deadline`.
    pub(crate) fn new(deadline: Duration) -> Self {
        let state = State {
            begun: 0,
            ended: 0,
            since: Instant::now(),
            next: None,
            answer: None,
            took: None,
            rests: false,
            handed: None,
        };
        let round = Round { state: Mutex::new(state), ended: Condvar::new(), handed: Condvar::new() };
        Self { round: Arc::new(round), deadline }
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
        self.round.lock().is_overdue(self.deadline)
    }

    /// Asks, together with all others who ask meanwhile. The answer can be waited for later.
    pub(crate) fn ask(&self, question: impl FnOnce() -> T + Send + 'static) -> Asked<T> {
        let mut state = self.round.lock();
        let (overdue, at) = (state.is_overdue(self.deadline), Instant::now());
        let asked = Asked { flight: self.clone(), wanted: (!overdue).then_some(state.begun + 1), at };
        if state.begun == state.ended {
            state.begin();
            if std::mem::take(&mut state.rests) {
                state.handed = Some(Box::new(question));
                self.round.handed.notify_one();
            } else {
                drop(state);
                self.start(Box::new(question));
            }
        } else if !overdue {
            let until = state.since + self.deadline;
            match &mut state.next {
                Some((_, others)) => *others = until.max(*others),
                none => *none = Some((Box::new(question), until)),
            }
        }
        asked
    }

    fn start(&self, question: Question<T>) {
        let round = Arc::clone(&self.round);
        let thread = std::thread::Builder::new().name("libvirt-listing".to_owned());
        if thread.spawn(move || round.answer(question)).is_err() {
            self.round.give_up();
        }
    }
}

impl<T: Clone> Asked<T> {
    /// The answer, waited for as long as anybody waits.
    pub(crate) fn answer(self) -> Result<T, NoAnswer> {
        let Some(wanted) = self.wanted else { return Err(NoAnswer::Overdue) };
        let SingleFlight { round, deadline } = &self.flight;
        let mut state = round.lock();
        while state.ended < wanted {
            if state.begun == state.ended {
                return Err(NoAnswer::Lost);
            }
            let left = deadline.saturating_sub(state.since.elapsed().max(self.at.elapsed()));
            if left.is_zero() {
                return Err(NoAnswer::Late);
            }
            state = round.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.answer.clone().ok_or(NoAnswer::Lost)
    }
}

impl<T> Clone for SingleFlight<T> {
    fn clone(&self) -> Self {
        Self { round: Arc::clone(&self.round), deadline: self.deadline }
    }
}

impl<T> Round<T> {
    /// Answers a question, and then those that were asked meanwhile or come soon.
    fn answer(&self, question: Question<T>) {
        let mut next = Some(question);
        while let Some(question) = next {
            // A question shares nothing with the next.
            let ended = self.end(catch_unwind(AssertUnwindSafe(question)).ok());
            next = ended.or_else(|| self.rest());
        }
    }

    /// Waits for a question that is handed over.
    fn rest(&self) -> Option<Question<T>> {
        let none = |state: &mut State<T>| state.handed.is_none();
        let waited = self.handed.wait_timeout_while(self.lock(), RESTS, none);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.rests = false;
        state.handed.take()
    }

    /// Ends the question that is under way; the next one is begun. Where there is none, its thread rests.
    fn end(&self, answer: Option<T>) -> Option<Question<T>> {
        let mut state = self.lock();
        state.ended = state.begun;
        state.answer = answer;
        if state.answer.is_some() {
            state.took = Some(state.since.elapsed());
        }
        let next = state.next.take().filter(|(_, until)| Instant::now() < *until);
        if next.is_some() {
            state.begin();
        }
        state.rests = next.is_none();
        drop(state);
        self.ended.notify_all();
        next.map(|(question, _)| question)
    }

    /// Ends the question that is under way, and with it those that were asked since: nobody answers them.
    fn give_up(&self) {
        let mut state = self.lock();
        (state.ended, state.next, state.answer) = (state.begun, None, None);
        drop(state);
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn begin(&mut self) {
        self.begun += 1;
        self.since = Instant::now();
    }

    fn is_overdue(&self, deadline: Duration) -> bool {
        self.begun != self.ended && self.since.elapsed() >= deadline
    }
}

impl<T> fmt::Debug for Round<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Round")
            .field("begun", &state.begun)
            .field("ended", &state.ended)
            .finish_non_exhaustive()
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
    fn what_is_asked_while_one_is_under_way_begins_when_that_one_ends() {
        let flight = SingleFlight::new(LONG);
        let (release, released) = mpsc::channel::<()>();
        let first = flight.ask(move || released.recv().is_err());
        let (reached, runs) = mpsc::channel();
        let second = flight.ask(move || reached.send(()).is_ok());
        let third = flight.ask(|| panic!("there is a next one already"));
        drop(release);
        // Nobody waits for an answer yet.
        runs.recv_timeout(LONG).unwrap();
        assert_eq!((second.answer(), third.answer(), first.answer()), (Ok(true), Ok(true), Ok(true)));
    }

    #[test]
    fn what_nobody_waits_for_any_longer_is_not_begun() {
        let flight = SingleFlight::new(LONG);
        let (release, released) = mpsc::channel::<()>();
        let first = flight.ask(move || released.recv().is_err());
        let hurried = flight.within(Duration::ZERO).ask(|| panic!("overdue for this one"));
        assert_eq!(hurried.answer(), Err(NoAnswer::Overdue));
        let (reached, runs) = mpsc::channel();
        let hurried = flight.within(SHORT).ask(move || reached.send(()).is_ok());
        assert_eq!(hurried.answer(), Err(NoAnswer::Late));
        drop(release);
        assert_eq!(first.answer(), Ok(true));
        assert_eq!(flight.ask(|| false).answer(), Ok(false));
        assert!(runs.recv().is_err(), "it was begun");
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
    fn a_thread_that_has_answered_takes_the_next_question() {
        let flight = SingleFlight::new(LONG);
        let thread = || flight.ask(|| std::thread::current().id()).answer().unwrap();
        let first = thread();
        // Who has the answer may ask before its thread rests: that it does is set with the answer.
        assert!((0..100).all(|_| thread() == first));
    }

    #[test]
    fn a_panic_is_a_lost_answer_and_the_next_is_asked() {
        let flight = SingleFlight::new(LONG);
        assert_eq!(flight.ask(|| panic!("on purpose")).answer(), Err::<u8, _>(NoAnswer::Lost));
        assert_eq!(flight.ask(|| 7).answer(), Ok(7));
    }
}
