//! Findings of the doctor that are no refusals and no warnings besides.

mod card;
mod hook;
mod host;
mod vm;

use super::Explanation;

pub(super) const TEXTS: &[&[Explanation]] = &[host::TEXTS, hook::TEXTS, card::TEXTS, vm::TEXTS];
