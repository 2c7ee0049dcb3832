//! What a snapshot must not carry: names of machines, serial numbers, network addresses.
//!
//! Uuids of mediated devices stay: they are their identity, and say nothing of the host.

/// Attributes that are left out, by the last part of their names, and what they would tell.
const LEFT_OUT: [(&str, &str); 10] = [
    ("vpd", "vital product data (serial numbers)"),
    ("serial", "serial numbers"),
    ("serial_number", "serial numbers"),
    ("unique_id", "serial numbers"),
    ("product_serial", "serial numbers"),
    ("chassis_serial", "serial numbers"),
    ("address", "MAC addresses"),
    ("permanent_address", "MAC addresses"),
    ("edid", "monitors' serial numbers"),
    ("rom", "ROM contents"),
];

/// Why an attribute is left out, or nothing when it is recorded.
pub fn left_out(attribute: &str) -> Option<&'static str> {
    let name = attribute.rsplit('/').next().unwrap_or(attribute);
    // An IOMMU unit's address is no network address.
    if attribute == "intel-iommu/address" {
        return None;
    }
    LEFT_OUT.iter().find(|(left, _)| *left == name).map(|(_, why)| *why)
}

/// Blanks the Device Serial Number out of config space, which network cards make of their MAC address; whether there was
/// one. It is the extended capability 3, eight bytes after its header (PCI Express base specification, 7.9.3).
pub fn blank_serial(config: &mut [u8]) -> bool {
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

/// The text with everything that looks like a MAC address, and every `host` name, blanked out; whether that changed it.
pub fn blank(text: &str, host: Option<&str>) -> (String, bool) {
    let mut out = match host.filter(|host| host.len() > 3) {
        Some(host) => text.replace(host, "redacted"),
        None => text.to_owned(),
    };
    let mut at = 0;
    while let Some(window) = out.as_bytes().get(at..at + 17) {
        let mac = window.iter().enumerate().all(|(i, b)| match i % 3 {
            2 => *b == b':',
            _ => b.is_ascii_hexdigit(),
        });
        let alone =
            at == 0 || !out.as_bytes().get(at - 1).is_some_and(|b| b.is_ascii_hexdigit() || *b == b':');
        let ends = !out.as_bytes().get(at + 17).is_some_and(|b| b.is_ascii_hexdigit() || *b == b':');
        if mac && alone && ends {
            out.replace_range(at..at + 17, "00:00:00:00:00:00");
        }
        at += 1;
    }
    let changed = out != text;
    (out, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_machine_goes_and_the_rest_stays() {
        assert_eq!(left_out("vpd"), Some("vital product data (serial numbers)"));
        assert!(left_out("device/serial").is_some());
        for kept in ["intel-iommu/address", "class", "uevent", "power/control", "boot_vga", "resource"] {
            assert_eq!(left_out(kept), None, "{kept}");
        }
        for (text, want) in [
            ("mac 52:54:00:12:34:56\n", "mac 00:00:00:00:00:00\n"),
            ("server9 says\n", "redacted says\n"),
            ("0000:41:00.0 0000:41:00.1 x", "0000:41:00.0 0000:41:00.1 x"),
            ("00:11:22:33:44:55:66:77", "00:11:22:33:44:55:66:77"),
            ("é52:54:00:12:34:56é", "é00:00:00:00:00:00é"),
        ] {
            let (blanked, changed) = blank(text, Some("server9"));
            assert_eq!(blanked, want);
            assert_eq!(changed, text != want);
        }
    }

    #[test]
    fn the_serial_number_in_config_space_goes_and_nothing_else() {
        let mut config = vec![0xa5_u8; 4096];
        // AER at 0x100, then the serial number at 0x140, then the end.
        config[0x100..0x104].copy_from_slice(&0x1402_0001_u32.to_le_bytes());
        config[0x140..0x144].copy_from_slice(&0x0001_0003_u32.to_le_bytes());
        let mut want = config.clone();
        want[0x144..0x14c].fill(0);
        assert!(blank_serial(&mut config));
        assert!(config == want);
        assert!(!blank_serial(&mut config), "it is gone already");
        for short in [0, 64, 0x102, 0x146] {
            blank_serial(&mut want[..short].to_vec());
        }
        // A list that leads to itself.
        config[0x140..0x144].copy_from_slice(&0x1401_0004_u32.to_le_bytes());
        assert!(!blank_serial(&mut config));
    }

    proptest::proptest! {
        #[test]
        fn any_config_space_is_blanked_without_panic(mut config in proptest::collection::vec(0_u8.., 0..600)) {
            blank_serial(&mut config);
        }

        #[test]
        fn any_text_is_blanked_without_panic(text in ".{0,60}", host in ".{0,6}") {
            let _ = blank(&text, Some(&host));
        }
    }
}
