//! What happened lately: a short log in memory, and a way to wait for more.
//!
//! It is for whoever listens now. What must outlive the daemon is in the journal and in systemd's log.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gpuvirt_api::event::{Event, EventKind, EventList};
use gpuvirt_model::PciAddress;
use tokio::sync::watch;
use uuid::Uuid;

/// How many are kept.
const KEPT: usize = 512;

/// The log.
#[derive(Debug)]
pub struct EventLog {
    daemon: Uuid,
    kept: Mutex<VecDeque<Event>>,
    last: watch::Sender<u64>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { daemon: Uuid::new_v4(), kept: Mutex::default(), last: watch::Sender::new(0) }
    }
}

impl EventLog {
    /// Adds an event and wakes whoever waits for one.
    pub fn tell(&self, kind: EventKind, gpu: Option<PciAddress>, text: impl Into<String>) {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut kept = self.lock();
        let sequence = self.last.borrow().saturating_add(1);
        kept.push_back(Event { sequence, time, kind, gpu, text: text.into() });
        if kept.len() > KEPT {
            kept.pop_front();
        }
        self.last.send_replace(sequence);
    }

    /// This life of the daemon.
    pub fn daemon(&self) -> Uuid {
        self.daemon
    }

    /// Whether the daemon has said that it ends: nothing comes after that.
    pub fn is_over(&self) -> bool {
        self.lock().back().is_some_and(|event| event.kind == EventKind::Stopping)
    }

    /// The events after `after`, as far as they are kept.
    pub fn after(&self, after: u64) -> EventList {
        let kept = self.lock();
        let last = *self.last.borrow();
        let oldest = kept.front().map_or(last.saturating_add(1), |event| event.sequence);
        EventList {
            api_version: gpuvirt_api::API_VERSION.to_owned(),
            kind: "EventList".to_owned(),
            daemon: self.daemon,
            last,
            // A number that this daemon has not reached is another daemon's.
            lost: after > last || after.saturating_add(1) < oldest,
            items: kept.iter().filter(|event| event.sequence > after || after > last).cloned().collect(),
        }
    }

    /// Ends when there is an event after `after`.
    pub fn beyond(&self, after: u64) -> impl Future<Output = ()> + Send + use<> {
        let mut last = self.last.subscribe();
        // It ends with the log too, where somebody still waits then.
        async move { drop(last.wait_for(|last| *last != after).await) }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(list: &EventList) -> Vec<u64> {
        list.items.iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn a_reader_gets_what_came_after_it_asked() {
        let log = EventLog::default();
        (0..3).for_each(|n| log.tell(EventKind::Host, None, n.to_string()));
        assert_eq!(sequences(&log.after(1)), [2, 3]);
        assert_eq!((log.after(3).items, log.after(3).lost), (Vec::new(), false));
    }

    #[test]
    fn who_comes_late_is_told_what_was_lost() {
        let log = EventLog::default();
        (0..KEPT + 10).for_each(|n| log.tell(EventKind::Host, None, n.to_string()));
        assert!(log.after(0).lost);
        assert_eq!(log.after(0).items.len(), KEPT);
        assert!(!log.after(10).lost);
    }

    #[test]
    fn who_knew_another_daemon_begins_anew() {
        let log = EventLog::default();
        log.tell(EventKind::Started, None, "up");
        let list = log.after(99);
        assert!(list.lost);
        assert_eq!(sequences(&list), [1]);
    }

    #[test]
    fn waiting_ends_with_the_next_event() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let log = EventLog::default();
            let told = async { log.tell(EventKind::Host, None, "now") };
            tokio::join!(log.beyond(0), told);
            assert_eq!(log.after(0).last, 1);
        });
    }
}
