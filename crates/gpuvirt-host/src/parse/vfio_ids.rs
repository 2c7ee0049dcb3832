//! What `vfio-pci` is told to take by vendor and device: its parameter `ids` on the kernel's command line and in
//! modprobe.d.
//!
//! The kernel splits `ids` at commas into `vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]`, all in
//! hexadecimal (`pci_add_dynid` by `vfio_pci_fill_ids`); `ffffffff` for a subsystem means any.

use super::modprobe::{self, kernels_name};

/// One entry: vendor, device, subsystem.
pub type Ids = (u16, u16, Option<(u16, u16)>);

/// The entries of a kernel command line: `vfio-pci.ids=`, with `_` for `-` too. What is no entry comes as it is written.
pub fn of_command_line(line: &str) -> Vec<Result<Ids, String>> {
    let words = line.split_whitespace().take_while(|word| *word != "--");
    let values = words.filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        (kernels_name(name) == "vfio_pci.ids").then_some(value)
    });
    values.flat_map(entries).collect()
}

/// The entries of a file of modprobe.d, each with its line: `options vfio-pci ids=...`.
pub fn of_modprobe(text: &str) -> Vec<(usize, Result<Ids, String>)> {
    let lines = modprobe::numbered(text).into_iter();
    lines.flat_map(|(number, line)| of_options(&line).into_iter().map(move |entry| (number, entry))).collect()
}

fn of_options(line: &str) -> Vec<Result<Ids, String>> {
    let mut words = line.split_whitespace();
    let is_ours = words.next() == Some("options")
        && words.next().is_some_and(|module| kernels_name(module) == "vfio_pci");
    if !is_ours {
        return Vec::new();
    }
    words.filter_map(|word| word.strip_prefix("ids=")).flat_map(entries).collect()
}

fn entries(value: &str) -> Vec<Result<Ids, String>> {
    let parts = value.trim_matches('"').split(',').filter(|part| !part.is_empty());
    parts.map(|part| entry(part).ok_or_else(|| part.to_owned())).collect()
}

fn entry(text: &str) -> Option<Ids> {
    let mut parts = text.split(':');
    let (vendor, device) = (id(parts.next()?)?, id(parts.next()?)?);
    let subsystem = match (parts.next(), parts.next()) {
        (None | Some(""), None | Some("")) => None,
        (Some(vendor), Some(device)) if is_any(vendor) && is_any(device) => None,
        (Some(vendor), Some(device)) => Some((id(vendor)?, id(device)?)),
        (_, None) | (None, _) => return None,
    };
    Some((vendor, device, subsystem))
}

fn is_any(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.eq_ignore_ascii_case(&b'f'))
}

fn id(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let sound = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    sound.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_has_them_under_both_spellings() {
        let line = "quiet vfio-pci.ids=10de:2235,10de:1aef vfio_pci.ids=1002:73bf:1da2:e438 ids=1:2 -- vfio-pci.ids=a:b";
        let want = [(0x10de, 0x2235, None), (0x10de, 0x1aef, None), (0x1002, 0x73bf, Some((0x1da2, 0xe438)))];
        let found: Result<Vec<Ids>, String> = of_command_line(line).into_iter().collect();
        assert_eq!(found.unwrap(), want);
    }

    #[test]
    fn modprobe_files_have_comments_other_modules_and_long_lines() {
        let text = "# options vfio-pci ids=1:2\noptions vfio-pci disable_vga=1 \\\n  ids=10de:2235,zz:1\n\
                    options nouveau ids=1:2\nsoftdep nouveau pre: vfio-pci\noptions vfio_pci ids=1002:73bf:ffffffff:ffffffff\n";
        let found = of_modprobe(text);
        let want =
            [(2, Ok((0x10de, 0x2235, None))), (2, Err("zz:1".to_owned())), (6, Ok((0x1002, 0x73bf, None)))];
        assert_eq!(found, want);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = of_command_line(&text);
            let _ = of_modprobe(&text);
            let _ = entry(&text);
        }
    }
}
