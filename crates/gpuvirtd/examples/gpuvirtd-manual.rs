//! Writes the daemon's manual page, from its grammar, into a folder.

// Files of the source tree are no durable files of the product.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;
use gpuvirtd::cli::Cli;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: manual FOLDER")?;
    let folder = Path::new(&folder).join("man");
    std::fs::create_dir_all(&folder)?;
    let mut text = Vec::new();
    Man::new(Cli::command().disable_help_subcommand(true))
        .section("8")
        .manual("gpuvirt")
        .render(&mut text)?;
    text.extend_from_slice(b".SH \"SEE ALSO\"\n\\fBgpuvirt\\fR(1)\n");
    std::fs::write(folder.join("gpuvirtd.8"), text)?;
    Ok(())
}
