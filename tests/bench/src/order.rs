//! What a link is to put side by side: the functions that common runs call, by a linker's script.
//!
//! The kernel maps a program's pages sixteen at a time around the one that is missed. Of a program's megabytes a run needs some
//! hundred KiB, and where these are strewn over all of it, nearly all of it is resident.
//!
//! A name is given without what another compiler would change in it, unless others have the same name then. A function that is
//! not found is where it would have been without.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result};

/// What an old name has before its hash (rustc's legacy mangling).
const HASH: &str = "17h";

/// What comes before the name of a function that is not Rust's.
pub const OF_C: &str = "C ";

/// The script, of lists of functions, one for each run: all that the first run calls comes before the rest. In both, those that
/// most runs call come first, and what the same runs call is side by side.
pub fn script(lists: &[&str]) -> Result<String> {
    let members = members().context("ask the C library's archive")?;
    let mut known: BTreeMap<String, Place> = BTreeMap::new();
    for (run, list) in lists.iter().enumerate() {
        let text = std::fs::read_to_string(Path::new(list)).with_context(|| format!("read {list}"))?;
        for sections in text.lines().filter_map(|name| sections(name, &members)) {
            let first = known.len();
            known.entry(sections).or_insert(Place { first, runs: Vec::new() }).met_in(run);
        }
    }
    let mut all: Vec<(String, Place)> = known.into_iter().collect();
    all.sort_by_cached_key(|(_, Place { first, runs })| {
        (runs.first() != Some(&0), Reverse(runs.len()), runs.clone(), *first)
    });
    let mut out = String::from(HEAD);
    for (sections, _) in all {
        writeln!(out, "    *{sections}")?;
    }
    out.push_str(TAIL);
    Ok(out)
}

/// Where a function is. One that is said to be called seldom has a section of another name, and one of the C library comes with
/// all that the archive has in one file with it.
fn sections(name: &str, members: &BTreeMap<String, String>) -> Option<String> {
    match name.strip_prefix(OF_C) {
        Some(name) => members.get(name).map(|member| format!("libc.a:{member}(.text .text.*)")),
        None => Some(format!("(.text.{name} .text.unlikely.{name})")),
    }
}

/// Which file of the C library's archive has a function that other files call.
fn members() -> Result<BTreeMap<String, String>> {
    let archive = Process::new("cc").arg("-print-file-name=libc.a").output().context("start cc")?;
    let archive = String::from_utf8(archive.stdout)?;
    let mut nm = Process::new("nm");
    nm.args(["-A", "--defined-only", archive.trim()]).stderr(Stdio::null());
    let out = nm.output().context("start nm")?;
    Ok(String::from_utf8_lossy(&out.stdout).lines().filter_map(member).collect())
}

/// `libc.a:malloc.o:00000000000042a0 T malloc`
fn member(line: &str) -> Option<(String, String)> {
    let (place, name) = line.split_once(' ')?;
    let (kind, name) = name.split_once(' ')?;
    let member = place.rsplit(':').nth(1)?;
    (is_function(kind) && kind != "t").then(|| (name.to_owned(), member.to_owned()))
}

/// Of nm's kinds those of functions; `i` chooses one by what the processor can.
pub fn is_function(kind: &str) -> bool {
    matches!(kind, "t" | "T" | "W" | "i")
}

const HEAD: &str = "\
/* What common runs of this program call, side by side: see tests/bench/src/order.rs. Made by scripts/order; don't edit. */
SECTIONS {
  .init : { KEEP(*(SORT_NONE(.init))) }
  .fini : { KEEP(*(SORT_NONE(.fini))) }
  .iplt : { *(.iplt) }
  .text.common : {
    *crt1.o(.text .text.*)
    *crtbegin*.o(.text .text.*)
    *(.text.main)
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
        of_c if of_c.starts_with(OF_C) => of_c,
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
    fn what_the_archive_shows_to_others_is_in_a_file_of_it() {
        let malloc = ("malloc".to_owned(), "malloc.o".to_owned());
        assert_eq!(member("/lib/libc.a:malloc.o:00000000000042a0 T malloc"), Some(malloc));
        for other in [
            "libc.a:malloc.o:00000000000003f0 t sysmalloc",
            "libc.a:malloc.o:0000000000000000 D x",
            "malloc.o:",
        ] {
            assert_eq!(member(other), None, "{other}");
        }
    }

    #[test]
    fn what_the_first_run_calls_lies_together_and_of_that_what_most_runs_call_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let list = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (one, two) =
            (list("one", "_Rb\n_Ra\n_Rb\n_Rc\n"), list("two", "_Rd\nC malloc\nC of no archive\n_Rc\n"));
        let three = list("three", "_Re\n_Rd\n");
        let script = script(&[&one, &two, &three]).unwrap();
        assert!(script.contains("\n    *libc.a:malloc.o(.text .text.*)\n"), "{script}");
        let order: Vec<&str> = script
            .lines()
            .filter_map(|line| line.split(['.', ' ', ')']).find(|word| word.starts_with("_R")))
            .collect();
        assert_eq!(order, ["_Rc", "_Rb", "_Ra", "_Rd", "_Re"]);
        assert!(script.contains("\n    *(.text._Rc .text.unlikely._Rc)\n"), "{script}");
        assert!(script.starts_with(HEAD) && script.ends_with(TAIL));
    }
}
