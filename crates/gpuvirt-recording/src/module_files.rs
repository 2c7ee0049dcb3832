//! How files of modprobe.d are called in a snapshot. People name files after themselves, hosts and customers; the order by name
//! is the order that modprobe reads them in, and a name in one folder hides the same one in another.

use std::collections::{BTreeMap, BTreeSet};

use crate::module_lines;
use crate::redact::{self, HostNames};

/// What is left out, in a manifest's words.
pub(crate) const LEFT_OUT: &str = "names of modprobe.d's files that are no package's";
/// Longest name that is kept.
const LONGEST: usize = 40;

/// What names are called that are not shown, of all files that were looked at.
pub(crate) struct Renamed(BTreeMap<String, String>);

impl Renamed {
    /// Of these paths. Names as packages have them stay: nobody can tell whose they are. Of any other the new one says the
    /// place in the order alone, behind the name before it.
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a String>, host: &HostNames) -> Self {
        let split = paths.filter(|path| module_lines::is_file(path)).filter_map(|path| path.rsplit_once('/'));
        let names: BTreeSet<&str> = split.map(|(_, name)| name).collect();
        let mut renamed = BTreeMap::new();
        let mut before = "0-".to_owned();
        for name in names {
            if is_shown(name, host) {
                before = format!("{name}.");
            } else {
                let number = renamed.len() + 1;
                renamed.insert(name.to_owned(), format!("{before}local-{number:04}.conf"));
            }
        }
        Self(renamed)
    }

    /// The path as the snapshot has it, and whether that is another one.
    pub(crate) fn path(&self, path: &str) -> (String, bool) {
        let split = path.rsplit_once('/').filter(|_| module_lines::is_file(path));
        match split.and_then(|(folder, name)| Some((folder, self.0.get(name)?))) {
            Some((folder, name)) => (format!("{folder}/{name}"), true),
            None => (path.to_owned(), false),
        }
    }
}

fn is_shown(name: &str, host: &HostNames) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    name.len() <= LONGEST && name.bytes().all(plain) && !redact::blank(name, host).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_somebodys_go_and_the_order_stays() {
        let long = format!("/etc/modprobe.d/{}.conf", "x".repeat(40));
        let paths = [
            "/etc/modprobe.d/AliceMiller.conf",
            "/etc/modprobe.d/gpu.conf",
            "/etc/modprobe.d/gpu_of@acme.conf",
            "/etc/modprobe.d/vault7.conf",
            "/etc/udev/rules.d/Alice.rules",
            "/usr/lib/modprobe.d/AliceMiller.conf",
            &long,
        ]
        .map(str::to_owned);
        let renamed = Renamed::of(paths.iter(), &HostNames::new("vault7", &[]));
        let found = paths.each_ref().map(|path| renamed.path(path).0);
        let want = [
            "/etc/modprobe.d/0-local-0001.conf",
            "/etc/modprobe.d/gpu.conf",
            "/etc/modprobe.d/gpu.conf.local-0002.conf",
            "/etc/modprobe.d/gpu.conf.local-0003.conf",
            "/etc/udev/rules.d/Alice.rules",
            "/usr/lib/modprobe.d/0-local-0001.conf",
            "/etc/modprobe.d/gpu.conf.local-0004.conf",
        ];
        assert_eq!(found, want);
    }
}
