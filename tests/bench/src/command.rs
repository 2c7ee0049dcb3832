//! A command line to be measured.

use std::path::Path;

use anyhow::{Context, Result};

/// A program with its arguments, and the name that the table shows.
pub struct Command {
    /// As the table shows it.
    pub name: String,
    /// Program and arguments.
    pub line: Vec<String>,
    /// How often it is run at most, where it takes long.
    pub at_most: Option<usize>,
    /// It is somebody else's: that it fails is told, and ends nothing.
    pub may_fail: bool,
}

impl Command {
    /// A command.
    pub fn new(name: &str, program: &Path, args: &[&str]) -> Result<Self> {
        let mut line = vec![text(program)?];
        line.extend(args.iter().map(|arg| (*arg).to_owned()));
        Ok(Self { name: name.to_owned(), line, at_most: None, may_fail: false })
    }

    /// The same for one that takes long: run so often and no more.
    #[must_use]
    pub fn seldom(self, at_most: usize) -> Self {
        Self { at_most: Some(at_most), ..self }
    }

    /// One of this program's own chores.
    pub fn own(name: &str, args: &[&str]) -> Result<Self> {
        Self::new(name, &std::env::current_exe().context("find this program")?, args)
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}
