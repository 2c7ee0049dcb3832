//! Follows links in a recording as the kernel follows them in sysfs.
//!
//! Paths never leave the recording: `..` stops at its root, and nothing here touches a real file.

use std::io;

use crate::devices::{DeviceId, Devices, Kind, Line};
use crate::tree::{self, Node, Tree};

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// What a path leads to.
#[derive(Debug)]
pub enum Found<'a> {
    /// An entry of the rebuilt tree.
    Node(&'a Node),
    /// A line of a device: an attribute or a link.
    Line(&'a Line),
    /// A file made from a device's properties.
    Made(String),
    /// A link made from a device's properties.
    MadeLink(String),
    /// A folder of a device, by its name below it; empty for the device's own.
    Folder(DeviceId, String),
    /// A folder that exists because devices are below it.
    Above,
}

/// Finds what is at `path`. The path that it was found at, all links on the way followed, comes with it.
///
/// # Errors
/// `ENOENT`; `ELOOP` after too many links; `ENOTDIR` below a file.
pub fn resolve<'a>(
    devices: &'a Devices,
    tree: &'a Tree,
    path: &str,
    follow_last: bool,
) -> io::Result<(String, Found<'a>)> {
    let mut path = normal(path);
    for _ in 0..MAX_LINKS {
        let (at, found) = step(devices, tree, &path)?;
        let whole = at.len() == path.len();
        let target = match &found {
            Found::Node(Node::Device(id)) => format!("/sys{}", devices.path(*id)),
            Found::Node(Node::Link(target)) => target.to_string(),
            Found::MadeLink(target) => target.clone(),
            Found::Line(line) if Devices::kind(line) == Kind::Link => devices.plain(line).to_owned(),
            _ if whole => return Ok((path, found)),
            _ => return Err(not_found()),
        };
        if whole && !follow_last {
            return Ok((path, found));
        }
        let rest = path.get(at.len()..).unwrap_or_default();
        path = normal(&format!("{}{rest}", against(&at, &target)));
    }
    Err(io::Error::from_raw_os_error(nix::libc::ELOOP))
}

/// The longest part of `path` that is known without following a link, and what is there.
fn step<'a>(devices: &'a Devices, tree: &'a Tree, path: &str) -> io::Result<(String, Found<'a>)> {
    let mut end = path.len();
    loop {
        let head = path.get(..end).unwrap_or_default();
        match tree.get(head) {
            // A folder on the way says nothing of what is in it.
            Some(Node::Folder(_)) | None => {}
            Some(node) => return Ok((head.to_owned(), Found::Node(node))),
        }
        if let Some(id) = head.strip_prefix("/sys").and_then(|below| devices.find(below)) {
            return inside(devices, tree, id, path, end);
        }
        match head.rfind('/') {
            Some(at) if at > 0 => end = at,
            _ => break,
        }
    }
    if let Some(node) = tree.get(path) {
        return Ok((path.to_owned(), Found::Node(node)));
    }
    let above = path.strip_prefix("/sys").is_some_and(|below| devices.below(below).next().is_some());
    if above { Ok((path.to_owned(), Found::Above)) } else { Err(not_found()) }
}

/// What is at `path`, of which the first `end` bytes are the folder of device `id`.
fn inside<'a>(
    devices: &'a Devices,
    tree: &'a Tree,
    id: DeviceId,
    path: &str,
    end: usize,
) -> io::Result<(String, Found<'a>)> {
    let name = path.get(end..).unwrap_or_default().trim_start_matches('/');
    if name.is_empty() {
        return Ok((path.to_owned(), Found::Folder(id, String::new())));
    }
    let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
    for part_end in ends {
        let part = name.get(..part_end).unwrap_or_default();
        let head = || path.get(..end + 1 + part_end).unwrap_or_default().to_owned();
        if let Some(line) = devices.attribute(id, part) {
            return Ok((head(), Found::Line(line)));
        }
        if let Some(found) = made(devices, id, part) {
            return Ok((head(), found));
        }
    }
    let below = path.strip_prefix("/sys").unwrap_or_default();
    let rebuilt = matches!(tree.get(path), Some(Node::Folder(_)));
    if rebuilt || !devices.attributes_below(id, name).is_empty() || devices.below(below).next().is_some() {
        return Ok((path.to_owned(), Found::Folder(id, name.to_owned())));
    }
    Err(not_found())
}

/// What a live host has and a dump leaves out, because it follows from the properties.
fn made<'a>(devices: &Devices, id: DeviceId, name: &str) -> Option<Found<'a>> {
    match name {
        "uevent" => Some(Found::Made(tree::uevent(devices, id))),
        "subsystem" => {
            let subsystem = devices.property(id, "SUBSYSTEM")?;
            // The two possible places differ only for who reads more than the last name of the link.
            let place =
                if tree::driver(devices, id).is_some() || subsystem == "pci" { "bus" } else { "class" };
            let from = format!("/sys{}/subsystem", devices.path(id));
            Some(Found::MadeLink(tree::relative(&from, &format!("/sys/{place}/{subsystem}"))))
        }
        "driver" => {
            let (driver, subsystem) = (tree::driver(devices, id)?, devices.property(id, "SUBSYSTEM")?);
            let from = format!("/sys{}/driver", devices.path(id));
            Some(Found::MadeLink(tree::relative(&from, &format!("/sys/bus/{subsystem}/drivers/{driver}"))))
        }
        _ => tree::identity_text(devices, id, name).map(Found::Made),
    }
}

fn not_found() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::ENOENT)
}

/// A link's target as an absolute path, not yet normal.
pub fn against(link: &str, target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{target}")
}

/// An absolute path without `.`, `..` and doubled slashes.
pub fn normal(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// Path components as one relative path.
pub fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join("/")
}
