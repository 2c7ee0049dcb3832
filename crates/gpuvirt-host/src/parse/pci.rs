//! Attributes of PCI functions (Documentation/ABI/testing/sysfs-bus-pci).

use gpuvirt_model::{Bar, ClassCode, DriverName, PciIdentity, PowerControl};

/// `IORESOURCE_IO`, `_MEM`, `_PREFETCH`, `_MEM_64` of include/linux/ioport.h.
const FLAG_IO: u64 = 0x100;
const FLAG_MEMORY: u64 = 0x200;
const FLAG_PREFETCH: u64 = 0x2000;
const FLAG_WIDE: u64 = 0x10_0000;

/// Base address registers of a type 0 header; the lines after them are the ROM and the VFs' windows.
const BARS: u8 = 6;

/// The last component of a link's target.
pub fn last_component(target: &str) -> &str {
    target.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// A `0x10de` as `vendor`, `device` and the subsystem files hold it.
pub fn id(text: &str) -> Option<u16> {
    u16::try_from(hex(text, 4)?).ok()
}

/// A `0x030000` as `class` holds it.
pub fn class(text: &str) -> Option<ClassCode> {
    let code = u32::try_from(hex(text, 6)?).ok()?;
    Some(ClassCode(code))
}

/// All ids of a function in one, as `modalias` holds them (drivers/pci/pci-sysfs.c, `modalias_show`):
/// `pci:v000010DEd00002235sv000010DEsd0000145Abc03sc02i00`.
pub fn modalias(text: &str) -> Option<PciIdentity> {
    let text = text.trim_end().strip_prefix("pci:")?;
    let (vendor, text) = field(text, "v", 8)?;
    let (device, text) = field(text, "d", 8)?;
    let (subsystem_vendor, text) = field(text, "sv", 8)?;
    let (subsystem_device, text) = field(text, "sd", 8)?;
    let (base, text) = field(text, "bc", 2)?;
    let (sub, text) = field(text, "sc", 2)?;
    let (interface, rest) = field(text, "i", 2)?;
    let id = |number: u32| u16::try_from(number).ok();
    let identity = PciIdentity {
        vendor: id(vendor)?,
        device: id(device)?,
        subsystem_vendor: id(subsystem_vendor)?,
        subsystem_device: id(subsystem_device)?,
        class: ClassCode(base << 16 | sub << 8 | interface),
    };
    rest.is_empty().then_some(identity)
}

/// A field of a `modalias`, of so many digits, and what follows it.
fn field<'a>(text: &'a str, name: &str, digits: usize) -> Option<(u32, &'a str)> {
    let (number, rest) = text.strip_prefix(name)?.split_at_checked(digits)?;
    let sound = number.bytes().all(|b| b.is_ascii_hexdigit());
    Some((u32::from_str_radix(number, 16).ok().filter(|_| sound)?, rest))
}

/// `0x` and at most `digits` hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u64> {
    let text = text.trim().strip_prefix("0x")?;
    let sound = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if sound { u64::from_str_radix(text, 16).ok() } else { None }
}

/// `0` or `1`.
pub fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        "0" | "N" => Some(false),
        "1" | "Y" => Some(true),
        _ => None,
    }
}

/// A count in decimal digits.
pub fn count<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// `numa_node`: `-1` is no node.
#[allow(clippy::option_option)] // outer: understood; inner: has a node
pub fn numa_node(text: &str) -> Option<Option<u32>> {
    if text.trim() == "-1" { Some(None) } else { count(text).map(Some) }
}

/// `driver_override`: `(null)` or an empty line is none.
#[allow(clippy::option_option)] // outer: understood; inner: is set
pub fn driver_override(text: &str) -> Option<Option<DriverName>> {
    match text.trim() {
        "" | "(null)" => Some(None),
        name => DriverName::parse(name).ok().map(Some),
    }
}

