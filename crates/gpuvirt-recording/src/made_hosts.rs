//! The made-up hosts of `tests/hosts`, each a kind of machine that people have.

use crate::made::{MadeDevice, MadeFunction, MadeHost, MadeIdentity};
use gpuvirt_model::PciAddress;

pub(crate) const ROOT: &str = "/devices/pci0000:00";

pub(crate) const fn identity(vendor: u16, device: u16, class: u32) -> MadeIdentity {
    MadeIdentity { vendor, device, subsystem: (vendor, 0x1100), class }
}

pub(crate) const fn address(bus: u8, slot: u8, function: u8) -> PciAddress {
    PciAddress { domain: 0, bus, slot, function }
}

pub(crate) fn host_bridge() -> MadeFunction {
    MadeFunction::new(ROOT, address(0, 0, 0), identity(0x8086, 0x29c0, 0x06_0000))
}

fn root_port(slot: u8, bus: u8, group: u32) -> MadeFunction {
    let port = MadeFunction::new(ROOT, address(0, slot, 0), identity(0x8086, 0x1901, 0x06_0400));
    let bus = MadeDevice::new(&format!("{}/pci_bus/0000:{bus:02x}", port.path()), "pci_bus");
    port.driver("pcieport").group(group).child(bus)
}

/// An Intel IOMMU, so that `/sys/class/iommu` is not empty.
fn iommu() -> MadeDevice {
    MadeDevice::new("/devices/virtual/iommu/dmar0", "iommu")
        .text_attribute("intel-iommu/address", "fed90000\n")
        .text_attribute("intel-iommu/cap", "d2008c40660462\n")
        .text_attribute("intel-iommu/ecap", "f050da\n")
        .text_attribute("intel-iommu/version", "1:0\n")
}

/// The text consoles: the dummy, and the one that draws on a frame buffer.
pub(crate) fn consoles(host: MadeHost, framebuffer: bool) -> MadeHost {
    let console = |number: u32, name: &str, bound: bool| {
        MadeDevice::new(&format!("/devices/virtual/vtconsole/vtcon{number}"), "vtconsole")
            .text_attribute("name", name)
            .text_attribute("bind", if bound { "1\n" } else { "0\n" })
    };
    let host = host.device(&console(0, "(S) dummy device\n", !framebuffer));
    if framebuffer { host.device(&console(1, "(M) frame buffer device\n", true)) } else { host }
}

pub(crate) fn framebuffer(function: &MadeFunction, name: &str) -> MadeDevice {
    MadeDevice::new(&format!("{}/graphics/fb0", function.path()), "graphics")
        .node("fb0", 29, 0)
        .text_attribute("name", name)
        .link("device", &format!("/sys{}", function.path()))
}

/// The HD audio function that a graphics card brings along, with its sound card.
fn audio(port: &str, address: PciAddress, vendor: u16, card: u32) -> MadeFunction {
    let made = MadeFunction::new(port, address, identity(vendor, 0x1aef, 0x04_0300))
        .names("NVIDIA Corporation", "GA102 High Definition Audio Controller")
        .driver("snd_hda_intel");
    let path = format!("{}/sound/card{card}", made.path());
    let link = format!("/sys{}", made.path());
    let sound = MadeDevice::new(&path, "sound").link("device", &link).text_attribute("id", "HDMI\n");
    let control = MadeDevice::new(&format!("{path}/controlC{card}"), "sound").node(
        &format!("snd/controlC{card}"),
        116,
        card,
    );
    made.child(sound).child(control)
}

/// A virtual machine's emulated card: no IOMMU, the console draws on it.
pub fn emulated_card() -> MadeHost {
    let card = MadeFunction::new(ROOT, address(0, 1, 0), identity(0x1234, 0x1111, 0x03_0000))
        .names("QEMU", "Emulated display adapter")
        .driver("bochs-drm")
        .attribute("boot_vga", "1\n")
        .reset("pm")
        .bar(0, 16 << 20)
        .drm("card0", 0);
    let card = card.clone().child(framebuffer(&card, "bochs-drmdrmfb\n"));
    let disk =
        MadeFunction::new(ROOT, address(0, 2, 0), identity(0x1af4, 0x1042, 0x01_0000)).driver("virtio-pci");
    consoles(MadeHost::new().function(&host_bridge()).function(&card).function(&disk), true)
}

