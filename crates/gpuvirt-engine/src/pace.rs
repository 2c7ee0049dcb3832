//! How long the driver takes for one vGPU, as it was seen to: how many go into one change while others wait for the host.
//!
//! It decides how much is done at once, never what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many are done at once before anything is known of the driver.
const AT_FIRST: usize = 4;

/// The time for one, of which later ones count as much as all before together.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    /// One took so long.
    pub(crate) fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let known = self.0.load(Ordering::Relaxed);
        let pace = if known == 0 { took } else { known / 2 + took / 2 };
        self.0.store(pace.max(1), Ordering::Relaxed);
    }

    /// How many are to be done in this time; at least one.
    pub(crate) fn fit(&self, time: Duration) -> usize {
        match self.0.load(Ordering::Relaxed) {
            0 => AT_FIRST,
            pace => usize::try_from(time.as_micros() / u128::from(pace)).unwrap_or(usize::MAX).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_driver_gets_less_at_once_and_never_nothing() {
        let pace = Pace::default();
        assert_eq!(pace.fit(Duration::from_secs(5)), AT_FIRST);
        pace.note(Duration::from_millis(100));
        assert_eq!(pace.fit(Duration::from_secs(5)), 50);
        pace.note(Duration::from_millis(900));
        assert_eq!(pace.fit(Duration::from_secs(5)), 10);
        pace.note(Duration::from_secs(600));
        assert_eq!(pace.fit(Duration::from_secs(5)), 1);
        for _ in 0..40 {
            pace.note(Duration::ZERO);
        }
        assert!(pace.fit(Duration::from_secs(5)) > 1000);
    }
}
