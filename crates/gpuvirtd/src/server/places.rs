//! Places for connections: so many at once, and so many of one user, so that no user takes all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places that connections take.
pub(super) struct Places {
    all: Arc<Semaphore>,
    count: u32,
    of_one_user: u32,
    taken: Taken,
}

/// A connection's place, given back when it is dropped.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    taken: Taken,
    uid: u32,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    /// The first one of this user since it last had no connection at all: worth a line in the log, the others are not.
    pub(super) first: bool,
}

type Taken = Arc<Mutex<HashMap<u32, User>>>;

#[derive(Default)]
struct User {
    connections: u32,
    turned_away: bool,
}

impl Places {
    /// So many places, and so many of them for one user.
    pub(super) fn new(count: u32, of_one_user: u32) -> Self {
        let all = Arc::new(Semaphore::new(count as usize));
        Self { all, count, of_one_user, taken: Taken::default() }
    }

    /// A place for a connection of this user.
    pub(super) fn take(&self, uid: u32) -> Result<Place, Full> {
        let mut taken = lock(&self.taken);
        let user = taken.entry(uid).or_default();
        let free = || Arc::clone(&self.all).try_acquire_owned().ok();
        let place = if user.connections < self.of_one_user { free() } else { None };
        let Some(of_all) = place else {
            let first = !user.turned_away;
            // A user without a connection is not remembered: there are as many of those as there are numbers.
            user.turned_away = true;
            if user.connections == 0 {
                taken.remove(&uid);
            }
            return Err(Full { first });
        };
        user.connections += 1;
        drop(taken);
        Ok(Place { _of_all: of_all, taken: Arc::clone(&self.taken), uid })
    }

    /// Waits until nobody has a place.
    pub(super) async fn all_free(&self) {
        // It is never closed.
        let _ = self.all.acquire_many(self.count).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let Some(user) = taken.get_mut(&self.uid) else { return };
        user.connections = user.connections.saturating_sub(1);
        if user.connections == 0 {
            taken.remove(&self.uid);
        }
    }
}

fn lock(taken: &Taken) -> MutexGuard<'_, HashMap<u32, User>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_takes_all_places() {
        let places = Places::new(3, 2);
        let first = places.take(1000).unwrap();
        let second = places.take(1000).unwrap();
        assert_eq!(places.take(1000).err(), Some(Full { first: true }));
        assert_eq!(places.take(1000).err(), Some(Full { first: false }), "said once");
        let other = places.take(1001).unwrap();
        assert!(places.take(1001).is_err(), "all three are taken");
        drop(first);
        assert!(places.take(1001).is_ok());
        drop((second, other));
        assert!(lock(&places.taken).is_empty(), "nobody is remembered");
        assert!(places.take(1000).is_ok());
    }
}
