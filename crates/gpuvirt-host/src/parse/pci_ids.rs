//! pci.ids: the names of vendors and devices. The file is sorted, so a name costs a few hops, not a parse.

use memchr::{memchr, memmem};

/// A device's vendor line and device line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The vendor's name.
    pub vendor: Option<String>,
    /// The device's name.
    pub device: Option<String>,
}

/// Looks up one device.
///
/// The format: `VVVV  name` for a vendor, below it `\tDDDD  name` for its devices, comments with `#`, and after
/// the last vendor the classes, whose lines begin with `C`.
pub fn names(list: &[u8], vendor: u16, device: u16) -> Names {
    let from = |vendor: u32| first_vendor(list, vendor);
    let Some((start, found)) = from(u32::from(vendor)) else { return Names::default() };
    if found != u32::from(vendor) {
        return Names::default();
    }
    let end = from(u32::from(vendor) + 1).map_or(list.len(), |(next, _)| next);
    let block = list.get(start..end).unwrap_or_default();
    let wanted = format!("\n\t{device:04x}");
    let device = memmem::find(block, wanted.as_bytes()).and_then(|at| block.get(at + 2..));
    Names { vendor: name_of(line(block)), device: device.and_then(|rest| name_of(line(rest))) }
}

/// The first line.
fn line(text: &[u8]) -> &[u8] {
    text.get(..memchr(b'\n', text).unwrap_or(text.len())).unwrap_or_default()
}

/// The name behind an id and two spaces.
fn name_of(line: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(line.get(4..)?).trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// Where the line of the first vendor from `vendor` on begins, and which that is, by bisection over line starts.
fn first_vendor(list: &[u8], vendor: u32) -> Option<(usize, u32)> {
    let (mut low, mut high, mut first) = (0, list.len(), None);
    while low < high {
        let middle = low + (high - low) / 2;
        match next_vendor(list, middle, high) {
            Some((start, id)) if id < vendor => low = start + 1,
            found => {
                first = found.or(first);
                high = middle;
            }
        }
    }
    first
}

/// The first vendor line that begins at or after `from` and before `to`. The classes count as behind all vendors.
fn next_vendor(list: &[u8], from: usize, to: usize) -> Option<(usize, u32)> {
    let mut start = match from.checked_sub(1) {
        None => 0,
        Some(before) => before + memchr(b'\n', list.get(before..to)?)? + 1,
    };
    while start < to {
        let line = list.get(start..)?;
        if line.first() == Some(&b'C') {
            return Some((start, u32::MAX));
        }
        if let Some(id) = leading_id(line) {
            return Some((start, id));
        }
        start += memchr(b'\n', line)? + 1;
    }
    None
}

/// Four hexadecimal digits and a space at the start of a line.
fn leading_id(line: &[u8]) -> Option<u32> {
    let digits = line.get(..4).filter(|_| line.get(4) == Some(&b' '))?;
    digits.iter().try_fold(0, |id, digit| Some(id * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# comment\n#\n0001  SafeNet (wrong ID)\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\
        \t1304  Kaveri\n\t\t1043 1234  A board\n\t2235  Not NVIDIA's\n10de  NVIDIA Corporation\n# within\n\
        \t1eb8  TU104GL [Tesla T4]\n\t2235  GA102GL [A40]\n8086  Intel Corporation\n\t0007  82379AB\n\n\
        C 00  Unclassified device\n\t00  Non-VGA unclassified device\n";

    #[test]
    fn names_are_found_wherever_they_stand() {
        let find = |vendor, device| names(LIST.as_bytes(), vendor, device);
        let of = |vendor: Option<&str>, device: Option<&str>| Names {
            vendor: vendor.map(str::to_owned),
            device: device.map(str::to_owned),
        };
        assert_eq!(find(0x10de, 0x2235), of(Some("NVIDIA Corporation"), Some("GA102GL [A40]")));
        assert_eq!(
            find(0x1002, 0x2235),
            of(Some("Advanced Micro Devices, Inc. [AMD/ATI]"), Some("Not NVIDIA's"))
        );
        assert_eq!(find(0x8086, 0x0007), of(Some("Intel Corporation"), Some("82379AB")));
        assert_eq!(find(0x8086, 0x2235), of(Some("Intel Corporation"), None));
        assert_eq!(find(0x0001, 0x0000), of(Some("SafeNet (wrong ID)"), None));
        assert_eq!(find(0x9999, 0x0000), Names::default());
        assert_eq!(find(0xffff, 0x0000), Names::default());
    }

    #[test]
    fn the_bisection_agrees_with_reading_every_line() {
        for vendor in 0..=0xffffu16 {
            let prefix = format!("{vendor:04x}  ");
            let want = LIST.lines().find_map(|line| line.strip_prefix(prefix.as_str()));
            assert_eq!(names(LIST.as_bytes(), vendor, 0).vendor.as_deref(), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_content_makes_it_panic(list: Vec<u8>, vendor: u16, device: u16) {
            let _ = names(&list, vendor, device);
        }
        #[test]
        fn no_text_makes_it_panic(list in "([0-9a-f]{4}  [a-z]{0,3}\n|\t[0-9a-f]{4}  x\n|C|#\n){0,20}", vendor: u16) {
            let _ = names(list.as_bytes(), vendor, 0);
        }
    }
}
