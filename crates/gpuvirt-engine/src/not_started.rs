//! libvirt did not say that it started a VM: no answer in time, a lost connection, somebody else's start that was faster.
//! None of that says that the VM is off, and QEMU opens its devices only when its memory is there. What was made for the start
//! goes where libvirt lists the VM as off, and nowhere else.

use gpuvirt_model::{Domain, DomainState, Reading, chain};
use uuid::Uuid;

use crate::hook::CREATION_DEADLINE;
use crate::ports::PortError;
use crate::{Engine, EngineError};

impl Engine {
    /// What is true now of a VM whose start libvirt did not report as done.
    pub(crate) fn not_started(&self, starting: &Domain, error: &PortError) -> EngineError {
        let Domain { name, uuid, .. } = starting;
        // Before libvirt is asked: a start that begins meanwhile has what this one had.
        let begun = self.starts.last_begun(*uuid);
        let now = match self.listed().map(|domains| is_active(*uuid, &domains)) {
            Reading::Known(false) => {
                self.starts.came_too_late(*uuid, begun);
                // What is left of it is in the log, and goes with the next occasion.
                let _left = self.remove_released(CREATION_DEADLINE);
                format!("VM {name} does not run")
            }
            Reading::Known(true) => {
                format!("VM {name} runs, or is being started by somebody else, and keeps its devices")
            }
            Reading::Unknown(_) => format!(
                "libvirt has not told whether VM {name} runs: its devices are kept for it until it does; virsh domstate {name}"
            ),
        };
        EngineError::Failed { what: chain(error), now }
    }
}

fn is_active(uuid: Uuid, domains: &[Domain]) -> bool {
    domains.iter().any(|domain| domain.uuid == uuid && domain.state == DomainState::Active)
}
