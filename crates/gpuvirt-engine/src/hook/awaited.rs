//! Which VMs are to start with the host. Starts keep their room for them, and can't ask libvirt themselves.

use gpuvirt_model::{Desired, Domain, DomainState, GraphicsType};

use crate::ports::Asker;
use crate::{Engine, EngineError};

impl Engine {
    /// Asks libvirt, where it runs, which VMs are to start with the host; whether that is known for the starts to come. It is
    /// where no GPU has room that could be kept for one.
    ///
    /// # Errors
    /// [`EngineError::Port`] when the document can't be read.
    pub fn learn_awaited(&self) -> Result<bool, EngineError> {
        let (desired, _) = self.store.load()?;
        Ok(!makes_vgpus(&desired) || self.listed_for(Asker::Nobody).known().is_some())
    }

    /// The VMs that are to start with the host, for [`crate::starts::Starts::joined`]: each as if it were off, since claims tell
    /// which of them run, and a start keeps the room of the others. As libvirt last listed them, which it does when a VM was
    /// defined or has started: one that is gone since costs a refusal until then. Before the first listing its files tell.
    pub(crate) fn awaited(&self) -> Vec<Domain> {
        let all = self.starts.autostarted().or_else(|| self.domains.autostarted_by_files());
        let as_off = |domain| Domain { state: DomainState::ShutOff, live: Vec::new(), ..domain };
        all.unwrap_or_default().into_iter().map(as_off).collect()
    }
}

fn makes_vgpus(desired: &Desired) -> bool {
    let types = desired.gpus.iter().map(|entry| entry.graphics_type.resolve(&desired.host));
    types.into_iter().any(|kind| kind == GraphicsType::SharedDirect)
}