/// A laptop whose panel hangs on the processor's graphics; the discrete card shares its group with its root port.
pub fn muxed_laptop() -> MadeHost {
    let inner = MadeFunction::new(ROOT, address(0, 2, 0), identity(0x8086, 0x3e9b, 0x03_0000))
        .names("Intel Corporation", "CoffeeLake-H GT2 [UHD Graphics 630]")
        .driver("i915")
        .group(0)
        .attribute("boot_vga", "1\n")
        .reset("flr")
        .bar(2, 256 << 20)
        .drm("card0", 0)
        .drm("renderD128", 128);
    let inner = inner.clone().child(framebuffer(&inner, "i915drmfb\n"));
    let port = root_port(1, 1, 1);
    let card = MadeFunction::new(port.path(), address(1, 0, 0), identity(0x10de, 0x1f91, 0x03_0000))
        .names("NVIDIA Corporation", "TU117M [GeForce GTX 1650 Mobile / Max-Q]")
        .driver("nouveau")
        .group(1)
        .reset("bus")
        .bar(1, 256 << 20)
        .attribute("power_state", "D3cold\n")
        .attribute("power/control", "auto\n")
        .attribute("power/runtime_status", "suspended\n")
        .drm("card1", 1)
        .drm("renderD129", 129);
    let sound = audio(port.path(), address(1, 0, 1), 0x10de, 1).group(1);
    let host = MadeHost::new().device(&iommu()).function(&host_bridge().group(2)).function(&inner);
    consoles(host.function(&port).function(&card).function(&sound), true)
}

/// A homelab: two cards of the same make, each with its audio function; the first shows the firmware's picture.
pub fn two_gpus() -> MadeHost {
    let mut host = MadeHost::new().device(&iommu()).function(&host_bridge().group(0));
    for slot in [1_u8, 2] {
        let group = 10 + u32::from(slot);
        let number = u32::from(slot) - 1;
        let port = root_port(slot, slot, u32::from(slot));
        let card = MadeFunction::new(port.path(), address(slot, 0, 0), identity(0x10de, 0x2204, 0x03_0000))
            .names("NVIDIA Corporation", "GA102 [GeForce RTX 3090]")
            .driver("nouveau")
            .group(group)
            .attribute("boot_vga", if slot == 1 { "1\n" } else { "0\n" })
            .attribute("numa_node", "0\n")
            .bar(0, 16 << 20)
            .bar(1, 32 << 30)
            .drm(&format!("card{number}"), number)
            .drm(&format!("renderD{}", 128 + number), 128 + number);
        let card = if slot == 1 { card.clone().child(framebuffer(&card, "nouveaudrmfb\n")) } else { card };
        let sound = audio(port.path(), address(slot, 0, 1), 0x10de, number).group(group);
        host = host.function(&port).function(&card).function(&sound);
    }
    let disk = MadeFunction::new(ROOT, address(0, 0x1d, 0), identity(0x144d, 0xa80a, 0x01_0802));
    consoles(host.function(&disk.driver("nvme").group(3)), true)
}

/// Type number, size in GiB, class letter: profiles of a 48 GiB card.
const PROFILES: [(u32, u32, char); 9] = [
    (558, 2, 'Q'),
    (560, 4, 'Q'),
    (563, 12, 'Q'),
    (565, 24, 'Q'),
    (566, 48, 'Q'),
    (573, 12, 'A'),
    (584, 12, 'C'),
    (586, 24, 'C'),
    (587, 48, 'C'),
];
const CARD_GIB: u32 = 48;
const UUIDS: [&str; 3] = [
    "11111111-2222-4333-8444-000000000001",
    "11111111-2222-4333-8444-000000000002",
    "11111111-2222-4333-8444-000000000003",
];

