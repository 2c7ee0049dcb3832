//! What was made for VMs that ended while nobody told us: found out from libvirt, and removed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::context::Context;

/// How often libvirt is asked once more where it gave no answer: one that was killed is started anew within seconds, and one that is
/// not there for longer is asked when something happens.
const ONCE_MORE: u32 = 6;
/// After this time.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

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

/// What came of asking.
enum Answer {
    /// It is known.
    Known,
    /// It is not, and nothing can have been left.
    Missed,
    /// It is not, and something may have been.
    Needed,
}

impl Forgotten {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_known(&self, unheard: u64) -> bool {
        self.state().known >= unheard
    }

    fn learned(&self, unheard: u64) {
        let mut state = self.state();
        state.known = state.known.max(unheard);
    }

    /// There was no answer; whether to ask once more of oneself.
    fn asked_in_vain(&self, unheard: u64) -> bool {
        let mut state = self.state();
        if unheard > state.asked {
            *state = State { asked: unheard, in_vain: 0, ..*state };
        }
        state.in_vain = state.in_vain.saturating_add(1);
        state.known < unheard && state.in_vain <= ONCE_MORE
    }
}

impl Context {
    /// Removes what was made for VMs that ended while nobody told us: once, and again whenever a hook may have gone unheard.
    /// libvirt is asked, so not before it may be; and where it does not run it is not started for this.
    pub async fn remove_forgotten(self: &Arc<Self>) {
        while self.is_in_vain().await {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Asks for them and removes what is left of them; whether that is to be asked once more.
    async fn is_in_vain(self: &Arc<Self>) -> bool {
        let unheard = self.stir.times_unheard();
        if self.forgotten.is_known(unheard) {
            return false;
        }
        let work = move |context: &Self| {
            // Who had the turn before may have found out as much.
            if context.forgotten.is_known(unheard) {
                return Ok(Answer::Known);
            }
            let _mark = context.hearing.own_change();
            Ok(match context.engine.remove_forgotten(context.write_deadline)? {
                true => Answer::Known,
                false if context.engine.may_have_forgotten()? => Answer::Needed,
                false => Answer::Missed,
            })
        };
        match self.on_a_thread(&self.releases, work).await {
            Ok(Answer::Needed) => return self.forgotten.asked_in_vain(unheard),
            Ok(Answer::Missed) => return false,
            Ok(Answer::Known) => {}
            Err(failure) => {
                tracing::warn!(why = failure.error.message, "what was made for VMs that ended may be left");
            }
        }
        self.forgotten.learned(unheard);
        false
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
