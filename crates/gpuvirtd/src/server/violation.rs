//! What running VMs have against the rules, told when it comes: libvirt's events say that a VM got or lost a device, and
//! for an attached one there is no hook that could have refused it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_api::event::EventKind;
use gpuvirt_engine::View;
use gpuvirt_engine::ports::Asker;
use gpuvirt_plan::drift;

use super::context::Context;

/// A card comes function by function.
const BURST: Duration = Duration::from_millis(500);

/// Every violation, with the VM's name in it.
pub(super) fn all(view: &View) -> Vec<String> {
    let domains = view.observed.domains.known().into_iter().flatten();
    let found = domains.flat_map(|domain| drift::violations(domain, &view.observed, &view.desired));
    found.map(|violation| violation.text).collect()
}

impl Context {
    /// Looks whenever a running VM's devices changed, and tells of what was not so before. It never ends.
    pub async fn watch_violations(self: Arc<Self>) {
        let mut known: BTreeSet<String> = BTreeSet::new();
        loop {
            self.stir.devices_changed().await;
            tokio::time::sleep(BURST).await;
            let seen = self.read(|context| Ok(all(&context.engine.view_for(Asker::Nobody)?))).await;
            let now: BTreeSet<String> = match seen {
                Ok(now) => now.into_iter().collect(),
                Err(failure) => {
                    tracing::warn!(why = failure.error.message, "what running VMs have can't be judged");
                    continue;
                }
            };
            for text in now.difference(&known) {
                tracing::warn!(text, "live violation");
                self.events.tell(EventKind::Vm, None, text.clone());
            }
            known = now;
        }
    }
}