/// `reset_method`: names in the kernel's order; an empty file means that resets are switched off.
pub fn reset_methods(text: &str) -> Option<Vec<String>> {
    let methods: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let sound = methods.iter().all(|m| m.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    sound.then_some(methods)
}

/// `power_state`: one word.
pub fn power_state(text: &str) -> Option<String> {
    let word = text.trim();
    let sound = !word.is_empty() && word.len() < 16 && word.bytes().all(|b| b.is_ascii_alphanumeric());
    sound.then(|| word.to_owned())
}

/// `power/control`.
pub fn power_control(text: &str) -> Option<PowerControl> {
    [PowerControl::On, PowerControl::Auto].into_iter().find(|value| value.as_str() == text.trim_end())
}

/// `resource`: a line `start end flags` for each window; those without a size are left out.
pub fn bars(text: &str) -> Option<Vec<Bar>> {
    let mut bars = Vec::new();
    for (index, line) in (0..BARS).zip(text.lines()) {
        let mut fields = line.split_whitespace().map(|field| hex(field, 16));
        let (start, end, flags) = (fields.next()??, fields.next()??, fields.next()??);
        if flags & (FLAG_IO | FLAG_MEMORY) == 0 {
            continue;
        }
        let size = end.checked_sub(start)?.checked_add(1)?;
        bars.push(Bar {
            index,
            size,
            memory: flags & FLAG_MEMORY != 0,
            wide: flags & FLAG_WIDE != 0,
            prefetchable: flags & FLAG_PREFETCH != 0,
        });
    }
    Some(bars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_classes() {
        for (text, want) in [("0x10de\n", Some(0x10de)), ("0x0\n", Some(0)), ("0xffff", Some(0xffff))] {
            assert_eq!(id(text), want, "{text:?}");
        }
        for text in ["", "10de", "0x", "0x10de5", "0x+1", "0xzz", "-1", "0x 1", "\u{0}"] {
            assert_eq!(id(text), None, "{text:?}");
        }
        assert_eq!(class("0x030000\n"), Some(ClassCode(0x03_0000)));
        assert_eq!(class("0x1030000\n"), None);
    }

    #[test]
    fn a_modalias_tells_all_ids() {
        let text = "pci:v000010DEd00002235sv000010DEsd0000145Abc03sc02i00\n";
        let want = PciIdentity {
            vendor: 0x10de,
            device: 0x2235,
            subsystem_vendor: 0x10de,
            subsystem_device: 0x145a,
            class: ClassCode(0x03_0200),
        };
        assert_eq!(modalias(text), Some(want));
        for odd in [
            "",
            "usb:v000010DE",
            "pci:v000110DEd00002235sv000010DEsd0000145Abc03sc02i00\n",
            "pci:v000010DEd00002235sv000010DEsd0000145Abc03sc02i0",
            "pci:v000010DEd00002235sv000010DEsd0000145Abc03sc02i000",
            "pci:v+00010DEd00002235sv000010DEsd0000145Abc03sc02i00",
            "pci:v000010DE\u{e9}00002235sv000010DEsd0000145Abc03sc02i00",
        ] {
            assert_eq!(modalias(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn numbers_that_may_be_none() {
        assert_eq!(numa_node("-1\n"), Some(None));
        assert_eq!(numa_node("3\n"), Some(Some(3)));
        assert_eq!(numa_node("-2\n"), None);
        assert_eq!(numa_node("99999999999999999999\n"), None);
        assert_eq!(count::<u16>("65536"), None);
        assert_eq!(count::<u16>("+1"), None);
        assert_eq!(count::<u16>(""), None);
    }

    #[test]
    fn override_reads_null_when_unset() {
        assert_eq!(driver_override("(null)\n"), Some(None));
        assert_eq!(driver_override("\n"), Some(None));
        assert_eq!(driver_override("vfio-pci\n"), Some(Some(DriverName::vfio_pci())));
        assert_eq!(driver_override("../../evil\n"), None);
    }

    #[test]
    fn reset_methods_keep_their_order() {
        assert_eq!(reset_methods("flr bus\n"), Some(vec!["flr".to_owned(), "bus".to_owned()]));
        assert_eq!(reset_methods("\n"), Some(vec![]));
        assert_eq!(reset_methods("\u{7f}ELF"), None);
    }

    #[test]
    fn windows_of_a_data_centre_gpu() {
        let text = "0x00000000a1000000 0x00000000a1ffffff 0x0000000000040200\n\
                    0x0000010000000000 0x0000010fffffffff 0x000000000014220c\n\
                    0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
                    0x0000011000000000 0x0000011001ffffff 0x000000000014220c\n\
                    0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
                    0x0000000000003000 0x000000000000307f 0x0000000000040101\n\
                    0x00000000a2000000 0x00000000a207ffff 0x0000000000046200\n";
        let bars = bars(text).unwrap();
        let brief: Vec<(u8, u64, bool, bool)> =
            bars.iter().map(|b| (b.index, b.size, b.memory, b.wide)).collect();
        assert_eq!(
            brief,
            [
                (0, 16 << 20, true, false),
                (1, 64 << 30, true, true),
                (3, 32 << 20, true, true),
                (5, 128, false, false)
            ]
        );
    }

    #[test]
    fn absurd_windows_are_refused() {
        for text in [
            "0x0 0xffffffffffffffff 0x200\n",
            "0x2000 0x1000 0x200\n",
            "0x1 0x2\n",
            "\n",
            "0x11111111111111111 0x0 0x200\n",
        ] {
            assert_eq!(bars(text), None, "{text:?}");
        }
        assert_eq!(bars(""), Some(vec![]));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,80}|(0x[0-9a-f]{0,18}[ \n]){0,9}") {
            let _ = (id(&text), class(&text), flag(&text), numa_node(&text), driver_override(&text));
            let _ = (reset_methods(&text), power_state(&text), bars(&text), last_component(&text));
        }
    }
}
