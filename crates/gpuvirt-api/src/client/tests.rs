//! The client against small servers of a few lines, good and bad.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use super::*;
use crate::event::EventKind;
use crate::{GpuDocument, List, Source, VmRemove, XmlDocument, route};

/// A server that takes one request, answers `answer`, and hands back what it was sent.
fn serve_once(socket: &Path, answer: Vec<u8>) -> JoinHandle<String> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !complete(&seen) {
            let amount = stream.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..amount]);
            if amount == 0 {
                break;
            }
        }
        // The client may hang up early on an answer that it does not want.
        let _ = stream.write_all(&answer);
        String::from_utf8(seen).unwrap()
    })
}

fn complete(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    body.len() >= length
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn socket() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    (dir, path)
}

#[test]
fn a_listing_is_read() {
    let (_dir, path) = socket();
    let list = List::<GpuDocument>::new("GpuList", Source::Daemon, Vec::new());
    let server = serve_once(&path, http("200 OK", &serde_json::to_string(&list).unwrap()));
    assert_eq!(Client::new(&path).gpus().unwrap(), list);
    assert!(server.join().unwrap().starts_with("GET /v1/gpus HTTP/1.1\r\n"));
}

#[test]
fn a_chunked_answer_is_read() {
    let (_dir, path) = socket();
    let document = serde_json::to_string(&XmlDocument::new("<hostdev/>")).unwrap();
    let (a, b) = document.split_at(10);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{a}\r\n{:x}\r\n{b}\r\n0\r\n\r\n",
        a.len(),
        b.len()
    );
    let server = serve_once(&path, answer.into_bytes());
    assert_eq!(Client::new(&path).vm_xml("a/b c").unwrap().xml, "<hostdev/>");
    assert!(server.join().unwrap().starts_with("GET /v1/vms/a%2Fb%20c/xml HTTP/1.1\r\n"));
}

