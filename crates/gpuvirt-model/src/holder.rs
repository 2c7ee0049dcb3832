//! Who holds a card: what unbinding would hang on, crash or take away.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Unknown;

/// Everybody who was seen holding a device, and whether more may be hidden from us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Holders {
    /// Those seen.
    pub seen: Vec<Holder>,
    /// Why there may be more than those seen; none: the list is whole.
    pub unseen: Option<Unknown>,
}

/// One holder of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Holder {
    /// A process with the device's node open or mapped.
    Process {
        /// Process id, in the host's pid namespace.
        pid: u32,
        /// `comm`: its short name.
        command: String,
        /// How it holds the device.
        via: Via,
        /// The container that it runs in, by runtime and id, where its cgroup tells.
        container: Option<String>,
    },
    /// The kernel's console draws on it, without any process.
    Console {
        /// The framebuffer, e.g. `fb0`.
        framebuffer: String,
        /// The framebuffer's driver, e.g. `bochs-drmdrmfb`, `EFI VGA`.
        driver: String,
    },
    /// A kernel-side DRM client.
    DrmClient {
        /// The DRM node, e.g. `card0`.
        node: String,
        /// The client's name.
        name: String,
    },
    /// A sound stream that is open.
    Sound {
        /// The stream, e.g. `card0/pcm3p/sub0`.
        stream: String,
        /// Its owner's pid, where it has one.
        pid: Option<u32>,
    },
    /// A device on the card's own USB controller, which vanishes with it: a keyboard, a disk.
    UsbDevice {
        /// The kernel's name of it, e.g. `3-1`.
        device: String,
        /// What it says that it is; its ids where it says nothing.
        name: String,
    },
    /// A running VM.
    Domain {
        /// libvirt's name of it.
        name: String,
        /// Its uuid.
        uuid: Uuid,
    },
}

/// How a process holds a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "by", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Via {
    /// An open file descriptor.
    Fd {
        /// Its number.
        fd: u32,
        /// The path that the process opened, as it sees it.
        path: String,
    },
    /// A memory mapping without a descriptor.
    Mapping {
        /// The path that was mapped, as the process sees it.
        path: String,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, command, via, container } => {
                write!(f, "process {pid} ({command}), ")?;
                match via {
                    Via::Fd { fd, path } => write!(f, "fd {fd} on {path}")?,
                    Via::Mapping { path } => write!(f, "which maps {path}")?,
                }
                container.as_ref().map_or(Ok(()), |name| write!(f, ", in container {name}"))
            }
            Self::Console { framebuffer, driver } => write!(f, "the console on {framebuffer} ({driver})"),
            Self::DrmClient { node, name } => write!(f, "DRM client {name} on {node}"),
            Self::Sound { stream, pid: Some(pid) } => write!(f, "sound stream {stream} of process {pid}"),
            Self::Sound { stream, pid: None } => write!(f, "sound stream {stream}"),
            Self::UsbDevice { device, name } => write!(f, "USB device {device} ({name})"),
            Self::Domain { name, .. } => write!(f, "VM {name}"),
        }
    }
}
