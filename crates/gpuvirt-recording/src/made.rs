//! Made-up hosts, written as umockdev dumps: for tests, for benchmarks, and as what a fake kernel starts from.
//!
//! Nothing here is copied from a machine: ids are real where a card must be recognised, everything else is made.

use std::fmt::Write as _;

use gpuvirt_model::PciAddress;

use crate::escape;
use crate::kernel_text::relative;

/// A host under construction: devices in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct MadeHost {
    blocks: Vec<String>,
}

impl MadeHost {
    /// A host without devices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a PCI function with its children.
    #[must_use]
    pub fn function(mut self, function: &MadeFunction) -> Self {
        self.blocks.push(function.device.text());
        self.blocks.extend(function.children.iter().map(MadeDevice::text));
        self
    }

    /// Adds any other device.
    #[must_use]
    pub fn device(mut self, device: &MadeDevice) -> Self {
        self.blocks.push(device.text());
        self
    }

    /// The dump.
    pub fn dump(&self) -> String {
        self.blocks.join("\n")
    }
}

/// Any device.
#[derive(Debug, Clone)]
pub struct MadeDevice {
    path: String,
    node: Option<String>,
    properties: Vec<(String, String)>,
    lines: Vec<(String, String)>,
}

impl MadeDevice {
    /// A device with its path below /sys (`/devices/...`) and subsystem.
    pub fn new(path: &str, subsystem: &str) -> Self {
        let properties = vec![("SUBSYSTEM".to_owned(), subsystem.to_owned())];
        Self { path: path.to_owned(), node: None, properties, lines: Vec::new() }
    }

    /// Its path below /sys.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A property of its `uevent` file.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A text attribute. An earlier one of the name is replaced.
    #[must_use]
    pub fn text_attribute(self, name: &str, text: &str) -> Self {
        let line = format!("A: {name}={}", escape::escape(text.as_bytes()));
        self.line(name, line)
    }

    /// A binary attribute.
    #[must_use]
    pub fn bytes_attribute(self, name: &str, bytes: &[u8]) -> Self {
        let line = format!("H: {name}={}", escape::hex(bytes));
        self.line(name, line)
    }

    /// A link to an absolute path.
    #[must_use]
    pub fn link(self, name: &str, target: &str) -> Self {
        let line = format!("L: {name}={}", relative(&format!("/sys{}/{name}", self.path), target));
        self.line(name, line)
    }

    /// Its device node below /dev.
    #[must_use]
    pub fn node(mut self, name: &str, major: u32, minor: u32) -> Self {
        self.node = Some(name.to_owned());
        self.property("DEVNAME", name)
            .property("MAJOR", &major.to_string())
            .property("MINOR", &minor.to_string())
            .text_attribute("dev", &format!("{major}:{minor}\n"))
    }

    fn line(mut self, name: &str, line: String) -> Self {
        self.lines.retain(|(key, _)| key != name);
        self.lines.push((name.to_owned(), line));
        self
    }

