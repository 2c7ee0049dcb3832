//! What NVIDIA's names of vGPU types say: size, class, and how they share the card.
//!
//! `MODEL-SIZE CLASS` is time-sliced (`NVIDIA A40-24C`), `MODEL-SLICES-SIZE CLASS` with an optional variant is on a GPU
//! instance (`NVIDIA A30-1-6CME`). The size is in GiB, 0 is half a one. Source: NVIDIA vGPU software documentation,
//! "vGPU types"; it is all that its vendor-specific VFIO tells of a type.

use crate::{ProfileClass, Sharing};

/// The largest size, in GiB, that is believed: above any card's memory.
const LARGEST_GIB: u64 = 4096;
/// Most GPU instances' slices that a name has: above any card's.
const MOST_SLICES: u64 = 64;
/// Variants of a type on a GPU instance: with media engines, without any, with all, with graphics.
const VARIANTS: [&str; 4] = ["NOME", "MEALL", "GFX", "ME"];

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedTraits {
    /// Frame buffer in MiB.
    pub framebuffer_mib: u64,
    /// What it is made for.
    pub class: ProfileClass,
    /// How it shares the card.
    pub sharing: Sharing,
}

/// Reads a name, the driver's own or ours in lower case; none where it does not follow the grammar.
pub fn named_traits(name: &str) -> Option<NamedTraits> {
    let mut parts = name.trim().rsplit('-');
    let (size, class, variant) = size_and_class(parts.next()?)?;
    let before = parts.next()?;
    let slices = number(before, MOST_SLICES).filter(|slices| *slices > 0);
    // `A30-1-6C`: a number between model and size is slices, if there is a model before it.
    let on_instance = slices.is_some() && parts.next().is_some_and(|model| !model.trim().is_empty());
    let sound = !before.trim().is_empty() && !name.starts_with('-') && (on_instance || !variant);
    let sharing = if on_instance { Sharing::MigBacked } else { Sharing::TimeSliced };
    sound.then_some(NamedTraits { framebuffer_mib: mebibytes(size), class, sharing })
}

/// `24C`, `6CME`, `2B4` (the desktop class for four displays): size, class, and whether there is a variant.
fn size_and_class(text: &str) -> Option<(u64, ProfileClass, bool)> {
    let text = text.to_ascii_uppercase();
    let bare = VARIANTS.iter().find_map(|variant| text.strip_suffix(variant));
    let (text, variant) = (bare.unwrap_or(&text), bare.is_some());
    let (size, class) = match text.strip_suffix("B4") {
        Some(size) => (size, ProfileClass::Desktop),
        None => {
            let letter = text.chars().next_back()?;
            (text.strip_suffix(letter)?, class(letter)?)
        }
    };
    Some((number(size, LARGEST_GIB)?, class, variant))
}

fn class(letter: char) -> Option<ProfileClass> {
    match letter {
        'Q' => Some(ProfileClass::Workstation),
        'C' => Some(ProfileClass::Compute),
        'A' => Some(ProfileClass::Application),
        'B' => Some(ProfileClass::Desktop),
        _ => None,
    }
}

fn number(text: &str, most: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= most)
}

/// `M60-0B` has 512 MiB.
fn mebibytes(gib: u64) -> u64 {
    if gib == 0 { 512 } else { gib * 1024 }
}

impl ProfileClass {
    /// The letter in the vendor's names.
    pub fn letter(self) -> char {
        match self {
            Self::Workstation => 'Q',
            Self::Compute => 'C',
            Self::Application => 'A',
            Self::Desktop => 'B',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_size_class_and_sharing() {
        use ProfileClass::{Application, Compute, Desktop, Workstation};
        use Sharing::{MigBacked, TimeSliced};
        for (name, want) in [
            ("NVIDIA A40-24C", Some((24, Compute, TimeSliced))),
            ("nvidia_a40-24c", Some((24, Compute, TimeSliced))),
            ("GRID T4-2Q", Some((2, Workstation, TimeSliced))),
            ("GRID V100DX-8Q", Some((8, Workstation, TimeSliced))),
            ("NVIDIA A2-4A\n", Some((4, Application, TimeSliced))),
            ("NVIDIA L40S-1B", Some((1, Desktop, TimeSliced))),
            ("GRID T4-2B4", Some((2, Desktop, TimeSliced))),
            ("NVIDIA A30-1-6C", Some((6, Compute, MigBacked))),
            ("NVIDIA A30-1-6CME", Some((6, Compute, MigBacked))),
            ("NVIDIA H100-7-80CNOME", Some((80, Compute, MigBacked))),
            ("NVIDIA RTX Pro 6000 Blackwell DC-1-24Q", Some((24, Workstation, MigBacked))),
            ("NVIDIA RTX Pro 6000 Blackwell DC-1-24QGFX", Some((24, Workstation, MigBacked))),
            ("nvidia_rtx_pro_6000_blackwell_dc-3a", Some((3, Application, TimeSliced))),
            ("LAB-8Q", Some((8, Workstation, TimeSliced))),
            // A model whose own name ends on a number.
            ("Tesla-100-8Q", Some((8, Workstation, TimeSliced))),
            ("A40-6CME", None),
            ("nvidia-558", None),
            ("i915-GVTg_V5_4", None),
            ("Single port serial", None),
            ("vf", None),
            ("-4Q", None),
            ("-1-4Q", None),
            ("A40-Q", None),
            ("A40-99999999999999999999Q", None),
            ("A40--4Q", None),
            ("A40-+4Q", None),
            ("A40-4ß", None),
            ("", None),
        ] {
            let got = named_traits(name).map(|t| (t.framebuffer_mib / 1024, t.class, t.sharing));
            assert_eq!(got, want, "{name:?}");
        }
        assert_eq!(named_traits("GRID M60-0B").map(|traits| traits.framebuffer_mib), Some(512));
    }
}
