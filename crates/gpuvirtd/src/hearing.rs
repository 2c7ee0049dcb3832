//! What the daemon hears of the host: that something changed, never what it is now.
//!
//! The kernel's uevents and our own changes raise a count. A picture that was taken at the present count is as the host
//! is, as far as the kernel tells: writes to attributes by others send no event, so that no decision rests on it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gpuvirt_host::uevent::{Heard, Uevent};
use tokio::sync::watch;

/// How often the host changed, as far as was heard.
#[derive(Debug)]
pub struct Hearing {
    count: watch::Sender<u64>,
    listening: AtomicBool,
    changing: AtomicU64,
}

impl Default for Hearing {
    fn default() -> Self {
        Self { count: watch::Sender::new(0), listening: AtomicBool::new(false), changing: AtomicU64::new(0) }
    }
}

/// A change of our own, from before its first write to after its last.
#[derive(Debug)]
pub struct OwnChange<'a>(&'a Hearing);

impl Hearing {
    /// The count, where it can be relied on: somebody listens, and no change of ours is under way.
    pub fn reliable_count(&self) -> Option<u64> {
        let quiet = self.changing.load(Ordering::Acquire) == 0;
        (quiet && self.listening.load(Ordering::Acquire)).then(|| *self.count.borrow())
    }

    /// Nobody but us changes this host, as with a recorded one: there is nothing to listen to, and all is heard.
    pub fn only_our_changes(&self) {
        self.listening.store(true, Ordering::Release);
    }

    /// Something changed.
    pub fn changed(&self) {
        self.count.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The count as it rises.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// Marks a change of our own, until the mark is dropped.
    pub fn own_change(&self) -> OwnChange<'_> {
        self.changing.fetch_add(1, Ordering::AcqRel);
        OwnChange(self)
    }

    /// Listens to the kernel for as long as it can, on the thread that calls; `told` gets each event that matters, none
    /// after an overrun.
    ///
    /// `next` waits for what comes next, as [`gpuvirt_host::uevent::UeventSocket::wait`] does.
    pub fn listen(&self, mut next: impl FnMut() -> io::Result<Heard>, told: impl Fn(Option<Uevent>)) {
        self.changed();
        self.listening.store(true, Ordering::Release);
        let ended = loop {
            match next() {
                Ok(Heard::Nothing) => {}
                Ok(Heard::Event(event)) if !event.matters() => {}
                Ok(Heard::Event(event)) => {
                    self.changed();
                    told(Some(event));
                }
                Ok(Heard::Overrun) => {
                    tracing::warn!("the kernel's events came too fast: everything is looked at again");
                    self.changed();
                    told(None);
                }
                Err(error) => break error,
            }
        };
        self.listening.store(false, Ordering::Release);
        tracing::warn!(error = %ended, "the kernel's events are not heard any more; every question looks at the host");
    }
}

impl Drop for OwnChange<'_> {
    fn drop(&mut self) {
        self.0.changed();
        self.0.changing.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_relied_on_while_nobody_listens_or_we_change_something() {
        let hearing = Hearing::default();
        assert_eq!(hearing.reliable_count(), None);
        hearing.only_our_changes();
        let before = hearing.reliable_count();
        assert!(before.is_some());
        let change = hearing.own_change();
        assert_eq!(hearing.reliable_count(), None);
        drop(change);
        assert!(hearing.reliable_count() > before);
    }

    #[test]
    fn an_overrun_makes_every_picture_an_old_one_and_the_end_of_listening_too() {
        let hearing = Hearing::default();
        let (mut counts, told) = (Vec::new(), std::cell::RefCell::new(Vec::new()));
        let mut left = vec![Heard::Nothing, Heard::Overrun].into_iter();
        let next = || {
            counts.push(hearing.reliable_count().unwrap());
            left.next().map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), Ok)
        };
        hearing.listen(next, |event| told.borrow_mut().push(event));
        assert_eq!(counts.len(), 3);
        assert!(counts[0] == counts[1] && counts[1] < counts[2], "{counts:?}");
        assert_eq!(told.into_inner(), [None]);
        assert_eq!(hearing.reliable_count(), None, "nobody listens any more");
    }
}
