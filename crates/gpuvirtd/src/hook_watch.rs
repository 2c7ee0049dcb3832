//! Whether libvirt really runs our hook: starts that libvirt told of, beside calls that hooks made.
//!
//! A start's `prepare` comes before libvirt's event of it. A VM that started without is one whose hook did not run, or
//! did not reach us; whether it should have, its devices tell, which is not known here.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names of VMs.
#[derive(Debug, Default)]
pub struct HookWatch(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    /// Whose hook called, and which have not ended since.
    called: BTreeSet<String>,
    /// Which started without.
    without: BTreeSet<String>,
    /// A hook called, for whatever VM.
    heard: bool,
    /// A VM started, whichever.
    saw_a_start: bool,
}

impl HookWatch {
    /// The hook called for a VM.
    pub fn called(&self, vm: &str) {
        let mut watched = self.watched();
        watched.heard = true;
        watched.without.remove(vm);
        watched.called.insert(vm.to_owned());
    }

    /// The hook called at the end of a VM, which says nothing of its start.
    pub fn called_at_an_end(&self) {
        self.watched().heard = true;
    }

    /// libvirt told that a VM started.
    pub fn started(&self, vm: &str) {
        let mut watched = self.watched();
        watched.saw_a_start = true;
        if !watched.called.contains(vm) {
            watched.without.insert(vm.to_owned());
        }
    }

    /// libvirt told that a VM stopped.
    pub fn stopped(&self, vm: &str) {
        let mut watched = self.watched();
        watched.called.remove(vm);
        watched.without.remove(vm);
    }

    /// Which VMs run whose start no hook told of. Those that were running when we came are not among them.
    pub fn without(&self) -> BTreeSet<String> {
        self.watched().without.clone()
    }

    /// Whether any hook has called since we came.
    pub fn was_heard(&self) -> bool {
        self.watched().heard
    }

    /// Whether any VM has started since we came.
    pub fn saw_a_start(&self) -> bool {
        self.watched().saw_a_start
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_remembered_beyond_its_vm() {
        let watch = HookWatch::default();
        assert!(!watch.was_heard() && !watch.saw_a_start());
        watch.started("a");
        assert!(!watch.was_heard() && watch.saw_a_start());
        watch.called("b");
        watch.stopped("b");
        assert!(watch.was_heard());
        let ended = HookWatch::default();
        ended.called_at_an_end();
        assert!(ended.was_heard() && !ended.saw_a_start());
    }

    #[test]
    fn only_a_start_without_a_call_is_noticed() {
        let watch = HookWatch::default();
        watch.called("a");
        watch.started("a");
        watch.started("b");
        assert_eq!(watch.without(), BTreeSet::from(["b".to_owned()]));
        watch.stopped("b");
        watch.stopped("a");
        assert!(watch.without().is_empty());
        watch.started("a");
        assert_eq!(watch.without().len(), 1, "each start is one of its own");
        watch.called("a");
        assert!(watch.without().is_empty());
    }
}
