//! How people name a GPU: by its address or by its label.
//!
//! The command reads it from arguments and the daemon from the path of a request, with the same rules, and both find the
//! GPU by the same ones.

use std::fmt;
use std::str::FromStr;

use gpuvirt_model::{Desired, Gpu, Observed, PciAddress, Refusal, RefusalCode, pci::PciAddressError};
use gpuvirt_plan::checks;

/// The longest label, in characters.
pub const MAX_LABEL: usize = 63;

/// A GPU as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuSelector {
    /// By the address of its primary or a companion function.
    Address(PciAddress),
    /// By the admin's own name for it.
    Label(String),
}

/// Why a text names no GPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It has a colon or a dot and digits as addresses do, but is none.
    #[error(transparent)]
    Address(#[from] PciAddressError),
    /// It can be neither.
    #[error(transparent)]
    Label(#[from] LabelError),
}

/// Why a text can't be a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} can't be a label: write 1 to {MAX_LABEL} visible characters without `/`, `:` or spaces at the ends, not \
     beginning with `-` or `.`"
)]
pub struct LabelError(pub String);

/// Checks a label.
///
/// A label is shown in tables, typed as an argument and put into the path of a request, so it never looks like an
/// address (`:`), an option (`-`) or a path (`/`, a leading `.`).
///
/// # Errors
/// [`LabelError`].
pub fn check_label(text: &str) -> Result<&str, LabelError> {
    let sound = (1..=MAX_LABEL).contains(&text.chars().count())
        && text.trim() == text
        && !text.starts_with(['-', '.'])
        && !text.chars().any(|c| unseen(c) || matches!(c, '/' | ':'));
    if sound { Ok(text) } else { Err(LabelError(text.to_owned())) }
}

/// A character that shows nothing of itself, or turns others around: two labels with it could look alike.
fn unseen(c: char) -> bool {
    let formats = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    c.is_control() || formats || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl GpuSelector {
    /// The GPU that it names: by its label, or by the address of its primary or a companion function. A virtual function
    /// is no name for its GPU: it is a device of its own, which a VM may have.
    ///
    /// # Errors
    /// The refusals `gpu-not-found` and `label-ambiguous`, boxed for their size.
    pub fn find<'a>(&self, observed: &'a Observed, desired: &Desired) -> Result<&'a Gpu, Box<Refusal>> {
        let address = match self {
            Self::Address(address) => *address,
            Self::Label(label) => the_one(label, desired)?.ok_or_else(|| Box::new(no_label(label)))?,
        };
        let is_vf = observed.functions.get(&address).is_some_and(|function| function.physfn.is_some());
        let gpu = observed.gpu_of(address).filter(|_| !is_vf);
        gpu.ok_or_else(|| Box::new(checks::not_found(address, observed)))
    }

    /// The configured GPU that it names by its label or its own address, whether this host has it now or not.
    ///
    /// # Errors
    /// The refusal `label-ambiguous`, boxed for its size.
    pub fn configured(&self, desired: &Desired) -> Result<Option<PciAddress>, Box<Refusal>> {
        match self {
            Self::Address(address) => Ok(desired.gpu(*address).map(|gpu| gpu.address)),
            Self::Label(label) => the_one(label, desired),
        }
    }
}

/// The GPU with a label, where it is one: a label that VMs ask for may be that of several.
fn the_one(label: &str, desired: &Desired) -> Result<Option<PciAddress>, Box<Refusal>> {
    let labelled = desired.labelled(label);
    let [first, _, ..] = labelled.as_slice() else { return Ok(labelled.first().copied()) };
    let all: Vec<String> = labelled.iter().map(PciAddress::to_string).collect();
    let code = RefusalCode::LabelAmbiguous;
    Err(Box::new(Refusal {
        code,
        summary: format!("{label} names no single GPU"),
        because: format!("{} GPUs have this label: {}", all.len(), all.join(", ")),
        remedy: vec![format!("name one by its address, such as {first}"), format!("gpuvirt explain {code}")],
    }))
}

fn no_label(label: &str) -> Refusal {
    let code = RefusalCode::GpuNotFound;
    Refusal {
        code,
        summary: format!("there is no GPU {label}"),
        because: "no managed GPU has this label".to_owned(),
        remedy: vec!["gpuvirt gpu list".to_owned(), format!("gpuvirt explain {code}")],
    }
}

impl FromStr for GpuSelector {
    type Err = SelectorError;

    /// An address where the text is one; a text with a colon is an address or a mistake; all else is a label.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        match PciAddress::parse(text) {
            Ok(address) => Ok(Self::Address(address)),
            Err(error) if text.is_empty() || text.contains(':') => Err(error.into()),
            Err(_) => Ok(Self::Label(check_label(text)?.to_owned())),
        }
    }
}

impl fmt::Display for GpuSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Label(label) => f.write_str(label),
        }
    }
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{ClassCode, ConfiguredType, DesiredGpu, PciIdentity};

    use super::*;

    #[test]
    fn addresses_and_labels_are_told_apart() {
        for (text, want) in [
            ("0000:41:00.0", Some("0000:41:00.0")),
            ("41:00.0", Some("0000:41:00.0")),
            ("render-1", Some("render-1")),
            ("the big one", Some("the big one")),
            ("Grafik größer", Some("Grafik größer")),
            ("41:00", None),
            ("0000:4g:00.0", None),
            ("", None),
            ("-o", None),
            ("..", None),
            ("a/b", None),
            (" a", None),
            ("a\nb", None),
            ("\u{202e}evil", None),
            ("two\u{200b}halves", None),
            ("\u{1b}[31m", None),
        ] {
            let read = text.parse::<GpuSelector>().ok().map(|gpu| gpu.to_string());
            assert_eq!(read.as_deref(), want, "{text:?}");
        }
        assert!("x".repeat(MAX_LABEL + 1).parse::<GpuSelector>().is_err());
    }

    #[test]
    fn a_label_of_several_gpus_names_none_of_them() {
        let identity = PciIdentity {
            vendor: 0x10de,
            device: 0x2235,
            subsystem_vendor: 0x10de,
            subsystem_device: 0x145a,
            class: ClassCode(0x03_00_00),
        };
        let gpus = [(0x41, "farm"), (0x42, "farm"), (0x43, "left")].map(|(bus, label)| DesiredGpu {
            label: Some(label.to_owned()),
            ..DesiredGpu::new(
                PciAddress { domain: 0, bus, slot: 0, function: 0 },
                identity,
                ConfiguredType::Direct,
            )
        });
        let desired = Desired { gpus: gpus.to_vec(), ..Desired::default() };
        let named = |label: &str| GpuSelector::Label(label.to_owned()).configured(&desired);
        assert_eq!(named("left"), Ok(Some(gpus[2].address)));
        assert_eq!(named("other"), Ok(None));
        let refusal = named("farm").unwrap_err();
        assert_eq!(refusal.code, RefusalCode::LabelAmbiguous);
        assert!(refusal.because.contains("0000:41:00.0, 0000:42:00.0"), "{}", refusal.because);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_address_a_label_or_an_error(text in "\\PC{0,80}|[0-9a-f:.]{0,16}") {
            if let Ok(selector) = text.parse::<GpuSelector>() {
                // What is shown names the same GPU again.
                proptest::prop_assert_eq!(selector.to_string().parse(), Ok(selector));
            }
        }
    }
}
