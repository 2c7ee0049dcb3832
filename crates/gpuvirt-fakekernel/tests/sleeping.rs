//! Looking wakes nobody: what is read of a card in D3cold, and of the bridge above it, by listings, the doctor and a snapshot.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpuvirt_fakekernel::FakeKernel;
use gpuvirt_host::{DeviceNumber, GpuRules, LinuxHost, ReadError, Sysfs, WriteError};
use gpuvirt_recording::{RecordedHost, SnapshotOptions, made_hosts, write_snapshot};

const CARD: &str = "0000:02:00.0";

/// Attributes whose reading resumes a card in D3cold, or the bridge above it: those that go through
/// `pci_config_pm_runtime_get` in drivers/pci/pci-sysfs.c and vpd.c, bus numbers, which are read from config space, the ROM and
/// the windows, and of amdgpu's own those that ask the card.
fn wakes(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "config",
        "vpd",
        "rom",
        "max_link_speed",
        "max_link_width",
        "current_link_speed",
        "current_link_width",
        "secondary_bus_number",
        "subordinate_bus_number",
        "gpu_busy_percent",
        "pcie_bw",
        "pp_dpm_sclk",
    ];
    let window =
        name.strip_prefix("resource").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    NAMES.contains(&name) || window
}

/// A seam that counts what is read, by path without links.
struct Counted {
    kernel: FakeKernel,
    reads: Mutex<BTreeMap<String, usize>>,
}

impl Counted {
    fn of(dump: &str) -> Self {
        Self { kernel: FakeKernel::from_dump(dump).unwrap().with_proc().strict(), reads: Mutex::default() }
    }

    fn count(&self, path: &str) {
        let mut at = path.to_owned();
        if let Some((address, file)) =
            path.strip_prefix("/sys/bus/pci/devices/").and_then(|p| p.split_once('/'))
        {
            let target =
                self.kernel.read_link(&format!("/sys/bus/pci/devices/{address}")).unwrap_or_default();
            at = format!("{}/{file}", target.replace("../", "/").trim_start_matches('/'));
        }
        *self.reads.lock().unwrap().entry(at).or_default() += 1;
    }

    /// What was read of a device by waking it, its children not included.
    fn waking(&self, address: &str) -> Vec<String> {
        let of_device = |path: &&String| {
            let folder = format!("/{address}/");
            path.split_once(&folder).is_some_and(|(_, below)| !below.contains('/') && wakes(below))
        };
        self.reads.lock().unwrap().keys().filter(of_device).cloned().collect()
    }

    fn read_at_all(&self, address: &str) -> usize {
        self.reads.lock().unwrap().keys().filter(|path| path.contains(&format!("/{address}/"))).count()
    }
}

impl Sysfs for Counted {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        self.count(path);
        self.kernel.read(path, limit)
    }
    fn read_that_may_block(&self, path: &str, limit: usize, wait: Duration) -> Result<Vec<u8>, ReadError> {
        self.count(path);
        self.kernel.read_that_may_block(path, limit, wait)
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.kernel.list(path)
    }
    fn read_link(&self, path: &str) -> io::Result<String> {
        self.kernel.read_link(path)
    }
    fn exists(&self, path: &str) -> bool {
        self.kernel.exists(path)
    }
    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>> {
        self.kernel.device_number(path)
    }
    fn write(&self, _: &str, _: &[u8]) -> io::Result<()> {
        panic!("looking writes nothing")
    }
    fn write_that_may_block(&self, _: &str, _: &[u8], _: Duration) -> Result<(), WriteError> {
        panic!("looking writes nothing")
    }
    fn load_module(&self, _: &str) -> io::Result<()> {
        panic!("looking loads nothing")
    }
}

/// The second card, and the bridge above it, in this state and with everything that could be read of them.
fn host(state: &str) -> (String, String) {
    let dump = made_hosts::two_gpus().dump();
    let card = dump.split("\n\n").find(|block| block.lines().next().unwrap().ends_with(CARD)).unwrap();
    let bridge = card.lines().next().unwrap().rsplit('/').nth(1).unwrap().to_owned();
    let all =
        ["vpd", "rom", "max_link_speed", "current_link_width", "gpu_busy_percent", "pcie_bw", "pp_dpm_sclk"];
    let mut more: String = all.iter().map(|name| format!("\nA: {name}=1\\n")).collect();
    more += "\nA: resource0_resize=0000000000010000\\n\nA: resource0=\nA: secondary_bus_number=1\\n\nA: mem_info_vram_total=1024\\n\nH: config=DE1082227";
    let blocks = dump.split("\n\n").map(|block| {
        let line = block.lines().next().unwrap_or_default();
        if !line.ends_with(CARD) && !line.ends_with(&bridge) {
            return block.to_owned();
        }
        let kept: Vec<&str> = block
            .lines()
            .filter(|line| !line.starts_with("H: config") && !line.starts_with("A: power_state"))
            .collect();
        format!("{}\nA: power_state={state}\\n{more}", kept.join("\n"))
    });
    (blocks.collect::<Vec<_>>().join("\n\n"), bridge)
}

/// Listings, the doctor's facts and a snapshot; the snapshot is returned.
fn look(seam: &Arc<Counted>) -> Vec<u8> {
    let host = LinuxHost::new(Arc::clone(seam) as Arc<dyn Sysfs>, GpuRules::default());
    let observed = host.observe().unwrap();
    host.health(&observed);
    let mut tar = Vec::new();
    write_snapshot(&**seam, &SnapshotOptions::default(), &mut tar).unwrap();
    tar
}

#[test]
fn nothing_that_is_looked_at_wakes_a_card_or_the_bridge_above_it() {
    for state in ["D3cold", "D3hot", "unknown"] {
        let (dump, bridge) = host(state);
        let seam = Arc::new(Counted::of(&dump));
        let tar = look(&seam);
        assert_eq!(seam.waking(CARD), Vec::<String>::new(), "{state}");
        assert_eq!(seam.waking(&bridge), Vec::<String>::new(), "{state}");
        assert!(
            seam.read_at_all(CARD) > 15,
            "{state}: it was looked at, in {:?}",
            seam.reads.lock().unwrap()
        );
        // What is known without waking it is in the snapshot all the same.
        let recorded = RecordedHost::from_bytes(tar).unwrap();
        let there = |name: &str| recorded.exists(&format!("/sys/bus/pci/devices/{CARD}/{name}"));
        assert!(there("rom") && there("mem_info_vram_total") && there("power_state"), "{state}");
        assert!(!there("config") && !there("resource0") && !there("vpd") && !there("pcie_bw"), "{state}");
        assert!(recorded.exists(&format!("/sys/bus/pci/devices/{bridge}/secondary_bus_number")), "{state}");
    }
}

#[test]
fn one_that_is_awake_is_asked() {
    let (dump, bridge) = host("D0");
    let seam = Arc::new(Counted::of(&dump));
    look(&seam);
    let asked = |address: &str, name: &str| {
        seam.waking(address).iter().any(|path| path.ends_with(&format!("/{name}")))
    };
    for name in ["config", "resource0_resize", "gpu_busy_percent", "max_link_speed"] {
        assert!(asked(CARD, name), "{name}: {:?}", seam.waking(CARD));
    }
    assert!(asked(&bridge, "config"));
    // Of an awake one too there is what nobody needs and what would tell too much.
    for name in ["vpd", "rom", "resource0", "pcie_bw", "pp_dpm_sclk"] {
        assert!(!asked(CARD, name), "{name}");
    }
}
