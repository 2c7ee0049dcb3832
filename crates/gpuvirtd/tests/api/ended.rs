//! VMs whose end libvirt's hook could not tell, or told at a bad moment: what they had is free all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::spawn;
use std::time::{Duration, Instant};

use gpuvirt_api::route;
use serde_json::json;
use uuid::Uuid;

use crate::fakes::{Daemon, Hold, MADE, Script, as_root};
use crate::http::{connect, send};

const VM: Uuid = Uuid::from_u128(7);
/// A change of the card that what was made is of.
const CREATE: &str = r#"{"gpu": "41:00.0", "profile": "test_small"}"#;
/// Root's places, and those for hooks alone.
const ALL_OF_ROOTS: usize = 32 + 64;

fn hook(event: &str) -> String {
    let domain = json!({
        "name": "made-for", "uuid": VM, "state": "active", "autostart": false,
        "config": [{"type": "mdev", "uuid": MADE}], "live": [], "requests": {"list": []},
    });
    json!({"event": event, "domain": domain}).to_string()
}

/// A daemon whose VM runs, as its hook has told, with what was made for it.
fn running() -> (Daemon, Arc<AtomicBool>) {
    running_over(Script::default())
}

fn running_over(script: Script) -> (Daemon, Arc<AtomicBool>) {
    let runs = Arc::new(AtomicBool::new(true));
    let script = Script { made_for: Some((VM, Arc::clone(&runs))), ..script };
    let daemon = Daemon::start_with(script, as_root);
    let answer = send(&daemon.socket(), "POST", route::HOOK, &hook("running"));
    assert_eq!(answer.status, 200, "{answer:?}");
    (daemon, runs)
}

fn release(daemon: &Daemon) {
    let answer = send(&daemon.socket(), "POST", route::HOOK, &hook("release"));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn is_forgotten(daemon: &Daemon) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while daemon.remembers_what_it_made() && Instant::now() < until {
        std::thread::yield_now();
    }
    !daemon.remembers_what_it_made()
}

/// Leads the daemon through a whole round of what it does of itself.
fn a_round(daemon: &Daemon) {
    daemon.stir.ended(Uuid::from_u128(99));
    let until = Instant::now() + Duration::from_secs(2);
    while daemon.remembers_what_it_made() && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(daemon.remembers_what_it_made(), "its VM runs");
}

#[test]
fn a_release_that_was_turned_away_is_made_up_for() {
    let (daemon, runs) = running();
    a_round(&daemon);
    let taken: Vec<_> = (0..ALL_OF_ROOTS).map(|_| connect(&daemon.socket())).collect();
    // Connections are accepted in their order: all of those have their places when this one is answered. libvirt's word that
    // the VM has ended is lost as well, as where nobody has asked it for events yet.
    runs.store(false, Ordering::SeqCst);
    let answer = send(&daemon.socket(), "POST", route::HOOK, &hook("release"));
    assert_eq!(answer.status, 503, "{answer:?}");
    drop(taken);
    assert!(is_forgotten(&daemon), "what the hook had to tell was never found out");
}

#[test]
fn the_end_of_a_vm_whose_hook_never_came_is_heard_from_libvirt() {
    let (daemon, runs) = running();
    a_round(&daemon);
    runs.store(false, Ordering::SeqCst);
    daemon.stir.ended(VM);
    assert!(is_forgotten(&daemon), "libvirt's word counts for nothing");
}

#[test]
fn a_libvirt_that_gave_no_answer_is_asked_once_more() {
    let unanswered = Arc::<AtomicUsize>::default();
    let (daemon, runs) = running_over(Script { unanswered: Arc::clone(&unanswered), ..Script::default() });
    a_round(&daemon);
    runs.store(false, Ordering::SeqCst);
    // It was killed, and who answers is there only later. Nothing else happens.
    unanswered.store(usize::MAX, Ordering::SeqCst);
    daemon.stir.unheard();
    let until = Instant::now() + Duration::from_secs(30);
    while unanswered.load(Ordering::SeqCst) == usize::MAX && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(daemon.remembers_what_it_made(), "nobody can know");
    unanswered.store(0, Ordering::SeqCst);
    assert!(is_forgotten(&daemon), "nobody asked again");
}

#[test]
fn what_a_change_of_its_card_kept_goes_when_that_change_ends() {
    let hold = Arc::<Hold>::default();
    let (daemon, runs) = running_over(Script { hold_steps: Some(Arc::clone(&hold)), ..Script::default() });
    let socket = daemon.socket();
    let changing = spawn(move || send(&socket, "POST", "/v1/vgpus", CREATE));
    hold.until_reached();
    runs.store(false, Ordering::SeqCst);
    release(&daemon);
    // Its turn has come and gone: another one's has.
    a_round(&daemon);
    hold.release();
    let answer = changing.join().unwrap();
    assert!(is_forgotten(&daemon), "nothing is left that would look again ({answer:?})");
}
