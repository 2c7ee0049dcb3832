//! What `vfio-pci` is told to take by vendor and device: its parameter `ids` on the kernel's command line and in
//! modprobe.d. What an entry of it means is the model's: [`PciDeviceId`].

use gpuvirt_model::PciDeviceId;

use super::command_line;
use super::modprobe::{self, kernels_name};

/// An entry, or what is none as it is written.
pub type Entry = Result<PciDeviceId, String>;

/// The entries of a kernel command line, each with the word that it is in: `vfio-pci.ids=`, with `_` for `-` too.
pub fn of_command_line(line: &str) -> Vec<(&str, Vec<Entry>)> {
    let values = command_line::words(line).filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        // The kernel takes quotes around the whole word too.
        let is_ours = kernels_name(name.trim_start_matches('"')) == "vfio_pci.ids";
        let word = if word.starts_with('"') { word.trim_matches('"') } else { word };
        is_ours.then(|| (word, PciDeviceId::list(value)))
    });
    values.collect()
}

/// The entries of a file of modprobe.d, each with its line: `options vfio-pci ids=...`.
pub fn of_modprobe(text: &str) -> Vec<(usize, Entry)> {
    let lines = modprobe::numbered(text).into_iter();
    lines.flat_map(|(number, line)| of_options(&line).into_iter().map(move |entry| (number, entry))).collect()
}

/// The entries of a line of modprobe.d.
pub fn of_options(line: &str) -> Vec<Entry> {
    // They become a command line of the module's own.
    let mut words = command_line::words(line);
    let is_ours = words.next() == Some("options")
        && words.next().is_some_and(|module| kernels_name(module) == "vfio_pci");
    if !is_ours {
        return Vec::new();
    }
    words
        .filter_map(|word| word.trim_start_matches('"').strip_prefix("ids="))
        .flat_map(PciDeviceId::list)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &str) -> Vec<Entry> {
        PciDeviceId::list(list)
    }

    #[test]
    fn a_command_line_has_them_under_both_spellings() {
        let line = "quiet vfio-pci.ids=10de:2235,10de:1aef vfio_pci.ids=1002:73bf:1da2:e438 \"vfio-pci.ids=1002:73a5\" \
                    ids=1:2 -- vfio-pci.ids=a:b";
        let want = [
            ("vfio-pci.ids=10de:2235,10de:1aef", ids("10de:2235,10de:1aef")),
            ("vfio_pci.ids=1002:73bf:1da2:e438", ids("1002:73bf:1da2:e438")),
            ("vfio-pci.ids=1002:73a5", ids("1002:73a5")),
            ("vfio-pci.ids=a:b", ids("a:b")),
        ];
        assert_eq!(of_command_line(line), want);
    }

    #[test]
    fn modprobe_files_have_comments_other_modules_and_long_lines() {
        let text = "# options vfio-pci ids=1:2\noptions vfio-pci disable_vga=1 \\\n  ids=10de:2235,zz:1\n\
                    options nouveau ids=1:2\nsoftdep nouveau pre: vfio-pci\noptions vfio_pci ids=\"1002:73bf:ffffffff:ffffffff\"\n";
        let found = of_modprobe(text);
        let of = |vendor, device| Ok(PciDeviceId::of(vendor, device));
        let want = [(2, of(0x10de, 0x2235)), (2, Err("zz:1".to_owned())), (6, of(0x1002, 0x73bf))];
        assert_eq!(found, want);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = of_command_line(&text);
            let _ = of_modprobe(&text);
        }
    }
}