/// A vGPU server: an SR-IOV card with 16 virtual functions, each the parent of at most one mediated device; three
/// of 12 GiB are alive, so that only that size is still offered.
pub fn vgpu_host() -> MadeHost {
    let port = root_port(3, 0x41, 30);
    let vf = |number: u8| address(0x41, number.saturating_add(4) / 8, number.saturating_add(4) % 8);
    let paths: Vec<String> = (0..16).map(|n| format!("/sys{}/{}", port.path(), vf(n))).collect();
    let card = MadeFunction::new(port.path(), address(0x41, 0, 0), identity(0x10de, 0x2235, 0x03_0200))
        .names("NVIDIA Corporation", "GA102GL [A40]")
        .driver("nvidia")
        .group(66)
        .attribute("numa_node", "1\n")
        .bar(0, 16 << 20)
        .bar(1, 64 << 30)
        .sriov(32, &paths);
    let card_path = format!("/sys{}", card.path());
    let mut host = MadeHost::new().device(&iommu()).function(&host_bridge().group(0)).function(&port);
    host = host.function(&card);
    for number in 0..16_u8 {
        let mut made = MadeFunction::new(port.path(), vf(number), identity(0x10de, 0x2235, 0x03_0200))
            .driver("nvidia")
            .group(70 + u32::from(number))
            .attribute("numa_node", "1\n")
            .reset("flr")
            .link("physfn", &card_path);
        let uuid = UUIDS.get(usize::from(number));
        for (id, gib, class) in PROFILES {
            made = vgpu_type(made, (id, gib, class), uuid.is_none() && gib == 12);
        }
        if let Some(uuid) = uuid {
            let types = format!("/sys{}/mdev_supported_types/nvidia-563", made.path());
            let device = MadeDevice::new(&format!("{}/{uuid}", made.path()), "mdev")
                .property("DRIVER", "nvidia-vgpu-vfio")
                .property("MODALIAS", "mdev:vfio_mdev")
                .link("driver", "/sys/bus/mdev/drivers/nvidia-vgpu-vfio")
                .link("mdev_type", &types)
                .link("iommu_group", &format!("/sys/kernel/iommu_groups/{}", 120 + u32::from(number)))
                .text_attribute("remove", "")
                .text_attribute("nvidia/vgpu_params", "\n");
            made = made.child(device);
        }
        host = host.function(&made);
    }
    consoles(host, false)
}

fn vgpu_type(function: MadeFunction, (id, gib, class): (u32, u32, char), free: bool) -> MadeFunction {
    let folder = format!("mdev_supported_types/nvidia-{id}");
    let heads = if matches!(class, 'Q') { 4 } else { 1 };
    let resolution = if class == 'Q' { "7680x4320" } else { "4096x2400" };
    let description = format!(
        "num_heads={heads}, frl_config=60, framebuffer={}M, max_resolution={resolution}, max_instance={}\n",
        gib * 1024,
        CARD_GIB / gib
    );
    function
        .attribute(&format!("{folder}/name"), &format!("NVIDIA A40-{gib}{class}\n"))
        .attribute(&format!("{folder}/description"), &description)
        .attribute(&format!("{folder}/device_api"), "vfio-pci\n")
        .attribute(&format!("{folder}/available_instances"), if free { "1\n" } else { "0\n" })
        .attribute(&format!("{folder}/create"), "")
}

/// vGPU types as NVIDIA's driver lists them on a free virtual function.
const CREATABLE: &str = "ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n1149  : NVIDIA L40S-4Q\n\
                         1153  : NVIDIA L40S-12Q\n1156  : NVIDIA L40S-48Q\n1166  : NVIDIA L40S-48C\n";

/// A vGPU server of a kernel without mediated devices: a card with four virtual functions, each of which becomes a
/// vGPU by a type. None has one.
pub fn vgpu_types_host() -> MadeHost {
    let port = root_port(3, 0x26, 30);
    let vf = |number: u8| address(0x26, 0, number.saturating_add(4));
    let paths: Vec<String> = (0..4).map(|n| format!("/sys{}/{}", port.path(), vf(n))).collect();
    let ids = identity(0x10de, 0x26b9, 0x03_0200);
    let card = MadeFunction::new(port.path(), address(0x26, 0, 0), ids)
        .names("NVIDIA Corporation", "AD102GL [L40S]")
        .driver("nvidia")
        .group(66)
        .attribute("numa_node", "0\n")
        .bar(0, 16 << 20)
        .bar(1, 64 << 30)
        .sriov(32, &paths)
        .attribute("sriov_vf_device", "26b9\n");
    let card_path = format!("/sys{}", card.path());
    let mut host = MadeHost::new().device(&iommu()).function(&host_bridge().group(0)).function(&port);
    host = host.function(&card);
    for number in 0..4_u8 {
        let made = MadeFunction::new(port.path(), vf(number), ids)
            .driver("nvidia")
            .group(70 + u32::from(number))
            .attribute("numa_node", "0\n")
            .reset("flr")
            .link("physfn", &card_path)
            .attribute("nvidia/creatable_vgpu_types", CREATABLE)
            .attribute("nvidia/current_vgpu_type", "0\n")
            .attribute("nvidia/vgpu_params", "\n");
        // The driver registers its virtual functions with VFIO itself.
        let own = MadeDevice::new(&format!("{}/vfio-dev/vfio{number}", made.path()), "vfio-dev")
            .link("device", &format!("/sys{}", made.path()));
        let group = 70 + u32::from(number);
        let node = MadeDevice::new(&format!("/devices/virtual/vfio/{group}"), "vfio").node(
            &format!("vfio/{group}"),
            243,
            u32::from(number),
        );
        host = host.function(&made.child(own)).device(&node);
    }
    consoles(host, false)
}

