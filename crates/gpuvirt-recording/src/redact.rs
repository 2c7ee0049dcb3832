//! What a snapshot must not carry: names of machines, serial numbers, network addresses.
//!
//! Uuids of mediated devices stay: they are their identity, and say nothing of the host.

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

/// How a host is called: its name, and the first part of it where it is a full one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

/// Words of the files that a recording holds, which are no host's secret and which a reader of the recording needs.
const KERNEL_WORDS: [&str; 34] = [
    "acpi",
    "apic",
    "ctrl",
    "display",
    "dmar",
    "edge",
    "efidrm",
    "efifb",
    "eth0",
    "fasteoi",
    "gcc",
    "i915",
    "io",
    "ir",
    "kernel",
    "level",
    "linux",
    "module",
    "msi",
    "msix",
    "nvidia",
    "nvme",
    "nvrm",
    "pci",
    "simpledrm",
    "simplefb",
    "timer",
    "unix",
    "vesadrm",
    "vesafb",
    "vfio",
    "version",
    "x86",
    "xe",
];

impl HostNames {
    /// The names of a host that calls itself `name`. A number is no name of any use, and neither is a word of the kernel's
    /// or of one of the drivers in `known`: replacing those would change what the files say, and they name nobody.
    pub fn new(name: &str, known: &[String]) -> Self {
        let name = name.trim();
        let short = name.split('.').next().unwrap_or_default();
        let usable = |name: &&str| {
            let is = |word: &str| word.eq_ignore_ascii_case(name);
            name.bytes().any(|b| b.is_ascii_alphabetic())
                && name.len() > 1
                && !KERNEL_WORDS.iter().copied().any(is)
                && !known.iter().any(|word| is(word))
        };
        let mut names: Vec<String> = [name, short].into_iter().filter(usable).map(str::to_owned).collect();
        // The longer one first: the short one is a part of it.
        names.dedup();
        Self(names)
    }

    /// The same with who is asked and where, by a URI: another host's name is as telling as this one's.
    #[must_use]
    pub fn with(mut self, user_and_host: &[String]) -> Self {
        let telling = |name: &&String| {
            name.len() > 1 && !["localhost", "root"].iter().any(|plain| name.eq_ignore_ascii_case(plain))
        };
        self.0.extend(user_and_host.iter().filter(telling).cloned());
        // The longer first: a shorter one may be a part of it.
        self.0.sort_by_key(|name| std::cmp::Reverse(name.len()));
        self
    }

    /// The text without these names where they stand as words of their own, in whatever case.
    fn blank(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, name| blank_word(&text, name))
    }
}

/// Ends of files' and units' names, which are no domain: `node1.conf` stays one.
const ENDS: [&str; 20] = [
    "conf", "efi", "img", "iso", "json", "ko", "log", "preset", "qcow2", "raw", "rom", "rules", "service",
    "so", "sock", "socket", "tar", "timer", "toml", "xml",
];

/// Replaces a word, and the domain behind it. Letters and digits make words; all else ends them, so that `node1-vg` and
/// `node1.example.org` hold `node1`, and `node12` does not.
fn blank_word(text: &str, word: &str) -> String {
    let (lower, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    for (at, _) in lower.match_indices(&word) {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
        if at < kept || [before, after].into_iter().flatten().any(char::is_alphanumeric) {
            continue;
        }
        out.push_str(text.get(kept..at).unwrap_or_default());
        out.push_str("redacted");
        let behind = at + word.len();
        kept = behind + domain(text.get(behind..).unwrap_or_default());
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    out
}

/// How long the domain is that a text begins with: `.example.org` behind a host's name. Its last label has a letter first, and
/// is no end of a file's name.
fn domain(text: &str) -> usize {
    let mut end = 0;
    let mut at = 0;
    while let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix('.')) {
        let is_of_label = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let label = rest.split(|c| !is_of_label(c)).next().unwrap_or_default();
        if label.is_empty() {
            break;
        }
        at += 1 + label.len();
        let is_end = ENDS.iter().any(|known| known.eq_ignore_ascii_case(label));
        if label.starts_with(char::is_alphabetic) && !is_end {
            end = at;
        }
    }
    end
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

    #[test]
    fn a_host_name_goes_where_it_is_a_word_and_no_driver() {
        let known = ["mlx5_core".to_owned(), "ahci".to_owned()];
        for (host, text, want) in [
            ("node1.example.org", "root@node1.example.org node1 node12", "root@redacted redacted node12"),
            ("node1", "Node1: node1-vg xnode1 node1_a", "redacted: redacted-vg xnode1 redacted_a"),
            ("vault7", "(alice@vault7.corp.example) vault7.local.", "(alice@redacted) redacted."),
            (
                "vault7",
                "vault7.corp.example.conf vault7.conf vault7.0",
                "redacted.conf redacted.conf redacted.0",
            ),
            ("vault7", "vault7.corp.vault7.example-1: vault7. vault7..x", "redacted: redacted. redacted..x"),
            ("vault7", "vault7.1.größe vault7.service", "redacted redacted.service"),
            ("gpu", "at gpu; gpus, i915gpu", "at redacted; gpus, i915gpu"),
            ("pc", "(root@pc) pci", "(root@redacted) pci"),
            ("größe", "auf größe, größer", "auf redacted, größer"),
            // These would change what the files say.
            ("nvidia", "nvidia 123 0 - Live", "nvidia 123 0 - Live"),
            ("ahci", "IR-PCI-MSI ahci", "IR-PCI-MSI ahci"),
            ("nvidia.example.org", "nvidia nvidia.example.org", "nvidia redacted"),
            ("17", "17: 0 17", "17: 0 17"),
            ("x", "x 0x", "x 0x"),
            ("", "text", "text"),
        ] {
            assert_eq!(blank(text, &HostNames::new(host, &known)).0, want, "{host}");
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
            let _ = blank(&text, &HostNames::new(&host, &[]));
        }
    }
}
