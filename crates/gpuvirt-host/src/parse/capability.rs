//! Extended capabilities in a function's config space.

use gpuvirt_model::health::Acs;

/// Access Control Services (PCI Express base specification, 7.7.11): a capability register of 16 bits, then a control register with
/// the same bits.
const ACS: u32 = 0x000d;
/// What the kernel asks for before it tells devices apart (`REQ_ACS_FLAGS` in drivers/iommu/iommu.c): source validation, request and
/// completion redirect, upstream forwarding.
const ASKED: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 4;
/// Where extended capabilities begin.
const EXTENDED: usize = 0x100;
/// How many of the smallest have room: a list that leads back to itself ends too.
const MOST: usize = (4096 - EXTENDED) / 8;

/// What a function has of Access Control Services; none where its config space was not read in full, or has no extended part.
///
/// A service that the capability register does not offer to control is taken for a part of the hardware, as the kernel does
/// (`pci_acs_flags_enabled` in drivers/pci/pci.c).
pub fn acs(config: &[u8]) -> Option<Acs> {
    let Some(at) = extended(config, ACS)? else { return Some(Acs::Missing) };
    let register = word(config, at + 4)?;
    let (offered, on) = (register as u16, (register >> 16) as u16);
    Some(if on & offered & ASKED == offered & ASKED { Acs::On } else { Acs::Off })
}

/// Where a function has an extended capability, if it has it; none where the list can't be followed to its end.
fn extended(config: &[u8], id: u32) -> Option<Option<usize>> {
    let mut at = EXTENDED;
    for _ in 0..MOST {
        // All ones are no capabilities but a function that does not answer.
        let found = word(config, at).filter(|found| *found != u32::MAX)?;
        if found & 0xffff == id {
            return Some(Some(at));
        }
        at = (found >> 20) as usize & !3;
        if at < EXTENDED {
            return Some(None);
        }
    }
    None
}

fn word(config: &[u8], at: usize) -> Option<u32> {
    let bytes = config.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: &[(usize, u32)]) -> Vec<u8> {
        let mut config = vec![0_u8; 4096];
        for (at, word) in words {
            config[*at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        config
    }

    #[test]
    fn the_list_is_followed_to_its_end() {
        assert_eq!(acs(&with(&[])), Some(Acs::Missing), "an empty list");
        let behind = (0x100, 0x1402_0001);
        assert_eq!(acs(&with(&[behind, (0x140, 0x0001_0003)])), Some(Acs::Missing));
        assert_eq!(acs(&with(&[behind, (0x140, 0x0001_000d)])), Some(Acs::On), "nothing to be switched");
        assert_eq!(acs(&with(&[behind, (0x140, 0x1401_0003)])), None, "a list that leads to itself");
        assert_eq!(acs(&with(&[behind])[..64]), None, "what others than root may read");
        assert_eq!(acs(&with(&[behind, (0x140, 0x0001_000d)])[..0x144]), None, "cut off");
        assert_eq!(acs(&[0xff; 4096]), None);
    }

    #[test]
    fn services_that_can_be_switched_are_on_or_off() {
        let judged = |registers| acs(&with(&[(0x100, 0x0001_000d), (0x104, registers)]));
        assert_eq!(judged(0x001d_001d), Some(Acs::On));
        assert_eq!(judged(0x001d_005f), Some(Acs::On), "translation blocking is not asked for");
        assert_eq!(judged(0x0000_001d), Some(Acs::Off));
        assert_eq!(judged(0x0011_001d), Some(Acs::Off), "pci=disable_acs_redir=");
        assert_eq!(judged(0x0011_0011), Some(Acs::On), "no redirects that could be switched");
    }

    proptest::proptest! {
        #[test]
        fn no_config_space_makes_it_panic(config in proptest::collection::vec(0_u8.., 0..600)) {
            let _ = acs(&config);
        }
    }
}
