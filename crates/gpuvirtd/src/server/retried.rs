//! VMs whose start with the host was refused, and what came of it, kept for `status`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_api::StatusDocument;
use gpuvirt_model::Domain;
use uuid::Uuid;

/// The VMs that were refused, by what came of it.
#[derive(Debug, Default)]
pub(super) struct Retried(Mutex<BTreeMap<Uuid, Retry>>);

#[derive(Debug, Clone)]
struct Retry {
    name: String,
    now: Now,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Now {
    /// It was refused for this, and is still to be looked after.
    Waits(String),
    /// It was refused for this, which does not pass.
    Off(String),
    /// Its second start failed too.
    Failed(String),
    /// It runs, ran since, or was nobody's to start.
    Over,
}

impl Retried {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Retry>> {
        // Entries are added and replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A start was refused for this reason; whether it is the first time.
    pub(super) fn begin(&self, domain: &Domain, why: String) -> bool {
        let mut all = self.lock();
        let first = !all.contains_key(&domain.uuid);
        if first {
            all.insert(domain.uuid, Retry { name: domain.name.clone(), now: Now::Waits(why) });
        }
        first
    }

    /// Whether it is still to be started once more.
    pub(super) fn waits(&self, domain: Uuid) -> bool {
        self.lock().get(&domain).is_some_and(|retry| matches!(retry.now, Now::Waits(_)))
    }

    pub(super) fn stays_off(&self, domain: Uuid, why: String) {
        self.becomes(domain, Now::Off(why));
    }

    pub(super) fn failed(&self, domain: Uuid, why: String) {
        self.becomes(domain, Now::Failed(why));
    }

    /// The VM runs, or is not to be started: whatever was the matter is over.
    pub(super) fn is_over(&self, domain: Uuid) {
        self.becomes(domain, Now::Over);
    }

    fn becomes(&self, domain: Uuid, now: Now) {
        if let Some(retry) = self.lock().get_mut(&domain) {
            retry.now = now;
        }
    }

    /// Tells of those that do not run.
    pub(super) fn tell(&self, status: &mut StatusDocument) {
        for Retry { name, now } in self.lock().values() {
            let told = match now {
                Now::Waits(why) => format!(
                    "VM {name} was not started with the host: {why}; it is tried once more when the GPUs are restored and \
                     libvirt is up"
                ),
                Now::Off(why) => format!("VM {name} was not started with the host: {why}"),
                Now::Failed(why) => {
                    format!("VM {name} was not started with the host, nor on a second try: {why}")
                }
                Now::Over => continue,
            };
            status.problems.push(told);
        }
    }
}
