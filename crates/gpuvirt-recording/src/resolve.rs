//! Follows links in a recording as the kernel follows them in sysfs.
//!
//! Paths never leave the recording: `..` stops at its root, and nothing here touches a real file.

use std::io;

use crate::devices::{DeviceId, Devices, Kind, Line};
use crate::kernel_text;
use crate::tree::{Node, Tree};

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
/// `ENOENT`; `ELOOP` after too many links.
pub fn resolve<'a>(
    devices: &'a Devices,
    tree: &'a Tree,
    path: &str,
    follow_last: bool,
) -> io::Result<(String, Found<'a>)> {
    let recording = Recording { devices, tree };
    let mut path = normal(path);
    for _ in 0..MAX_LINKS {
        let (mut end, mut found) = recording.step(&path)?;
        // Most paths lead through one link to a device: go on inside it at once.
        match found {
            Found::Node(Node::Device(id)) if follow_last || end < path.len() => {
                let device = format!("/sys{}", devices.path(*id));
                let rest = path.get(end..).unwrap_or_default();
                let device_end = device.len();
                path = device + rest;
                (end, found) = match recording.part(*id, &path, device_end) {
                    Some(part) => part,
                    None => recording.rest(*id, &path, device_end)?,
                };
            }
            _ => {}
        }
        let whole = end == path.len();
        let target = match &found {
            Found::Node(Node::Device(id)) if !whole || follow_last => format!("/sys{}", devices.path(*id)),
            Found::Node(Node::Link(target)) if !whole || follow_last => target.to_string(),
            Found::MadeLink(target) if !whole || follow_last => target.clone(),
            Found::Line(line) if Devices::kind(line) == Kind::Link && (!whole || follow_last) => {
                devices.plain(line).to_owned()
            }
            _ if whole => return Ok((path, found)),
            _ => return Err(not_found()),
        };
        let (at, rest) = path.split_at_checked(end).unwrap_or((&path, ""));
        path = normal(&format!("{}{rest}", against(at, &target)));
    }
    Err(io::Error::from_raw_os_error(nix::libc::ELOOP))
}

#[derive(Clone, Copy)]
struct Recording<'a> {
    devices: &'a Devices,
    tree: &'a Tree,
}

impl<'a> Recording<'a> {
    /// The longest part of `path` that is known without following a link: where it ends, and what is there.
    fn step(self, path: &str) -> io::Result<(usize, Found<'a>)> {
        let mut end = path.len();
        loop {
            let head = path.get(..end).unwrap_or_default();
            match self.tree.get(head) {
                // A folder on the way says nothing of what is in it.
                Some(Node::Folder(_)) | None => {}
                Some(node) => return Ok((end, Found::Node(node))),
            }
            if let Some(id) = head.strip_prefix("/sys").and_then(|below| self.devices.find(below)) {
                return self.inside(id, path, end);
            }
            match head.rfind('/') {
                Some(at) if at > 0 => end = at,
                _ => break,
            }
        }
        if let Some(node) = self.tree.get(path) {
            return Ok((path.len(), Found::Node(node)));
        }
        let below = path.strip_prefix("/sys").map(|below| self.devices.below(below).next());
        if below.flatten().is_some() { Ok((path.len(), Found::Above)) } else { Err(not_found()) }
    }

    /// The first attribute or link of device `id` on the way to `path`, whose folder is the first `end` bytes.
    fn part(self, id: DeviceId, path: &str, end: usize) -> Option<(usize, Found<'a>)> {
        let name = path.get(end + 1..)?;
        let mut ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        ends.find_map(|part_end| {
            let part = name.get(..part_end)?;
            let line = self.devices.attribute(id, part).map(Found::Line);
            line.or_else(|| made(self.devices, id, part)).map(|found| (end + 1 + part_end, found))
        })
    }

    /// What is at `path`, of which the first `end` bytes are the folder of device `id`.
    fn inside(self, id: DeviceId, path: &str, end: usize) -> io::Result<(usize, Found<'a>)> {
        let name = path.get(end..).unwrap_or_default().trim_start_matches('/');
        if name.is_empty() {
            return Ok((path.len(), Found::Folder(id, String::new())));
        }
        if let Some(part) = self.part(id, path, end) {
            return Ok(part);
        }
        self.folder(id, path, end)
    }

    /// What is at `path` in the folder of device `id` when none of the device's own lines is on the way.
    fn rest(self, id: DeviceId, path: &str, end: usize) -> io::Result<(usize, Found<'a>)> {
        let one_name = path.get(end + 1..).is_some_and(|name| !name.contains('/'));
        let below = path.strip_prefix("/sys").unwrap_or_default();
        if !one_name || self.devices.find(below).is_some() {
            self.step(path)
        } else {
            self.folder(id, path, end)
        }
    }

    /// A folder of device `id`, or an entry that was rebuilt below it.
    fn folder(self, id: DeviceId, path: &str, end: usize) -> io::Result<(usize, Found<'a>)> {
        let name = path.get(end + 1..).unwrap_or_default();
        let below = path.strip_prefix("/sys").unwrap_or_default();
        let known = match self.tree.get(path) {
            Some(Node::Folder(_)) => true,
            Some(node) => return Ok((path.len(), Found::Node(node))),
            None => {
                !self.devices.attributes_below(id, name).is_empty()
                    || self.devices.below(below).next().is_some()
            }
        };
        if known { Ok((path.len(), Found::Folder(id, name.to_owned()))) } else { Err(not_found()) }
    }
}

/// What a live host has and a dump leaves out, because it follows from the properties.
fn made<'a>(devices: &Devices, id: DeviceId, name: &str) -> Option<Found<'a>> {
    match name {
        "uevent" => Some(Found::Made(kernel_text::uevent(devices, id))),
        "subsystem" => {
            let subsystem = devices.property(id, "SUBSYSTEM")?;
            // The two possible places differ only for who reads more than the last name of the link.
            let place = if kernel_text::driver(devices, id).is_some() || subsystem == "pci" {
                "bus"
            } else {
                "class"
            };
            let from = format!("/sys{}/subsystem", devices.path(id));
            Some(Found::MadeLink(kernel_text::relative(&from, &format!("/sys/{place}/{subsystem}"))))
        }
        "driver" => {
            let (driver, subsystem) = (kernel_text::driver(devices, id)?, devices.property(id, "SUBSYSTEM")?);
            let from = format!("/sys{}/driver", devices.path(id));
            Some(Found::MadeLink(kernel_text::relative(
                &from,
                &format!("/sys/bus/{subsystem}/drivers/{driver}"),
            )))
        }
        _ => kernel_text::identity_text(devices, id, name).map(Found::Made),
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
    let plain = path.strip_prefix('/').is_some_and(crate::dump::is_plain_path);
    if plain {
        return path.to_owned();
    }
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
