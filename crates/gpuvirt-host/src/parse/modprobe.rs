//! Files of `/etc/modprobe.d`.

/// The lines that say something, continued ones joined; comments and empty ones are none.
pub fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_lines_are_joined() {
        let text = "# x\n\noptions vfio-pci \\\n  ids=10de:2235\n  blacklist   nouveau\n";
        assert_eq!(lines(text), ["options vfio-pci ids=10de:2235", "blacklist nouveau"]);
    }
}
