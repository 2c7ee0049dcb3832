//! What a link is to put side by side: the functions that common runs call, by a linker's script.
//!
//! The kernel maps a program's pages sixteen at a time around the one that is missed. Of a program's megabytes a run needs some
//! hundred KiB, and where these are strewn over all of it, nearly all of it is resident.
//!
//! A name is given without what another compiler would change in it, unless others have the same name then. A function that is
//! not found is where it would have been without.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// What an old name has before its hash (rustc's legacy mangling).
const HASH: &str = "17h";

/// The script, of lists of functions, one for each run: those that most runs call come first.
pub fn script(lists: &[&str]) -> Result<String> {
    let mut known: BTreeMap<String, Place> = BTreeMap::new();
    for (run, list) in lists.iter().enumerate() {
        let text = std::fs::read_to_string(Path::new(list)).with_context(|| format!("read {list}"))?;
        for name in text.lines() {
            let first = known.len();
            known.entry(name.to_owned()).or_insert(Place { first, runs: Vec::new() }).met_in(run);
        }
    }
    let mut all: Vec<(String, Place)> = known.into_iter().collect();
    all.sort_by_key(|(_, place)| (std::cmp::Reverse(place.runs.len()), place.first));
    let mut out = String::from(HEAD);
    for (pattern, _) in all {
        writeln!(out, "    *(.text.{pattern})")?;
    }
    out.push_str(TAIL);
    Ok(out)
}

const HEAD: &str = "\
/* What common runs of this program call, side by side: see tests/bench/src/order.rs. Made by scripts/order; don't edit. */
SECTIONS {
  .text.common : {
";
const TAIL: &str = "  }\n}\nINSERT BEFORE .text;\n";

struct Place {
    /// How many were known before it.
    first: usize,
    runs: Vec<usize>,
}

impl Place {
    fn met_in(&mut self, run: usize) {
        if self.runs.last() != Some(&run) {
            self.runs.push(run);
        }
    }
}

/// What the functions of a program are to be called in the script, by their addresses.
pub fn patterns(functions: BTreeMap<u64, String>) -> BTreeMap<u64, String> {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for name in functions.values() {
        *times.entry(pattern(name)).or_default() += 1;
    }
    let of = |name: String| match pattern(&name) {
        // Of what is made for one type after the other, few are called: the hash tells which.
        shared if times.get(&shared).is_some_and(|times| *times > 1) => match name.rfind(HASH) {
            Some(at) => format!("*{}", name.split_at(at).1),
            None => name.replace('$', "?"),
        },
        alone => alone,
    };
    functions.into_iter().map(|(address, name)| (address, of(name))).collect()
}

/// The linker's pattern of a function's name.
fn pattern(name: &str) -> String {
    let name = match name.rfind(HASH) {
        Some(at) if name.starts_with("_ZN") => format!("{}*", name.split_at(at + HASH.len()).0),
        _ => without_crate_hashes(name),
    };
    // A variable to some linkers.
    name.replace('$', "?")
}

/// A new name without the numbers of crates, `Cs` with digits to a `_`.
fn without_crate_hashes(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("Cs") {
        let digits = after.bytes().take_while(u8::is_ascii_alphanumeric).count();
        // The digits of 64 bits, to the base of 62.
        let is_hash = (8..=11).contains(&digits) && after.as_bytes().get(digits) == Some(&b'_');
        out.push_str(before);
        out.push_str(if is_hash { "Cs*" } else { "Cs" });
        rest = if is_hash { after.get(digits..).unwrap_or_default() } else { after };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test makes lists
mod tests {
    use super::*;

    #[test]
    fn names_are_without_hashes() {
        for (name, want) in [
            ("_ZN4ureq3run3run17h57c6c0722b7c8d6fE", "_ZN4ureq3run3run17h*"),
            ("_ZN4ureq3run17h57c6c0722b7c8d6fE.llvm.7", "_ZN4ureq3run17h*"),
            ("_ZN5_$LT$a$GT$3run17h57c6c0722b7c8d6fE", "_ZN5_?LT?a?GT?3run17h*"),
            ("_RNvNtNtCsjrHSEGnQ3l9_3std3sys4path", "_RNvNtNtCs*_3std3sys4path"),
            ("_RNvCsjrHSEGnQ3l9_3std3CssNtCsaaaaaaaaaaa_4core", "_RNvCs*_3std3CssNtCs*_4core"),
        ] {
            assert_eq!(pattern(name), want);
        }
    }

    #[test]
    fn what_has_its_name_alone_is_without_a_hash() {
        let of = |names: &[&str]| {
            let functions = names.iter().map(|name| (*name).to_owned());
            patterns((0..).zip(functions).collect()).into_values().collect::<Vec<_>>()
        };
        let (one, other) = ("_ZN4$a$3new17h57c6c0722b7c8d6fE", "_ZN4$a$3new17h0000c0722b7c8d6fE");
        assert_eq!(of(&[one, "_ZN1b17h57c6c0722b7c8d6fE"]), ["_ZN4?a?3new17h*", "_ZN1b17h*"]);
        assert_eq!(of(&[one, other]), ["*17h57c6c0722b7c8d6fE", "*17h0000c0722b7c8d6fE"]);
    }

    #[test]
    fn what_most_runs_call_comes_first_and_then_what_is_called_first() {
        let folder = tempfile::tempdir().unwrap();
        let list = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (one, two) = (list("one", "_Rb\n_Ra\n_Rb\n_Rc\n"), list("two", "_Rd\n_Rc\n"));
        let script = script(&[&one, &two]).unwrap();
        let order: Vec<&str> =
            script.lines().filter_map(|line| line.trim().strip_prefix("*(.text.")).collect();
        assert_eq!(order, ["_Rc)", "_Rb)", "_Ra)", "_Rd)"]);
        assert!(script.starts_with(HEAD) && script.ends_with(TAIL));
    }
}