    fn text(&self) -> String {
        let mut text = format!("P: {}\n", self.path);
        if let Some(node) = &self.node {
            let _ = writeln!(text, "N: {node}");
        }
        let mut properties = self.properties.clone();
        properties.sort();
        for (key, value) in properties {
            let _ = writeln!(text, "E: {key}={value}");
        }
        let mut lines: Vec<_> = self.lines.iter().collect();
        lines.sort();
        for (_, line) in lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// What a PCI function is.
#[derive(Debug, Clone, Copy)]
pub struct MadeIdentity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Subsystem vendor and device.
    pub subsystem: (u16, u16),
    /// Class code.
    pub class: u32,
}

/// A PCI function with every file that a live host shows for one.
#[derive(Debug, Clone)]
pub struct MadeFunction {
    device: MadeDevice,
    children: Vec<MadeDevice>,
    identity: MadeIdentity,
    bars: Vec<(u64, u64, u64)>,
}

impl MadeFunction {
    /// A function below a bridge, whose path below /sys is given: `/devices/pci0000:00/0000:00:01.0`.
    pub fn new(bridge: &str, address: PciAddress, identity: MadeIdentity) -> Self {
        let MadeIdentity { vendor, device, subsystem: (sub_vendor, sub_device), class } = identity;
        let modalias = format!(
            "pci:v{vendor:08X}d{device:08X}sv{sub_vendor:08X}sd{sub_device:08X}bc{:02X}sc{:02X}i{:02x}",
            class >> 16 & 0xff,
            class >> 8 & 0xff,
            class & 0xff
        );
        let made = MadeDevice::new(&format!("{bridge}/{address}"), "pci")
            .property("PCI_CLASS", &format!("{class:X}"))
            .property("PCI_ID", &format!("{vendor:04X}:{device:04X}"))
            .property("PCI_SUBSYS_ID", &format!("{sub_vendor:04X}:{sub_device:04X}"))
            .property("PCI_SLOT_NAME", &address.to_string())
            .property("MODALIAS", &modalias)
            .text_attribute("vendor", &format!("0x{vendor:04x}\n"))
            .text_attribute("device", &format!("0x{device:04x}\n"))
            .text_attribute("subsystem_vendor", &format!("0x{sub_vendor:04x}\n"))
            .text_attribute("subsystem_device", &format!("0x{sub_device:04x}\n"))
            .text_attribute("class", &format!("0x{class:06x}\n"))
            .text_attribute("revision", "0x01\n")
            .text_attribute("modalias", &format!("{modalias}\n"))
            .text_attribute("driver_override", "(null)\n")
            .text_attribute("enable", "1\n")
            .text_attribute("irq", "0\n")
            .text_attribute("numa_node", "-1\n")
            .text_attribute("local_cpulist", "0-3\n")
            .text_attribute("d3cold_allowed", "1\n")
            .text_attribute("msi_bus", "1\n")
            .text_attribute("ari_enabled", "0\n")
            .text_attribute("broken_parity_status", "0\n")
            .text_attribute("dma_mask_bits", "32\n")
            .text_attribute("consistent_dma_mask_bits", "32\n")
            .text_attribute("power_state", "D0\n")
            .text_attribute("power/control", "on\n")
            .text_attribute("power/runtime_status", "active\n")
            .text_attribute("remove", "")
            .text_attribute("rescan", "");
        let bridge = class >> 16 == 6;
        let header = Self { device: made, children: Vec::new(), identity, bars: Vec::new() };
        let header = if bridge { header } else { header.reset("flr bus") };
        let header = if class >> 8 == 0x0300 { header.attribute("boot_vga", "0\n") } else { header };
        header.config(256).resource()
    }

    /// Vendor's and device's names, as udev's hardware database has them.
    #[must_use]
    pub fn names(mut self, vendor: &str, device: &str) -> Self {
        self.device = self
            .device
            .property("ID_VENDOR_FROM_DATABASE", vendor)
            .property("ID_MODEL_FROM_DATABASE", device);
        self
    }

    /// The host's driver for it.
    #[must_use]
    pub fn driver(mut self, driver: &str) -> Self {
        self.device =
            self.device.property("DRIVER", driver).link("driver", &format!("/sys/bus/pci/drivers/{driver}"));
        self
    }

    /// Its IOMMU group.
    #[must_use]
    pub fn group(self, group: u32) -> Self {
        self.link("iommu_group", &format!("/sys/kernel/iommu_groups/{group}"))
    }

    /// A text attribute, replacing the usual one.
    #[must_use]
    pub fn attribute(mut self, name: &str, text: &str) -> Self {
        self.device = self.device.text_attribute(name, text);
        self
    }

    /// A link to an absolute path.
    #[must_use]
    pub fn link(mut self, name: &str, target: &str) -> Self {
        self.device = self.device.link(name, target);
        self
    }

    /// Its reset methods, as `reset_method` shows them.
    #[must_use]
    pub fn reset(self, methods: &str) -> Self {
        self.attribute("reset_method", &format!("{methods}\n")).attribute("reset", "")
    }

    /// A 64-bit prefetchable memory window.
    #[must_use]
    pub fn bar(mut self, index: usize, size: u64) -> Self {
        while self.bars.len() <= index {
            self.bars.push((0, 0, 0));
        }
        // Windows that do not overlap within a function; nothing decodes them.
        let start = 0x38_0000_0000 + ((index as u64) << 36);
        if let Some(bar) = self.bars.get_mut(index) {
            *bar = (start, start + size.saturating_sub(1), 0x0014_220c);
        }
        self.resource()
    }

