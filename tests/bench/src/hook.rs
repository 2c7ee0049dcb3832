//! libvirt's hook for a VM that is none of our business, beside a program that does nothing.
//!
//! Both are started as libvirt's hook is: by a shell that becomes the program, with the domain's XML on stdin.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::changes::shell;
use crate::command::text;
use crate::sample;

const UUID: &str = "6f3c2a10-5a41-4f1e-9a44-0d5a7e0c9b11";

/// The table. `card` is a PCI function that nobody manages.
pub fn table(gpuvirt: &Path, card: &str, folder: &Path) -> Result<String> {
    let gpuvirt = text(gpuvirt)?;
    let bare = write(folder, "bare.xml", "")?;
    let disk = write(
        folder,
        "disk.xml",
        "<disk type='file'><source file='/x'/><target dev='vda' bus='virtio'/></disk>",
    )?;
    let other = write(folder, "other.xml", &hostdev(card).context("a PCI address has four parts")?)?;
    let hook = |name: &str, file: &str| {
        shell(name, &format!("exec {gpuvirt} hook qemu vm prepare begin - < {file}"))
    };
    let commands = [
        shell("a program that does nothing, `/bin/true`", &format!("exec /bin/true < {disk}"))?,
        hook("the hook, a VM with no device at all", &bare)?,
        hook("the hook, a VM with a disk", &disk)?,
        hook("the hook, a VM with a PCI device that is not managed", &other)?,
    ];
    let mut out = String::from("| work | time | memory |\n|---|---|---|\n");
    for samples in sample::interleaved(&commands)? {
        writeln!(out, "| {} | {} | {} |", samples.name, samples.milliseconds(), samples.memory())?;
    }
    Ok(out)
}

fn write(folder: &Path, name: &str, devices: &str) -> Result<String> {
    let path = folder.join(name);
    let xml = format!(
        "<domain type='kvm'><name>vm</name><uuid>{UUID}</uuid><memory>65536</memory>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>\n"
    );
    let written = File::create(&path).and_then(|mut file| file.write_all(xml.as_bytes()));
    written.with_context(|| format!("write {}", path.display()))?;
    text(&path)
}

fn hostdev(card: &str) -> Option<String> {
    let mut parts = card.split([':', '.']);
    let mut next = || parts.next();
    let (domain, bus, slot, function) = (next()?, next()?, next()?, next()?);
    Some(format!(
        "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x{domain}' bus='0x{bus}' \
         slot='0x{slot}' function='0x{function}'/></source></hostdev>"
    ))
}
