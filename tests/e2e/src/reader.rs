//! One who follows a document to the letter in the lab, and writes down what was typed and what it printed.
//!
//! The documents name cards and VMs of the reader's; here stands what the lab has in their place. Nothing else is changed: a
//! line runs as it stands there. What a person does between two lines, and what cannot be done in the lab, is done or named
//! here and stands in the transcript.

use std::fmt::Write as _;

use gpuvirt_documents::{Block, PROMPT, blocks, read, stands_for, without_comment};

use crate::{Lab, Output};

/// One who reads.
pub struct Reader<'a> {
    lab: &'a Lab,
    words: Vec<(String, String)>,
    transcript: String,
    /// What was not run, by document and line, with the reason.
    pub not_run: Vec<String>,
    /// What the host begins when a VM has stopped, and is over by the time a person types on: a command that waits for it.
    pub settled: Option<String>,
}

/// Where the lines are typed.
const HOME: &str = "/root/e2e-reader";
/// Who types says yes when apt asks.
const APT_ANSWERS: &str = "APT::Get::Assume-Yes \"true\";";
/// A guest that is started has said what it sees by then.
const GUEST_DEADLINE: u32 = 240;

impl<'a> Reader<'a> {
    /// One with these words for those of the documents, in the lab, with the package where `scripts/package` leaves it.
    pub fn new(lab: &'a Lab, title: &str, words: &[(&str, &str)]) -> Self {
        let package = format!("gpuvirt_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
        lab.sh(&format!(
            "rm -rf {HOME} && mkdir -p {HOME}/target && cp /lab/gpuvirt.deb {HOME}/target/{package} &&
             echo '{APT_ANSWERS}' > {HOME}/target/apt.conf"
        ))
        .expect(0);
        let words: Vec<(String, String)> =
            words.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let mut transcript = format!(
            "# Transcript: {title}\n\n\
             Written by an end-to-end test (`tests/e2e/src/reader.rs`), which types the document's lines in the [lab](../testing/lab.md): a real\n\
             kernel with real VFIO and libvirt, and **emulated cards**; no GPU is in it, and no vendor's driver. The guests are nested.\n\n\
             | the document says | here |\n|---|---|\n"
        );
        for (word, here) in &words {
            let _ = writeln!(transcript, "| `{word}` | `{here}` |");
        }
        Self { lab, words, transcript, not_run: Vec::new(), settled: None }
    }

    /// Says what is done beside the document.
    pub fn note(&mut self, text: &str) {
        let _ = write!(self.transcript, "\n*{text}*\n");
    }

    /// Runs these lines, which no document has, and says so.
    #[track_caller]
    pub fn beside(&mut self, script: &str) {
        self.lab.sh(&format!("set -e; {script}")).expect(0);
        let _ = write!(self.transcript, "\n```\n{script}\n```\n");
    }

    /// Types every line of the document.
    ///
    /// # Panics
    /// When one of them fails.
    #[track_caller]
    pub fn follow(&mut self, document: &str) {
        self.follow_where(document, |_| true);
    }

    /// Types every line that stands directly below this heading of the document.
    ///
    /// # Panics
    /// When one of them fails, and when there is none.
    #[track_caller]
    pub fn follow_below(&mut self, document: &str, heading: &str) {
        let before = self.transcript.len();
        self.follow_where(document, |block| block.heading == heading);
        assert!(self.transcript.len() > before, "{document} has nothing to type below {heading}");
    }

    #[track_caller]
    fn follow_where(&mut self, document: &str, is_meant: impl Fn(&Block) -> bool) {
        let mut heading = String::new();
        let typed = blocks(&read(document)).into_iter().filter(|block| block.language == "sh");
        for block in typed.filter(is_meant) {
            if heading != block.heading {
                heading.clone_from(&block.heading);
                let _ = write!(self.transcript, "\n## {heading}\n");
            }
            match &block.not_run {
                Some(reason) => self.skip(document, &block, reason),
                None => block.typed().for_each(|line| self.type_line(without_comment(line))),
            }
        }
    }

    fn skip(&mut self, document: &str, block: &Block, reason: &str) {
        let lines: Vec<&str> = block.typed().map(without_comment).collect();
        self.not_run.push(format!("{document} line {}: {}: {reason}", block.line, lines.join("; ")));
        self.note(&format!("Not run here: `{}`: {reason}.", lines.join("`, `")));
    }

    fn type_line(&mut self, line: &str) {
        let line = stands_for(line, &self.words);
        let said = self.lab.sh(&format!(
            "cd {HOME} && export APT_CONFIG={HOME}/target/apt.conf COLUMNS=132; {{ {line}\n}} 2>&1"
        ));
        assert!(codes(&line).contains(&said.code), "{said}");
        let _ = write!(self.transcript, "\n```console\n{PROMPT}{line}\n");
        for printed in said.stdout.lines().filter(|line| !misses_a_terminal(line)) {
            let _ = writeln!(self.transcript, "{}", on_a_terminal(printed));
        }
        self.transcript.push_str("```\n");
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["apt", "install", ..] => self.declare_the_cards(),
            ["virsh", "start", guest] | ["gpuvirt", "vm", "start", guest] => self.wait_for(guest),
            ["systemctl", "restart", "libvirtd"] => self.let_libvirt_begin(),
            ["until", ..] => self.settle(),
            _ => {}
        }
    }

