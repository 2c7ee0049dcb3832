//! What keeps GPUs from working in VMs.

use gpuvirt_model::{Finding, Severity, Testimony, Unknown};
use gpuvirt_plan::diagnose::Diagnosis;
use serde::{Deserialize, Serialize};

use crate::{API_VERSION, Source};

/// The findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DoctorDocument {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Always `Doctor`.
    pub kind: String,
    /// Where the facts come from.
    pub source: Source,
    /// Why libvirt's domains are not part of it, when they are not.
    pub domains_unknown: Option<Unknown>,
    /// The worst severity among the findings; none: nothing was found.
    pub worst: Option<Severity>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at, so that nothing is said of it.
    pub unchecked: Vec<Unchecked>,
}

/// What a snapshot holds beside the host's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TestimonyDocument {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Always `Testimony`.
    pub kind: String,
    /// What gpuvirtd knows of its host that no file shows.
    pub testimony: Testimony,
}

impl TestimonyDocument {
    /// The document of a testimony.
    pub fn new(testimony: Testimony) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: "Testimony".to_owned(), testimony }
    }
}

/// A fact that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Unchecked {
    /// What it is.
    pub what: String,
    /// Why it is not known.
    pub why: Unknown,
}

impl DoctorDocument {
    /// The document of a diagnosis.
    pub fn new(source: Source, domains_unknown: Option<Unknown>, diagnosis: Diagnosis) -> Self {
        let worst = diagnosis.worst();
        let unchecked = diagnosis.unchecked.into_iter().map(|(what, why)| Unchecked { what, why });
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Doctor".to_owned(),
            source,
            domains_unknown,
            worst,
            findings: diagnosis.findings,
            unchecked: unchecked.collect(),
        }
    }
}
