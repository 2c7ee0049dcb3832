//! Findings: what `gpuvirt doctor` sees that keeps GPUs from working in VMs, or will.
//!
//! A finding is no refusal: nothing was asked for. One that is about the same matter as a refusal or a warning has the
//! same name, and the same explanation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::refusal::{UnknownCode, codes};
use crate::{PciAddress, WarningCode};

/// Something that an admin should know of the host, a GPU or a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The stable name, the same in JSON, `explain` and the docs.
    pub code: FindingCode,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is the matter and what follows, naming the objects.
    pub cause: String,
    /// From what it is known.
    pub evidence: Vec<Evidence>,
    /// What to do: commands to copy, or sentences; one line each.
    pub remedy: Vec<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing before the next step; nothing is wrong.
    Note,
    /// It works, and something will go wrong: at the next reboot, under load, for one of several VMs.
    Warning,
    /// What is configured, or any passthrough or vGPU at all, does not work.
    Error,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Subject {
    /// The host as a whole.
    Host,
    /// A GPU, by its primary function.
    Gpu(PciAddress),
    /// A VM, by libvirt's name of it.
    Vm(String),
}

/// One thing that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Where: a file of the host, an element of a domain's definition, or who said it.
    pub source: String,
    /// What was found there.
    pub value: String,
}

impl Finding {
    /// A finding without evidence and remedy yet.
    pub fn new(code: FindingCode, severity: Severity, subject: Subject, cause: impl Into<String>) -> Self {
        Self { code, severity, subject, cause: cause.into(), evidence: Vec::new(), remedy: Vec::new() }
    }

    /// The same, with one thing more that was read.
    #[must_use]
    pub fn seen(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// The same, with one thing more that was read at a place.
    #[must_use]
    pub fn seen_at(self, source: impl Into<String>, value: impl fmt::Display) -> Self {
        self.seen(Evidence { source: source.into(), value: value.to_string() })
    }

    /// The same, with one line more of what to do.
    #[must_use]
    pub fn remedy(mut self, line: impl Into<String>) -> Self {
        self.remedy.push(line.into());
        self
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Gpu(address) => address.fmt(f),
            Self::Vm(name) => write!(f, "VM {name}"),
        }
    }
}

codes! {
    /// The name of a finding.
    FindingCode {
        /// The processor does not virtualize, or hides it.
        NoCpuVirtualization => "no-cpu-virtualization",
        /// The processor virtualizes, and the kernel's KVM is not there.
        KvmMissing => "kvm-missing",
        /// The host has no working IOMMU.
        NoIommu => "no-iommu",
        /// The platform does not remap interrupts.
        NoInterruptRemapping => "no-interrupt-remapping",
        /// VFIO goes without interrupt remapping, by an admin's consent.
        UnsafeInterrupts => "unsafe-interrupts",
        /// VFIO's mode without any IOMMU is on.
        NoIommuMode => "noiommu-mode",
        /// The kernel was told to pretend isolation that the hardware does not have.
        AcsOverride => "acs-override",
        /// The vfio-pci driver is neither there nor installable.
        VfioMissing => "vfio-missing",
        /// Another device with a host driver is in the card's IOMMU group.
        GroupNotViable => "group-not-viable",
    }
}

impl FindingCode {
    /// The finding that says the same as a warning, where there is one.
    pub fn of_warning(code: WarningCode) -> Option<Self> {
        code.as_str().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_unique_and_read_back() {
        let mut names: Vec<&str> = FindingCode::ALL.iter().map(|code| code.as_str()).collect();
        for name in &names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
            assert_eq!(name.parse::<FindingCode>().unwrap().as_str(), *name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FindingCode::ALL.len());
    }

    #[test]
    fn errors_are_the_worst() {
        assert!(Severity::Error > Severity::Warning && Severity::Warning > Severity::Note);
    }
}
