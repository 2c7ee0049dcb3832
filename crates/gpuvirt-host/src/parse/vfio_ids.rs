//! What `vfio-pci` is told to take by vendor and device: its parameter `ids` on the kernel's command line and in
//! modprobe.d. What an entry of it means is the model's: [`PciDeviceId`].

use gpuvirt_model::PciDeviceId;

use super::command_line;
use super::modprobe::{self, kernels_name};

/// An entry, or what is none as it is written.
pub type Entry = Result<PciDeviceId, String>;

/// The values on a kernel command line, each with its word: `vfio-pci.ids=`, with `_` for `-` too. One may be empty. Of several
/// the kernel keeps the last (drivers/vfio/pci/vfio_pci.c, `module_param_string`).
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

/// The values in a file of modprobe.d, each with its line: `options vfio-pci ids=...`.
pub fn of_modprobe(text: &str) -> Vec<(usize, Vec<Entry>)> {
    let lines = modprobe::numbered(text).into_iter();
    lines.flat_map(|(number, line)| of_options(&line).into_iter().map(move |value| (number, value))).collect()
}

/// The values on a line of modprobe.d: of several the last counts here too.
pub fn of_options(line: &str) -> Vec<Vec<Entry>> {
    // They become a command line of the module's own.
    let mut words = command_line::own(line);
    let is_ours = words.next() == Some("options")
        && words.next().is_some_and(|module| kernels_name(module) == "vfio_pci");
    if !is_ours {
        return Vec::new();
    }
    words
        .filter_map(|word| word.trim_start_matches('"').strip_prefix("ids="))
        .map(PciDeviceId::list)
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
                    ids=1:2 vfio_pci.ids= -- vfio-pci.ids=a:b";
        let want = [
            ("vfio-pci.ids=10de:2235,10de:1aef", ids("10de:2235,10de:1aef")),
            ("vfio_pci.ids=1002:73bf:1da2:e438", ids("1002:73bf:1da2:e438")),
            ("vfio-pci.ids=1002:73a5", ids("1002:73a5")),
            ("vfio_pci.ids=", Vec::new()),
            ("vfio-pci.ids=a:b", ids("a:b")),
        ];
        assert_eq!(of_command_line(line), want);
    }

    #[test]
    fn modprobe_files_have_comments_other_modules_and_long_lines() {
        let text = "# options vfio-pci ids=1:2\noptions vfio-pci disable_vga=1 \\\n  ids=10de:2235,zz:1\n\
                    options nouveau ids=1:2\nsoftdep nouveau pre: vfio-pci\noptions vfio_pci ids=\"1002:73bf:ffffffff:ffffffff\"\n\
                    options vfio-pci ids=1:3 ids=1:4\noptions vfio-pci ids=\n";
        let found = of_modprobe(text);
        let want = [
            (2, ids("10de:2235,zz:1")),
            (6, ids("1002:73bf")),
            (7, ids("1:3")),
            (7, ids("1:4")),
            (8, Vec::new()),
        ];
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
