//! What keeps cards busy, for who may not change anything: a dry run may ask the vendor's command, which is a client of its card
//! while it runs, in the turn of a change. All of them together get a tenth of the time, and everybody else the rest.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// How many times as long as it took nothing of the kind begins after it.
const REST: u32 = 9;
/// But no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// So long where its client left in the midst of it, and nobody knows how long it takes.
const AFTER_A_LEAVER: Duration = Duration::from_secs(10);

/// Work that is done one at a time, with rests.
#[derive(Debug, Default)]
pub(super) struct Sparingly(Mutex<Option<Instant>>);

impl Sparingly {
    /// Does this after what was asked for before, when the rest after that is over.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut not_before = self.0.lock().await;
        if let Some(when) = *not_before {
            sleep_until(when).await;
        }
        let began = Instant::now();
        *not_before = Some(began + AFTER_A_LEAVER);
        let done = work.await;
        *not_before = Some(Instant::now() + (began.elapsed() * REST).min(LONGEST_REST));
        done
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep, timeout};

    use super::*;

    async fn takes(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_in_a_loop_gets_a_tenth_of_the_time() {
        let (turns, began) = (Sparingly::default(), Instant::now());
        for _ in 0..4 {
            turns.run(takes(1)).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(31));
        advance(Duration::from_secs(9)).await;
        // What takes no time costs none.
        for _ in 0..100 {
            turns.run(async {}).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_in_the_midst_of_it_and_asks_again_waits_too() {
        let (turns, began) = (Sparingly::default(), Instant::now());
        let short = Duration::from_millis(1);
        assert!(timeout(short, turns.run(takes(1))).await.is_err());
        turns.run(async {}).await;
        assert_eq!(began.elapsed(), AFTER_A_LEAVER);
    }

    #[tokio::test(start_paused = true)]
    async fn what_took_very_long_does_not_shut_everybody_out() {
        let (turns, began) = (Sparingly::default(), Instant::now());
        turns.run(takes(60)).await;
        turns.run(async {}).await;
        assert_eq!(began.elapsed(), Duration::from_secs(120));
    }
}
