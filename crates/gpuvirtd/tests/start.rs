//! A daemon's whole start, over a fake kernel and real state files, where two cards are stuck: what an earlier daemon left
//! unfinished is taken back by writes that do not end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod booted;
#[path = "api/http.rs"]
#[allow(dead_code)] // shared with the tests of the API
mod http;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use gpuvirt_api::Source;
use gpuvirt_engine::Engine;
use gpuvirt_engine::ports::{Host, PortError, StepError, WaitingWrite};
use gpuvirt_model::{Observed, PciAddress};
use gpuvirt_plan::{Performed, Step};
use gpuvirtd::server::{Context, Outside, ReadGate, WriteGate};
use gpuvirtd::wiring::Assembled;
use gpuvirtd::wiring::domains::{Gate, RecordedDomains};
use gpuvirtd::wiring::host::HostPort;
use serde_json::Value;

use booted::{Place, WRITES, at, direct, until};

/// Two cards whose drivers keep writes waiting.
const STUCK: [&str; 2] = ["0000:01:00.0", "0000:03:00.0"];
/// One that is configured, and is otherwise after a boot; its address is after theirs.
const CONFIGURED: &str = "0000:04:00.0";
/// How long readiness may wait for recovery, and what a loaded machine needs besides.
const READY: Duration = Duration::from_secs(60);

/// A host on which the writes to some cards wait until they are let go: for whoever asked no longer than the deadline, and
/// beyond that in the process that makes them.
#[derive(Clone)]
struct StuckHost {
    port: HostPort,
    writes: Arc<Writes>,
}

#[derive(Default)]
struct Writes {
    state: Mutex<Waiting>,
    released: Condvar,
}

#[derive(Default)]
struct Waiting {
    released: bool,
    /// What nobody waits for any more, by the process that is in it.
    left: BTreeMap<u32, Step>,
    /// Those that somebody waits for.
    under_way: BTreeMap<u32, Step>,
    next: u32,
}

impl StuckHost {
    fn is_stuck(step: &Step) -> bool {
        STUCK.iter().any(|card| step.function().is_some_and(|function| function.same_slot(&at(card))))
    }

    /// Every write goes on; what nobody waits for happens now.
    fn release(&self) {
        let mut state = self.writes.state.lock().unwrap();
        state.released = true;
        for (_, step) in std::mem::take(&mut state.left) {
            self.port.perform(&step, WRITES).unwrap();
        }
        self.writes.released.notify_all();
    }

    /// How many writes somebody waits for, and how many nobody waits for any more.
    fn waiting(&self) -> (usize, usize) {
        let state = self.writes.state.lock().unwrap();
        (state.under_way.len(), state.left.len())
    }
}

impl Host for StuckHost {
    fn observe(&self) -> Result<Observed, PortError> {
        self.port.observe()
    }

    fn observe_without_holders(&self) -> Result<Observed, PortError> {
        self.port.observe_without_holders()
    }

    fn observe_gpu(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.port.observe_gpu(gpu)
    }

    fn observe_gpu_and_holders(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.port.observe_gpu_and_holders(gpu)
    }

    fn is_present(&self, function: PciAddress) -> bool {
        self.port.is_present(function)
    }

    fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, StepError> {
        if Self::is_stuck(step) {
            let mut state = self.writes.state.lock().unwrap();
            state.next += 1;
            let writer = 7000 + state.next;
            state.under_way.insert(writer, step.clone());
            let waited = self.writes.released.wait_timeout_while(state, deadline, |state| !state.released);
            let (mut state, _) = waited.unwrap();
            state.under_way.remove(&writer);
            if !state.released {
                state.left.insert(writer, step.clone());
                return Err(StepError::StillWaiting { what: format!("{step:?}"), writer, waited: deadline });
            }
        }
        self.port.perform(step, deadline)
    }

    fn waiting_writes(&self) -> Result<Vec<WaitingWrite>, PortError> {
        let state = self.writes.state.lock().unwrap();
        let all = state.left.iter().chain(&state.under_way);
        Ok(all
            .map(|(writer, step)| WaitingWrite { writer: *writer, function: step.function(), vgpu: None })
            .collect())
    }
}

/// The daemon as `main` runs it, on a thread.
struct Daemon {
    host: StuckHost,
    socket: PathBuf,
    libvirt: Gate,
}

impl Daemon {
    fn start(place: &Place) -> Self {
        let host = StuckHost { port: place.host(), writes: Arc::default() };
        let (store, domains) = (place.store(), RecordedDomains(Vec::new()));
        let engine = Engine::new(Box::new(host.clone()), Box::new(domains.clone()), Box::new(store.clone()));
        let outside = Outside {
            host: Arc::new(host.clone()),
            domains: Arc::new(domains.clone()),
            store: Arc::new(store),
            definitions: Arc::new(domains),
        };
        let owner = Some(nix::unistd::geteuid().as_raw());
        let gate = WriteGate { group: None, owner, polkit: None };
        let context = Context::new(engine, outside, Source::Daemon)
            .with_gate(gate)
            .with_read_gate(ReadGate::default())
            .with_write_deadline(WRITES);
        let (libvirt, socket) = (Gate::default(), place.dir.path().join("socket"));
        let (assembled, path) = (Assembled { context, libvirt: libvirt.clone() }, socket.clone());
        std::thread::spawn(move || gpuvirtd::run::run_assembled(assembled, &path, false));
        until("the socket", || socket.exists());
        Self { host, socket, libvirt }
    }

