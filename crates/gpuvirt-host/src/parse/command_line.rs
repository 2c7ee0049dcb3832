//! The kernel's command line, as the kernel itself takes it apart.

/// Its words, quotes and all, without those behind `--`, which are for the first process. A quote anywhere in a word keeps
/// blanks in it until the next one, and one that is never closed to the end of the line (`next_arg` in lib/cmdline.c).
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = line.split(move |c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    });
    parts.filter(|word| !word.is_empty()).take_while(|word| *word != "--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_keeps_blanks_together_and_two_dashes_end_the_line() {
        for (line, want) in [
            (" ro  quiet\n", &["ro", "quiet"][..]),
            (
                "a=\"b iommu=off c\" \"vfio-pci.ids=1:2\" x\"y z\"w",
                &["a=\"b iommu=off c\"", "\"vfio-pci.ids=1:2\"", "x\"y z\"w"],
            ),
            ("a=\"b iommu=off", &["a=\"b iommu=off"]),
            ("quiet -- iommu=off", &["quiet"]),
            ("quiet --x \"--\" y", &["quiet", "--x", "\"--\"", "y"]),
            ("", &[]),
        ] {
            assert_eq!(words(line).collect::<Vec<_>>(), want, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = words(&text).count();
        }
    }
}
