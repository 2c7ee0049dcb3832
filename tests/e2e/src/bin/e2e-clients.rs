//! Many clients of gpuvirtd at once: each asks one thing after the other by the command, and every answer is held
//! against what it may be. Prints what came of it as one JSON document; exit code 1: an answer was not true.
//!
//! usage: `e2e-clients CLIENTS REQUESTS MDEV_GPU OWN_GPU SHARED_GPU`. The first GPU is `shared-direct`; the second is set by one
//! client alone, so that its type is known after each answer; the third by all.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longest that one request is tried again while no daemon answers.
const UNREACHABLE: Duration = Duration::from_secs(60);

/// The command's exit codes.
mod code {
    pub const DONE: i32 = 0;
    pub const USAGE: i32 = 2;
    pub const REFUSED: i32 = 3;
    pub const UNREACHABLE: i32 = 5;
}

/// What the clients work on.
struct Field {
    mdev: String,
    own: String,
    shared: String,
    left: AtomicUsize,
}

/// What one client knows of what is its own alone.
#[derive(Default)]
struct Client {
    number: usize,
    seed: u64,
    /// Whether a vGPU lives: both when an answer was lost.
    vgpus: BTreeMap<String, BTreeSet<bool>>,
    /// The types that its GPU may have.
    types: BTreeSet<&'static str>,
    /// How many answers of each exit code.
    answers: BTreeMap<i32, usize>,
    /// Answers that were not true.
    lies: Vec<String>,
    /// Requests whose connection broke.
    lost: usize,
}

/// An answer.
struct Answer {
    code: i32,
    said: String,
    /// It may have been carried out before: the connection broke on the way, and it was asked again.
    again: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [clients, requests, mdev, own, shared] = arguments.as_slice() else {
        eprintln!("usage: e2e-clients CLIENTS REQUESTS MDEV_GPU OWN_GPU SHARED_GPU");
        std::process::exit(2);
    };
    let number = |text: &String| text.parse::<usize>().unwrap_or(0);
    let left = AtomicUsize::new(number(requests));
    let field = Arc::new(Field { mdev: mdev.clone(), own: own.clone(), shared: shared.clone(), left });
    let began = Instant::now();
    let running: Vec<_> = (0..number(clients))
        .map(|number| {
            let field = Arc::clone(&field);
            thread::spawn(move || Client::new(number).run(&field))
        })
        .collect();
    let clients: Vec<Client> = running.into_iter().filter_map(|client| client.join().ok()).collect();
    let lies: Vec<&String> = clients.iter().flat_map(|client| &client.lies).collect();
    println!("{}", report(&clients, &lies, began.elapsed()));
    std::process::exit(i32::from(!lies.is_empty()));
}

fn report(clients: &[Client], lies: &[&String], took: Duration) -> serde_json::Value {
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for (code, count) in clients.iter().flat_map(|client| &client.answers) {
        *answers.entry(code.to_string()).or_default() += count;
    }
    let certain = |alive: bool| -> Vec<&String> {
        clients
            .iter()
            .flat_map(|client| &client.vgpus)
            .filter(|(_, may)| may.len() == 1 && may.contains(&alive))
            .map(|(uuid, _)| uuid)
            .collect()
    };
    let own: Vec<&str> = clients.iter().flat_map(|client| client.types.iter().copied()).collect();
    serde_json::json!({
        "clients": clients.len(), "answers": answers, "seconds": took.as_secs_f32(),
        "lost": clients.iter().map(|client| client.lost).sum::<usize>(),
        "alive": certain(true), "gone": certain(false), "ownType": own, "lies": lies,
    })
}

