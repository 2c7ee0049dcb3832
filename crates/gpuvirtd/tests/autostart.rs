//! VMs that start with the host before their GPU is what was asked for: refused then, and started when it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod booted;
#[path = "api/http.rs"]
#[allow(dead_code)] // shared with the tests of the API
mod http;

use std::io;
use std::sync::{Arc, Mutex};

use gpuvirt_api::{HookCall, HookEvent, route};
use gpuvirt_engine::ports::{Domains, PortError};
use gpuvirt_engine::{Engine, VmRequest};
use gpuvirt_model::{
    Domain, DomainState, Guest, Hostdev, ProfileName, Reading, RefusalCode, Unknown, VgpuParams,
};
use uuid::Uuid;

use booted::daemon::{CARD, Daemon, sharing, vgpus, write};
use booted::{Place, at, until};

const VM: Uuid = Uuid::from_u128(1);
const XML: &str = "<domain type='kvm'>\n  <name>web</name>\n  <uuid>00000000-0000-0000-0000-000000000001</uuid>\n  \
    <os><type machine='q35'>hvm</type></os>\n  <devices>\n    <emulator>q</emulator>\n  </devices>\n</domain>\n";

/// libvirt with one VM, which starts with the host.
#[derive(Clone)]
struct Libvirt(Arc<Mutex<State>>);

struct State {
    /// It answers: it has started what starts with the host.
    up: bool,
    autostart: bool,
    xml: String,
    runs: bool,
    starts: usize,
}

impl Libvirt {
    fn new() -> Self {
        let xml = XML.to_owned();
        Self(Arc::new(Mutex::new(State { up: true, autostart: true, xml, runs: false, starts: 0 })))
    }

    fn comes_up(&self, up: bool) {
        self.0.lock().unwrap().up = up;
    }

    fn starts(&self) -> usize {
        self.0.lock().unwrap().starts
    }

    /// The VM as its hook gets it.
    fn vm(&self) -> Domain {
        let state = self.0.lock().unwrap();
        let read = gpuvirt_domain::read(&state.xml).unwrap();
        let now = if state.runs { DomainState::Active } else { DomainState::ShutOff };
        Domain {
            name: read.name,
            uuid: VM,
            state: now,
            autostart: state.autostart,
            live: if state.runs { read.hostdevs.clone() } else { Vec::new() },
            config: read.hostdevs,
            requests: read.requests,
            guest: Guest::default(),
        }
    }
}

impl Domains for Libvirt {
    fn list(&self) -> Reading<Vec<Domain>> {
        match self.is_connected() {
            true => Reading::Known(vec![self.vm()]),
            false => Reading::Unknown(Unknown::Unreadable { what: "libvirt is starting VMs".to_owned() }),
        }
    }

    fn inactive_xml(&self, _: &str) -> Result<Option<String>, PortError> {
        Ok(Some(self.0.lock().unwrap().xml.clone()))
    }

    fn redefine(&self, _: &str, _: &str, xml: &str) -> Result<bool, PortError> {
        self.0.lock().unwrap().xml = xml.to_owned();
        Ok(true)
    }

    fn is_connected(&self) -> bool {
        self.0.lock().unwrap().up
    }

    fn start(&self, _: &str) -> Result<(), PortError> {
        let mut state = self.0.lock().unwrap();
        if !state.up {
            let source = io::Error::from(io::ErrorKind::TimedOut).into();
            return Err(PortError { doing: "starting".to_owned(), source });
        }
        (state.runs, state.starts) = (true, state.starts + 1);
        Ok(())
    }
}

/// A host whose card has lost its vGPUs in a reboot, and a VM that asks for one of another.
fn rebooted() -> (Place, Libvirt) {
    let (place, libvirt) = (sharing(), Libvirt::new());
    let engine = Engine::new(Box::new(place.host()), Box::new(libvirt.clone()), Box::new(place.store()));
    let profile = ProfileName("lab-1q".to_owned());
    let uuids = vec![Uuid::from_u128(7)];
    engine
        .vm_add("web", VmRequest::Profile { profile, params: VgpuParams::default(), uuids }, false)
        .unwrap();
    drop(engine);
    for number in [1, 2] {
        write(
            &place,
            &format!("/sys/bus/mdev/devices/00000000-0000-0000-0000-00000000000{number}/remove"),
            "1",
        );
    }
    libvirt.comes_up(false);
    (place, libvirt)
}

