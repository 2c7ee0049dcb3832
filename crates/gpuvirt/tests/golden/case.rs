//! One case: run, compare, bless.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::daemon::Daemon;

/// Files that a case may have; any other is a mistake that nobody would notice.
const KNOWN: [&str; 10] = [
    "args",
    "table.txt",
    "out.json",
    "stderr",
    "exit",
    "replies.json",
    "requests",
    "host.umockdev",
    "document.yaml",
    "root",
];

/// A folder below tests/golden/cli.
pub struct Case {
    path: PathBuf,
}

/// What one run did.
struct Run {
    output: Output,
    requests: String,
}

impl Case {
    /// The repository's root, where the commands run.
    pub fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
    }

    /// Where the cases are.
    pub fn folder() -> PathBuf {
        Self::root().join("tests/golden/cli")
    }

    /// Every case, by name.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir(Self::folder()).unwrap().map(|entry| entry.unwrap().path());
        let mut cases: Vec<Self> = entries.filter(|path| path.is_dir()).map(|path| Self { path }).collect();
        cases.sort_by(|a, b| a.path.cmp(&b.path));
        cases
    }

    /// Runs it in every format and compares.
    pub fn check(&self) -> Result<(), String> {
        for entry in fs::read_dir(&self.path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(KNOWN.contains(&name.as_str()), "{}: what is {name}?", self.path.display());
        }
        let table = self.run("table");
        let json = self.run("json");
        self.same_document(&json.output.stdout, &self.run("yaml").output.stdout)?;
        let exit = |run: &Run| format!("{}\n", run.output.status.code().expect("ended by a signal"));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        if exit(&table) != exit(&json) {
            return Err(format!("{}: other exit code with -o json: {}", self.path.display(), exit(&json)));
        }
        let mut found = vec![
            ("table.txt", text(&table.output.stdout)),
            ("out.json", text(&json.output.stdout)),
            ("stderr", text(&table.output.stderr)),
            ("exit", exit(&table)),
        ];
        if self.path.join("replies.json").exists() {
            found.push(("requests", table.requests));
        }
        let wrong: Vec<String> =
            found.iter().filter_map(|(name, got)| same_file(&self.path.join(name), got).err()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    fn run(&self, format: &str) -> Run {
        let daemon = self.replies().map(|replies| Daemon::start(&replies));
        let args = fs::read_to_string(self.path.join("args")).expect("args");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpuvirt"));
        command.current_dir(Self::root()).env("COLUMNS", "100").args(args.lines()).args(["-o", format]);
        if let Some(daemon) = &daemon {
            command.arg("--socket").arg(daemon.socket());
        }
        let output = command.output().unwrap();
        Run { output, requests: daemon.map(Daemon::requests).unwrap_or_default() }
    }

    fn replies(&self) -> Option<String> {
        fs::read_to_string(self.path.join("replies.json")).ok()
    }

    /// YAML must say what JSON says.
    fn same_document(&self, json: &[u8], yaml: &[u8]) -> Result<(), String> {
        if json.is_empty() && yaml.is_empty() || json == yaml {
            return Ok(());
        }
        let json: serde_json::Value = serde_json::from_slice(json).map_err(|e| self.wrong("JSON", &e))?;
        let yaml: serde_json::Value = serde_yaml_ng::from_slice(yaml).map_err(|e| self.wrong("YAML", &e))?;
        if json == yaml { Ok(()) } else { Err(self.wrong("YAML", &"says something else than JSON")) }
    }

    fn wrong(&self, what: &str, why: &dyn std::fmt::Display) -> String {
        format!("{}: {what}: {why}", self.path.display())
    }
}

/// Compares a file with what it should hold, or writes it when blessing.
pub fn same_file(path: &Path, got: &str) -> Result<(), String> {
    if std::env::var_os("GPUVIRT_BLESS").is_some() {
        File::create(path).unwrap().write_all(got.as_bytes()).unwrap();
    }
    // A missing file is different from an empty one: every case says what it expects.
    match fs::read_to_string(path) {
        Ok(want) if want == got => Ok(()),
        Ok(want) => Err(format!("{}: {}", path.display(), first_difference(&want, got))),
        Err(error) => Err(format!("{}: {error}; got\n{got}---", path.display())),
    }
}

/// The first line that differs, with its number; whole documents fill screens.
fn first_difference(want: &str, got: &str) -> String {
    let mut lines = (1..).zip(want.lines().map(Some).chain(std::iter::repeat(None)));
    let mut found = got.lines().map(Some).chain(std::iter::repeat(None));
    let (number, want, got) = lines
        .find_map(|(number, want)| {
            let got = found.next().flatten();
            (want != got || want.is_none()).then_some((number, want, got))
        })
        .expect("both end");
    let show = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("{line:?}"));
    format!("line {number} is\n  {} instead of\n  {}", show(got), show(want))
}