    /// No display controllers: the lab's cards count as GPUs because the configuration names them.
    fn declare_the_cards(&mut self) {
        self.lab.sh("cp /lab/e2e/gpuvirtd.toml /etc/gpuvirt/ && systemctl restart gpuvirtd").expect(0);
        self.note("The lab's configuration is put in place: its emulated cards count as GPUs because /etc/gpuvirt/gpuvirtd.toml names them.");
    }

    /// People take longer to type the next line than libvirt takes to begin, emulated though it is here.
    fn let_libvirt_begin(&self) {
        let began = "virsh -q list --all && gpuvirt status | grep -q 'known from libvirt'";
        self.lab.sh(&format!("timeout 60 sh -c \"until {began}; do sleep 0.5; done\"")).expect(0);
    }

    /// The guest's own words about its PCI bus.
    fn wait_for(&mut self, guest: &str) {
        let mut said = self.guest_says(guest);
        // Under emulation a guest's kernel now and then gets a fault that it did not make: it panics, or its processor shuts
        // down without a word. A device that kills its guest does so each time.
        for _ in 0..2 {
            if said.code != 0 || said.stdout.contains("L2-READY") {
                break;
            }
            self.note("The guest's own kernel ended under emulation; it is started once more.");
            self.lab.sh(&format!("virsh -q destroy {guest} 2>/dev/null; virsh -q start {guest}")).expect(0);
            said = self.guest_says(guest);
        }
        let said = said.expect(0).says("L2-READY");
        self.note(&format!("{guest} lists its PCI bus on its console:"));
        let bus: Vec<&str> = said.stdout.lines().filter(|line| line.starts_with("L2-PCI")).collect();
        let _ = write!(self.transcript, "\n```\n{}\n```\n", bus.join("\n"));
    }

    /// Its console, when it has said its word or has ended: libvirt keeps a file for each domain that runs.
    fn guest_says(&self, guest: &str) -> Output {
        let console = format!("/var/log/libvirt/qemu/{guest}-console.log");
        let runs = format!("/run/libvirt/qemu/{guest}.xml");
        let word = format!("grep -aqse L2-READY -e \"Kernel panic\" {console}");
        self.lab.sh(&format!(
            "timeout {GUEST_DEADLINE} sh -c 'until {word} || [ ! -e {runs} ]; do sleep 0.2; done'; code=$?
             tr -d '\\r' < {console}; exit $code"
        ))
    }

    fn settle(&self) {
        if let Some(settled) = &self.settled {
            self.lab.sh(settled).expect(0);
        }
    }

    /// What was typed and printed.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Writes it to `docs/transcripts`, where `GPUVIRT_BLESS` asks for that.
    // A document of the source tree is no durable file of the product.
    #[allow(clippy::disallowed_methods)]
    pub fn keep(&self, name: &str) {
        if std::env::var_os("GPUVIRT_BLESS").is_some() {
            let path = format!("{}/../../docs/transcripts/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(&path, &self.transcript).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        for line in &self.not_run {
            eprintln!("not run: {line}");
        }
    }
}

/// What a line looks like after what wrote over itself in it.
fn on_a_terminal(line: &str) -> &str {
    let line = line.trim_end();
    line.rsplit('\r').next().unwrap_or(line)
}

/// What apt and debconf say to no person.
fn misses_a_terminal(line: &str) -> bool {
    line.starts_with("debconf: ") || line.starts_with("WARNING: apt does not have a stable CLI")
}

/// The exit codes that are no failure of a line: the doctor's tell how bad what it found is, and a difference is an answer.
fn codes(line: &str) -> &'static [i32] {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["gpuvirt", "doctor", ..] => &[0, 3, 4],
        ["gpuvirt", "config", "diff", ..] => &[0, 4],
        _ => &[0],
    }
}
