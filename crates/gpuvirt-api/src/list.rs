//! The envelope of every listing.

use gpuvirt_model::Unknown;
use serde::{Deserialize, Serialize};

/// The version of every document on the wire and in `-o json`.
pub const API_VERSION: &str = "gpuvirt/v1";

/// Where a document's facts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The daemon: the host joined with libvirt.
    Daemon,
    /// The host itself, read by the command.
    Host,
    /// A recorded host.
    Recording,
}

/// A listing, or a single document with one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ListOf{T}"))]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// What the items are, e.g. `GpuList`.
    pub kind: String,
    /// Where the facts come from.
    pub source: Source,
    /// Why libvirt's domains are not part of it, when they are not.
    pub domains_unknown: Option<Unknown>,
    /// What the host showed that makes no sense, or was missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<String>,
    /// The items.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// A listing of `kind` from `source`.
    pub fn new(kind: &str, source: Source, items: Vec<T>) -> Self {
        let (api_version, kind) = (API_VERSION.to_owned(), kind.to_owned());
        Self { api_version, kind, source, domains_unknown: None, oddities: Vec::new(), items }
    }

    /// The same of what no VM could be named in: that nobody was asked for VMs is no lack of it.
    #[must_use]
    pub fn without_vms(self) -> Self {
        let domains_unknown = self.domains_unknown.filter(|why| *why != Unknown::NeedsDaemon);
        Self { domains_unknown, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_is_missed_where_vms_could_be_named() {
        let of = |why: Option<Unknown>| {
            let list = List { domains_unknown: why, ..List::new("X", Source::Host, vec![1]) };
            list.without_vms().domains_unknown
        };
        assert_eq!(of(Some(Unknown::NeedsDaemon)), None);
        let broken = Unknown::Unreadable { what: "no answer".to_owned() };
        assert_eq!(of(Some(broken.clone())), Some(broken), "asked, and not answered");
        assert_eq!(of(None), None);
    }
}
