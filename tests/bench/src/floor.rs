//! The floor: programs that read what the measured one must read, and do nothing else.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

/// An attribute is a page at most; what is longer (`/proc/interrupts`, the list of PCI names) is read in such parts.
const PART: usize = 64 * 1024;

/// Reads a file whole, in parts.
pub fn file(path: &Path) -> Result<()> {
    read(path, &mut vec![0; PART]).with_context(|| format!("read {}", path.display()))
}

/// Reads each file of a list, a path on each line. One that can't be read costs its attempt, as in the original.
pub fn list(path: &Path) -> Result<()> {
    let list = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let mut part = vec![0; PART];
    for path in list.lines() {
        if Path::new(path).is_dir() {
            let _ = std::fs::read_dir(path).map(Iterator::count);
        } else {
            let _ = read(Path::new(path), &mut part);
        }
    }
    Ok(())
}

fn read(path: &Path, part: &mut [u8]) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    while file.read(part)? == part.len() {}
    Ok(())
}
