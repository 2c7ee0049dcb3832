//! Whether a VM can move to another host while it runs, as it is shown.

use gpuvirt_model::{Domain, Hypervisor, Observed};
use gpuvirt_plan::migration::{self, Migration};
use serde::{Deserialize, Serialize};

/// Whether one VM can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MigrationDocument {
    /// The VM.
    pub vm: String,
    /// The answer, with everything that it rests on.
    #[serde(flatten)]
    pub migration: Migration,
}

impl MigrationDocument {
    /// The document of one domain, as far as this host shows it.
    pub fn new(domain: &Domain, observed: &Observed, hypervisor: &Hypervisor) -> Self {
        let migration = migration::of_domain(domain, observed, hypervisor);
        Self { vm: domain.name.clone(), migration }
    }
}
