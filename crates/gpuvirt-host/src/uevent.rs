//! Uevents: the kernel's word that a device came, went, or got another driver.
//!
//! They say that something changed, never how things are now: whoever hears one looks again. Writes to attributes
//! (`sriov_numvfs`, `driver_override`, a vGPU's type) send none.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use gpuvirt_model::PciAddress;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt, socket, sockopt,
};
use uuid::Uuid;

/// The kernel's own multicast group; udev's is the second.
const KERNEL_GROUP: u32 = 1;
/// The largest uevent: the kernel's buffer for its variables is 2 KiB (`UEVENT_BUFFER_SIZE`), the path comes on top.
const LARGEST: usize = 8192;
/// What the kernel keeps for us while we are busy, in bytes. A card with hundreds of functions that is unplugged fits.
const BUFFER: usize = 1 << 20;

/// What happened to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `remove`, `bind`, `unbind`, `change`, ...
    pub action: String,
    /// `pci`, `mdev`, `vfio`, ...
    pub subsystem: String,
    /// The PCI function, of an event about one.
    pub function: Option<PciAddress>,
    /// The mediated device, of an event about one.
    pub mdev: Option<Uuid>,
    /// The driver, where the event names one.
    pub driver: Option<String>,
    /// The kernel's number of it: they rise, and [`crate::LinuxHost::last_event`] is the last one's.
    pub number: Option<u64>,
    /// Nothing happened: somebody wrote to a `uevent` file, as `udevadm trigger` does.
    pub made_up: bool,
}

impl Uevent {
    /// Reads a datagram of the kernel's: `action@devpath`, then `NAME=VALUE` texts, each ended by a zero byte
    /// (lib/kobject_uevent.c). None where it is none, or makes no sense.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let mut texts = datagram.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
        let (action, devpath) = texts.next()?.split_once('@')?;
        let mut event = Self {
            action: action.to_owned(),
            subsystem: String::new(),
            function: None,
            mdev: None,
            driver: None,
            number: None,
            made_up: false,
        };
        for (name, value) in texts.filter_map(|text| text.split_once('=')) {
            match name {
                "SUBSYSTEM" => event.subsystem = value.to_owned(),
                "PCI_SLOT_NAME" => event.function = PciAddress::parse(value).ok(),
                "DRIVER" => event.driver = Some(value.to_owned()),
                "SEQNUM" => event.number = value.parse().ok(),
                // The kernel's own have none (kobject_synth_uevent in lib/kobject_uevent.c).
                "SYNTH_UUID" => event.made_up = true,
                _ => {}
            }
        }
        if event.subsystem == "mdev" {
            event.mdev = devpath.rsplit('/').next().and_then(|name| Uuid::try_parse(name).ok());
        }
        (!event.subsystem.is_empty()).then_some(event)
    }

    /// Whether it can change what we show of a host: functions, their drivers, mediated devices, VFIO's nodes, and the
    /// nodes of graphics and sound drivers.
    pub fn matters(&self) -> bool {
        const SUBSYSTEMS: [&str; 9] =
            ["pci", "mdev", "vfio", "vfio-dev", "iommu", "drm", "graphics", "sound", "module"];
        SUBSYSTEMS.contains(&self.subsystem.as_str())
    }
}

/// What came from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Uevent),
    /// Nothing of use.
    Nothing,
    /// Events were lost, for they came faster than they were read: anything may have changed.
    Overrun,
}

/// A socket on which the kernel's uevents arrive.
#[derive(Debug)]
pub struct UeventSocket(OwnedFd);

impl UeventSocket {
    /// Opens it. Everybody may listen.
    ///
    /// # Errors
    /// The errno of socket or bind: EAFNOSUPPORT where netlink is closed to us.
    pub fn open() -> io::Result<Self> {
        let (family, protocol) = (AddressFamily::Netlink, SockProtocol::NetlinkKObjectUEvent);
        let fd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, protocol)?;
        // More than rmem_max takes CAP_NET_ADMIN; with less there are overruns earlier, and they are noticed.
        let _ = setsockopt(&fd, sockopt::RcvBuf, &BUFFER);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self(fd))
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// The errno of recvfrom.
    pub fn wait(&self) -> io::Result<Heard> {
        let mut buffer = [0; LARGEST];
        match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
            Ok((length, sender)) => {
                // Any process may send to us directly; the kernel's own port is 0.
                let of_kernel = sender.is_some_and(|sender| sender.pid() == 0);
                let event = buffer.get(..length).filter(|_| of_kernel).and_then(Uevent::parse);
                Ok(event.map_or(Heard::Nothing, Heard::Event))
            }
            Err(Errno::EINTR) => Ok(Heard::Nothing),
            Err(Errno::ENOBUFS) => Ok(Heard::Overrun),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_takes_a_function_is_understood() {
        let text = b"bind@/devices/pci0000:00/0000:00:01.0/0000:41:00.0\0ACTION=bind\0\
            DEVPATH=/devices/pci0000:00/0000:00:01.0/0000:41:00.0\0SUBSYSTEM=pci\0DRIVER=vfio-pci\0\
            PCI_SLOT_NAME=0000:41:00.0\0SEQNUM=1234\0";
        let event = Uevent::parse(text).unwrap();
        assert_eq!(event.action, "bind");
        assert_eq!(event.function, PciAddress::parse("0000:41:00.0").ok());
        assert_eq!(event.driver.as_deref(), Some("vfio-pci"));
        assert_eq!((event.number, event.made_up), (Some(1234), false));
        assert!(event.matters());
    }

    #[test]
    fn an_event_that_somebody_made_up_is_told_from_the_kernels() {
        let text = b"add@/devices/pci0000:00/0000:41:00.0\0ACTION=add\0SUBSYSTEM=pci\0SYNTH_UUID=0\0\
            PCI_SLOT_NAME=0000:41:00.0\0SEQNUM=7\0";
        assert!(Uevent::parse(text).unwrap().made_up);
    }

    #[test]
    fn a_mediated_device_is_named_by_its_path() {
        let uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
        let text = format!("remove@/devices/pci0000:00/0000:41:00.0/{uuid}\0SUBSYSTEM=mdev\0SEQNUM=1\0");
        assert_eq!(Uevent::parse(text.as_bytes()).unwrap().mdev, Uuid::try_parse(uuid).ok());
    }

    #[test]
    fn what_is_no_event_of_the_kernels_is_nothing() {
        for text in [&b""[..], b"\0", b"libudev\0\xfe\xed\xca\xfe", b"add@/x\0", b"\xff@\0SUBSYSTEM=pci\0"] {
            assert_eq!(Uevent::parse(text), None, "{text:?}");
        }
        assert!(!Uevent::parse(b"add@/x\0SUBSYSTEM=net\0").unwrap().matters());
    }
}
