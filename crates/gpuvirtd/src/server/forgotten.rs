//! Of VMs that ended while nobody told us: whether that is known, and how often libvirt was asked in vain.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often libvirt is asked once more where it gave no answer: one that was killed is started anew within seconds, and one that is
/// not there for longer is asked when something happens.
const ONCE_MORE: u32 = 6;
/// After this time.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Which VMs ended unheard, as far as that is known: by [`super::stir::Stir::times_unheard`].
#[derive(Debug, Default)]
pub(super) struct Forgotten(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Until here it is.
    known: u64,
    /// Until here it was asked.
    asked: u64,
    /// How often without an answer.
    in_vain: u32,
}

impl Forgotten {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is known as of then.
    pub(super) fn is_known(&self, unheard: u64) -> bool {
        self.state().known >= unheard
    }

    /// It is known as of then.
    pub(super) fn learned(&self, unheard: u64) {
        let mut state = self.state();
        state.known = state.known.max(unheard);
    }

    /// There was no answer; whether to ask once more of oneself.
    pub(super) fn asked_in_vain(&self, unheard: u64) -> bool {
        let mut state = self.state();
        if unheard > state.asked {
            *state = State { asked: unheard, in_vain: 0, ..*state };
        }
        state.in_vain = state.in_vain.saturating_add(1);
        state.known < unheard && state.in_vain <= ONCE_MORE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libvirt_is_asked_once_more_a_few_times_and_for_each_occasion_anew() {
        let forgotten = Forgotten::default();
        let asked = |unheard| {
            1 + std::iter::repeat_with(|| forgotten.asked_in_vain(unheard)).take_while(|again| *again).count()
        };
        assert_eq!(asked(1), 7);
        assert_eq!(asked(2), 7, "another occasion");
        assert!(forgotten.asked_in_vain(3));
        forgotten.learned(3);
        assert!(!forgotten.asked_in_vain(3) && forgotten.is_known(2));
        forgotten.learned(1);
        assert!(forgotten.is_known(3), "a late answer takes nothing back");
    }
}
