//! Writes the command's manual pages and shell completions, from its grammar, into a folder.

// Files of the source tree are no durable files of the product.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use gpuvirt_command::cli::Cli;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: manual FOLDER")?;
    let folder = Path::new(&folder);
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    // The options of every verb are told once, on the page of the command.
    let mut grammar = Cli::command().disable_help_subcommand(true);
    grammar.build();
    page(&man, &grammar)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "gpuvirt", &completions)?;
    }
    Ok(())
}

/// The page of a command, and of each of its verbs: gpuvirt(1), gpuvirt-gpu-set(1).
fn page(folder: &Path, command: &Command) -> Result<(), Box<dyn Error>> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page(folder, verb)?;
    }
    let mut text = Vec::new();
    // The grammar keeps names for as long as the program lives.
    let mut plain = command.clone().name(&*name.clone().leak()).version(env!("CARGO_PKG_VERSION"));
    let usage = plain.render_usage().to_string();
    Man::new(plain).title(name.to_uppercase()).manual("gpuvirt").render(&mut text)?;
    std::fs::write(folder.join(format!("{name}.1")), as_read(&String::from_utf8(text)?, &usage))?;
    Ok(())
}

/// With the synopsis that `--help` has, in which options have their values, and the sections that man-pages(7) names.
fn as_read(page: &str, usage: &str) -> String {
    let usage = usage.trim_start_matches("Usage: ").replace('-', "\\-").replace('\n', "\n.br\n");
    let mut text = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        match line {
            ".SH SYNOPSIS" => {
                lines.next();
                text.push_str(&format!("{line}\n{usage}\n"));
            }
            ".SH EXTRA" => text.push_str(".SH \"EXIT STATUS\"\n"),
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text + ".SH \"SEE ALSO\"\n\\fBgpuvirtd\\fR(8)\n"
}