    /// Config space of this many bytes: a true header, zeroes behind it.
    #[must_use]
    pub fn config(mut self, bytes: usize) -> Self {
        let MadeIdentity { vendor, device, subsystem, class } = self.identity;
        let mut config = vec![0_u8; bytes.max(64)];
        let words =
            [(0x00, vendor), (0x02, device), (0x2c, subsystem.0), (0x2e, subsystem.1), (0x04, 0x0007)];
        for (at, word) in words {
            if let Some(place) = config.get_mut(at..at + 2) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        let [low, middle, high, _] = class.to_le_bytes();
        if let Some(place) = config.get_mut(0x08..0x0c) {
            place.copy_from_slice(&[1, low, middle, high]);
        }
        if let Some(header) = config.get_mut(0x0e) {
            *header = u8::from(high == 6);
        }
        self.device = self.device.bytes_attribute("config", &config);
        self
    }

    /// SR-IOV: `total` virtual functions, of which those in `vfs` exist; `stride` functions apart.
    #[must_use]
    pub fn sriov(self, total: u16, vfs: &[String]) -> Self {
        let mut pf = self
            .attribute("sriov_totalvfs", &format!("{total}\n"))
            .attribute("sriov_numvfs", &format!("{}\n", vfs.len()))
            .attribute("sriov_drivers_autoprobe", "1\n")
            .attribute("sriov_offset", "4\n")
            .attribute("sriov_stride", "1\n")
            .attribute("sriov_vf_device", "1db4\n")
            .attribute("sriov_vf_total_msix", "0\n");
        for (number, vf) in vfs.iter().enumerate() {
            pf = pf.link(&format!("virtfn{number}"), vf);
        }
        pf
    }

    /// A DRM node of it: `card0`, `renderD128`.
    #[must_use]
    pub fn drm(mut self, name: &str, minor: u32) -> Self {
        let node = MadeDevice::new(&format!("{}/drm/{name}", self.device.path), "drm")
            .property("DEVTYPE", "drm_minor")
            .node(&format!("dri/{name}"), 226, minor)
            .link("device", &format!("/sys{}", self.device.path));
        self.children.push(node);
        self
    }

    /// Any other child; its path must be below the function's.
    #[must_use]
    pub fn child(mut self, child: MadeDevice) -> Self {
        self.children.push(child);
        self
    }

    /// The path below /sys.
    pub fn path(&self) -> &str {
        self.device.path()
    }

    fn resource(self) -> Self {
        let mut text = String::new();
        for index in 0..13 {
            let (start, end, flags) = self.bars.get(index).copied().unwrap_or_default();
            let _ = writeln!(text, "0x{start:016x} 0x{end:016x} 0x{flags:016x}");
        }
        self.attribute("resource", &text)
    }
}

/// A host with `functions` PCI functions, a GPU with its audio function in every eighth slot, and 4 KiB of config
/// space for each: the same text for the same number.
pub fn many_functions(functions: usize) -> String {
    let mut host = MadeHost::new();
    let mut ports = Vec::new();
    for number in 0..functions {
        let place = u32::try_from(number).unwrap_or(u32::MAX);
        let (slot_number, function) = (place / 4, u8::try_from(place % 4).unwrap_or_default());
        let domain = slot_number / 240;
        let bus = u8::try_from(slot_number % 240 + 1).unwrap_or(1);
        let port =
            format!("/devices/pci{domain:04x}:00/{domain:04x}:00:{:02x}.{:x}", (bus - 1) / 8, (bus - 1) % 8);
        if !ports.contains(&port) {
            let address = PciAddress { domain, bus: 0, slot: (bus - 1) / 8, function: (bus - 1) % 8 };
            let bridge = MadeIdentity { vendor: 0x8086, device: 0x352a, subsystem: (0, 0), class: 0x06_0400 };
            let root = format!("/devices/pci{domain:04x}:00");
            let made =
                MadeFunction::new(&root, address, bridge).driver("pcieport").group(10_000 + slot_number);
            host = host.function(&made);
            ports.push(port.clone());
        }
        let address = PciAddress { domain, bus, slot: 0, function };
        host = host.function(&some_function(&port, address, slot_number));
    }
    host.dump()
}

fn some_function(port: &str, address: PciAddress, slot: u32) -> MadeFunction {
    let gpu = slot % 8 == 0;
    let (vendor, device, class, driver) = match (gpu, address.function) {
        (true, 0) => (0x10de, 0x2235, 0x03_0200, Some("nvidia")),
        (true, 1) => (0x10de, 0x1aef, 0x04_0300, Some("snd_hda_intel")),
        (_, 2) => (0x8086, 0x1592, 0x02_0000, Some("ice")),
        (_, 3) => (0x144d, 0xa80a, 0x01_0802, Some("nvme")),
        _ => (0x8086, 0x0b60, 0x08_8000, None),
    };
    let identity = MadeIdentity { vendor, device, subsystem: (0x10de, 0x145a), class };
    let group = if gpu && address.function < 2 { slot * 4 } else { slot * 4 + u32::from(address.function) };
    let made = MadeFunction::new(port, address, identity).group(group).config(4096).bar(0, 16 << 20);
    let made = if gpu && address.function == 0 { made.bar(1, 64 << 30) } else { made };
    driver.map_or(made.clone(), |driver| made.driver(driver))
}
