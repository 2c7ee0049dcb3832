//! Against libvirt's built-in test driver: no daemon, one host per process, shared by all its connections.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use gpuvirt_domain::{Added, Device, GpuForGuest, Removed};
use gpuvirt_libvirt::{Libvirt, LibvirtError, Listing, MAX_REQUESTS, Redefined, UnreadableDomain};
use gpuvirt_model::{Domain, DomainState, Hostdev, Reading};
use virt::connect::Connect;

const URI: &str = "test:///default";

/// A domain of the test's own, so that tests can run side by side on the one host. The connection keeps the host
/// alive.
struct Fixture {
    libvirt: Libvirt,
    other: Connect,
    name: String,
    uuid: uuid::Uuid,
}

impl Fixture {
    fn new(number: u128) -> Self {
        let (name, uuid) = (format!("guest-{number}"), uuid::Uuid::from_u128(number));
        let other = Connect::open(Some(URI)).unwrap();
        let xml = format!(
            "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os>\
             <devices><graphics type='vnc' port='-1' passwd='hunter2&amp;'/></devices></domain>"
        );
        other.define_domain_xml(&xml).unwrap();
        Self { libvirt: Libvirt::open(URI).unwrap(), other, name, uuid }
    }

    fn stored(&self) -> String {
        self.libvirt.inactive_xml(&self.name).unwrap().unwrap().into_string()
    }

    fn listed(&self) -> Domain {
        let Reading::Known(domains) = self.libvirt.domains() else { panic!("unknown") };
        domains.into_iter().find(|domain| domain.name == self.name).unwrap()
    }
}

fn gpu() -> Device {
    let functions = ["41:00.0", "41:00.1"].map(|text| text.parse().unwrap());
    Device::Gpu(GpuForGuest::new(functions).unwrap())
}

fn hostdevs() -> Vec<Hostdev> {
    ["41:00.0", "41:00.1"]
        .map(|text| Hostdev::Pci { address: text.parse().unwrap(), managed: false })
        .to_vec()
}

#[test]
fn who_opens_no_connection_asks_on_the_one_that_is_there() {
    let libvirt = Libvirt::open(URI).unwrap();
    let asks = libvirt.without_opening();
    assert!(matches!(asks.domains(), Reading::Unknown(_)), "none is open");
    assert!(matches!(asks.versions(), Err(LibvirtError::NotConnected { .. })));
    assert!(!libvirt.is_alive() && !libvirt.has_died());
    assert!(libvirt.domains().known().is_some());
    assert!(asks.domains().known().is_some() && libvirt.is_alive() && !libvirt.has_died());
    libvirt.close();
    assert!(matches!(asks.domains(), Reading::Unknown(_)), "it was closed");
}

#[test]
fn libvirt_says_its_version_and_the_emulators() {
    let versions = Libvirt::open(URI).unwrap().versions().unwrap();
    assert!((5_000_000..100_000_000).contains(&versions.libvirt), "{versions:?}");
    // The test driver calls itself version 2 of a thousandth.
    assert_eq!(versions.qemu, 2);
}

#[test]
fn a_gpu_comes_and_goes_and_the_password_stays() {
    let fixture = Fixture::new(1);
    let before = fixture.stored();
    assert!(before.contains("passwd='hunter2&amp;'"), "read without its secrets");
    let Added::Changed { xml, .. } = gpuvirt_domain::add(&before, &gpu()).unwrap() else { panic!() };
    assert_eq!(fixture.libvirt.redefine(&fixture.name, &before, &xml).unwrap(), Redefined::Done);

    let listed = fixture.listed();
    assert_eq!((listed.uuid, listed.state), (fixture.uuid, DomainState::ShutOff));
    assert_eq!((listed.config, listed.live), (hostdevs(), Vec::new()));
    let with = fixture.stored();
    assert!(with.contains("passwd='hunter2&amp;'"), "defined without its secrets");

    let Removed::Changed { xml, .. } = gpuvirt_domain::remove(&with, &gpu()).unwrap() else { panic!() };
    assert_eq!(fixture.libvirt.redefine(&fixture.name, &with, &xml).unwrap(), Redefined::Done);
    assert_eq!(fixture.stored(), before);
}

