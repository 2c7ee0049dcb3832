//! Maps a file without keeping it open, says so, and waits to be killed: a holder that no descriptor betrays.
#![allow(unsafe_code)] // mmap has no safe form

use std::fs::OpenOptions;
use std::io::Write as _;
use std::num::NonZeroUsize;

use nix::sys::mman::{MapFlags, ProtFlags, mmap};

/// One page: every BAR has as much.
const LENGTH: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).ok_or(std::io::ErrorKind::InvalidInput)?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing, and nobody reads through it.
    unsafe { mmap(None, LENGTH, access, MapFlags::MAP_SHARED, &file, 0) }?;
    drop(file);
    println!("mapped");
    std::io::stdout().flush()?;
    nix::unistd::pause();
    Ok(())
}
