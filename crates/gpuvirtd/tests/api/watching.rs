//! Events, numbers, and the picture that questions share.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use gpuvirt_api::event::{EventKind, EventList};
use gpuvirt_api::route;
use gpuvirt_host::uevent::{Heard, Uevent};

use crate::fakes::{Daemon, Script, as_other, as_root};
use crate::http::{get, get_with, send};

/// A change by root, then what a listener is told of it.
#[test]
fn a_change_is_told_to_who_waits_for_events() {
    let daemon = Daemon::start_with(Script::default(), as_root);
    let socket = daemon.socket();
    let waiting = std::thread::spawn(move || get(&socket, &route::events(0, 20)));
    let answer = send(&daemon.socket(), "POST", route::RECOVER, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let told: EventList = serde_json::from_value(waiting.join().unwrap().json()).unwrap();
    assert_eq!(told.items.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Changed]);
    assert!(told.items[0].text.contains("recover"), "{told:?}");
    let nothing: EventList =
        serde_json::from_value(get(&daemon.socket(), &route::events(told.last, 0)).json()).unwrap();
    assert_eq!((nothing.items.len(), nothing.lost, nothing.last), (0, false, told.last));
}

#[test]
fn odd_questions_for_events_are_refused() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    for query in ["after=-1", "after=x", "waitSeconds=1.5", "wait=3", "after=18446744073709551616"] {
        assert_eq!(get(&daemon.socket(), &format!("/v1/events?{query}")).status, 400, "{query}");
    }
}

#[test]
fn numbers_are_there_for_prometheus() {
    let daemon = Daemon::start_with(Script { intent_open: true, ..Script::default() }, as_other);
    let answer = get(&daemon.socket(), "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("application/openmetrics-text"), "{}", answer.head);
    for line in [
        "gpuvirt_gpu{gpu=\"0000:41:00.0\",active=\"shared-direct\",configured=\"shared-direct\"} 1",
        "gpuvirt_vgpus{gpu=\"0000:41:00.0\",ours=\"false\"} 1",
        "gpuvirt_profile_available{gpu=\"0000:41:00.0\",profile=\"test_small\"} 3",
        "gpuvirt_hands_off_gpus 1",
        "gpuvirt_gpu_hands_off{gpu=\"0000:41:00.0\"} 1",
        "gpuvirt_maintenance 0",
        "gpuvirt_libvirt_answers 1",
        "# EOF",
    ] {
        assert!(answer.body.contains(line), "{line} is not in {}", answer.body);
    }
}

/// Questions share a picture until the kernel tells of something, and never where a fresh look is asked for.
#[test]
fn a_picture_serves_until_something_happens() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    let (tell, told) = mpsc::channel::<Heard>();
    let hearing = daemon.hearing();
    let listener = std::thread::spawn(move || {
        hearing.listen(|| told.recv().map_err(std::io::Error::other), |_| {});
    });
    let until_listening = Instant::now() + Duration::from_secs(30);
    while daemon.hearing().reliable_count().is_none() && Instant::now() < until_listening {
        std::thread::yield_now();
    }
    let ask = || assert_eq!(get(&daemon.socket(), route::GPUS).status, 200);
    // It serves for two seconds: where two questions take longer, they are asked again.
    let first = loop {
        let begun = Instant::now();
        ask();
        let first = daemon.looks();
        ask();
        if begun.elapsed() < Duration::from_millis(1500) {
            assert_eq!(daemon.looks(), first, "nothing happened");
            break daemon.looks();
        }
    };
    get_with(&daemon.socket(), route::GPUS, "Cache-Control: no-cache");
    assert_eq!(daemon.looks(), first + 1, "a look was asked for");
    let before = daemon.hearing().reliable_count();
    let event = Uevent::parse(b"bind@/devices/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:41:00.0\0").unwrap();
    tell.send(Heard::Event(event)).unwrap();
    let until_heard = Instant::now() + Duration::from_secs(30);
    while daemon.hearing().reliable_count() == before && Instant::now() < until_heard {
        std::thread::yield_now();
    }
    ask();
    assert_eq!(daemon.looks(), first + 2, "the kernel told of something");
    drop(tell);
    listener.join().unwrap();
    assert!(daemon.hearing().reliable_count().is_none(), "nobody listens any more");
}
