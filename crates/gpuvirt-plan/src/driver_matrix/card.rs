//! What NVIDIA's chips ask of a driver, by the chip's name at the beginning of pci.ids' name of a card (`GA102GL [A40]`).
//!
//! Sources: NVIDIA virtual GPU software documentation, "Supported GPUs" (GeForce cards are not among them; from release 13 on
//! compute cards have their vGPUs from NVIDIA AI Enterprise's packages); NVIDIA data center drivers documentation, "Supported
//! GPUs" (R580 is the last branch for Maxwell, Pascal and Volta; Ada and Hopper from R525, Blackwell from R570 on); NVIDIA's
//! open kernel modules (Turing and later). A chip that no line names is said nothing of.

use super::Branch;

/// A generation of chips.
struct Generation {
    /// How names of its chips begin.
    chips: &'static [&'static str],
    name: &'static str,
    /// The first branch that knows it, where that is above the oldest in the table.
    from: Option<u16>,
    /// The last branch that knows it.
    until: Option<u16>,
}

const GENERATIONS: &[Generation] = &[
    Generation { chips: &["GM"], name: "Maxwell", from: None, until: Some(580) },
    Generation { chips: &["GP"], name: "Pascal", from: None, until: Some(580) },
    Generation { chips: &["GV"], name: "Volta", from: None, until: Some(580) },
    Generation { chips: &["TU"], name: "Turing", from: None, until: None },
    Generation { chips: &["GA"], name: "Ampere", from: None, until: None },
    Generation { chips: &["AD"], name: "Ada", from: Some(525), until: None },
    Generation { chips: &["GH"], name: "Hopper", from: Some(525), until: None },
    Generation { chips: &["GB"], name: "Blackwell", from: Some(570), until: None },
];

/// Chips of cards made for computing: A100, A800, A30; H100, H200, H800, H20; B100 and B200.
const COMPUTE: [&str; 3] = ["GA100", "GH100", "GB100"];

/// Made for computing: their vGPUs are licensed with, and come in the packages of, NVIDIA AI Enterprise.
pub fn is_compute(name: &str) -> bool {
    COMPUTE.iter().any(|chip| name.starts_with(chip))
}

/// A card for players, for which NVIDIA offers no vGPU.
pub fn is_geforce(name: &str) -> bool {
    name.contains("GeForce")
}

/// Why a branch's drivers do not know a card, when they do not.
pub fn unknown_to(branch: &Branch, name: &str) -> Option<String> {
    let numbered = |chip: &&str| {
        let rest = name.strip_prefix(*chip);
        rest.and_then(|rest| rest.chars().next()).is_some_and(|c| c.is_ascii_digit())
    };
    let found = GENERATIONS.iter().find(|generation| generation.chips.iter().any(numbered))?;
    if let Some(last) = found.until.filter(|last| branch.number > *last) {
        return Some(format!(
            "R{last} is the last branch for {} cards, and this is R{}",
            found.name, branch.number
        ));
    }
    let first = found.from.filter(|first| branch.number < *first)?;
    Some(format!("{} cards need R{first} or newer, and this is R{}", found.name, branch.number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver_matrix::branch::BRANCHES;

    #[test]
    fn chips_tell_what_drivers_know_them() {
        let branch = |number| BRANCHES.iter().find(|branch| branch.number == number).unwrap();
        for (name, number, known) in [
            ("GA102GL [A40]", 595, true),
            ("GV100GL [Tesla V100 PCIe 32GB]", 580, true),
            ("GV100GL [Tesla V100 PCIe 32GB]", 595, false),
            ("GP102GL [Tesla P40]", 590, false),
            ("AD102GL [L40S]", 470, false),
            ("AD102GL [L40S]", 535, true),
            ("GB202GL [RTX PRO 6000 Blackwell Server Edition]", 550, false),
            ("GH100 [H100 PCIe]", 470, false),
            // No chip's name.
            ("GPU of the lab", 595, true),
            ("", 470, true),
        ] {
            assert_eq!(unknown_to(branch(number), name).is_none(), known, "{name} R{number}");
        }
    }

    #[test]
    fn compute_and_players_cards_are_told_apart() {
        assert!(is_compute("GA100 [A100 PCIe 40GB]") && is_compute("GH100 [H200 SXM 141GB]"));
        assert!(!is_compute("GA102GL [A40]") && !is_compute("GB202GL [RTX PRO 6000]"));
        assert!(is_geforce("AD102 [GeForce RTX 4090]") && !is_geforce("AD102GL [L40S]"));
    }
}
