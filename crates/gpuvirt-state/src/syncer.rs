//! A thread that waits for the disk while others go on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

type Work = Box<dyn FnOnce() + Send>;

/// Does what it is given, in turn. Its thread starts with the first of it and waits for the next: a thread's start takes about
/// as long as what it is to save.
#[derive(Debug, Default)]
pub struct Syncer(Mutex<Option<Sender<Work>>>);

impl Syncer {
    /// Has this done; what came of it can be waited for, and nothing comes of what panics. Where no thread is to be had, it is
    /// done now.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (done, waiting) = channel();
        let work: Work = Box::new(move || {
            // Nobody may wait for it any more.
            let _ = done.send(work());
        });
        let sent = {
            let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = thread.get_or_insert_with(start).send(work);
            if sent.is_err() {
                *thread = None;
            }
            sent
        };
        if let Err(unsent) = sent {
            caught(unsent.0);
        }
        waiting
    }
}

/// Where no thread can be started, nobody receives.
fn start() -> Sender<Work> {
    let (sender, receiver) = channel::<Work>();
    let each = move || {
        receiver.into_iter().for_each(caught);
    };
    drop(std::thread::Builder::new().name("disk".to_owned()).spawn(each));
    sender
}

fn caught(work: Work) {
    // It shares nothing with the next, and whoever waits for it is told that nothing came of it.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_does_it_all_in_turn_and_survives_a_panic() {
        let syncer = Syncer::default();
        let thread = || syncer.run(|| std::thread::current().id()).recv();
        let first = thread().unwrap();
        assert_ne!(first, std::thread::current().id());
        assert!(syncer.run(|| panic!("on purpose")).recv().is_err());
        assert_eq!(thread(), Ok(first));
    }
}
