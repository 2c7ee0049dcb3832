//! The early claim, as a plain shell runs it, over a made-up sysfs.

#![allow(clippy::unwrap_used)] // a test may panic
#![allow(clippy::disallowed_methods)] // a test makes the files

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn device(&self, address: &str) -> PathBuf {
        self.0.path().join("bus/pci/devices").join(address)
    }

    /// A display of 10de:2204 without driver and override.
    fn display(&self, address: &str) -> &Self {
        let device = self.device(address);
        fs::create_dir_all(&device).unwrap();
        for (file, text) in [
            ("vendor", "0x10de"),
            ("device", "0x2204"),
            ("subsystem_vendor", "0x1043"),
            ("subsystem_device", "0x87d9"),
            ("class", "0x030000"),
            ("driver_override", "(null)"),
        ] {
            fs::write(device.join(file), format!("{text}\n")).unwrap();
        }
        self
    }

    fn change(&self, address: &str, file: &str, text: &str) -> &Self {
        fs::write(self.device(address).join(file), format!("{text}\n")).unwrap();
        self
    }

    fn driver_override(&self, address: &str) -> String {
        fs::read_to_string(self.device(address).join("driver_override")).unwrap().trim().to_owned()
    }

    /// Runs the claim with this list.
    fn claim(&self, list: &str) {
        fs::write(self.0.path().join("claims"), list).unwrap();
        let output = self.script().output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Runs it for one function that has come to the bus; whether it was claimed.
    fn claim_one(&self, address: &str) -> bool {
        self.script().arg(address).status().unwrap().success()
    }

    fn script(&self) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/claim");
        let mut command = Command::new("sh");
        command.arg(script).arg(self.0.path().join("claims")).arg(self.0.path());
        command
    }

    /// vfio-pci is loaded; what it was asked to bind.
    fn load_vfio_pci(&self) -> PathBuf {
        let bus = self.0.path().join("bus/pci");
        fs::create_dir_all(bus.join("drivers/vfio-pci")).unwrap();
        fs::write(bus.join("drivers_probe"), "").unwrap();
        bus.join("drivers_probe")
    }
}

const LIST: &str = "# gpuvirt claims 1\n0000:41:00.0 10de 2204 1043 87d9 030000 vfio-pci\n";

#[test]
fn the_configured_card_is_claimed_and_nothing_else() {
    let host = Host::new();
    host.display("0000:41:00.0").display("0000:42:00.0");
    host.claim(LIST);
    assert_eq!(host.driver_override("0000:41:00.0"), "vfio-pci");
    assert_eq!(host.driver_override("0000:42:00.0"), "(null)", "a card alike is not meant");
    host.claim(LIST);
    assert_eq!(host.driver_override("0000:41:00.0"), "vfio-pci", "twice is once");
}

#[test]
fn another_device_at_the_address_is_left_alone() {
    for (file, text) in [
        ("vendor", "0x144d"),
        ("device", "0x2205"),
        ("subsystem_vendor", "0x10de"),
        ("subsystem_device", "0x0000"),
        // A disk.
        ("class", "0x010802"),
    ] {
        let host = Host::new();
        host.display("0000:41:00.0").change("0000:41:00.0", file, text).claim(LIST);
        assert_eq!(host.driver_override("0000:41:00.0"), "(null)", "{file}");
    }
    let host = Host::new();
    host.display("0000:41:00.0").change("0000:41:00.0", "driver_override", "pci-stub").claim(LIST);
    assert_eq!(host.driver_override("0000:41:00.0"), "pci-stub", "somebody else's override");
    let host = Host::new();
    fs::create_dir_all(host.display("0000:41:00.0").device("0000:41:00.0").join("driver")).unwrap();
    host.claim(LIST);
    assert_eq!(host.driver_override("0000:41:00.0"), "(null)", "a driver has it already");
}

#[test]
fn nonsense_in_the_list_is_skipped() {
    let host = Host::new();
    host.display("0000:41:00.0");
    let claim = "10de 2204 1043 87d9 030000";
    let odd = [
        "\n".to_owned(),
        format!("../41 {claim} vfio-pci\n"),
        format!("0000:41:00.0 {claim} ../x\n"),
        format!("0000:41:00.0 {claim} vfio-pci more\n"),
        format!("0000:41:00.0 {claim}\n"),
        format!("0000:99:00.0 {claim} vfio-pci\n"),
        "\u{0}\u{ff}$(touch x) `id`\n".to_owned(),
    ];
    host.claim(&odd.concat());
    assert_eq!(host.driver_override("0000:41:00.0"), "(null)");
    // What follows nonsense counts.
    host.claim(&(odd.concat() + LIST));
    assert_eq!(host.driver_override("0000:41:00.0"), "vfio-pci");
}

#[test]
fn of_what_comes_to_the_bus_that_function_alone_is_claimed() {
    let host = Host::new();
    assert!(host.script().status().unwrap().success(), "no list is nothing to do");
    assert!(!host.claim_one("0000:41:00.0"), "and nothing that was claimed");
    host.display("0000:41:00.0").display("0000:42:00.0").display("0000:43:00.0");
    let both = LIST.to_owned() + "0000:42:00.0 10de 2204 1043 87d9 030000 vfio-pci\n";
    fs::write(host.0.path().join("claims"), both).unwrap();
    assert!(host.claim_one("0000:41:00.0"));
    assert_eq!(host.driver_override("0000:41:00.0"), "vfio-pci");
    assert_eq!(host.driver_override("0000:42:00.0"), "(null)", "it is listed, and was not asked about");
    assert!(!host.claim_one("0000:43:00.0"), "not listed");
    assert!(!host.claim_one("0000:41:00.0"), "it was before");
    let probed = host.load_vfio_pci();
    assert!(host.claim_one("0000:42:00.0"));
    assert_eq!(fs::read_to_string(&probed).unwrap(), "0000:42:00.0\n", "given to a driver that is loaded");
    // Another device sits there now.
    host.change("0000:42:00.0", "driver_override", "(null)").change("0000:42:00.0", "class", "0x010802");
    assert!(!host.claim_one("0000:42:00.0"));
    assert_eq!(host.driver_override("0000:42:00.0"), "(null)");
    assert_eq!(fs::read_to_string(&probed).unwrap(), "0000:42:00.0\n");
}
