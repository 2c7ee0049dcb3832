//! pci.ids: the names of vendors and devices. The file is long, and little of it is wanted: all that is looked for is found in
//! one way through it, in a few pages of memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use memchr::{memchr, memmem};

use crate::sysfs::LongFile;

/// What is read at a time: longer than any line.
const WINDOW: usize = 32 << 10;

/// A device's vendor line and device line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The vendor's name.
    pub vendor: Option<String>,
    /// The device's name.
    pub device: Option<String>,
}

/// The names of devices, by vendor and device id. What is not in the list has none.
///
/// The format: `VVVV  name` for a vendor, below it `\tDDDD  name` for its devices and `\t\t` for their subsystems, comments
/// with `#`, and after the last vendor the classes, whose lines begin with `C`. Vendors are sorted.
///
/// # Errors
/// The errno of a read.
pub fn names(
    list: &dyn LongFile,
    wanted: impl IntoIterator<Item = (u16, u16)>,
) -> io::Result<BTreeMap<(u16, u16), Names>> {
    let mut vendors: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for (vendor, device) in wanted {
        vendors.entry(vendor).or_default().insert(device);
    }
    let mut list = List { file: list, window: Vec::new(), at: 0 };
    let (mut names, mut from) = (BTreeMap::new(), 0);
    let following: Vec<u16> = vendors.keys().skip(1).copied().collect();
    let following = following.into_iter().map(Some).chain([None]);
    for ((vendor, mut devices), next) in vendors.into_iter().zip(following) {
        let found = list.vendor(from, vendor, next)?;
        let of_vendor = match found {
            Some(start) => name_of(list.line(start)?),
            None => None,
        };
        for device in &devices {
            names.insert((vendor, *device), Names { vendor: of_vendor.clone(), device: None });
        }
        if let Some(start) = found {
            from = list.devices(start, &mut devices, |device, name| {
                names.entry((vendor, device)).or_default().device = Some(name);
            })?;
        }
    }
    Ok(names)
}

/// The list, a part of which is in memory.
struct List<'a> {
    file: &'a dyn LongFile,
    window: Vec<u8>,
    /// Where in the file the window begins.
    at: u64,
}

impl List<'_> {
    /// Where a vendor's line begins, from a line's beginning on. Where `next` comes first, which follows in the list, this one
    /// is not in it.
    fn vendor(&mut self, mut from: u64, vendor: u16, next: Option<u16>) -> io::Result<Option<u64>> {
        let needle = |vendor| format!("\n{vendor:04x}  ");
        let (wanted, next) = (needle(vendor), next.map(needle));
        if self.line(from)?.starts_with(wanted.trim_start().as_bytes()) {
            return Ok(Some(from));
        }
        loop {
            let text = self.text(from, wanted.len())?;
            if let Some(at) = memmem::find(text, wanted.as_bytes()) {
                return Ok(Some(from + at as u64 + 1));
            }
            let passed = next.as_ref().is_some_and(|next| memmem::find(text, next.as_bytes()).is_some());
            // It may begin in what was read and end behind it.
            match (text.len() + 1).checked_sub(wanted.len()) {
                Some(step @ 1..) if !passed => from += step as u64,
                _ => return Ok(None),
            }
        }
    }

    /// Tells the names of a vendor's devices, and takes those out of `wanted`; says where it stopped looking.
    fn devices(
        &mut self,
        vendor: u64,
        wanted: &mut BTreeSet<u16>,
        mut tell: impl FnMut(u16, String),
    ) -> io::Result<u64> {
        let mut at = vendor + self.line(vendor)?.len() as u64 + 1;
        // Where it has become shorter meanwhile there is nothing more.
        while !wanted.is_empty() && !self.text(at, 1)?.is_empty() {
            let line = self.line(at)?;
            match line.split_first() {
                Some((b'\t', device)) => {
                    if let Some(id) = leading_id(device).filter(|id| wanted.remove(id)) {
                        name_of(device).into_iter().for_each(|name| tell(id, name));
                    }
                }
                None | Some((b'#', _)) => {}
                Some(_) => break,
            }
            at += line.len() as u64 + 1;
        }
        Ok(at)
    }

    /// From a place to the end of its line; of a line that is longer than the window, a part.
    fn line(&mut self, start: u64) -> io::Result<&[u8]> {
        let end = match memchr(b'\n', self.text(start, 1)?) {
            Some(end) => end,
            None => {
                let text = self.text(start, WINDOW)?;
                memchr(b'\n', text).unwrap_or(text.len())
            }
        };
        Ok(self.text(start, 1)?.get(..end).unwrap_or_default())
    }

    /// What is in memory from a place on: at least so many bytes, unless the file ends before.
    fn text(&mut self, from: u64, at_least: usize) -> io::Result<&[u8]> {
        let offset = from.checked_sub(self.at).and_then(|offset| usize::try_from(offset).ok());
        let there = offset.and_then(|offset| self.window.len().checked_sub(offset)).unwrap_or(0);
        if there < at_least {
            self.window.resize(WINDOW, 0);
            let count = self.file.read_at(&mut self.window, from)?;
            self.window.truncate(count);
            self.at = from;
            return Ok(&self.window);
        }
        Ok(offset.and_then(|offset| self.window.get(offset..)).unwrap_or_default())
    }
}