#[test]
fn a_domain_that_starts_with_the_host_is_listed_so() {
    let fixture = Fixture::new(11);
    assert!(!fixture.listed().autostart);
    fixture.other.lookup_domain_by_name(&fixture.name).unwrap().set_autostart(true).unwrap();
    assert!(fixture.listed().autostart);
}

#[test]
fn a_running_domain_keeps_what_it_has_until_its_next_start() {
    let fixture = Fixture::new(2);
    fixture.other.lookup_domain_by_name(&fixture.name).unwrap().create().unwrap();
    let before = fixture.stored();
    let Added::Changed { xml, .. } = gpuvirt_domain::add(&before, &gpu()).unwrap() else { panic!() };
    assert_eq!(fixture.libvirt.redefine(&fixture.name, &before, &xml).unwrap(), Redefined::Done);
    let listed = fixture.listed();
    assert_eq!(listed.state, DomainState::Active);
    assert_eq!((listed.config, listed.live), (hostdevs(), Vec::new()));
}

#[test]
fn a_concurrent_edit_wins() {
    let fixture = Fixture::new(3);
    let before = fixture.stored();
    let Added::Changed { xml, .. } = gpuvirt_domain::add(&before, &gpu()).unwrap() else { panic!() };
    fixture.other.define_domain_xml(&before.replace("hunter2", "changed")).unwrap();
    assert_eq!(fixture.libvirt.redefine(&fixture.name, &before, &xml).unwrap(), Redefined::ChangedMeanwhile);
    assert!(fixture.stored().contains("changed"));
    assert_eq!(fixture.listed().config, Vec::new());

    fixture.other.lookup_domain_by_name(&fixture.name).unwrap().undefine().unwrap();
    assert_eq!(fixture.libvirt.redefine(&fixture.name, &before, &xml).unwrap(), Redefined::ChangedMeanwhile);
    assert_eq!(fixture.libvirt.inactive_xml(&fixture.name).unwrap(), None);
}

#[test]
fn a_transient_domain_has_no_stored_definition() {
    let fixture = Fixture::new(4);
    let before = fixture.stored();
    let domain = fixture.other.lookup_domain_by_name(&fixture.name).unwrap();
    domain.create().unwrap();
    domain.undefine().unwrap();
    assert_eq!(fixture.libvirt.inactive_xml(&fixture.name).unwrap(), None);
    assert_eq!(
        fixture.libvirt.redefine(&fixture.name, &before, &before).unwrap(),
        Redefined::ChangedMeanwhile
    );
    assert_eq!(fixture.listed().config, Vec::new());
}

#[test]
fn another_domains_definition_is_not_defined() {
    let fixture = Fixture::new(5);
    let before = fixture.stored();
    let renamed = before.replace("<name>guest-5<", "<name>guest-5b<");
    let other = before.replace(&fixture.uuid.to_string(), &uuid::Uuid::from_u128(55).to_string());
    let unnumbered = before.replace(&format!("<uuid>{}</uuid>", fixture.uuid), "");
    for xml in [renamed, other, unnumbered] {
        assert_ne!(xml, before);
        let refused = fixture.libvirt.redefine(&fixture.name, &before, &xml);
        assert!(matches!(refused, Err(LibvirtError::OtherDomain { .. })), "{refused:?}");
    }
    assert_eq!(fixture.stored(), before);
}

#[test]
fn what_libvirt_refuses_is_told_without_the_password() {
    let fixture = Fixture::new(6);
    let before = fixture.stored();
    // Not in the schema, and not for the parser either.
    let bad = before.replace("type='vnc'", "type='hunter2&amp;'");
    let error = fixture.libvirt.redefine(&fixture.name, &before, &bad).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("***") && !format!("{error:?} {error} {source}").contains("hunter2"), "{source}");
    assert_eq!(fixture.stored(), before);
}

#[test]
fn a_domain_that_breaks_the_schema_stays_editable() {
    let fixture = Fixture::new(7);
    let before = fixture.stored();
    let odd = before.replace("</domain>", "<oddity/></domain>");
    assert_eq!(fixture.libvirt.redefine(&fixture.name, &before, &odd).unwrap(), Redefined::Done);
}

