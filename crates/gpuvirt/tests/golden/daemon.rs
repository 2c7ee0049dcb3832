//! A daemon that answers what it is told to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// It lives as long as the case's run.
pub struct Daemon {
    dir: tempfile::TempDir,
    requests: Arc<Mutex<String>>,
}

impl Daemon {
    /// Listens, and answers from `replies`: a JSON list of `{"status": ..., "body": ...}`, or with `text` for what is no JSON. Whoever asks more often than
    /// there are replies finds the connection closed.
    pub fn start(replies: &str) -> Self {
        let replies: Vec<serde_json::Value> = serde_json::from_str(replies).expect("replies.json");
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(Self::path(dir.path())).unwrap();
        let requests = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for reply in replies {
                let Ok((stream, _)) = listener.accept() else { return };
                serve(stream, &reply, &seen);
            }
        });
        Self { dir, requests }
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join("s")
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        Self::path(self.dir.path())
    }

    /// Every request: method and path, then its body.
    pub fn requests(self) -> String {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: UnixStream, reply: &serde_json::Value, seen: &Mutex<String>) {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = line.trim_end().trim_end_matches(" HTTP/1.1");
    // Remembered before the answer: whoever has the answer may look.
    seen.lock().unwrap().push_str(&format!("{request}\n{}\n", String::from_utf8(body).unwrap()));
    let body = reply["text"].as_str().map_or_else(|| reply["body"].to_string(), str::to_owned);
    let status = &reply["status"];
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
    (&stream).write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
}