/// The name behind an id and two spaces.
fn name_of(line: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(line.get(4..)?).trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// Four hexadecimal digits and a space at the start of a line.
fn leading_id(line: &[u8]) -> Option<u16> {
    let digits = line.get(..4).filter(|_| line.get(4) == Some(&b' '))?;
    let id = digits.iter().try_fold(0, |id, digit| Some(id * 16 + char::from(*digit).to_digit(16)?))?;
    u16::try_from(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# comment\n#\n0001  SafeNet (wrong ID)\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\
        \t1304  Kaveri\n\t\t1043 1234  A board\n\t2235  Not NVIDIA's\n10de  NVIDIA Corporation\n# within\n\
        \t1eb8  TU104GL [Tesla T4]\n\t2235  GA102GL [A40]\n8086  Intel Corporation\n\t0007  82379AB\n\n\
        C 00  Unclassified device\n\t00  Non-VGA unclassified device\n";

    fn find(list: &[u8], vendor: u16, device: u16) -> Names {
        let mut names = names(&list.to_vec(), [(vendor, device)]).unwrap();
        names.remove(&(vendor, device)).unwrap()
    }

    fn of(vendor: Option<&str>, device: Option<&str>) -> Names {
        Names { vendor: vendor.map(str::to_owned), device: device.map(str::to_owned) }
    }

    const KNOWN: [(u16, u16, Option<&str>, Option<&str>); 7] = [
        (0x10de, 0x2235, Some("NVIDIA Corporation"), Some("GA102GL [A40]")),
        (0x1002, 0x2235, Some("Advanced Micro Devices, Inc. [AMD/ATI]"), Some("Not NVIDIA's")),
        (0x8086, 0x0007, Some("Intel Corporation"), Some("82379AB")),
        (0x8086, 0x2235, Some("Intel Corporation"), None),
        (0x0001, 0x0000, Some("SafeNet (wrong ID)"), None),
        (0x9999, 0x0000, None, None),
        (0xffff, 0x0000, None, None),
    ];

    #[test]
    fn names_are_found_wherever_they_stand() {
        for (vendor, device, of_vendor, of_device) in KNOWN {
            assert_eq!(
                find(LIST.as_bytes(), vendor, device),
                of(of_vendor, of_device),
                "{vendor:04x}:{device:04x}"
            );
        }
    }

    #[test]
    fn one_way_through_finds_all() {
        let all =
            names(&LIST.as_bytes().to_vec(), KNOWN.map(|(vendor, device, ..)| (vendor, device))).unwrap();
        assert_eq!(all.len(), KNOWN.len());
        for (vendor, device, of_vendor, of_device) in KNOWN {
            assert_eq!(all[&(vendor, device)], of(of_vendor, of_device), "{vendor:04x}:{device:04x}");
        }
    }

    /// Lines before the list shift what a window ends in to each place of it.
    #[test]
    fn names_are_found_across_the_ends_of_windows() {
        for shift in 0..LIST.len() + 8 {
            let before = format!("#{}\n", "-".repeat(WINDOW - 2 - LIST.len() + shift));
            let list = [before.as_bytes(), LIST.as_bytes()].concat();
            for (vendor, device, of_vendor, of_device) in KNOWN {
                assert_eq!(find(&list, vendor, device), of(of_vendor, of_device), "{shift}");
            }
        }
    }

    /// A list that was cut off while it was read, and says that it is longer.
    #[test]
    fn a_list_that_has_become_shorter_ends_where_it_ends() {
        struct Cut(Vec<u8>);
        impl LongFile for Cut {
            fn length(&self) -> u64 {
                u64::MAX
            }
            fn read_at(&self, room: &mut [u8], from: u64) -> io::Result<usize> {
                self.0.read_at(room, from)
            }
        }
        let cut = Cut(b"10de  NVIDIA Corporation\n\t1eb8  TU104GL\n".to_vec());
        let all = names(&cut, [(0x10de, 0x2235), (0x10de, 0x1eb8), (0x8086, 1)]).unwrap();
        assert_eq!(all[&(0x10de, 0x1eb8)], of(Some("NVIDIA Corporation"), Some("TU104GL")));
        assert_eq!(all[&(0x10de, 0x2235)], of(Some("NVIDIA Corporation"), None));
        assert_eq!(all[&(0x8086, 1)], Names::default());
    }

    #[test]
    fn what_is_found_agrees_with_reading_every_line() {
        let listed = KNOWN.map(|(vendor, ..)| vendor);
        let vendors = (0..=u16::MAX).step_by(37).chain(listed);
        let all = names(&LIST.as_bytes().to_vec(), vendors.map(|vendor| (vendor, 0))).unwrap();
        assert_eq!(all.values().filter(|names| names.vendor.is_some()).count(), 4);
        for ((vendor, _), found) in all {
            let prefix = format!("{vendor:04x}  ");
            let want = LIST.lines().find_map(|line| line.strip_prefix(prefix.as_str()));
            assert_eq!(found.vendor.as_deref(), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_content_makes_it_panic(list: Vec<u8>, vendor: u16, device: u16) {
            let _ = find(&list, vendor, device);
        }
        #[test]
        fn no_text_makes_it_panic(list in "([0-9a-f]{4}  [a-z]{0,3}\n|\t[0-9a-f]{4}  x\n|C|#\n){0,20}", vendor: u16) {
            let _ = find(list.as_bytes(), vendor, 0);
        }
    }
}
