//! What a package is judged on, and how it was judged.

use gpuvirt_model::{HostDriver, PciAddress};
use serde::Serialize;

/// What a GPU is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsedAs {
    /// By the host itself.
    Host,
    /// Whole, by a VM.
    Passthrough,
    /// Through vGPUs.
    Vgpu,
}

/// A GPU and how it is used: by its own configuration, or by one VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// The GPU.
    pub gpu: PciAddress,
    /// Its PCI vendor.
    pub vendor: u16,
    /// Its name, where pci.ids has it.
    pub name: String,
    /// What for.
    pub used_as: UsedAs,
    /// The host's driver of it.
    pub host_driver: HostDriver,
    /// The package would go into a guest, not on the host.
    pub in_guest: bool,
}

/// Whether it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Fits,
    /// It does not.
    DoesNotFit,
    /// It can't be told.
    Unknown,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// Whether it fits.
    pub verdict: Verdict,
    /// Why, a sentence each.
    pub because: Vec<String>,
    /// What to do instead, a line each.
    pub remedy: Vec<String>,
}

impl Judgement {
    fn new(verdict: Verdict, because: impl Into<String>) -> Self {
        Self { verdict, because: vec![because.into()], remedy: Vec::new() }
    }

    /// It fits.
    pub fn fits(because: impl Into<String>) -> Self {
        Self::new(Verdict::Fits, because)
    }

    /// It does not fit.
    pub fn does_not(because: impl Into<String>) -> Self {
        Self::new(Verdict::DoesNotFit, because)
    }

    /// It can't be told.
    pub fn unknown(because: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, because)
    }

    /// The same with a remedy more.
    #[must_use]
    pub fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.push(remedy.into());
        self
    }

    /// One verdict from several that must all hold.
    pub fn all(judgements: impl IntoIterator<Item = Self>) -> Option<Self> {
        judgements.into_iter().reduce(|mut all, next| {
            all.verdict = match (all.verdict, next.verdict) {
                (Verdict::DoesNotFit, _) | (_, Verdict::DoesNotFit) => Verdict::DoesNotFit,
                (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
                (Verdict::Fits, Verdict::Fits) => Verdict::Fits,
            };
            all.add(next);
            all
        })
    }

    /// One verdict from several of which one holds, and nobody knows which.
    pub(super) fn any(judgements: Vec<Self>) -> Option<Self> {
        let first = judgements.first()?.verdict;
        let agree = judgements.iter().all(|judgement| judgement.verdict == first);
        judgements.into_iter().reduce(|mut all, next| {
            all.add(next);
            all.verdict = if agree { first } else { Verdict::Unknown };
            all
        })
    }

    fn add(&mut self, other: Self) {
        let new = |known: &[String], more: Vec<String>| -> Vec<String> {
            more.into_iter().filter(|line| !known.contains(line)).collect()
        };
        let (because, remedy) = (new(&self.because, other.because), new(&self.remedy, other.remedy));
        self.because.extend(because);
        self.remedy.extend(remedy);
    }
}
