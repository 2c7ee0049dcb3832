//! Writes a snapshot of this machine to a file: `snapshot FILE DATE`.

use std::error::Error;
use std::fs::File;

use gpuvirt_host::LinuxSysfs;
use gpuvirt_recording::{SnapshotOptions, write_snapshot};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, date] = arguments.as_slice() else { return Err("usage: snapshot FILE DATE".into()) };
    let options = SnapshotOptions { date: date.clone(), ..SnapshotOptions::default() };
    let manifest = write_snapshot(&LinuxSysfs::this_machine(), &options, File::create(file)?)?;
    eprintln!("left out: {:?}; could not be read: {:?}", manifest.redacted, manifest.unreadable);
    Ok(())
}
