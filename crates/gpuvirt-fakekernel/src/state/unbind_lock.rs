//! Cards whose driver can be held off.

/// A card whose driver has the lock.
#[derive(Debug, Clone)]
pub(crate) struct LockedCard {
    pub(crate) driver: String,
    /// The node that the vendor's programs have open.
    pub(crate) node: String,
}
