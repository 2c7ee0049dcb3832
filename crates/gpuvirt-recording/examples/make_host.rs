//! Prints a made-up host, as a umockdev dump or as a snapshot: one of `tests/hosts` by its name, or one with a number of
//! PCI functions.

use std::io::{Error, Write as _};

use gpuvirt_recording::{made, made_catalog};

fn main() -> std::io::Result<()> {
    let what = std::env::args().nth(1).unwrap_or_default();
    let snapshot = made_catalog::snapshots().into_iter().find(|(name, _)| *name == what);
    let named = made_catalog::all().into_iter().find(|(name, _)| *name == what).map(|(_, dump)| dump);
    let dump = || named.or_else(|| what.parse().ok().map(made::many_functions)).map(String::into_bytes);
    let bytes = snapshot.map(|(_, made)| made.bytes()).transpose()?.or_else(dump);
    let bytes = bytes.ok_or_else(|| Error::other("usage: make_host NAME|NUMBER"))?;
    std::io::stdout().write_all(&bytes)
}
