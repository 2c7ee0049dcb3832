//! Which VMs are to start with the host. Starts keep their room for them, and can't ask libvirt themselves.

use gpuvirt_model::{Desired, GraphicsType};

use crate::{Engine, EngineError};

impl Engine {
    /// Asks libvirt, where it runs, which VMs are to start with the host; whether that is known for the starts to come. It is
    /// where no GPU has room that could be kept for one.
    ///
    /// # Errors
    /// [`EngineError::Port`] when the document can't be read.
    pub fn learn_awaited(&self) -> Result<bool, EngineError> {
        let (desired, _) = self.store.load()?;
        Ok(!makes_vgpus(&desired) || self.listed_if_running().known().is_some())
    }
}

fn makes_vgpus(desired: &Desired) -> bool {
    let types = desired.gpus.iter().map(|entry| entry.graphics_type.resolve(&desired.host));
    types.into_iter().any(|kind| kind == GraphicsType::SharedDirect)
}
