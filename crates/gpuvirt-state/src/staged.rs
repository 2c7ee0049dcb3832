//! Documents that are on the disk before it is known whether they come true.
//!
//! What a change of the host stirs up (udev, libvirt, their programs) is busiest when the change has been made, and the documents
//! would wait behind it for the disk. What they will say is mostly known before the first write: then they are brought there
//! beside the intent, and when all went as planned a rename is left.

use std::io::Write as _;
use std::path::Path;

use gpuvirt_model::PciAddress;

use crate::{StateError, atomic};

/// What is on the disk under a name that nobody reads, if anything is.
#[derive(Debug, Default)]
pub(crate) struct Staged(Option<(PciAddress, String)>);

impl Staged {
    /// Brings what `dir/name` may soon hold to the disk, in place of what was staged before. It may fail: whoever stores what
    /// is not there writes it, and says why that can't be done.
    pub(crate) fn stage(&mut self, (dir, name): (&Path, &str), gpu: PciAddress, text: String) {
        self.0 = None;
        let staged = atomic::stage(dir, name, |file| file.write_all(text.as_bytes()));
        self.0 = staged.is_ok().then_some((gpu, text));
    }

    /// Makes `dir/name` hold the text: what was staged, if it says the very same, and says whether it was. [`atomic::sync_dir`]
    /// makes it durable.
    ///
    /// # Errors
    /// [`StateError::Io`]; the earlier content then still stands.
    pub(crate) fn name(&mut self, (dir, name): (&Path, &str), text: &str) -> Result<bool, StateError> {
        let same = self.0.as_ref().is_some_and(|(_, staged)| staged == text);
        if same {
            self.0 = None;
            if atomic::unstage(dir, name).is_ok() {
                return Ok(true);
            }
        }
        atomic::replace_named(dir, name, |file| file.write_all(text.as_bytes())).map(|()| false)
    }

    /// Removes what a change of this GPU was to lead to and did not. What can't be removed only takes room, and the next takes its place.
    pub(crate) fn discard(&mut self, (dir, name): (&Path, &str), gpu: PciAddress) {
        if self.0.as_ref().is_some_and(|(of, _)| *of == gpu) {
            self.0 = None;
            atomic::discard(dir, name);
        }
    }
}