#[test]
fn hostile_arguments_are_refused_before_libvirt() {
    let fixture = Fixture::new(8);
    let nul = |result: Result<(), LibvirtError>| {
        assert!(matches!(result, Err(LibvirtError::Nul { .. })), "{result:?}")
    };
    nul(Libvirt::open("test:///\0").map(drop));
    nul(fixture.libvirt.inactive_xml("a\0").map(drop));
    nul(fixture.libvirt.redefine("a\0", "", "").map(drop));
    nul(fixture.libvirt.redefine("a", "", "<domain>\0").map(drop));
    for xml in ["", "<x/>", "<domain/>"] {
        let refused = fixture.libvirt.redefine(&fixture.name, "", xml);
        assert!(matches!(refused, Err(LibvirtError::Xml { .. })), "{refused:?}");
    }
    assert_eq!(fixture.libvirt.inactive_xml("--help'\"<>%s").unwrap(), None);
}

#[test]
fn a_closed_connection_is_opened_again() {
    let fixture = Fixture::new(9);
    fixture.listed();
    fixture.libvirt.close();
    fixture.listed();
}

#[test]
fn no_libvirt_is_unknown_and_not_empty() {
    let libvirt = Libvirt::open("qemu+unix:///system?socket=/nonexistent/socket").unwrap();
    let Reading::Unknown(unknown) = libvirt.domains() else { panic!("known") };
    assert!(unknown.to_string().contains("/nonexistent/socket"), "{unknown}");
    assert!(matches!(libvirt.inactive_xml("x"), Err(LibvirtError::Connect { .. })));
}

#[test]
fn a_daemon_that_says_nothing_is_not_waited_for_beyond_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let uri = format!("qemu+unix:///system?socket={}", socket.display());
    let libvirt = Libvirt::with_deadline(&uri, std::time::Duration::from_millis(100)).unwrap();
    // As many as may wait at a time, then one that does not even get its turn.
    for _ in 0..MAX_REQUESTS {
        let error = libvirt.list().unwrap_err();
        assert!(matches!(error, LibvirtError::NoAnswer { .. }), "{error:?}");
    }
    let error = libvirt.list().unwrap_err();
    assert!(matches!(error, LibvirtError::Busy { .. }), "{error:?}");
    assert!(libvirt.domains().known().is_none());
}

#[test]
fn a_running_domain_that_cannot_be_read_makes_the_listing_unknown() {
    let unreadable = |running| UnreadableDomain { name: "x".to_owned(), running, why: "bad".to_owned() };
    let listing = |running| Listing { domains: Vec::new(), unreadable: vec![unreadable(running)] };
    assert!(listing(true).reading().known().is_none());
    assert!(listing(false).reading().known().is_some());
}

#[test]
fn callers_on_many_threads_get_their_answers() {
    let fixture = Fixture::new(10);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| fixture.listed().name)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), "guest-10");
        }
    });
}

#[test]
fn what_everybody_may_see_has_no_password() {
    let fixture = Fixture::new(77);
    let public = fixture.libvirt.public_xml(&fixture.name).unwrap().unwrap();
    assert!(public.contains("<graphics type='vnc'") && !public.contains("hunter2"), "{public}");
    assert_eq!(fixture.libvirt.public_xml("nobody").unwrap(), None);
}

/// What is defined, started and stopped by anybody is told, for as long as the connection lives.
#[test]
fn events_are_told() {
    let (tell, told) = std::sync::mpsc::channel();
    let libvirt = Libvirt::open("test:///default").unwrap().with_events(std::sync::Arc::new(move |event| {
        // The test may have ended.
        let _ = tell.send(event);
    }));
    let domains = libvirt.list().unwrap().domains;
    let xml = libvirt.inactive_xml(&domains[0].name).unwrap().unwrap();
    libvirt.redefine(&domains[0].name, xml.as_str(), xml.as_str()).unwrap();
    let event = told.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!((event.uuid, event.happened), (domains[0].uuid, gpuvirt_libvirt::Happened::Defined));
    assert_eq!(event.name, domains[0].name);
}
