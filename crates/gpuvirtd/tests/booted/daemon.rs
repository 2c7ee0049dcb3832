//! A daemon over such a host, which is told of events by the test.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use gpuvirt_api::Source;
use gpuvirt_engine::ports::{Domains, Host, PortError, StepError};
use gpuvirt_engine::{CreateRequest, Engine, SwitchRequest};
use gpuvirt_fakekernel::SizeRule;
use gpuvirt_host::Sysfs as _;
use gpuvirt_host::uevent::Uevent;
use gpuvirt_model::{ConfiguredType, Observed, PciAddress, ProfileName, VgpuId};
use gpuvirt_plan::{Performed, Step};
use gpuvirtd::server::stir::Stir;
use gpuvirtd::server::{Context, Outside, WriteGate};
use gpuvirtd::wiring::Assembled;
use gpuvirtd::wiring::domains::{Gate, RecordedDomains};
use gpuvirtd::wiring::host::HostPort;
use uuid::Uuid;

use super::{Place, WRITES, at, direct, until};

/// The card that all this is about.
pub const CARD: &str = "0000:04:00.0";
/// Longer than the daemon waits for more events, and less than it sleeps between two looks.
const A_ROUND: Duration = Duration::from_secs(3);

/// The host, and how often it was looked at.
#[derive(Clone)]
pub struct CountedHost {
    port: HostPort,
    looks: Arc<AtomicUsize>,
    /// The number of the kernel's last event.
    last_event: Arc<AtomicU64>,
    /// Steps wait while it is so.
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl CountedHost {
    /// From now on steps wait, or go on.
    pub fn hold(&self, holds: bool) {
        *self.held.0.lock().unwrap() = holds;
        self.held.1.notify_all();
    }

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
        let held = self.held.0.lock().unwrap();
        drop(self.held.1.wait_while(held, |held| *held).unwrap());
        self.port.perform(step, deadline)
    }

    fn last_event(&self) -> Option<u64> {
        Some(self.last_event.load(Ordering::SeqCst))
    }
}

/// A daemon as `main` runs it, which is told of events by the test.
pub struct Daemon {
    pub host: CountedHost,
    pub stir: Arc<Stir>,
    pub socket: PathBuf,
    libvirt: Gate,
}

impl Daemon {
    pub fn start<D: Domains + Clone + 'static>(place: &Place, domains: D) -> Self {
        Self::start_with(place, domains, false)
    }

    /// The same, and steps wait from its beginning on.
    pub fn start_with<D: Domains + Clone + 'static>(place: &Place, domains: D, holds: bool) -> Self {
        let host = CountedHost {
            port: place.host(),
            looks: Arc::default(),
            last_event: Arc::default(),
            held: Arc::default(),
        };
        host.hold(holds);
        let store = place.store();
        let engine = Engine::new(Box::new(host.clone()), Box::new(domains.clone()), Box::new(store.clone()));
        let outside = Outside {
            host: Arc::new(host.clone()),
            domains: Arc::new(domains),
            store: Arc::new(store),
            definitions: Arc::new(RecordedDomains(Vec::new())),
        };
        let gate = WriteGate { group: None, owner: Some(nix::unistd::geteuid().as_raw()), polkit: None };
        let context =
            Context::new(engine, outside, Source::Daemon).with_gate(gate).with_write_deadline(WRITES);
        let (stir, libvirt, socket) =
            (Arc::clone(&context.stir), Gate::default(), place.dir.path().join("socket"));
        let (assembled, path) = (Assembled { context, libvirt: libvirt.clone() }, socket.clone());
        std::thread::spawn(move || gpuvirtd::run::run_assembled(assembled, &path, false));
        Self { host, stir, socket, libvirt }.ready(holds)
    }

    /// Once it serves, and where nothing holds it up, is ready.
    fn ready(self, holds: bool) -> Self {
        until("it serves", || self.socket.exists());
        until("it is ready", || holds || self.libvirt.is_open());
        self
    }

    /// The kernel tells of this.
    pub fn hears(&self, action: &str, driver: &str) {
        let number = self.host.last_event.fetch_add(1, Ordering::SeqCst) + 1;
        self.hears_again(action, driver, number);
    }

    pub fn hears_again(&self, action: &str, driver: &str, number: u64) {
        let text =
            format!("{action}@/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME={CARD}\0DRIVER={driver}\0SEQNUM={number}\0");
        self.stir.heard(Some(&Uevent::parse(text.as_bytes()).unwrap()));
    }

    pub fn looks(&self) -> usize {
        self.host.looks.load(Ordering::SeqCst)
    }

    /// The daemon has looked, and sleeps again.
    pub fn has_gone_round(&self) {
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
pub fn sharing() -> Place {
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

pub fn vgpus(place: &Place) -> BTreeSet<VgpuId> {
    place.host().observe().unwrap().vgpus.into_keys().collect()
}

pub fn write(place: &Place, path: &str, text: &str) {
    place.kernel.write_that_may_block(path, text.as_bytes(), WRITES).unwrap();
}
