//! How many calls of one kind are in the engine at once.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::Failure;
use super::presence;

/// How long the next change of a lane waits for the one before it. One that takes longer may wait for the kernel at its card,
/// and is then no reason to keep others waiting: the engine knows which of them may go on.
const FIRST_ALONE: Duration = Duration::from_millis(500);

/// A lane: who comes first begins first.
#[derive(Debug)]
pub(super) struct Lane {
    begins: Semaphore,
    inside: Semaphore,
    alone: Option<Duration>,
}

/// A place in a lane, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Dropped when the next one may begin.
    begun: Option<SemaphorePermit<'a>>,
    _inside: SemaphorePermit<'a>,
    alone: Option<Duration>,
}

impl Lane {
    /// So many at once.
    pub(super) fn of(at_once: usize) -> Self {
        Self { begins: Semaphore::new(at_once), inside: Semaphore::new(at_once), alone: None }
    }

    /// One after the other, and no more than so many at once of those that take long.
    pub(super) fn one_by_one(at_once: usize) -> Self {
        Self { begins: Semaphore::new(1), inside: Semaphore::new(at_once), alone: Some(FIRST_ALONE) }
    }

    /// Waits for a place, for as long as whoever asked waits.
    pub(super) async fn enter(&self) -> Result<Place<'_>, Failure> {
        let places = async {
            let begun = self.begins.acquire().await.map_err(|_| Failure::bug())?;
            let inside = self.inside.acquire().await.map_err(|_| Failure::bug())?;
            Ok(Place { begun: Some(begun), _inside: inside, alone: self.alone })
        };
        tokio::select! {
            biased;
            () = presence::left() => Err(Failure::unavailable("its client left before it began")),
            place = places => place,
        }
    }
}

impl Place<'_> {
    /// Waits for the work that has this place; the next one begins when it takes long.
    pub(super) async fn while_at<T>(mut self, work: impl Future<Output = T>) -> T {
        let Some(alone) = self.alone else { return work.await };
        let mut work = std::pin::pin!(work);
        match tokio::time::timeout(alone, &mut work).await {
            Ok(ended) => ended,
            Err(_) => {
                self.begun = None;
                work.await
            }
        }
    }
}

/// Does this with each, in their order: the next one begins when one has ended or takes long. It ends when all have, with
/// what came of each.
pub(super) async fn in_order<T, W>(all: impl IntoIterator<Item = T>, work: impl Fn(T) -> W) -> Vec<W::Output>
where
    W: Future + Send + 'static,
    W::Output: Send + 'static,
{
    let (mut done, mut long) = (Vec::new(), Vec::new());
    for one in all {
        let mut task = tokio::spawn(work(one));
        match tokio::time::timeout(FIRST_ALONE, &mut task).await {
            // What panicked has said so.
            Ok(ended) => done.extend(ended.ok()),
            Err(_) => long.push(task),
        }
    }
    for task in long {
        done.extend(task.await.ok());
    }
    done
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::{Arc, Mutex};

    use tokio::time::timeout;

    use super::*;

    // Time goes on when nobody has anything to do, so no loaded machine is too slow for it.
    #[tokio::test(start_paused = true)]
    async fn two_that_take_long_keep_none_from_its_turn_and_are_waited_for() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let (released, _) = tokio::sync::watch::channel(false);
        let work = |number: usize| {
            let (done, mut release) = (Arc::clone(&done), released.subscribe());
            async move {
                if number < 2 {
                    release.wait_for(|released| *released).await.unwrap();
                }
                done.lock().unwrap().push(number);
                number
            }
        };
        let mut all = Box::pin(in_order(0..5, work));
        // Two long ones, and nobody else waits.
        assert!(timeout(FIRST_ALONE * 4, &mut all).await.is_err());
        assert_eq!(*done.lock().unwrap(), [2, 3, 4]);
        released.send_replace(true);
        assert_eq!(timeout(FIRST_ALONE * 4, all).await.unwrap(), [2, 3, 4, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_long_lets_the_next_begin_and_no_more_than_fit() {
        let (alone, soon) = (Duration::from_millis(200), Duration::from_millis(20));
        let lane = Lane { alone: Some(alone), ..Lane::one_by_one(2) };
        let waits = async |place: Place<'_>| place.while_at(pending::<()>()).await;
        let mut first = Box::pin(waits(lane.enter().await.unwrap()));
        assert!(timeout(soon, &mut first).await.is_err() && timeout(soon, lane.enter()).await.is_err());
        // The first works on, and the next begins once it has taken long.
        assert!(timeout(alone, &mut first).await.is_err());
        let second = lane.enter().await.unwrap();
        let mut second = Box::pin(waits(second));
        assert!(timeout(alone * 2, &mut second).await.is_err());
        assert!(timeout(soon, lane.enter()).await.is_err(), "two are inside");
        drop(first);
        let third = lane.enter().await.unwrap();
        third.while_at(ready(())).await;
        lane.enter().await.unwrap();
    }
}