/// libvirt's own start of the VM, refused for these reasons.
#[track_caller]
fn is_refused(daemon: &Daemon, domain: Domain, codes: &[RefusalCode]) {
    let call = HookCall { event: HookEvent::Prepare, domain };
    let answer = http::send(&daemon.socket, "POST", route::HOOK, &serde_json::to_string(&call).unwrap());
    assert_eq!(answer.status, 409, "{answer:?}");
    let found: Vec<RefusalCode> = answer.error().refusals.iter().map(|refusal| refusal.code).collect();
    assert_eq!(found, codes);
}

fn said(daemon: &Daemon) -> String {
    let status = http::get(&daemon.socket, "/v1/status").json();
    let problems = status["problems"].as_array().unwrap().iter().filter_map(|problem| problem.as_str());
    problems.filter(|problem| problem.contains("VM web")).collect()
}

#[test]
fn one_that_came_while_its_card_was_restored_is_started_once_when_that_has_ended() {
    let (place, libvirt) = rebooted();
    let daemon = Daemon::start_with(&place, libvirt.clone(), true);
    until("its card is being restored", || {
        !http::get(&daemon.socket, "/v1/status").json()["daemon"]["working"].is_null()
    });
    is_refused(&daemon, libvirt.vm(), &[RefusalCode::Busy]);
    until("it is told", || said(&daemon).contains("was not started with the host"));
    assert!(said(&daemon).contains("tried once more"), "{}", said(&daemon));
    // libvirt has started all the others, and answers: the card is still not what it is to be.
    libvirt.comes_up(true);
    let looked = std::time::Instant::now();
    until("it could have been started", || looked.elapsed().as_secs() > 4);
    assert_eq!(libvirt.starts(), 0);
    daemon.host.hold(false);
    until("it runs", || libvirt.starts() == 1);
    until("nothing is said of it", || said(&daemon).is_empty());
    assert_eq!(vgpus(&place).len(), 3, "two that are configured, and its own");
}

#[test]
fn one_that_is_refused_for_what_does_not_pass_is_named_and_not_started() {
    let (place, libvirt) = rebooted();
    let daemon = Daemon::start(&place, libvirt.clone());
    // A whole card beside the vGPU.
    let mut vm = libvirt.vm();
    vm.config.push(Hostdev::Pci { address: at("0000:01:00.0"), managed: false });
    vm.config.push(Hostdev::Mdev { uuid: Uuid::from_u128(1) });
    let answer = http::send(
        &daemon.socket,
        "POST",
        route::HOOK,
        &serde_json::to_string(&HookCall { event: HookEvent::Prepare, domain: vm }).unwrap(),
    );
    assert_eq!(answer.status, 409, "{answer:?}");
    libvirt.comes_up(true);
    until("it is told", || {
        let said = said(&daemon);
        said.contains("was not started with the host") && !said.contains("tried once more")
    });
    assert_eq!(libvirt.starts(), 0);
    // Whoever starts it by hand ends that.
    let vm = libvirt.vm();
    let call = HookCall { event: HookEvent::Running, domain: vm };
    http::send(&daemon.socket, "POST", route::HOOK, &serde_json::to_string(&call).unwrap());
    assert_eq!(said(&daemon), "");
}

#[test]
fn one_that_nobody_wants_to_start_with_the_host_is_neither_started_nor_named() {
    let (place, libvirt) = rebooted();
    libvirt.0.lock().unwrap().autostart = false;
    let daemon = Daemon::start_with(&place, libvirt.clone(), true);
    until("its card is being restored", || {
        !http::get(&daemon.socket, "/v1/status").json()["daemon"]["working"].is_null()
    });
    is_refused(&daemon, libvirt.vm(), &[RefusalCode::Busy]);
    until("it is told", || !said(&daemon).is_empty());
    libvirt.comes_up(true);
    until("nothing is said of it", || said(&daemon).is_empty());
    daemon.host.hold(false);
    until("the card is restored", || vgpus(&place).len() == 2);
    daemon.has_gone_round();
    assert_eq!((libvirt.starts(), CARD), (0, CARD));
}
