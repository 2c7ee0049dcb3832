//! Requests that may never end, with a deadline on the waiting.
//!
//! A call into libvirt can't be interrupted. It runs on a thread of its own, and what is bounded is how long its
//! caller waits. A thread that never gets its answer keeps its permit, so that a hung libvirtd costs us four
//! threads and no more.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::LibvirtError;

/// Requests at a time: libvirtd serves five a client by default (`max_client_requests`) and holds back the rest.
pub const MAX_REQUESTS: usize = 4;

/// Where requests run.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    permits: Arc<Permits>,
    deadline: Duration,
}

#[derive(Debug)]
struct Permits {
    free: Mutex<usize>,
    freed: Condvar,
}

/// Held by the thread of a request, given back when it ends, however it ends.
struct Permit(Arc<Permits>);

impl Requests {
    /// Requests of which none is waited for longer than `deadline`.
    pub(crate) fn new(deadline: Duration) -> Self {
        let permits = Permits { free: Mutex::new(MAX_REQUESTS), freed: Condvar::new() };
        Self { permits: Arc::new(permits), deadline }
    }

    /// The same place, for who waits no longer than this.
    pub(crate) fn within(&self, deadline: Duration) -> Self {
        Self { permits: Arc::clone(&self.permits), deadline }
    }

    /// Runs a request and waits for its end.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        doing: &str,
        request: impl FnOnce() -> Result<T, LibvirtError> + Send + 'static,
    ) -> Result<T, LibvirtError> {
        let started = Instant::now();
        let doing = || doing.to_owned();
        let waited = self.deadline;
        let permit = self.permit().ok_or_else(|| LibvirtError::Busy { doing: doing(), waited })?;
        let (answer, answered) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("libvirt-request".to_owned()).spawn(move || {
            let result = request();
            // Before the answer: whoever has it may ask again at once.
            drop(permit);
            // Nobody may be waiting any more.
            let _late = answer.send(result);
        });
        if let Err(error) = thread {
            return Err(LibvirtError::Lost { doing: doing(), source: Some(error) });
        }
        match answered.recv_timeout(self.deadline.saturating_sub(started.elapsed())) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(LibvirtError::NoAnswer { doing: doing(), waited }),
            Err(RecvTimeoutError::Disconnected) => Err(LibvirtError::Lost { doing: doing(), source: None }),
        }
    }

    /// A permit, waiting for one until the deadline.
    fn permit(&self) -> Option<Permit> {
        let free = self.permits.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .permits
            .freed
            .wait_timeout_while(free, self.deadline, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Permit(Arc::clone(&self.permits)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn answers_come_back() {
        assert_eq!(Requests::new(LONG).run("x", || Ok(7)).unwrap(), 7);
    }

    #[test]
    fn a_request_without_answer_ends_at_its_deadline_and_keeps_its_permit() {
        let requests = Requests::new(SHORT);
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        for _ in 0..MAX_REQUESTS {
            let released = Arc::clone(&released);
            let blocked = requests.run("x", move || {
                let _closed = released.lock().unwrap().recv();
                Ok(())
            });
            assert!(matches!(blocked, Err(LibvirtError::NoAnswer { .. })), "{blocked:?}");
        }
        assert!(matches!(requests.run("x", || Ok(())), Err(LibvirtError::Busy { .. })));
        drop(release);
        let patient = Requests { deadline: LONG, ..requests };
        patient.run("x", || Ok(())).unwrap();
    }

    #[test]
    fn a_panic_is_a_lost_request_and_gives_its_permit_back() {
        let requests = Requests::new(LONG);
        for _ in 0..=MAX_REQUESTS {
            let lost = requests.run::<()>("x", || panic!("on purpose"));
            assert!(matches!(lost, Err(LibvirtError::Lost { .. })), "{lost:?}");
        }
    }
}
