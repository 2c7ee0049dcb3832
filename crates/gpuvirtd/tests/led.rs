//! A daemon that leads cards as things happen: a driver that is later than its card, one that comes anew, and what is looked at
//! again and what is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod booted;
#[path = "api/http.rs"]
#[allow(dead_code)] // shared with the tests of the API
mod http;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gpuvirt_api::Source;
use gpuvirt_engine::ports::{Host, PortError, StepError, Store as _};
use gpuvirt_engine::{CreateRequest, Engine, SwitchRequest};
use gpuvirt_fakekernel::{Errno, On, Process, SizeRule};
use gpuvirt_host::Sysfs as _;
use gpuvirt_host::uevent::Uevent;
use gpuvirt_model::{ConfiguredType, DesiredGpu, Observed, PciAddress, ProfileName, VgpuId, When};
use gpuvirt_plan::{Performed, Step};
use gpuvirtd::server::stir::Stir;
use gpuvirtd::server::{Context, Outside, WriteGate};
use gpuvirtd::wiring::Assembled;
use gpuvirtd::wiring::domains::{Gate, RecordedDomains};
use gpuvirtd::wiring::host::HostPort;
use uuid::Uuid;

use booted::{Place, WRITES, at, direct, until};

/// The card that all this is about, and its driver.
const CARD: &str = "0000:04:00.0";
/// Where no card is.
const NOWHERE: &str = "0000:77:00.0";
/// A little longer than the daemon sleeps between two looks.
const A_LOOK: Duration = Duration::from_secs(12);
/// Longer than it waits for more events, and less than that.
const A_ROUND: Duration = Duration::from_secs(3);

/// The host, and how often it was looked at.
#[derive(Clone)]
struct CountedHost {
    port: HostPort,
    looks: Arc<AtomicUsize>,
    /// The number of the kernel's last event.
    last_event: Arc<AtomicU64>,
}

impl CountedHost {
    fn looked_at(&self) -> &HostPort {
        self.looks.fetch_add(1, Ordering::SeqCst);
        &self.port
    }
}

impl Host for CountedHost {
    fn observe(&self) -> Result<Observed, PortError> {
        self.looked_at().observe()
    }

    fn observe_gpu(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.looked_at().observe_gpu(gpu)
    }

    fn observe_gpu_and_holders(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.looked_at().observe_gpu_and_holders(gpu)
    }

    fn is_present(&self, function: PciAddress) -> bool {
        self.port.is_present(function)
    }

    fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, StepError> {
        self.port.perform(step, deadline)
    }

    fn last_event(&self) -> Option<u64> {
        Some(self.last_event.load(Ordering::SeqCst))
    }
}

/// A daemon as `main` runs it, which is told of events by the test.
struct Daemon {
    host: CountedHost,
    stir: Arc<Stir>,
    socket: PathBuf,
}

impl Daemon {
    fn start(place: &Place) -> Self {
        let host = CountedHost { port: place.host(), looks: Arc::default(), last_event: Arc::default() };
        let (store, domains) = (place.store(), RecordedDomains(Vec::new()));
        let engine = Engine::new(Box::new(host.clone()), Box::new(domains.clone()), Box::new(store.clone()));
        let outside = Outside {
            host: Arc::new(host.clone()),
            domains: Arc::new(domains.clone()),
            store: Arc::new(store),
            definitions: Arc::new(domains),
        };
        let gate = WriteGate { group: None, owner: Some(nix::unistd::geteuid().as_raw()), polkit: None };
        let context =
            Context::new(engine, outside, Source::Daemon).with_gate(gate).with_write_deadline(WRITES);
        let (stir, libvirt, socket) =
            (Arc::clone(&context.stir), Gate::default(), place.dir.path().join("socket"));
        let (assembled, path) = (Assembled { context, libvirt: libvirt.clone() }, socket.clone());
        std::thread::spawn(move || gpuvirtd::run::run_assembled(assembled, &path, false));
        until("it is ready", || libvirt.is_open());
        Self { host, stir, socket }
    }

    /// The kernel tells of this.
    fn hears(&self, action: &str, driver: &str) {
        let number = self.host.last_event.fetch_add(1, Ordering::SeqCst) + 1;
        self.hears_again(action, driver, number);
    }

    fn hears_again(&self, action: &str, driver: &str, number: u64) {
        let text =
            format!("{action}@/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME={CARD}\0DRIVER={driver}\0SEQNUM={number}\0");
        self.stir.heard(Some(&Uevent::parse(text.as_bytes()).unwrap()));
    }

    fn looks(&self) -> usize {
        self.host.looks.load(Ordering::SeqCst)
    }

    /// The daemon has looked, and sleeps again.
    fn has_gone_round(&self) {
        let mut seen = (self.looks(), Instant::now());
        until("it has gone round", || {
            let looks = self.looks();
            if looks != seen.0 {
                seen = (looks, Instant::now());
            }
            seen.1.elapsed() > A_ROUND
        });
    }
}

