//! A host as a boot leaves it, over a fake kernel, with real state files.
#![allow(dead_code)] // each test file uses its own part

pub mod daemon;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gpuvirt_engine::ports::Host as _;
use gpuvirt_engine::{Engine, SwitchRequest};
use gpuvirt_fakekernel::FakeKernel;
use gpuvirt_model::{ConfiguredType, PciAddress};
use gpuvirtd::config::Config;
use gpuvirtd::wiring::domains::RecordedDomains;
use gpuvirtd::wiring::host::HostPort;
use gpuvirtd::wiring::store::FileStore;

const LAB: &str = include_str!("../../../../tests/hosts/lab.umockdev");
/// Longest wait for one write: what the daemon's start waits for each stuck one.
pub const WRITES: Duration = Duration::from_secs(12);
/// Longer than the daemon takes to look again whether a write has ended.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn at(text: &str) -> PciAddress {
    PciAddress::parse(text).unwrap()
}

/// The host and the files, which outlive a daemon.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub kernel: Arc<FakeKernel>,
}

impl Place {
    /// Configured for passthrough, these cards are as a boot leaves them.
    pub fn booted_with(configured: &[&str]) -> Self {
        let kernel = Arc::new(FakeKernel::from_dump(LAB).unwrap().with_proc().strict());
        let place = Self { dir: tempfile::tempdir().unwrap(), kernel };
        for gpu in configured {
            place.engine().set_type(&direct(gpu)).unwrap();
            place.as_booted(gpu);
        }
        place
    }

    pub fn host(&self) -> HostPort {
        HostPort::over(Arc::<FakeKernel>::clone(&self.kernel), &Config::default())
    }

    pub fn store(&self) -> FileStore {
        FileStore::open(&self.dir.path().join("state")).unwrap()
    }

    pub fn engine(&self) -> Engine {
        let (host, domains) = (Box::new(self.host()), Box::new(RecordedDomains(Vec::new())));
        Engine::new(host, domains, Box::new(self.store()))
    }

    /// With its host driver.
    pub fn as_booted(&self, gpu: &str) {
        use gpuvirt_host::Sysfs as _;
        let write = |path: &str, text: &str| {
            let done = self.kernel.write_that_may_block(path, text.as_bytes(), WRITES);
            done.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        };
        write("/sys/bus/pci/drivers/vfio-pci/unbind", gpu);
        write(&format!("/sys/bus/pci/devices/{gpu}/driver_override"), "\n");
        write("/sys/bus/pci/drivers_probe", gpu);
    }

    pub fn open_journals(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("state/journal")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn driver(&self, gpu: &str) -> Option<String> {
        let observed = self.host().observe().unwrap();
        observed.functions[&at(gpu)].binding.driver.as_ref().map(ToString::to_string)
    }
}

pub fn direct(gpu: &str) -> SwitchRequest {
    SwitchRequest {
        gpu: at(gpu),
        to: ConfiguredType::Direct,
        prepare: gpuvirt_engine::Preparation::default(),
        label: None,
        accept: Vec::new(),
        when: None,
        dry_run: false,
        deadline: WRITES,
    }
}

#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        let (_says_nothing, a_moment) = std::sync::mpsc::channel::<()>();
        let _passed = a_moment.recv_timeout(Duration::from_millis(20));
    }
}
