//! Processes that hold devices: their folders below /proc.

use std::fmt::Write as _;

use gpuvirt_host::DeviceNumber;

use crate::files::Node;
use crate::state::{Kernel, Process};

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
