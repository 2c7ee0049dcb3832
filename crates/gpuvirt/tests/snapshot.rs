//! Snapshots: what `--host` shows of one, and what stands in it.

// Helpers of tests: what is missing here is the test's own mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs::File;
use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

use gpuvirt_api::TestimonyDocument;
use gpuvirt_model::health::{LibvirtHealth, LibvirtVersions, Locker};
use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, Domain, DomainState, Guest, Holder, Holders, Hostdev, Machine,
    MachineBus, PciAddress, Reading, Requests, Testimony, Via,
};
use gpuvirt_recording::{RecordedHost, SnapshotOptions, made_hosts, write_snapshot};
use serde_json::Value;
use uuid::Uuid;

const GPU: &str = "0000:02:00.0";

fn at(address: &str) -> PciAddress {
    PciAddress::parse(address).unwrap()
}

/// A VM with the second card, in a machine that is not made for it, whose memory can't be locked.
fn testimony() -> Testimony {
    let identity = gpuvirt_model::PciIdentity {
        vendor: 0x10de,
        device: 0x2204,
        subsystem_vendor: 0x10de,
        subsystem_device: 0x1467,
        class: gpuvirt_model::ClassCode(0x03_0000),
    };
    let gpu = DesiredGpu::new(at(GPU), identity, ConfiguredType::Shared);
    let gpu = DesiredGpu { label: Some("acme-render".to_owned()), ..gpu };
    let domain = Domain {
        name: "payroll".to_owned(),
        uuid: Uuid::from_u128(7),
        state: DomainState::ShutOff,
        autostart: true,
        config: vec![Hostdev::Pci { address: at(GPU), managed: true }],
        live: Vec::new(),
        requests: Requests::default(),
        guest: Guest { memory_kib: Some(8 << 20), hard_limit_kib: Some(1 << 20), ..Guest::default() },
    };
    let plain = Domain { name: "dns".to_owned(), config: Vec::new(), autostart: false, ..domain.clone() };
    let machine = Machine {
        name: "payroll".to_owned(),
        kvm: true,
        bus: MachineBus::Conventional,
        devices: vec![gpuvirt_model::MachineDevice { address: at(GPU), on_root_bus: true, rom_file: false }],
        ..Machine::default()
    };
    let via = Via::Fd { fd: 9, path: "/dev/dri/card1".to_owned() };
    let container = Some("render-farm".to_owned());
    let holder = Holder::Process { pid: 4242, command: "ledger".to_owned(), via, container };
    let locker = Locker { pid: 700, command: "libvirtd".to_owned(), limit_kib: Some(64), may_raise: true };
    Testimony {
        desired: Desired::default().with_gpu(gpu),
        domains: Reading::Known(vec![plain, domain]),
        libvirt: LibvirtHealth {
            uri: Some("qemu:///system".to_owned()),
            versions: Reading::Known(LibvirtVersions { libvirt: 11_003_000, qemu: 10_000_000 }),
            machines: Reading::Known(vec![machine]),
            owes_answer: false,
        },
        holders: [(at(GPU), Holders { seen: vec![holder], unseen: None })].into(),
        lockers: Reading::Known(vec![locker]),
        ..Testimony::default()
    }
}

