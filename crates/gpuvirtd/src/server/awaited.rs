//! Which VMs are to start with the host, for the starts of others: hooks can't ask libvirt.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;

/// Starts come in bursts.
const BURST: Duration = Duration::from_millis(500);

impl Context {
    /// Asks libvirt when a VM was defined or has started, which is beside every start and in none. It never ends.
    pub async fn watch_awaited(self: Arc<Self>) {
        loop {
            self.stir.until_domains_change().await;
            tokio::time::sleep(BURST).await;
            // Where libvirt does not answer, what was known stands.
            if let Err(failure) = self.read(|context| Ok(context.engine.learn_awaited()?)).await {
                tracing::debug!(
                    why = failure.error.message,
                    "it can't be told which VMs are to start with the host"
                );
            }
        }
    }
}
