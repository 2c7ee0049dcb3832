//! A libvirtd that takes connections and never answers.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use gpuvirtd::wiring::domains::LibvirtDomains;

use crate::fakes::{Daemon, Script, as_root};
use crate::http::get;

/// How many ask at once: many more than are served at once.
const READERS: usize = 20;
/// How long whoever asks waits for libvirt.
const WAIT: Duration = Duration::from_secs(5);
/// A clock's and a timer's difference.
const ROUNDING: Duration = Duration::from_millis(200);

/// A socket that is listened on and never read; its backlog takes the connections.
fn silent(dir: &Path) -> (UnixListener, LibvirtDomains) {
    let socket = dir.join("libvirt-sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let libvirt = LibvirtDomains::new(&format!("qemu+unix:///system?socket={}", socket.display())).unwrap();
    libvirt.gate().open();
    (listener, libvirt)
}

#[test]
fn all_readers_wait_for_it_once_and_later_ones_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (_listener, libvirt) = silent(dir.path());
    let daemon = Daemon::start_with(Script { libvirt: Some(libvirt), ..Script::default() }, as_root);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..READERS).map(|_| scope.spawn(|| get(&daemon.socket(), "/v1/gpus"))).collect();
        for reader in readers {
            let answer = reader.join().unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            let list = answer.json();
            assert!(list["domainsUnknown"].to_string().contains("libvirt"), "{list}");
            assert_eq!(list["items"].as_array().unwrap().len(), 1, "the GPUs are shown all the same");
        }
    });
    let together = begun.elapsed();
    // Once, and what a loaded machine needs besides: two waits one after the other would be more than this.
    assert!((WAIT - ROUNDING..WAIT * 2 - ROUNDING).contains(&together), "{together:?}");

    let later = Instant::now();
    for path in ["/v1/gpus", "/v1/vms", "/v1/status"] {
        assert_eq!(get(&daemon.socket(), path).status, 200);
    }
    let xml = get(&daemon.socket(), "/v1/vms/web/xml");
    assert_eq!(xml.status, 500, "{xml:?}");
    assert!(xml.error().message.contains("owes the answer"), "{xml:?}");
    assert!(later.elapsed() < WAIT - ROUNDING, "{:?}", later.elapsed());
}

#[test]
fn the_doctor_says_so_within_a_second_and_tells_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (_listener, libvirt) = silent(dir.path());
    let daemon = Daemon::start_with(Script { libvirt: Some(libvirt), ..Script::default() }, as_root);
    let first = Instant::now();
    // The second asks while the first one's question is owed still.
    for _ in 0..2 {
        let begun = Instant::now();
        let answer = get(&daemon.socket(), "/v1/doctor");
        let took = begun.elapsed();
        assert_eq!(answer.status, 200, "{answer:?}");
        let found = answer.json();
        // Its own wait is of 0.7 s; the rest is what a loaded machine needs besides.
        assert!(took < WAIT - ROUNDING, "{took:?}");
        let codes: Vec<&str> =
            found["findings"].as_array().unwrap().iter().filter_map(|found| found["code"].as_str()).collect();
        let libvirt =
            found["findings"].as_array().unwrap().iter().find(|found| found["code"] == "libvirt-unreachable");
        assert!(libvirt.unwrap()["cause"].as_str().unwrap().contains("has not answered yet"), "{found:#}");
        // What it read of the host itself is there all the same.
        assert!(codes.len() > 1, "{found:#}");
    }
    // A listing after it waits for libvirt as ever, with the question that is owed already: nobody else is answered in the
    // doctor's hurry.
    let list = get(&daemon.socket(), "/v1/gpus").json();
    assert!(list["domainsUnknown"].to_string().contains("libvirt"), "{list}");
    assert!(first.elapsed() > WAIT - ROUNDING, "{:?}", first.elapsed());
}