impl Client {
    fn new(number: usize) -> Self {
        let types = if number == 0 { BTreeSet::from(["shared"]) } else { BTreeSet::new() };
        Self { number, seed: 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1), types, ..Self::default() }
    }

    fn run(mut self, field: &Field) -> Self {
        while field
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
        {
            match (self.number, self.random(10)) {
                (0, 0..=5) => self.set_own(&field.own),
                (_, 0..=2) => self.create(&field.mdev),
                (_, 3..=5) => self.remove(),
                (_, 6) => self.set_shared(&field.shared),
                (_, 7) => self.expects("vgpu list -o json", &[code::DONE]),
                (_, 8) => self.expects(&format!("gpu show {} -o json", field.shared), &[code::DONE]),
                _ => self.bad(field),
            }
        }
        self
    }

    /// xorshift: the same numbers in each run.
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 16) % below
    }

    fn create(&mut self, gpu: &str) {
        let uuid = self.one_of_mine();
        let answer = self.ask(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {uuid}"));
        let may = self.vgpus.entry(uuid.clone()).or_insert_with(|| BTreeSet::from([false]));
        match answer.code {
            code::DONE => *may = BTreeSet::from([true]),
            code::REFUSED if answer.said.contains("[no-capacity]") => {
                if !may.contains(&false) {
                    self.lies.push(format!("{uuid} lives, and was refused as new: {}", answer.said));
                }
                *may = BTreeSet::from([false]);
            }
            _ => self.uncertain(&uuid, &answer),
        }
    }

    fn remove(&mut self) {
        let uuid = self.one_of_mine();
        let answer = self.ask(&format!("vgpu remove {uuid}"));
        let may = self.vgpus.entry(uuid.clone()).or_insert_with(|| BTreeSet::from([false]));
        match answer.code {
            code::DONE => {
                if !may.contains(&true) {
                    self.lies.push(format!("{uuid} was not there, and was removed: {}", answer.said));
                }
                *may = BTreeSet::from([false]);
            }
            code::REFUSED if answer.said.contains("[vgpu-not-found]") => {
                if !may.contains(&false) && !answer.again {
                    self.lies.push(format!("{uuid} is lost: {}", answer.said));
                }
                *may = BTreeSet::from([false]);
            }
            _ => self.uncertain(&uuid, &answer),
        }
    }

    /// A change that failed, and may have been done or taken back.
    fn uncertain(&mut self, uuid: &str, answer: &Answer) {
        // Until the next daemon has taken back what the killed one began, its GPU is left alone.
        let hands_off = answer.code == code::REFUSED && answer.said.contains("[hands-off]");
        let unchanged = hands_off || answer.said.contains("everything is as it was before");
        if !unchanged || answer.again {
            self.vgpus.insert(uuid.to_owned(), BTreeSet::from([true, false]));
        }
        if !hands_off && matches!(answer.code, code::REFUSED | code::USAGE) {
            self.lies.push(format!("{uuid}: no reason to refuse: {}", answer.said));
        }
    }

    fn set_own(&mut self, gpu: &str) {
        let to = if self.random(2) == 0 { "direct" } else { "shared" };
        let answer = self.ask(&format!("gpu set {gpu} --type {to}"));
        match answer.code {
            code::DONE => self.types = BTreeSet::from([to]),
            code::REFUSED if answer.said.contains("[hands-off]") => drop(self.types.insert(to)),
            code::REFUSED | code::USAGE => {
                self.lies.push(format!("{gpu}: no reason to refuse: {}", answer.said));
            }
            _ => drop(self.types.insert(to)),
        }
    }

    fn set_shared(&mut self, gpu: &str) {
        let to = if self.random(2) == 0 { "direct" } else { "shared" };
        let answer = self.ask(&format!("gpu set {gpu} --type {to}"));
        if answer.code == code::USAGE {
            self.lies.push(answer.said);
        }
    }

    fn bad(&mut self, field: &Field) {
        let (command, expected) = match self.random(5) {
            0 => ("vgpu remove 00000000-0000-4000-8000-ffffffffffff".to_owned(), code::REFUSED),
            1 => ("gpu set 0000:7f:00.0 --type direct".to_owned(), code::REFUSED),
            2 => (format!("vgpu create --gpu {} --profile lab-3q", field.mdev), code::REFUSED),
            3 => (format!("vgpu create --gpu {} --profile lab-1q --uuid x", field.mdev), code::USAGE),
            _ => (format!("gpu set {} --type perhaps", field.own), code::USAGE),
        };
        self.expects(&command, &[expected]);
    }

    fn expects(&mut self, command: &str, codes: &[i32]) {
        let answer = self.ask(command);
        // A daemon that was killed on the way answers nothing.
        let broken = answer.code == 1 || answer.again;
        if !codes.contains(&answer.code) && !broken {
            self.lies.push(format!("{command}: exit {}: {}", answer.code, answer.said));
        }
    }

    fn one_of_mine(&mut self) -> String {
        let slot = self.random(2);
        format!("00000000-0000-4000-8000-{:08x}{slot:04x}", self.number)
    }

    /// Asks, again while no daemon answers.
    #[allow(clippy::disallowed_methods)] // the pause of a client that asks again: the daemon tells nobody that it is back
    fn ask(&mut self, command: &str) -> Answer {
        let end = Instant::now() + UNREACHABLE;
        let mut again = false;
        loop {
            let run = Command::new("gpuvirt").args(command.split(' ')).output();
            let (code, said) = run.map_or((-1, String::from("cannot be run")), |run| {
                let said = [run.stdout, run.stderr].concat();
                (run.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
            });
            if code == code::UNREACHABLE && Instant::now() < end {
                thread::sleep(Duration::from_millis(200));
                continue;
            }
            if code == 1 && said.contains("the connection to gpuvirtd") && !again {
                self.lost += 1;
                again = true;
                continue;
            }
            *self.answers.entry(code).or_default() += 1;
            return Answer { code, said: format!("{command}: {said}"), again };
        }
    }
}