/// A card that makes mediated devices, of which two are configured.
fn sharing() -> Place {
    let place = Place::booted_with(&[]);
    place.kernel.offer_mdev(at(CARD), 8192, SizeRule::Mixed, &[("lab-1q", "LAB-1Q", 1024)]);
    let engine = place.engine();
    let to = ConfiguredType::SharedDirect;
    engine.set_type(&SwitchRequest { to, ..direct(CARD) }).unwrap();
    for number in [1, 2] {
        let profile = ProfileName("lab-1q".to_owned());
        engine.create_vgpus(&CreateRequest::one(at(CARD), profile, Uuid::from_u128(number))).unwrap();
    }
    place
}

fn vgpus(place: &Place) -> BTreeSet<VgpuId> {
    place.host().observe().unwrap().vgpus.into_keys().collect()
}

fn write(place: &Place, path: &str, text: &str) {
    place.kernel.write_that_may_block(path, text.as_bytes(), WRITES).unwrap();
}

#[test]
fn vgpus_come_back_when_the_driver_is_later_than_its_card() {
    let place = sharing();
    let (before, driver) = (vgpus(&place), place.driver(CARD).unwrap());
    assert_eq!(before.len(), 2);
    for vgpu in ["1", "2"] {
        write(
            &place,
            &format!("/sys/bus/mdev/devices/00000000-0000-0000-0000-00000000000{vgpu}/remove"),
            "1",
        );
    }
    write(&place, &format!("/sys/bus/pci/drivers/{driver}/unbind"), CARD);
    let daemon = Daemon::start(&place);
    daemon.hears("add", "");
    daemon.has_gone_round();
    assert_eq!((vgpus(&place).len(), place.driver(CARD)), (0, None));
    // udev has loaded its module.
    write(&place, &format!("/sys/bus/pci/drivers/{driver}/bind"), CARD);
    daemon.hears("bind", &driver);
    until("its vGPUs are back", || vgpus(&place) == before);
}

#[test]
fn what_failed_is_tried_again_when_its_driver_comes_anew_and_not_for_what_it_did_itself() {
    let place = sharing();
    let (before, driver) = (vgpus(&place), place.driver(CARD).unwrap());
    write(&place, "/sys/bus/mdev/devices/00000000-0000-0000-0000-000000000001/remove", "1");
    let daemon = Daemon::start(&place);
    daemon.has_gone_round();
    until("the start made it again", || vgpus(&place) == before);
    write(&place, "/sys/bus/mdev/devices/00000000-0000-0000-0000-000000000001/remove", "1");
    place.kernel.fail(On::CreateMdev { parent: at(CARD) }, Errno::EIO);
    daemon.hears("bind", &driver);
    daemon.has_gone_round();
    place.kernel.clear_faults();
    let then = daemon.looks();
    // What the kernel told while it was tried, and is read late.
    daemon.hears_again("bind", &driver, 1);
    daemon.has_gone_round();
    assert_eq!((vgpus(&place).len(), daemon.looks()), (1, then));
    daemon.hears("bind", &driver);
    until("it is made again", || vgpus(&place) == before);
}

#[test]
fn a_card_that_a_process_holds_is_looked_at_again_and_one_that_is_gone_is_not() {
    let place = Place::booted_with(&[]);
    let (desired, records) = place.store().load().unwrap();
    let identity = place.host().observe().unwrap().functions[&at(CARD)].identity;
    let gone =
        DesiredGpu { when: When::Idle, ..DesiredGpu::new(at(NOWHERE), identity, ConfiguredType::Direct) };
    place.store().commit(&desired.with_gpu(gone), &records).unwrap();
    let daemon = Daemon::start(&place);
    daemon.has_gone_round();
    let then = (daemon.looks(), Instant::now());
    until("it could have looked", || then.1.elapsed() > A_LOOK);
    assert_eq!(daemon.looks(), then.0, "what is not there is told when it comes");

    place.kernel.start(Process::new(77, "Xorg").opens("/dev/dri/card3"));
    let body = r#"{"type": "direct", "when": "idle"}"#;
    let answer = http::send(&daemon.socket, "PUT", &format!("/v1/gpus/{CARD}/type"), body);
    assert!(answer.status == 200 && answer.body.contains("pending"), "{answer:?}");
    daemon.has_gone_round();
    place.kernel.end(77);
    until("it is direct", || place.driver(CARD).as_deref() == Some("vfio-pci"));
    daemon.has_gone_round();
    let then = (daemon.looks(), Instant::now());
    until("it could have looked again", || then.1.elapsed() > A_LOOK);
    assert_eq!(daemon.looks(), then.0, "nothing waits for a process any more");
}
