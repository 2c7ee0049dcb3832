//! Which value of vfio-pci's parameter `ids` counts, where several places give it one.

const COMMAND_LINE: &str = "/proc/cmdline";

/// Why what is behind the line that loads the driver does not.
pub(crate) const LOADED_EARLIER: &str =
    "an earlier line of that file loads vfio-pci, and a module is loaded once";
/// Why no file's options reach the driver.
pub(crate) const BUILT_IN: &str =
    "vfio-pci is built into this kernel, which reads its own command line alone";

/// The place in the list of the value that counts, by the files in which the values stand, and whether the driver is told each when
/// it is loaded; those of one file are in the order of its lines.
///
/// The parameter `ids` is a text that each later value replaces, an empty one too (drivers/vfio/pci/vfio_pci.c,
/// `module_param_string`), and modprobe puts options together in this order: files by their names, whichever folders they are in,
/// the kernel's command line, and what it is called with, as initramfs-tools does. A kernel that has vfio-pci built in reads its
/// own command line alone. Rules of udev's are no values of it.
pub(crate) fn heeded<'a>(values: impl IntoIterator<Item = (&'a str, bool)>, built_in: bool) -> Option<usize> {
    let rank = |file: &'a str| {
        let called_with = file.contains("/initramfs-tools/");
        (called_with, is_the_kernels(file), file.rsplit('/').next())
    };
    let counts = |file: &str, heard: bool| heard && is_parameter(file) && (is_the_kernels(file) || !built_in);
    let values = values.into_iter().enumerate().filter(|(_, (file, heard))| counts(file, *heard));
    // Of equals the last.
    values.max_by_key(|(_, (file, _))| rank(file)).map(|(at, _)| at)
}

/// Whether a file gives the parameter a value; else it has rules of udev's.
pub(crate) fn is_parameter(file: &str) -> bool {
    !file.ends_with(".rules")
}

/// Whether it is the kernel's command line.
pub(crate) fn is_the_kernels(file: &str) -> bool {
    file == COMMAND_LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "/etc/udev/rules.d/99-vfio.rules";
    const OWN: &str = "/etc/modprobe.d/a.conf";
    const LATER: &str = "/usr/lib/modprobe.d/b.conf";
    const INITRAMFS: &str = "/etc/initramfs-tools/modules";

    fn of<const N: usize>(files: [&str; N], built_in: bool) -> Option<usize> {
        heeded(files.map(|file| (file, true)), built_in)
    }

    #[test]
    fn the_last_as_modprobe_puts_them_together_counts() {
        assert_eq!(of([OWN, OWN, RULES], false), Some(1));
        assert_eq!(of([LATER, OWN], false), Some(0), "by the name of the file");
        assert_eq!(of([COMMAND_LINE, LATER, OWN], false), Some(0));
        assert_eq!(of([INITRAMFS, COMMAND_LINE, LATER], false), Some(0));
        assert_eq!(of([RULES], false), None);
        assert_eq!(heeded([(OWN, true), (INITRAMFS, false)], false), Some(0), "loaded by an earlier line");
    }

    #[test]
    fn a_driver_that_is_built_in_hears_the_kernels_command_line_alone() {
        assert_eq!(of([COMMAND_LINE, COMMAND_LINE, OWN, INITRAMFS], true), Some(1));
        assert_eq!(of([OWN, INITRAMFS], true), None);
    }
}
