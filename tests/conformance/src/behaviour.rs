//! What a behaviour is, and the list of all.

use crate::bench::{Bench, Check};
use crate::{attributes, binding, group, mdev, nvidia_vfio, probing, removal, sriov, vfio};

/// One thing that the kernel does.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// Its stable name.
    pub id: &'static str,
    /// What the kernel does, as a sentence.
    pub sentence: &'static str,
    /// Where in the kernel it is written.
    pub source: &'static str,
    /// Tries it.
    pub(crate) check: fn(&Bench<'_>) -> Check,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// Every behaviour, in the order in which they run: reading first, removal of functions late.
pub fn all() -> Vec<Behaviour> {
    [
        attributes::BEHAVIOURS,
        group::BEHAVIOURS,
        binding::BEHAVIOURS,
        probing::BEHAVIOURS,
        vfio::BEHAVIOURS,
        sriov::BEHAVIOURS,
        mdev::BEHAVIOURS,
        nvidia_vfio::BEHAVIOURS,
        removal::BEHAVIOURS,
    ]
    .concat()
}

/// The list as a Markdown table.
pub fn table() -> String {
    let mut text = "| behaviour | what the kernel does | where |\n|---|---|---|\n".to_owned();
    for behaviour in all() {
        text.push_str(&format!("| `{}` | {} | {} |\n", behaviour.id, behaviour.sentence, behaviour.source));
    }
    text
}
