//! What a snapshot must not carry: names of machines, serial numbers, network addresses.
//!
//! Uuids of mediated devices stay: they are their identity, and say nothing of the host.

use crate::host_names::HostNames;

/// Attributes that are left out, by the last part of their names, and what they would tell.
const LEFT_OUT: [(&str, &str); 11] = [
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
    ("vm_name", "VMs' names among vGPUs' attributes"),
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

/// The text with everything that looks like a MAC address, and the host's names, blanked out; whether that changed it.
pub fn blank(text: &str, host: &HostNames) -> (String, bool) {
    let mut out = without_names_by_mac(host.blank(text));
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

/// How systemd begins the name of a network card that it calls by its MAC address: `enx525400123456`.
const BY_MAC: [&str; 3] = ["enx", "wlx", "wwx"];

fn without_names_by_mac(mut text: String) -> String {
    for start in BY_MAC {
        let found: Vec<usize> = text.match_indices(start).map(|(at, _)| at).collect();
        for at in found {
            let mac = at + start.len()..at + start.len() + 12;
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let after = text.get(mac.end..).and_then(|text| text.chars().next());
            let alone = ![before, after].into_iter().flatten().any(char::is_alphanumeric);
            let is_mac = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
            if alone && text.get(mac.clone()).is_some_and(is_mac) {
                text.replace_range(mac, "000000000000");
            }
        }
    }
    text
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
            ("enx525400123456-TxRx-0 wlx525400123456", "enx000000000000-TxRx-0 wlx000000000000"),
            (
                "enx5254001234567 xenx525400123456 enx52540012345 enxé",
                "enx5254001234567 xenx525400123456 enx52540012345 enxé",
            ),
            ("é52:54:00:12:34:56é", "é00:00:00:00:00:00é"),
        ] {
            let (blanked, changed) = blank(text, &HostNames::new("server9", &[]));
            assert_eq!(blanked, want);
            assert_eq!(changed, text != want);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_blanked_without_panic(text in ".{0,60}", host in ".{0,6}") {
            let _ = blank(&text, &HostNames::new(&host, &[]));
        }
    }
}
