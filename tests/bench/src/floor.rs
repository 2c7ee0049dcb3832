//! The floor: programs that read or write what the measured one must, and do nothing else.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// An attribute is a page at most; what is longer (`/proc/interrupts`, the list of PCI names) is read in such parts.
const PART: usize = 64 * 1024;

/// What marks a folder in a list, and a link.
pub const FOLDER: &str = "d";
/// See [`FOLDER`].
pub const LINK: &str = "l";

/// The list of [`switch_and_more`] and [`start_and_more`].
pub const READS: &str = "reads";

/// Reads a file whole, in parts.
pub fn file(path: &Path) -> Result<()> {
    read(path, &mut vec![0; PART]).with_context(|| format!("read {}", path.display()))
}

/// Reads each file, folder and link of a list, a path on each line. One that can't be read costs its attempt, as in the
/// original.
pub fn list(path: &Path) -> Result<()> {
    let list = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let mut part = vec![0; PART];
    for path in list.lines() {
        // What the original asked for tells which it was: the list marks folders and links.
        let _ = match path.split_at_checked(1) {
            Some((FOLDER, path)) => std::fs::read_dir(path).map(|names| names.for_each(drop)),
            Some((LINK, path)) => std::fs::read_link(path).map(drop),
            _ => read(Path::new(path), &mut part),
        };
    }
    Ok(())
}

/// Makes mediated devices of one type on a parent and removes them, without a look at what came of it.
pub fn vgpus(parent: &str, type_id: &str, count: u32) -> Result<()> {
    start(parent, type_id, count)?;
    for uuid in uuids(count) {
        write(&format!("/sys/bus/mdev/devices/{uuid}/remove"), "1")?;
    }
    Ok(())
}

/// Makes them and leaves them there.
pub fn start(parent: &str, type_id: &str, count: u32) -> Result<()> {
    let create = format!("/sys/bus/pci/devices/{parent}/mdev_supported_types/{type_id}/create");
    uuids(count).try_for_each(|uuid| write(&create, &uuid))
}

/// What a start that restores them can't do without: a fresh read of the list `reads` in `folder`, a durable write, and these.
pub fn start_and_more(parent: &str, type_id: &str, count: u32, folder: &Path) -> Result<()> {
    list(&folder.join(READS))?;
    durable(folder)?;
    start(parent, type_id, count)
}

fn uuids(count: u32) -> impl Iterator<Item = String> {
    (1..=count).map(|n| format!("f1000000-0000-4000-8000-{n:012x}"))
}

/// Gives a function to vfio-pci, and to whichever driver the kernel finds for it then.
pub fn switch(function: &str) -> Result<()> {
    let driver_override = format!("/sys/bus/pci/devices/{function}/driver_override");
    let unbind = format!("/sys/bus/pci/devices/{function}/driver/unbind");
    write(&driver_override, "vfio-pci")?;
    if Path::new(&unbind).exists() {
        write(&unbind, function)?;
    }
    write("/sys/bus/pci/drivers_probe", function)?;
    write(&driver_override, "\n")?;
    write("/sys/bus/pci/drivers/vfio-pci/unbind", function)?;
    write("/sys/bus/pci/drivers_probe", function)
}

/// What one switch to vfio-pci and back may take: the bare writes, and each way one durable write, one process's start and one
/// fresh read of the list `reads` in `folder`.
pub fn switch_and_more(function: &str, folder: &Path) -> Result<()> {
    switch(function)?;
    for _ in 0..2 {
        durable(folder)?;
        let started = Command::new("/bin/true").status().context("start /bin/true")?;
        ensure!(started.success(), "/bin/true: {started}");
        list(&folder.join(READS))?;
    }
    Ok(())
}

/// Replaces a file so that a power cut leaves the earlier content or this one.
fn durable(folder: &Path) -> Result<()> {
    let (new, file) = (folder.join("durable.new"), folder.join("durable"));
    let mut written = File::create(&new)?;
    written.write_all(&[b'x'; 1024])?;
    written.sync_all()?;
    std::fs::rename(new, file)?;
    Ok(File::open(folder)?.sync_all()?)
}

/// One write to a file of the kernel's.
pub fn write(path: &str, text: &str) -> Result<()> {
    let written =
        OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("write {text:?} to {path}"))
}

fn read(path: &Path, part: &mut [u8]) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    while file.read(part)? == part.len() {}
    Ok(())
}
