//! Writes the seeds of the `recording` target: a small made-up host as a dump and as a snapshot.
//!
//! `cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds -- tests/fuzz/corpus/recording`

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use gpuvirt_recording::made::many_functions;
use gpuvirt_recording::{RecordedHost, SnapshotOptions, write_snapshot};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name the folder")?);
    let dump: Vec<String> = many_functions(2).lines().map(without_config).collect();
    let dump = dump.join("\n");
    File::create(folder.join("dump"))?.write_all(dump.as_bytes())?;
    let host = RecordedHost::from_bytes(dump.into_bytes())?;
    let options = SnapshotOptions {
        date: "2026-01-01T00:00:00Z".to_owned(),
        testimony: Some(Default::default()),
        ..SnapshotOptions::default()
    };
    write_snapshot(&host, &options, File::create(folder.join("snapshot"))?)?;
    Ok(())
}

/// Four bytes of config space are enough for a parser, and leave the fuzzer more to try elsewhere.
fn without_config(line: &str) -> String {
    if line.starts_with("H: config=") { line.chars().take(18).collect() } else { line.to_owned() }
}
