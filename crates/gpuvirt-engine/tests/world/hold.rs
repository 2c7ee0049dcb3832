//! Where calls wait until the test lets them go on.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// A gate, closed at first.
#[derive(Default)]
pub struct Hold {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Hold {
    /// Waits until somebody waits here.
    pub fn until_reached(&self) {
        let state = self.state.lock().unwrap();
        let patience = Duration::from_secs(30);
        let (state, waited) =
            self.changed.wait_timeout_while(state, patience, |(waiting, _)| *waiting == 0).unwrap();
        assert!(!waited.timed_out(), "nobody came: {}", state.0);
    }

    /// Lets everybody go on.
    pub fn release(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    pub(super) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(_, released)| !*released).unwrap());
    }
}