fn written(testimony: Testimony) -> tempfile::NamedTempFile {
    let host = RecordedHost::from_bytes(made_hosts::two_gpus().dump().into_bytes()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = SnapshotOptions { testimony: Some(testimony), ..SnapshotOptions::default() };
    write_snapshot(&host, &options, File::create(file.path()).unwrap()).unwrap();
    file
}

fn gpuvirt(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpuvirt")).args(args).output().unwrap()
}

fn of(file: &Path, args: &[&str]) -> (String, Value) {
    let host = ["--host", file.to_str().unwrap()];
    let table = gpuvirt(&[&host, args].concat());
    let json = gpuvirt(&[&host, args, &["-o", "json"]].concat());
    let text = String::from_utf8(table.stdout).unwrap();
    (text, serde_json::from_slice(&json.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {json:?}")))
}

#[test]
fn a_snapshot_shows_vms_holders_and_what_was_configured() {
    let file = written(testimony());
    let (_, list) = of(file.path(), &["gpu", "list"]);
    let gpu = &list["items"][1];
    assert_eq!((&gpu["label"], &gpu["configured"]), (&"acme-render".into(), &"shared".into()), "{gpu}");
    assert_eq!(gpu["holders"]["seen"][0]["pid"], 4242);
    assert_eq!(gpu["vms"]["known"][0]["name"], "payroll");
    let (text, vms) = of(file.path(), &["vm", "list"]);
    assert!(text.contains("payroll") && text.contains("dns"), "{text}");
    assert_eq!(vms["domainsUnknown"], Value::Null);
    let (text, _) = of(file.path(), &["gpu", "show", "acme-render"]);
    assert!(text.contains("ledger") && text.contains("payroll"), "{text}");
}

#[test]
fn a_snapshot_has_the_findings_about_its_vms() {
    let file = written(testimony());
    let (_, found) = of(file.path(), &["doctor"]);
    let codes: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    for code in ["memory-not-lockable", "hostdev-managed", "conventional-bus"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    let unchecked = found["unchecked"].to_string();
    assert!(!unchecked.contains("what libvirt's daemons may lock"), "{unchecked}");
}

#[test]
fn without_names_the_findings_stay_the_same() {
    let (named, hidden) = (written(testimony()), written(testimony().without_names()));
    let codes = |file: &Path| {
        let (_, found) = of(file, &["doctor"]);
        let all = found["findings"].as_array().unwrap().clone();
        all.iter().map(|f| f["code"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(codes(hidden.path()), codes(named.path()));
    let mut bytes = Vec::new();
    File::open(hidden.path()).unwrap().read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for name in ["payroll", "acme", "ledger", "dns", "render-farm"] {
        assert!(!text.contains(name), "{name}");
    }
    let (text, _) = of(hidden.path(), &["vm", "list"]);
    assert!(text.contains("vm2"), "{text}");
}

/// A daemon that answers one question with this.
fn answered(status: &str, body: &str, ask: impl FnOnce(&Path) -> Output) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        });
        ask(&socket)
    })
}

fn snapshot(status: &str, body: &str, more: &[&str]) -> (Output, Option<RecordedHost>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("host.tar");
    let file_arg = file.to_str().unwrap().to_owned();
    let output = answered(status, body, |socket| {
        let args = ["snapshot", "--file", &file_arg, "--socket", socket.to_str().unwrap()];
        gpuvirt(&[&args, more].concat())
    });
    (output, RecordedHost::open(&file).ok())
}

#[test]
fn the_daemon_is_asked_and_names_are_hidden_when_asked_for() {
    let body = serde_json::to_string(&TestimonyDocument::new(testimony())).unwrap();
    let (output, recorded) = snapshot("200 OK", &body, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let named = said.split_once("named in it").expect("a list of names").1;
    for name in ["acme-render", "dns", "ledger", "payroll", "render-farm"] {
        assert!(named.contains(name), "{name}: {said}");
    }
    assert!(said.contains("passwords"), "{said}");
    assert_eq!(recorded.unwrap().testimony(), Some(&testimony()));

    let (output, recorded) = snapshot("200 OK", &body, &["--hide-names"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("payroll"), "{said}");
    assert_eq!(recorded.unwrap().testimony(), Some(&testimony().without_names()));
}

#[test]
fn a_daemon_of_before_costs_the_vms_and_not_the_snapshot() {
    let body = "{\"apiVersion\":\"gpuvirt/v1\",\"kind\":\"usage\",\"message\":\"there is nothing here\"}";
    let (output, recorded) = snapshot("404 Not Found", body, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let note = String::from_utf8(output.stderr).unwrap();
    // As root on a host with libvirt, its own files are there.
    let from_files = note.contains("there is nothing here: VMs are those of libvirt's own files");
    assert!(from_files || note.contains("there is nothing here: VMs are not recorded"), "{note}");
    let recorded = recorded.unwrap();
    assert_eq!(recorded.testimony().unwrap().domains.known().is_some(), from_files);
}
