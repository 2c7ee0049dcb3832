//! What `vfio-pci` is told to take by vendor and device: its parameter `ids` on the kernel's command line and in
//! modprobe.d. What an entry of it means is the model's: [`PciDeviceId`].

use gpuvirt_model::PciDeviceId;

use super::command_line;
use super::modprobe::{self, kernels_name};

/// An entry, or what is none as it is written.
pub type Entry = Result<PciDeviceId, String>;

/// The values on a kernel command line, each with its word: `vfio-pci.ids=`, with `_` for `-` too. One may be empty. Of several
/// the last counts (drivers/vfio/pci/vfio_pci.c, `module_param_string`). Those behind `--` are kmod's, and so none where the driver
/// is built in.
pub fn of_command_line(line: &str, built_in: bool) -> Vec<(&str, Vec<Entry>)> {
    let behind = (!built_in).then(|| command_line::behind(line)).into_iter().flatten();
    let values = command_line::own(line).chain(behind).filter_map(|word| {
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

/// The lines of `/etc/initramfs-tools/modules` that name vfio-pci, a module's name with its parameters each (initramfs-tools(7)),
/// with their numbers and the value, if they give one. A module is loaded once: what later lines say is not heard
/// (`load_modules` in initramfs-tools' scripts/functions calls modprobe for each, and kmod leaves a module alone that is loaded).
pub fn of_initramfs(text: &str) -> Vec<(usize, String, Option<Vec<Entry>>)> {
    let names_it =
        |line: &String| line.split(' ').next().is_some_and(|module| kernels_name(module) == "vfio_pci");
    let lines = modprobe::numbered(text).into_iter().filter(|(_, line)| names_it(line));
    // As modprobe.d spells it.
    let value = |line: &str| of_options(&format!("options {line}")).pop();
    lines
        .map(|(number, line)| {
            let value = value(&line);
            (number, line, value)
        })
        .collect()
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
        assert_eq!(of_command_line(line, false), want);
        assert_eq!(of_command_line(line, true), want[..4], "nobody reads what is behind --");
    }

    #[test]
    fn initramfs_tools_gives_parameters_to_modules() {
        let text = "# vfio_pci ids=1:1\nvfio\nvfio_pci  ids=10de:2204,10de:1aef disable_vga=1\nvfio-pci ids=1:2 ids=\nvfio_pci\n\
                    snd ids=1:2\nvfio_pci_core ids=1:2\n";
        let want = [
            (3, "vfio_pci ids=10de:2204,10de:1aef disable_vga=1", Some(ids("10de:2204,10de:1aef"))),
            (4, "vfio-pci ids=1:2 ids=", Some(Vec::new())),
            (5, "vfio_pci", None),
        ];
        assert_eq!(of_initramfs(text), want.map(|(number, line, value)| (number, line.to_owned(), value)));
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
            let _ = of_command_line(&text, false);
            let _ = of_initramfs(&text);
            let _ = of_modprobe(&text);
        }
    }
}