#[test]
fn an_order_carries_its_body() {
    let (_dir, path) = socket();
    let refused = serde_json::to_string(&ApiError::refused(Vec::new())).unwrap();
    let server = serve_once(&path, http("409 Conflict", &refused));
    let request = VmRemove::Vgpu { id: Uuid::nil().into() };
    let error = Client::new(&path).vm_remove("web1", &request).unwrap_err();
    assert!(matches!(&error, ClientError::Api(api) if api.kind == crate::ErrorKind::Refused), "{error:?}");
    let seen = server.join().unwrap();
    assert!(seen.starts_with("POST /v1/vms/web1/devices/remove HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with(r#"{"device":"vgpu","id":"00000000-0000-0000-0000-000000000000"}"#), "{seen}");
}

#[test]
fn a_change_carries_its_key_and_a_question_does_not() {
    let key = Uuid::from_u128(7);
    for question in [true, false] {
        let (_dir, path) = socket();
        let server = serve_once(&path, http("500 Internal Server Error", "{}"));
        let client = Client::new(&path).with_key(Some(key));
        let failed = if question { client.gpus().is_err() } else { client.recover().is_err() };
        assert!(failed);
        let seen = server.join().unwrap().to_lowercase();
        assert_eq!(seen.contains(&format!("idempotency-key: {key}\r\n")), !question, "{seen}");
    }
}

#[test]
fn a_removal_without_a_body_is_sent() {
    let (_dir, path) = socket();
    let server = serve_once(&path, http("200 OK", "{}"));
    let error = Client::new(&path).remove_vgpu(Uuid::nil().into(), true).unwrap_err();
    assert!(matches!(error, ClientError::NotUnderstood { .. }), "{error:?}");
    let seen = server.join().unwrap();
    assert!(seen.starts_with("DELETE /v1/vgpus/00000000-0000-0000-0000-000000000000?dryRun=true "), "{seen}");
}

#[test]
fn answers_that_make_no_sense_are_errors() {
    for (answer, want) in [
        (http("200 OK", "not json"), "makes no sense"),
        (http("200 OK", r#"{"apiVersion":"gpuvirt/v9","items":[]}"#), "gpuvirt/v9"),
        (http("500 Internal Server Error", "<html>"), "status 500"),
        (http("302 Found", "{}"), "status 302"),
        (http("200 OK", &" ".repeat(33 << 20)), "larger than 32 MiB"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "failed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), "failed"),
        (Vec::new(), "failed"),
    ] {
        let (_dir, path) = socket();
        let server = serve_once(&path, answer.clone());
        let error = Client::new(&path).gpus().unwrap_err();
        assert!(error.to_string().contains(want), "{error:?} for {:.80}", String::from_utf8_lossy(&answer));
        assert!(!error.is_unreachable(), "{error:?}");
        assert_eq!(error.is_unanswered(), want == "failed", "{error:?}");
        server.join().unwrap();
    }
}

#[test]
fn a_daemon_without_a_place_is_unreachable() {
    let (_dir, path) = socket();
    let busy = ApiError::new(crate::ErrorKind::Unreachable, "no place");
    let server = serve_once(&path, http("503 Service Unavailable", &serde_json::to_string(&busy).unwrap()));
    let error = Client::new(&path).gpus().unwrap_err();
    assert!(error.is_unreachable() && error.is_unanswered(), "{error:?}");
    server.join().unwrap();
}

#[test]
fn nobody_there_is_unreachable() {
    let (dir, path) = socket();
    assert!(Client::new(&path).gpus().unwrap_err().is_unreachable(), "no file");
    drop(UnixListener::bind(&path).unwrap());
    assert!(Client::new(&path).gpus().unwrap_err().is_unreachable(), "nobody listens");
    assert!(Client::new(dir.path()).gpus().unwrap_err().is_unreachable(), "a folder");
    let long = dir.path().join("x".repeat(200));
    assert!(Client::new(&long).gpus().unwrap_err().is_unreachable(), "longer than an address holds");
}

#[test]
fn an_answer_that_never_comes_ends_at_the_deadline() {
    let (_dir, path) = socket();
    // Accepted by the backlog, answered by nobody.
    let _listener = UnixListener::bind(&path).unwrap();
    let deadline = Duration::from_millis(200);
    let call = Call { method: Method::GET, path: route::GPUS.to_owned(), body: None::<&()>, deadline };
    let error = Client::new(&path).call::<List<GpuDocument>, ()>(call).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
}

/// A stream in chunks that begin and end anywhere.
fn streamed(text: &str, end: &str) -> Vec<u8> {
    let chunks = text.as_bytes().chunks(7).map(|chunk| {
        let chunk = String::from_utf8(chunk.to_vec()).unwrap();
        format!("{:x}\r\n{chunk}\r\n", chunk.len())
    });
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    format!("{head}{}{end}", chunks.collect::<String>()).into_bytes()
}

const EVENT: &str = r#"{"sequence":3,"time":"2026-01-01T00:00:00Z","kind":"host","text":"add 41"}"#;

#[test]
fn events_are_read_as_they_come() {
    let (_dir, path) = socket();
    let text = format!(
        ": a comment\n\nevent: lost\ndata: {{\"daemon\":\"x\"}}\n\nevent: other\ndata: 1\n\nid: d:3\ndata: {EVENT}\n\n"
    );
    let server = serve_once(&path, streamed(&text, "0\r\n\r\n"));
    let mut stream = Client::new(&path).listen(Some("d:2")).unwrap();
    assert_eq!(stream.next().unwrap().unwrap(), Told::Lost);
    let Told::Event(id, event) = stream.next().unwrap().unwrap() else { panic!() };
    assert_eq!((id.as_str(), event.sequence, event.kind), ("d:3", 3, EventKind::Host));
    assert!(stream.next().is_none());
    let request = server.join().unwrap().to_lowercase();
    assert!(request.contains("accept: text/event-stream\r\n"), "{request}");
    assert!(request.contains("last-event-id: d:2\r\n"), "{request}");
}

#[test]
fn a_stream_that_is_none_or_breaks_is_an_error() {
    let error = |answer: Vec<u8>| {
        let (_dir, path) = socket();
        let server = serve_once(&path, answer);
        let result = Client::new(&path).listen(None).and_then(|stream| stream.collect::<Result<Vec<_>, _>>());
        server.join().unwrap();
        result.unwrap_err()
    };
    // Cut off within a chunk, within a line, and between two: the end is said, or it is none.
    for (text, end) in [("data: {", "5\r\nx"), ("data: {", ""), ("data: {", "0\r\n\r\n"), ("", "")] {
        let error = error(streamed(text, end));
        assert!(matches!(error, ClientError::Broken { .. }), "{text:?} {end:?}: {error:?}");
    }
    for answer in [http("200 OK", "{}"), streamed("data: x\n\n", "0\r\n\r\n"), http("503 Busy", "x")] {
        assert!(matches!(error(answer), ClientError::NotUnderstood { .. }));
    }
    let busy = serde_json::to_string(&ApiError::new(crate::ErrorKind::Unreachable, "no place")).unwrap();
    assert!(matches!(error(http("503 Busy", &busy)), ClientError::Api(_)));
}

#[test]
fn numbers_are_text_as_it_is() {
    let (_dir, path) = socket();
    let server = serve_once(&path, http("200 OK", "# EOF\n"));
    assert_eq!(Client::new(&path).metrics().unwrap(), "# EOF\n");
    let request = server.join().unwrap();
    assert!(!request.contains("no-cache"), "numbers cost no look at the host: {request}");
}