    fn get(&self, path: &str) -> Value {
        http::get(&self.socket, path).json()
    }

    /// The answer's status, and the code of the first refusal.
    fn set(&self, gpu: &str, to: &str) -> (u16, String) {
        let body = format!("{{\"type\": \"{to}\"}}");
        let answer = http::send(&self.socket, "PUT", &format!("/v1/gpus/{gpu}/type"), &body);
        let code =
            if answer.status == 200 { String::new() } else { answer.error().refusals[0].code.to_string() };
        (answer.status, code)
    }

    /// What is said of a card: by its own entry, or among the problems of the host.
    fn said_of(&self, gpu: &str) -> String {
        let status = self.get("/v1/status");
        let shown = status["gpus"].as_array().unwrap().iter().find(|shown| shown["address"] == gpu).unwrap();
        let problems = status["problems"].as_array().unwrap().iter().filter_map(Value::as_str);
        let problems: Vec<&str> = problems.filter(|problem| problem.contains(gpu)).collect();
        format!("{} {}", shown["handsOff"].as_str().unwrap_or_default(), problems.join(" "))
    }

    fn is_ready(&self) -> bool {
        self.libvirt.is_open()
    }
}

/// A change is open of each of the stuck ones, as a daemon's death left it.
fn with_open_changes(place: Place) -> Place {
    for gpu in STUCK {
        place.kernel.die_after_write(3);
        let died = catch_unwind(AssertUnwindSafe(|| place.engine().set_type(&direct(gpu))));
        place.kernel.clear_faults();
        assert!(died.is_err());
    }
    assert_eq!(place.open_journals(), STUCK.map(|gpu| format!("{gpu}.json")));
    place
}

#[test]
fn two_stuck_cards_hold_up_neither_readiness_nor_the_rest_and_settle_when_their_writes_end() {
    let place = Place::booted_with(&[CONFIGURED]);
    let drivers = STUCK.map(|gpu| place.driver(gpu));
    let place = with_open_changes(place);
    let began = Instant::now();
    let daemon = Daemon::start(&place);
    until("both writes begin", || daemon.host.waiting() == (2, 0));
    // The rest goes on: what was configured is so again, questions are answered, and other cards are changed.
    until("the third card is restored", || place.driver(CONFIGURED).as_deref() == Some("vfio-pci"));
    let all = place.host().observe().unwrap().gpus.len();
    assert_eq!(daemon.get("/v1/gpus")["items"].as_array().unwrap().len(), all);
    assert_eq!(daemon.set(CONFIGURED, "shared"), (200, String::new()));
    assert_eq!(daemon.host.waiting(), (2, 0), "none of it came after them");
    for gpu in STUCK {
        until("what it waits for is told", || daemon.said_of(gpu).contains("still waits in the kernel"));
        let (status, code) = daemon.set(gpu, "direct");
        assert!(status == 409 && (code == "busy" || code == "hands-off"), "{status} {code}");
    }
    until("it is ready", || daemon.is_ready());
    assert!(began.elapsed() < READY, "{:?}", began.elapsed());
    let ready = Instant::now();
    // Nobody waits for them any more, and each says which process is in its write.
    let unsettled = |gpu| daemon.said_of(gpu).contains("a change is not settled");
    until("both are hands-off", || STUCK.iter().all(|gpu| unsettled(gpu)));
    let [first, second] = STUCK.map(|gpu| daemon.said_of(gpu));
    assert!(
        first.contains("process 7001 still waits") && second.contains("process 7002 still waits"),
        "{first}; {second}"
    );
    // Nothing that happened before leads to a look at them any more: that their writes end, nobody tells.
    until("the rest has settled", || ready.elapsed() > Duration::from_secs(3));
    assert_eq!((daemon.host.waiting(), place.open_journals().len()), ((0, 2), 2));

    daemon.host.release();
    until("both are settled", || place.open_journals().is_empty());
    until("nothing is said of them", || STUCK.iter().all(|gpu| daemon.said_of(gpu).trim().is_empty()));
    assert_eq!(STUCK.map(|gpu| place.driver(gpu)), drivers);
    for gpu in STUCK {
        assert_eq!(daemon.set(gpu, "direct").0, 200);
    }
    let settled = daemon.get("/v1/status")["restore"]["settled"].to_string();
    assert!(STUCK.iter().all(|gpu| settled.contains(gpu)), "{settled}");
}

/// The first one's, before which no other is restored.
#[test]
fn a_restore_that_hangs_holds_up_neither_readiness_nor_the_cards_after_it() {
    let place = Place::booted_with(&[STUCK[0], CONFIGURED]);
    let is_direct = |gpu| place.driver(gpu).as_deref() == Some("vfio-pci");
    let began = Instant::now();
    let daemon = Daemon::start(&place);
    until("its write begins", || daemon.host.waiting() == (1, 0));
    until("the other one is restored", || is_direct(CONFIGURED));
    assert_eq!(daemon.host.waiting(), (1, 0), "it did not wait for the first one");
    until("it is ready", || daemon.is_ready());
    assert!(began.elapsed() < READY, "{:?}", began.elapsed());
    assert!(daemon.said_of(STUCK[0]).contains("still waits in the kernel"));
    daemon.host.release();
    until("it is what was asked for", || is_direct(STUCK[0]) && place.open_journals().is_empty());
}
