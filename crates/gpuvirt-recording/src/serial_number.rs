//! The serial number in a function's config space.

/// Blanks the Device Serial Number out of config space, which network cards make of their MAC address; whether there was
/// one. It is the extended capability 3, eight bytes after its header (PCI Express base specification, 7.9.3).
pub(crate) fn blank(config: &mut [u8]) -> bool {
    let mut changed = false;
    let mut at = EXTENDED;
    // Each has its place, so that a list that leads back to itself ends too.
    for _ in 0..MAX_CAPABILITIES {
        let header = config.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let Some(header) = header else { break };
        if header & 0xffff == SERIAL_CAPABILITY {
            let serial = config.get_mut(at + 4..at + 12).into_iter().flatten();
            for byte in serial {
                changed |= *byte != 0;
                *byte = 0;
            }
        }
        at = (header >> 20) as usize & !3;
        if at < EXTENDED {
            break;
        }
    }
    changed
}

/// Where extended capabilities begin, and how many of the smallest have room.
const EXTENDED: usize = 0x100;
const MAX_CAPABILITIES: usize = (4096 - EXTENDED) / 8;
const SERIAL_CAPABILITY: u32 = 0x0003;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_in_config_space_goes_and_nothing_else() {
        let mut config = vec![0xa5_u8; 4096];
        // AER at 0x100, then the serial number at 0x140, then the end.
        config[0x100..0x104].copy_from_slice(&0x1402_0001_u32.to_le_bytes());
        config[0x140..0x144].copy_from_slice(&0x0001_0003_u32.to_le_bytes());
        let mut want = config.clone();
        want[0x144..0x14c].fill(0);
        assert!(blank(&mut config));
        assert!(config == want);
        assert!(!blank(&mut config), "it is gone already");
        for short in [0, 64, 0x102, 0x146] {
            blank(&mut want[..short].to_vec());
        }
        // A list that leads to itself.
        config[0x140..0x144].copy_from_slice(&0x1401_0004_u32.to_le_bytes());
        assert!(!blank(&mut config));
    }

    proptest::proptest! {
        #[test]
        fn any_config_space_is_blanked_without_panic(mut config in proptest::collection::vec(0_u8.., 0..600)) {
            blank(&mut config);
        }
    }
}
