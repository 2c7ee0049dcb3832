//! What the files of a new virtual function hold.

use gpuvirt_model::PciAddress;

use crate::state::Kernel;

/// The memory window of each virtual function, one behind the other.
const WINDOWS: u64 = 0xc0_4000_0000;
const WINDOW: u64 = 0x4000;
/// A 64-bit prefetchable memory window, as `resource` flags it.
const WINDOW_FLAGS: u64 = 0x0014_220c;
/// Regions of a function that `resource` lists.
const REGIONS: usize = 13;

impl Kernel {
    /// Names and texts: most are the physical function's, the rest as Linux 6.12 shows them for an igb.
    pub(crate) fn vf_texts(
        &self,
        physfn: PciAddress,
        vf: PciAddress,
        index: u16,
    ) -> Vec<(&'static str, String)> {
        let copied = |name: &str| self.text_of(physfn, name).unwrap_or_default() + "\n";
        let device = self.text_of(physfn, "sriov_vf_device").unwrap_or_default();
        let modalias = self.vf_modalias(physfn, &device);
        let start = WINDOWS + WINDOW * u64::from(index);
        let window = format!("0x{start:016x} 0x{:016x} 0x{WINDOW_FLAGS:016x}\n", start + WINDOW - 1);
        let empty = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n".repeat(REGIONS - 1);
        let own = [
            ("uevent", self.vf_uevent(physfn, vf, &device) + &format!("MODALIAS={modalias}\n")),
            ("device", format!("0x{device:0>4}\n")),
            ("modalias", modalias + "\n"),
            ("resource", window + &empty),
        ];
        let fixed = [
            ("driver_override", "(null)\n"),
            ("enable", "0\n"),
            ("irq", "0\n"),
            ("d3cold_allowed", "0\n"),
            ("ari_enabled", "1\n"),
            ("msi_bus", "1\n"),
            ("power_state", "unknown\n"),
            ("power/control", "on\n"),
            ("power/runtime_status", "active\n"),
            ("reset_method", "flr\n"),
        ];
        let of_physfn = [
            "vendor",
            "subsystem_vendor",
            "subsystem_device",
            "class",
            "revision",
            "numa_node",
            "local_cpulist",
        ];
        let of_physfn = of_physfn.map(|name| (name, copied(name)));
        let fixed = fixed.map(|(name, text)| (name, text.to_owned()));
        own.into_iter().chain(of_physfn).chain(fixed).collect()
    }

    /// An id's digits as uevents write them.
    fn digits(&self, function: PciAddress, name: &str) -> String {
        self.text_of(function, name).unwrap_or_default().trim_start_matches("0x").to_uppercase()
    }

    fn vf_modalias(&self, physfn: PciAddress, device: &str) -> String {
        let id = |name| self.digits(physfn, name);
        let class = self.id_of(physfn, "class").unwrap_or(0);
        format!(
            "pci:v{:0>8}d{:0>8}sv{:0>8}sd{:0>8}bc{:02X}sc{:02X}i{:02x}",
            id("vendor"),
            device.to_uppercase(),
            id("subsystem_vendor"),
            id("subsystem_device"),
            class >> 16,
            class >> 8 & 0xff,
            class & 0xff
        )
    }

    fn vf_uevent(&self, physfn: PciAddress, vf: PciAddress, device: &str) -> String {
        let id = |name| self.digits(physfn, name);
        format!(
            "PCI_CLASS={:X}\nPCI_ID={}:{:0>4}\nPCI_SUBSYS_ID={}:{}\nPCI_SLOT_NAME={vf}\n",
            self.id_of(physfn, "class").unwrap_or(0),
            id("vendor"),
            device.to_uppercase(),
            id("subsystem_vendor"),
            id("subsystem_device")
        )
    }
}
