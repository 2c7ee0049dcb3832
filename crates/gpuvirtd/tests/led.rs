//! A daemon that leads cards as things happen: a driver that is later than its card, one that comes anew, and what is looked at
//! again and what is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod booted;
#[path = "api/http.rs"]
#[allow(dead_code)] // shared with the tests of the API
mod http;

use std::time::{Duration, Instant};

use gpuvirt_engine::ports::{Host as _, Store as _};
use gpuvirt_fakekernel::{Errno, On, Process};
use gpuvirt_model::{ConfiguredType, DesiredGpu, When};
use gpuvirtd::wiring::domains::RecordedDomains;

use booted::daemon::{CARD, Daemon, sharing, vgpus, write};
use booted::{Place, at, until};

/// Where no card is.
const NOWHERE: &str = "0000:77:00.0";
/// A little longer than the daemon sleeps between two looks.
const A_LOOK: Duration = Duration::from_secs(12);

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
    let daemon = Daemon::start(&place, RecordedDomains(Vec::new()));
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
    let daemon = Daemon::start(&place, RecordedDomains(Vec::new()));
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
    let daemon = Daemon::start(&place, RecordedDomains(Vec::new()));
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
