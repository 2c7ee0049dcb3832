//! Events as a stream, and listeners who do not behave.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gpuvirt_api::event::{Event, EventKind};
use gpuvirt_api::{ErrorKind, route};

use crate::fakes::{Daemon, Script, as_other, as_root};
use crate::http::{connect, finish, get, get_with, send};

/// Longer than the daemon waits for who takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener that has sent its request.
fn begin(daemon: &Daemon, header: &str) -> UnixStream {
    let mut stream = connect(&daemon.socket());
    let path = route::EVENTS;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// One that has been let in.
fn listen(daemon: &Daemon, header: &str) -> BufReader<UnixStream> {
    let mut reader = BufReader::new(begin(daemon, header));
    let head = head(&mut reader);
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream"), "{head}");
    reader
}

fn head(reader: &mut BufReader<UnixStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
    head
}

/// The next line that begins so, whatever chunks it comes in.
fn next(reader: &mut BufReader<UnixStream>, begin: &str) -> String {
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        if let Some(rest) = line.strip_prefix(begin) {
            return rest.trim_end().to_owned();
        }
        line.clear();
    }
    panic!("the stream ended before {begin:?}");
}

fn event(reader: &mut BufReader<UnixStream>) -> (String, Event) {
    let id = next(reader, "id: ");
    (id, serde_json::from_str(&next(reader, "data: ")).unwrap())
}

fn tell(daemon: &Daemon, text: &str) {
    daemon.events.tell(EventKind::Host, None, text);
}

#[test]
fn events_come_as_they_happen_and_the_end_of_the_daemon_is_the_last() {
    let mut daemon = Daemon::start_with(Script::default(), as_root);
    tell(&daemon, "before anybody listened");
    let mut stream = listen(&daemon, "");
    assert_eq!(event(&mut stream).1.text, "before anybody listened");
    let answer = send(&daemon.socket(), "POST", route::RECOVER, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let (id, changed) = event(&mut stream);
    assert_eq!((changed.kind, changed.sequence), (EventKind::Changed, 2));
    assert!(id.ends_with(":2"), "{id}");
    // A line's end in a text is none in the stream.
    tell(&daemon, "two\nlines\n\ndata: x");
    assert_eq!(event(&mut stream).1.text, "two\nlines\n\ndata: x");
    let begun = Instant::now();
    daemon.stop();
    assert_eq!(event(&mut stream).1.kind, EventKind::Stopping);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "it ends as it should: {rest:?}");
    drop(daemon);
    // Requests under way are waited for, for twenty seconds.
    assert!(begun.elapsed() < Duration::from_secs(18), "a listener holds up no stop");
}

#[test]
fn who_returns_goes_on_where_it_was_and_is_told_what_it_missed() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    tell(&daemon, "first");
    tell(&daemon, "second");
    let (id, first) = event(&mut listen(&daemon, ""));
    assert_eq!(first.text, "first");
    let again = |id: &str| listen(&daemon, &format!("last-event-id: {id}\r\n"));
    assert_eq!(event(&mut again(&id)).1.text, "second");
    // More than are kept happened meanwhile.
    (0..600).for_each(|n| tell(&daemon, &n.to_string()));
    let mut missed = again(&id);
    assert_eq!(next(&mut missed, "event: "), "lost");
    assert_eq!(event(&mut missed).1.text, "88");
    // Another daemon's listener knows none of this one's.
    let mut other = again("00000000-0000-0000-0000-000000000001:5");
    assert_eq!(next(&mut other, "event: "), "lost");
}

#[test]
fn odd_wishes_of_listeners_are_refused() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    for header in ["last-event-id: x", "last-event-id: 7", "last-event-id: ", "last-event-id: \u{1F600}"] {
        let answer = finish(begin(&daemon, &format!("{header}\r\n")));
        assert_eq!((answer.status, answer.error().kind), (400, ErrorKind::Usage), "{header}");
    }
    let accept = "accept: text/event-stream";
    for query in ["waitSeconds=3", "after=-1", "follow=true"] {
        assert_eq!(get_with(&daemon.socket(), &format!("/v1/events?{query}"), accept).status, 400, "{query}");
    }
}

/// Waits until this user may listen.
fn until_let_in(daemon: &Daemon) -> BufReader<UnixStream> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut reader = BufReader::new(begin(daemon, ""));
        let head = head(&mut reader);
        if head.starts_with("HTTP/1.1 200") {
            return reader;
        }
        assert!(Instant::now() < until, "nobody is let in: {head}");
    }
}

#[test]
fn so_many_listen_at_once_and_who_leaves_makes_room() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    let mut four: Vec<_> = (0..4).map(|_| listen(&daemon, "")).collect();
    let answer = finish(begin(&daemon, ""));
    assert_eq!((answer.status, answer.error().kind), (503, ErrorKind::Unreachable), "{answer:?}");
    assert_eq!(get(&daemon.socket(), "/v1/gpus").status, 200, "requests have places of their own");
    // Nothing happens, nothing is written: its end alone tells that it has left.
    four.pop();
    drop(until_let_in(&daemon));
    tell(&daemon, "now");
    for mut listener in four {
        assert_eq!(event(&mut listener).1.text, "now");
    }
}

#[test]
fn a_listener_that_takes_nothing_is_let_go_and_one_that_waits_long_is_not() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    let mut patient = listen(&daemon, "");
    let stuck: Vec<_> = (0..3).map(|_| listen(&daemon, "")).collect();
    assert_eq!(finish(begin(&daemon, "")).status, 503, "all places are taken");
    let text = "x".repeat(2000);
    let begun = Instant::now();
    // More than the socket and the server's own buffer hold for them, while the other one reads.
    for _ in 0..4 {
        (0..100).for_each(|_| tell(&daemon, &text));
        (0..100).for_each(|_| assert_eq!(event(&mut patient).1.text, text));
    }
    // All three are let go, so that there is room for three others.
    let others: Vec<_> = (0..3).map(|_| until_let_in(&daemon)).collect();
    assert!(begun.elapsed() > Duration::from_secs(8), "the deadline is there for a reason");
    tell(&daemon, "still here");
    assert_eq!(
        event(&mut patient).1.text,
        "still here",
        "it has listened for longer than any answer may take"
    );
    drop(others);
    for mut listener in stuck {
        let mut rest = Vec::new();
        listener.read_to_end(&mut rest).unwrap();
        assert!(!rest.is_empty() && !rest.ends_with(b"0\r\n\r\n"), "it was cut off, and can tell");
    }
}
