//! Prints a made-up host as a umockdev dump: one of `tests/hosts` by its name, or one with a number of PCI functions.

use std::io::{Error, Write as _};

use gpuvirt_recording::{made, made_hosts};

fn main() -> std::io::Result<()> {
    let what = std::env::args().nth(1).unwrap_or_default();
    let named = made_hosts::all().into_iter().find(|(name, _)| *name == what).map(|(_, dump)| dump);
    let text = named.or_else(|| what.parse().ok().map(made::many_functions));
    let text = text.ok_or_else(|| Error::other("usage: make_host NAME|NUMBER"))?;
    std::io::stdout().write_all(text.as_bytes())
}