/// A host with a card that makes plain virtual functions, none of which is enabled.
pub fn sriov_host() -> MadeHost {
    let port = root_port(3, 0x4d, 30);
    let card = MadeFunction::new(port.path(), address(0x4d, 0, 0), identity(0x8086, 0x56c0, 0x03_8000))
        .names("Intel Corporation", "ATS-M [Data Center GPU Flex 170]")
        .driver("xe")
        .group(66)
        .attribute("numa_node", "0\n")
        .bar(0, 16 << 20)
        .bar(2, 16 << 30)
        .sriov(7, &[])
        .attribute("sriov_vf_device", "56c0\n");
    let host = MadeHost::new().device(&iommu()).function(&host_bridge().group(0)).function(&port);
    consoles(host.function(&card), false)
}

/// A card of NVIDIA's that can have virtual functions and has none: whether its driver makes vGPUs shows elsewhere.
pub(crate) fn bare_card() -> MadeHost {
    let port = root_port(3, 0x41, 30);
    let card = MadeFunction::new(port.path(), address(0x41, 0, 0), identity(0x10de, 0x2235, 0x03_0200))
        .names("NVIDIA Corporation", "GA102GL [A40]")
        .driver("nvidia")
        .group(66)
        .attribute("numa_node", "0\n")
        .bar(0, 16 << 20)
        .bar(1, 64 << 30)
        .sriov(32, &[]);
    let host = MadeHost::new().device(&iommu()).function(&host_bridge().group(0)).function(&port);
    consoles(host.function(&card), false)
}

/// A desktop whose processor's graphics make vGPUs with GVT-g: one pool for all types, five lines for each.
pub fn gvt_host() -> MadeHost {
    let mut card = MadeFunction::new(ROOT, address(0, 2, 0), identity(0x8086, 0x5912, 0x03_0000))
        .names("Intel Corporation", "HD Graphics 630")
        .driver("i915")
        .group(0)
        .attribute("boot_vga", "1\n")
        .reset("flr")
        .bar(2, 256 << 20)
        .drm("card0", 0)
        .drm("renderD128", 128);
    for (name, low, high, resolution, weight, left) in
        [("V5_8", 64, 384, "1024x768", 2, 2), ("V5_4", 128, 512, "1920x1200", 4, 1)]
    {
        let folder = format!("mdev_supported_types/i915-GVTg_{name}");
        let description = format!(
            "low_gm_size: {low}MB\nhigh_gm_size: {high}MB\nfence: 4\nresolution: {resolution}\nweight: {weight}\n"
        );
        card = card
            .attribute(&format!("{folder}/name"), &format!("GVTg_{name}\n"))
            .attribute(&format!("{folder}/description"), &description)
            .attribute(&format!("{folder}/device_api"), "vfio-pci\n")
            .attribute(&format!("{folder}/available_instances"), &format!("{left}\n"))
            .attribute(&format!("{folder}/create"), "");
    }
    let card = card.clone().child(framebuffer(&card, "i915drmfb\n"));
    let host = MadeHost::new().device(&iommu()).function(&host_bridge().group(1)).function(&card);
    consoles(host, true)
}

/// A card whose driver describes its types in free text, as the kernel's samples do.
pub fn sample_types_host() -> MadeHost {
    let mut card = MadeFunction::new(ROOT, address(0, 5, 0), identity(0x1234, 0x11e8, 0x03_8000))
        .names("QEMU", "Sample card")
        .driver("mdev_sample")
        .group(5)
        .bar(0, 16 << 20);
    for (name, title, text, left) in [
        ("small", "Small display", "virtual display, 4 MB video memory\n", 16),
        ("large", "Large display", "virtual display, 16 MB video memory: 1, 2 or 4 heads\n", 4),
    ] {
        let folder = format!("mdev_supported_types/mdev_sample-{name}");
        card = card
            .attribute(&format!("{folder}/name"), &format!("{title}\n"))
            .attribute(&format!("{folder}/description"), text)
            .attribute(&format!("{folder}/device_api"), "vfio-pci\n")
            .attribute(&format!("{folder}/available_instances"), &format!("{left}\n"))
            .attribute(&format!("{folder}/create"), "");
    }
    let host = MadeHost::new().device(&iommu()).function(&host_bridge().group(0)).function(&card);
    consoles(host, false)
}
