//! The remedy where only the address in the definition is in the way: a start that may choose another device.
//!
//! A hook can't change what a definition names; `gpuvirt vm start` can, where the request left it open. It is not said of a
//! mediated device, which is placed at any start, nor of what was asked for by its address.

use gpuvirt_model::{Hostdev, Refusal, RefusalCode, Wanted};

use super::subject::Start;
use crate::checks::holder::shell_word;

impl Start<'_> {
    /// The start that chooses anew.
    pub(super) fn start_command(&self) -> String {
        format!("gpuvirt vm start {}, which chooses another one", shell_word(&self.domain.name))
    }

    /// Puts it before the other remedies of what was found of a device, where it would choose another one for it.
    pub(super) fn offer_another<'r>(&self, device: &Hostdev, found: impl Iterator<Item = &'r mut Refusal>) {
        let request = self.domain.requests.of_device(device).map(|request| &request.wanted);
        let open = match (device, request) {
            (Hostdev::Pci { .. }, Some(Wanted::Profile { .. } | Wanted::Match { .. })) => true,
            (Hostdev::Pci { .. }, Some(Wanted::Gpu { .. } | Wanted::Vgpu { .. }) | None)
            | (Hostdev::Mdev { .. }, _) => false,
        };
        let command = self.start_command();
        // How a device is written is no matter of which one it is.
        let of_this_one = |refusal: &Refusal| {
            refusal.code != RefusalCode::HostdevManaged && !refusal.remedy.contains(&command)
        };
        for refusal in found.filter(|refusal| open && of_this_one(refusal)) {
            refusal.remedy.insert(0, command.clone());
        }
    }
}
