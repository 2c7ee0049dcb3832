//! Extended capabilities in a function's config space.

use gpuvirt_model::health::Acs;

/// Access Control Services (PCI Express base specification, 7.7.11): a capability register of 16 bits, then a control register with
/// the same bits.
const ACS: u32 = 0x000d;
/// What the kernel asks for before it tells devices apart (`REQ_ACS_FLAGS` in drivers/iommu/iommu.c): source validation, request and
/// completion redirect, upstream forwarding.
const ASKED: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 4;
/// Where a header has its type, with the bit that says that there are several functions, and where its list of capabilities begins;
/// and its size.
const HEADER_TYPE: usize = 0x0e;
const MULTIFUNCTION: u8 = 0x80;
const CAPABILITIES: usize = 0x34;
const HEADER: usize = 0x40;
/// The PCI Express capability, and its types of ports.
const EXPRESS: u8 = 0x10;
const ROOT_PORT: u16 = 4;
const UPSTREAM_PORT: u16 = 5;
const DOWNSTREAM_PORT: u16 = 6;
/// How many plain capabilities have room.
const MOST_PLAIN: usize = (EXTENDED - HEADER) / 4;
/// Where extended capabilities begin.
const EXTENDED: usize = 0x100;
/// How many of the smallest have room: a list that leads back to itself ends too.
const MOST: usize = (4096 - EXTENDED) / 8;

/// What a bridge has of Access Control Services; none where its config space was not read in full.
///
/// As the kernel judges it (`pci_acs_enabled` and `pci_acs_flags_enabled` in drivers/pci/pci.c): a bridge to conventional PCI tells
/// nothing apart, the upstream port of a switch needs none while it is a single function, and a service that the capability
/// register does not offer to control is taken for a part of the hardware.
pub fn acs(config: &[u8]) -> Option<Acs> {
    match express_type(config)? {
        Some(ROOT_PORT | DOWNSTREAM_PORT) => {}
        Some(UPSTREAM_PORT) if config.get(HEADER_TYPE)? & MULTIFUNCTION == 0 => return Some(Acs::NotNeeded),
        Some(UPSTREAM_PORT) => {}
        Some(_) | None => return Some(Acs::Missing),
    }
    let Some(at) = extended(config, ACS)? else {
        return Some(if is_isolated_by_chipset(config)? { Acs::ByChipset } else { Acs::Missing });
    };
    let (offered, on) = registers(config, at)?;
    Some(if on & offered & ASKED == offered & ASKED { Acs::On } else { Acs::Off })
}

/// The capability and the control register. Root ports of some of Intel's chipsets have them as double words
/// (`pci_quirk_intel_spt_pch_acs` in drivers/pci/quirks.c).
fn registers(config: &[u8], at: usize) -> Option<(u16, u16)> {
    let (vendor, device) = (half(config, 0)?, half(config, 2)?);
    let is_wide = vendor == 0x8086
        && matches!(device, 0xa110..=0xa11f | 0xa167..=0xa16a | 0xa290..=0xa29f | 0xa2e7..=0xa2ee | 0x9d10..=0x9d1b);
    Some((half(config, at + 4)?, half(config, at + if is_wide { 8 } else { 6 })?))
}

/// Root ports of Intel's chipsets of the series 5 to 9 have a register elsewhere, by which the kernel has them isolate
/// (`pci_quirk_intel_pch_acs_ids` in drivers/pci/quirks.c).
fn is_isolated_by_chipset(config: &[u8]) -> Option<bool> {
    let (vendor, device) = (half(config, 0)?, half(config, 2)?);
    let is_listed = matches!(
        device,
        0x3b42..=0x3b51
            | 0x1c10..=0x1c1f
            | 0x1d10..=0x1d1e
            | 0x1e10..=0x1e1f
            | 0x8c10..=0x8c1f
            | 0x8c90..=0x8c9e
            | 0x8d10..=0x8d1e
            | 0x9c10..=0x9c1b
            | 0x9c90..=0x9c9b
    );
    Some(vendor == 0x8086 && is_listed && express_type(config)? == Some(ROOT_PORT))
}

