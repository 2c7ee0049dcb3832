//! Files of modprobe.d: which of them count, and what their lines say.

/// The lines that say something, continued ones joined; comments and empty ones are none.
pub fn lines(text: &str) -> Vec<String> {
    numbered(text).into_iter().map(|(_, line)| line).collect()
}

/// A module's name as the kernel spells it: `-` and `_` are the same to modprobe.
pub fn kernels_name(module: &str) -> String {
    module.replace('-', "_")
}

/// The same, each with the number of its first line, from 1. A line that ends in a backslash goes on in the next one
/// (modprobe.d(5)).
pub fn numbered(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    let mut end = |first: usize, whole: &str| {
        let line = whole.split_whitespace().collect::<Vec<_>>().join(" ");
        if !line.is_empty() && !line.starts_with('#') {
            found.push((first, line));
        }
    };
    for (index, line) in text.lines().enumerate() {
        let (first, mut whole) = begun.take().unwrap_or((index + 1, String::new()));
        match line.strip_suffix('\\') {
            Some(part) => {
                // Nothing stands for the break: a list of ids may go on behind it.
                whole.push_str(part);
                begun = Some((first, whole));
            }
            None => end(first, &(whole + line)),
        }
    }
    // The last one has nothing to go on in.
    if let Some((first, whole)) = begun {
        end(first, &whole);
    }
    found
}

/// The files that modprobe reads, of folders with the names in them, the folder that counts most first: a file hides those of
/// its name in later folders, and only `*.conf` is read (modprobe.d(5)).
pub fn in_effect(folders: &[(&str, Vec<String>)]) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let mut files = Vec::new();
    for (folder, names) in folders {
        for name in names.iter().filter(|name| name.ends_with(".conf")) {
            if !seen.contains(&name.as_str()) {
                seen.push(name);
                files.push(format!("{folder}/{name}"));
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_lines_are_joined() {
        let text = "# x\n\noptions vfio-pci \\\n  ids=10de:2235\n  blacklist   nouveau\noptions xe a=1\\\n";
        let want = [(3, "options vfio-pci ids=10de:2235"), (5, "blacklist nouveau"), (6, "options xe a=1")];
        assert_eq!(numbered(text), want.map(|(number, line)| (number, line.to_owned())));
        assert_eq!(lines(text), want.map(|(_, line)| line));
    }

    #[test]
    fn an_earlier_folders_file_hides_a_later_ones() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let folders = [
            ("/etc", names(&["a.conf", "b.conf.bak", "readme"])),
            ("/run", names(&["a.conf", "b.conf"])),
            ("/lib", names(&["b.conf", "c.conf"])),
        ];
        assert_eq!(in_effect(&folders), ["/etc/a.conf", "/run/b.conf", "/lib/c.conf"]);
    }
}
