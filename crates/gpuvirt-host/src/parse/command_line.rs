//! The kernel's command line, as those who read it take it apart: the kernel up to `--`, kmod and dracut to its end.

use super::modprobe::kernels_name;

/// Parts of the kernel that are never modules, by the names before the dot of their parameters: nobody else reads those.
const BUILT_IN: [&str; 2] = ["iommu", "module"];

/// The words that somebody reads who is asked about here, quotes and all: the kernel's own, and those behind them.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    own(line).chain(behind(line))
}

/// The kernel's own words: up to `--`. What is behind it is for the first process (`parse_args` in kernel/params.c). What a module
/// is told ends there too (`load_module` in kernel/module/main.c).
pub fn own(line: &str) -> impl Iterator<Item = &str> {
    split(line).take_while(|word| !is_end(word))
}

/// Those behind `--` that count all the same, as their readers know no `--`: kmod gives a module its parameters, and keeps away
/// what `modprobe.blacklist=` names (`kmod_config_parse_kcmdline` in libkmod/libkmod-config.c); dracut looks for `rd.*` (`getargs`
/// in dracut-lib.sh). Of a module that is built into this kernel nobody reads them there; a line alone does not tell.
pub fn behind(line: &str) -> impl Iterator<Item = &str> {
    split(line).skip_while(|word| !is_end(word)).filter(|word| is_dracuts(word) || is_kmods(word))
}

/// A quote anywhere in a word keeps blanks in it until the next one, and one that is never closed to the end of the line
/// (`next_arg` in lib/cmdline.c).
fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = line.split(move |c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    });
    parts.filter(|word| !word.is_empty())
}

/// The kernel takes the quotes around a word away before it compares.
fn is_end(word: &str) -> bool {
    let bare = word.strip_prefix('"').map_or(word, |rest| rest.strip_suffix('"').unwrap_or(rest));
    bare == "--"
}

fn is_dracuts(word: &str) -> bool {
    word.starts_with("rd.") || word.starts_with("rdblacklist=")
}

/// `MODULE.PARAMETER[=VALUE]`, also with a quote in front of it.
fn is_kmods(word: &str) -> bool {
    let name = word.strip_prefix('"').unwrap_or(word).split('=').next().unwrap_or_default();
    let is_name =
        |name: &str| !name.is_empty() && !name.contains(|c: char| c == '"' || c == '.' || c.is_whitespace());
    name.split_once('.').is_some_and(|(module, parameter)| {
        is_name(module) && is_name(parameter) && !BUILT_IN.contains(&kernels_name(module).as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_keeps_blanks_together_and_two_dashes_end_the_kernels_words() {
        for (line, want) in [
            (" ro  quiet\n", &["ro", "quiet"][..]),
            (
                "a=\"b iommu=off c\" \"vfio-pci.ids=1:2\" x\"y z\"w",
                &["a=\"b iommu=off c\"", "\"vfio-pci.ids=1:2\"", "x\"y z\"w"],
            ),
            ("a=\"b iommu=off", &["a=\"b iommu=off"]),
            ("quiet -- iommu=off vfio-pci.ids=1:2", &["quiet"]),
            ("quiet \"--\" iommu=off", &["quiet"]),
            ("quiet --x a=\"--\" y", &["quiet", "--x", "a=\"--\"", "y"]),
            ("", &[]),
        ] {
            assert_eq!(own(line).collect::<Vec<_>>(), want, "{line}");
        }
    }

    #[test]
    fn behind_two_dashes_kmod_and_dracut_read_on() {
        for (line, want) in [
            (
                "quiet -- modprobe.blacklist=nouveau vfio-pci.ids=1:2 nouveau.runpm -- rd.driver.pre=vfio-pci rdblacklist=xe",
                &[
                    "modprobe.blacklist=nouveau",
                    "vfio-pci.ids=1:2",
                    "nouveau.runpm",
                    "rd.driver.pre=vfio-pci",
                    "rdblacklist=xe",
                ][..],
            ),
            (
                "-- \"vfio-pci.ids=1:2\" vfio-pci.ids=\"1:2\" x=\"a i915.max_vfs=1\"",
                &["\"vfio-pci.ids=1:2\"", "vfio-pci.ids=\"1:2\""],
            ),
            (
                "-- intel_iommu=off iommu=pt iommu.passthrough=1 module_blacklist=xe module.sig_enforce single",
                &[],
            ),
            ("-- .x=1 x.=1 a.b.c=1 x\"y.z=1 =a.b \"", &[]),
            ("modprobe.blacklist=nouveau", &[]),
        ] {
            assert_eq!(behind(line).collect::<Vec<_>>(), want, "{line}");
        }
        assert_eq!(words("ro -- single xe.max_vfs=1").collect::<Vec<_>>(), ["ro", "xe.max_vfs=1"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = words(&text).count();
        }
    }
}
