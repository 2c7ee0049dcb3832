//! Processes that hold devices: their folders below /proc.

use std::fmt::Write as _;

use gpuvirt_host::DeviceNumber;

use crate::files::Node;
use crate::kernel::Kernel;

/// A process of the fake host.
#[derive(Debug, Clone)]
pub struct Process {
    pid: u32,
    command: String,
    opened: Vec<Opened>,
    mapped: Vec<Opened>,
    cgroup: String,
}

/// A device that a process uses: the node on the host, and the path by which the process knows it.
#[derive(Debug, Clone)]
struct Opened {
    node: String,
    shown: String,
}

impl Process {
    /// A process without files.
    pub fn new(pid: u32, command: &str) -> Self {
        let cgroup = "0::/system.slice\n".to_owned();
        Self { pid, command: command.to_owned(), opened: Vec::new(), mapped: Vec::new(), cgroup }
    }

    /// Has a device node open.
    #[must_use]
    pub fn opens(self, node: &str) -> Self {
        self.opens_as(node, node)
    }

    /// Has a device node open under another name, as in a container.
    #[must_use]
    pub fn opens_as(mut self, node: &str, shown: &str) -> Self {
        self.opened.push(Opened { node: node.to_owned(), shown: shown.to_owned() });
        self
    }

    /// Has mapped a device node and closed its descriptor.
    #[must_use]
    pub fn maps(mut self, node: &str) -> Self {
        self.mapped.push(Opened { node: node.to_owned(), shown: node.to_owned() });
        self
    }

    /// Runs in this cgroup, e.g. `/system.slice/docker-<id>.scope`.
    #[must_use]
    pub fn in_cgroup(mut self, path: &str) -> Self {
        self.cgroup = format!("0::{path}\n");
        self
    }
}

impl Kernel {
    pub(crate) fn start(&mut self, process: Process) {
        self.end(process.pid);
        let at = format!("/proc/{}", process.pid);
        self.files.put_text(&format!("{at}/comm"), format!("{}\n", process.command));
        self.files.put_link(&format!("{at}/exe"), &format!("/usr/bin/{}", process.command));
        self.files.put_text(&format!("{at}/cgroup"), process.cgroup.clone());
        self.files.put_folder(&format!("{at}/fd"));
        self.files.put_folder(&format!("{at}/map_files"));
        for (fd, opened) in process.opened.iter().enumerate() {
            let node = Node::OpenFile(opened.shown.clone(), self.number_of(&opened.node));
            self.files.put(&format!("{at}/fd/{}", fd + 3), node);
        }
        let mut maps = String::new();
        for (index, mapped) in process.mapped.iter().enumerate() {
            let number = self.number_of(&mapped.node);
            let (start, end) = (0x7f00_0000_0000 + (index << 20), 0x7f00_0010_0000 + (index << 20));
            let inode = number.map_or(1, |number| number.major * 4096 + number.minor);
            // The numbers in this column are of the file system that holds the node, not the device's.
            let _ =
                writeln!(maps, "{start:x}-{end:x} rw-s 00000000 00:06 {} {:>18}{}", inode, "", mapped.shown);
            let node = Node::OpenFile(mapped.shown.clone(), number);
            self.files.put(&format!("{at}/map_files/{start:x}-{end:x}"), node);
        }
        self.files.put_text(&format!("{at}/maps"), maps);
        self.processes.insert(process.pid, process);
    }

    pub(crate) fn end(&mut self, pid: u32) {
        if self.processes.remove(&pid).is_some() {
            self.files.take(&format!("/proc/{pid}"));
        }
    }

    fn number_of(&self, node: &str) -> Option<DeviceNumber> {
        match self.files.get(&self.files.resolve(node, true).ok()?) {
            Some(Node::Device(number)) => *number,
            _ => None,
        }
    }

    /// Whether any process has a node open or mapped.
    pub(crate) fn is_open(&self, node: &str) -> bool {
        self.processes
            .values()
            .flat_map(|process| process.opened.iter().chain(&process.mapped))
            .any(|opened| opened.node == node)
    }
}
