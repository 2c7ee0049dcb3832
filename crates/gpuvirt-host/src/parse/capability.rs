//! Extended capabilities in a function's config space.

/// Access Control Services (PCI Express base specification, 7.7.11).
const ACS: u32 = 0x000d;
/// Where extended capabilities begin.
const EXTENDED: usize = 0x100;
/// How many of the smallest have room: a list that leads back to itself ends too.
const MOST: usize = (4096 - EXTENDED) / 8;

/// Whether a function has Access Control Services; none where its config space was not read in full, or has no extended
/// part.
pub fn has_acs(config: &[u8]) -> Option<bool> {
    let header = |at: usize| {
        let bytes = config.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let mut at = EXTENDED;
    for _ in 0..MOST {
        // All ones are no capabilities but a function that does not answer.
        let found = header(at).filter(|found| *found != u32::MAX)?;
        if found & 0xffff == ACS {
            return Some(true);
        }
        at = (found >> 20) as usize & !3;
        if at < EXTENDED {
            return Some(false);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_followed_to_its_end() {
        let mut config = vec![0_u8; 4096];
        assert_eq!(has_acs(&config), Some(false), "an empty list");
        config[0x100..0x104].copy_from_slice(&0x1402_0001_u32.to_le_bytes());
        config[0x140..0x144].copy_from_slice(&0x0001_000d_u32.to_le_bytes());
        assert_eq!(has_acs(&config), Some(true));
        config[0x140..0x144].copy_from_slice(&0x1401_0003_u32.to_le_bytes());
        assert_eq!(has_acs(&config), None, "a list that leads to itself");
        assert_eq!(has_acs(&config[..64]), None, "what others than root may read");
        assert_eq!(has_acs(&[0xff; 4096]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_config_space_makes_it_panic(config in proptest::collection::vec(0_u8.., 0..600)) {
            let _ = has_acs(&config);
        }
    }
}
