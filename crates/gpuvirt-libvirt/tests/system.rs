//! Against a real libvirtd with the QEMU driver, which these tests may define domains in, and stop.
//!
//! Not part of an ordinary run: `cargo test -p gpuvirt-libvirt --test system -- --ignored` with
//! `GPUVIRT_TEST_LIBVIRT` (its URI) and `GPUVIRT_TEST_LIBVIRT_PIDFILE` set, and `GPUVIRT_TEST_DOMAINS` where the golden
//! domains are not where they were when this was built. No device of theirs has to exist: nothing is started.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gpuvirt_domain::{Added, Device, GpuForGuest, Removed, read};
use gpuvirt_libvirt::{Libvirt, LibvirtError, Redefined};
use virt::connect::Connect;

/// One daemon, one test at a time.
static DAEMON: Mutex<()> = Mutex::new(());

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn uri() -> String {
    variable("GPUVIRT_TEST_LIBVIRT")
}

/// Sends the daemon a signal.
fn signal(name: &str) {
    let pid = std::fs::read_to_string(variable("GPUVIRT_TEST_LIBVIRT_PIDFILE")).unwrap();
    assert!(Command::new("kill").args(["-s", name, pid.trim()]).status().unwrap().success());
}

/// The golden documents that define a domain, with their folders' names.
fn golden(file: &str) -> Vec<(String, String)> {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/domain");
    let root = std::env::var_os("GPUVIRT_TEST_DOMAINS").map_or_else(built, PathBuf::from);
    let mut documents: Vec<(String, String)> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|folder| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            Some((name, std::fs::read_to_string(folder.join(file)).ok()?))
        })
        .collect();
    documents.sort();
    assert!(documents.len() > 10);
    documents
}

fn devices() -> [Device; 2] {
    let functions = ["41:00.0", "41:00.1"].map(|text| text.parse().unwrap());
    [Device::Gpu(GpuForGuest::new(functions).unwrap()), Device::Mdev(uuid::Uuid::from_u128(0x5a1d_6f2c))]
}

#[test]
#[ignore = "needs a libvirtd of its own"]
fn libvirt_takes_every_document_that_we_write() {
    let _one = DAEMON.lock().unwrap_or_else(PoisonError::into_inner);
    let connection = Connect::open(Some(&uri())).unwrap();
    for (name, xml) in golden("after.xml") {
        let defined = connection.define_domain_xml_flags(&xml, virt::sys::VIR_DOMAIN_DEFINE_VALIDATE);
        let domain = defined.unwrap_or_else(|error| panic!("{name}: {error}"));
        let stored = domain.xml_desc(virt::sys::VIR_DOMAIN_XML_INACTIVE).unwrap();
        domain.undefine().unwrap();
        // libvirt keeps the devices, our aliases and the guest slots.
        let (ours, theirs) = (read(&xml).unwrap(), read(&stored).unwrap());
        assert_eq!(ours.hostdevs, theirs.hostdevs, "{name}");
        assert!(theirs.aliases.is_superset(&ours.aliases), "{name}: {:?}", theirs.aliases);
        assert!(theirs.used.is_superset(&ours.used), "{name}: {:?}", theirs.used);
    }
}

#[test]
#[ignore = "needs a libvirtd of its own"]
fn devices_come_and_go_through_libvirt_and_leave_what_was() {
    let _one = DAEMON.lock().unwrap_or_else(PoisonError::into_inner);
    let connection = Connect::open(Some(&uri())).unwrap();
    let libvirt = Libvirt::open(&uri()).unwrap();
    for (case, xml) in golden("before.xml") {
        let Ok(domain) = connection.define_domain_xml(&xml) else {
            assert_eq!(case, "no-pci", "libvirt does not take the document of {case}");
            continue;
        };
        let name = domain.name().unwrap();
        // What is of ours already, whole or in parts, goes along.
        let theirs = !xml.contains("'ua-gpuvirt-");
        let stored = || libvirt.inactive_xml(&name).unwrap().unwrap().into_string();
        for device in devices() {
            let before = stored();
            let Ok(Added::Changed { xml, .. }) = gpuvirt_domain::add(&before, &device) else { continue };
            assert_eq!(libvirt.redefine(&name, &before, &xml).unwrap(), Redefined::Done, "{case}");
            let with = stored();
            let again = gpuvirt_domain::add(&with, &device).unwrap();
            assert_eq!(again, Added::AlreadyPresent { ours: true, managed: false }, "{case}");
            let Ok(Removed::Changed { xml, .. }) = gpuvirt_domain::remove(&with, &device) else {
                panic!("{case}")
            };
            assert_eq!(libvirt.redefine(&name, &with, &xml).unwrap(), Redefined::Done, "{case}");
            // libvirt may have moved on: it fills in a port for an mdev. Without that, all is as it was.
            let hostdevs = |xml: &str| read(xml).unwrap().hostdevs;
            if theirs {
                assert_eq!(hostdevs(&stored()), hostdevs(&before), "{case}");
            }
            if theirs && matches!(device, Device::Gpu(_)) {
                // libvirt sorts controllers anew at each define, so by lines.
                let lines = |xml: &str| {
                    let mut lines: Vec<String> = xml.lines().map(str::to_owned).collect();
                    lines.sort();
                    lines
                };
                assert_eq!(lines(&stored()), lines(&before), "{case}");
            }
        }
        domain.undefine().unwrap();
    }
}

#[test]
#[ignore = "needs a libvirtd of its own"]
fn a_hung_daemon_is_not_waited_for_and_is_asked_again_when_it_goes_on() {
    let _one = DAEMON.lock().unwrap_or_else(PoisonError::into_inner);
    let libvirt = Libvirt::with_deadline(&uri(), Duration::from_secs(2)).unwrap();
    libvirt.list().unwrap();
    signal("STOP");
    let hung = libvirt.list();
    signal("CONT");
    assert!(matches!(hung, Err(LibvirtError::NoAnswer { .. })), "{hung:?}");
    libvirt.list().unwrap();
}

/// Passes connections on to the daemon; returns what was accepted, to cut it.
fn relay(listener: UnixListener, daemon: String) -> Arc<Mutex<Vec<UnixStream>>> {
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), UnixStream::connect(&daemon).unwrap());
            kept.lock().unwrap().push(client.try_clone().unwrap());
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                std::thread::spawn(move || {
                    let _cut = std::io::copy(&mut from, &mut to);
                    let _gone = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    accepted
}

#[test]
#[ignore = "needs a libvirtd of its own"]
fn a_connection_that_died_is_replaced_by_the_next_request() {
    let _one = DAEMON.lock().unwrap_or_else(PoisonError::into_inner);
    let uri = uri();
    let (_, daemon) = uri.split_once("socket=").expect("the URI names its socket");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let accepted = relay(UnixListener::bind(&socket).unwrap(), daemon.to_owned());
    let libvirt = Libvirt::open(&format!("qemu+unix:///system?socket={}", socket.display())).unwrap();
    for connections in 1..4 {
        libvirt.list().unwrap();
        libvirt.list().unwrap();
        let accepted = accepted.lock().unwrap();
        assert_eq!(accepted.len(), connections, "one connection for all requests, until it dies");
        for stream in accepted.iter() {
            let _again = stream.shutdown(Shutdown::Both);
        }
    }
}