/// What kind of PCI Express function it is (bits 7:4 of the PCI Express capability's register, 7.5.3.2); `Some(None)`: none.
fn express_type(config: &[u8]) -> Option<Option<u16>> {
    if half(config, 0)? == u16::MAX || config.len() < EXTENDED {
        return None;
    }
    let mut at = usize::from(*config.get(CAPABILITIES)?) & !3;
    for _ in 0..MOST_PLAIN {
        if at < HEADER {
            return Some(None);
        }
        if *config.get(at)? == EXPRESS {
            return Some(Some(half(config, at + 2)? >> 4 & 0xf));
        }
        at = usize::from(*config.get(at + 1)?) & !3;
    }
    None
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

fn half(config: &[u8], at: usize) -> Option<u16> {
    let bytes = config.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    /// A port of this type with these words.
    fn port(kind: u32, words: &[(usize, u32)]) -> Vec<u8> {
        let mut config = vec![0_u8; 4096];
        // Power management, and then PCI Express.
        let list = [(0x34, 0x40), (0x40, 0x5001), (0x50, kind << 20 | 0x0010)];
        for (at, word) in list.iter().chain(words) {
            config[*at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        config
    }

    fn root(words: &[(usize, u32)]) -> Vec<u8> {
        port(4, words)
    }

    const HAS: (usize, u32) = (0x100, 0x0001_000d);

    #[test]
    fn the_list_is_followed_to_its_end() {
        assert_eq!(acs(&root(&[])), Some(Acs::Missing), "an empty list");
        let behind = (0x100, 0x1402_0001);
        assert_eq!(acs(&root(&[behind, (0x140, 0x0001_0003)])), Some(Acs::Missing));
        assert_eq!(acs(&root(&[behind, (0x140, 0x0001_000d)])), Some(Acs::On), "nothing to be switched");
        assert_eq!(acs(&root(&[behind, (0x140, 0x1401_0003)])), None, "a list that leads to itself");
        assert_eq!(acs(&root(&[behind])[..64]), None, "what others than root may read");
        assert_eq!(acs(&root(&[behind, (0x140, 0x0001_000d)])[..0x144]), None, "cut off");
        assert_eq!(acs(&[0xff; 4096]), None);
        let mut round = root(&[HAS]);
        round[0x41] = 0x40;
        assert_eq!(acs(&round), None, "the plain list leads to itself");
    }

    #[test]
    fn services_that_can_be_switched_are_on_or_off() {
        let judged = |registers| acs(&root(&[HAS, (0x104, registers)]));
        assert_eq!(judged(0x001d_001d), Some(Acs::On));
        assert_eq!(judged(0x001d_005f), Some(Acs::On), "translation blocking is not asked for");
        assert_eq!(judged(0x0000_001d), Some(Acs::Off));
        assert_eq!(judged(0x0011_001d), Some(Acs::Off), "pci=disable_acs_redir=");
        assert_eq!(judged(0x0011_0011), Some(Acs::On), "no redirects that could be switched");
    }

    #[test]
    fn registers_of_sunrise_point_are_double_words() {
        let judged = |id, control| acs(&root(&[(0, id), HAS, (0x104, 0x1d), (0x108, control)]));
        assert_eq!(judged(0xa110_8086, 0x1d), Some(Acs::On));
        assert_eq!(judged(0xa110_8086, 0x11), Some(Acs::Off));
        assert_eq!(judged(0xa120_8086, 0x1d), Some(Acs::Off), "another chipset");
    }

    #[test]
    fn older_chipsets_isolate_without_the_capability() {
        assert_eq!(acs(&root(&[(0, 0x1e10_8086)])), Some(Acs::ByChipset));
        assert_eq!(acs(&root(&[(0, 0x1e10_1022)])), Some(Acs::Missing), "another vendor's");
        assert_eq!(acs(&port(6, &[(0, 0x1e10_8086)])), Some(Acs::Missing), "no root port");
    }

    #[test]
    fn what_is_asked_of_a_bridge_depends_on_its_kind() {
        let off = [HAS, (0x104, 0x1d)];
        assert_eq!(acs(&port(6, &off)), Some(Acs::Off), "downstream");
        assert_eq!(acs(&port(5, &off)), Some(Acs::NotNeeded), "upstream");
        assert_eq!(acs(&port(5, &[HAS, (0x104, 0x1d), (0x0c, 0x0081_0000)])), Some(Acs::Off), "of several");
        assert_eq!(acs(&port(7, &[HAS])), Some(Acs::Missing), "to conventional PCI");
        let mut plain = root(&[]);
        plain[0x34] = 0;
        assert_eq!(acs(&plain), Some(Acs::Missing), "conventional PCI");
        assert_eq!(acs(&plain[..0x100]), Some(Acs::Missing), "which has no more");
    }

    proptest::proptest! {
        #[test]
        fn no_config_space_makes_it_panic(
            kind in 0_u32..16,
            id in 0_u32..,
            length in 0_usize..=4096,
            lists in proptest::collection::vec((0x40_usize..0x200, proptest::prop_oneof![
                proptest::prelude::any::<u32>(),
                (0_u32..0x400).prop_map(|next| next << 20 | 0x000d),
            ]), 0..6),
        ) {
            let words: Vec<(usize, u32)> = std::iter::once((0, id)).chain(lists).collect();
            let _ = acs(&port(kind, &words)[..length]);
        }
    }
}
