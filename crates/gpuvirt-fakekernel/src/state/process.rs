//! Processes that hold devices.

/// A process of the fake host.
#[derive(Debug, Clone)]
pub struct Process {
    pub(crate) pid: u32,
    pub(crate) command: String,
    pub(crate) opened: Vec<Opened>,
    pub(crate) mapped: Vec<Opened>,
    pub(crate) cgroup: String,
}

/// A device that a process uses: the node on the host, and the path by which the process knows it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) node: String,
    pub(crate) shown: String,
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
