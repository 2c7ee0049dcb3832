//! Hosts of `tests/hosts` of which everything is known that the doctor asks, and with which nothing is wrong.
//!
//! Everything that makes each of them healthy is written down: a test breaks each of these facts and expects to hear of it.

use std::collections::BTreeMap;

use gpuvirt_model::health::{DaemonHealth, LibvirtHealth, LibvirtVersions, Locker};
use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, Domain, DomainState, Guest, Holder, Holders, Hostdev, HugePages,
    Machine, MachineBus, MachineDevice, MachineFirmware, PciAddress, PciIdentity, Reading, Request, Requests,
    Testimony, Via, Wanted,
};
use uuid::Uuid;

use crate::made::{MadeDevice, MadeFunction, MadeHost, MadeIdentity};
use crate::made_hosts::{ROOT, address, consoles, framebuffer, identity, vgpu_types_host};
use crate::made_snapshot::MadeSnapshot;

/// The kernel of Debian, and of Fedora's kin.
const DEBIAN: &str = "6.12.57+deb13-amd64";
const ENTERPRISE: &str = "6.12.0-55.el10.x86_64";

/// A desktop of AMD's under Debian, started by GRUB: one Radeon is the host's and shows its picture, its twin is a VM's.
pub fn amd_two_gpus() -> MadeSnapshot {
    let card = identity(0x1002, 0x73bf, 0x03_0000);
    let ports = [(1, 3), (3, 6)].map(|(slot, bus)| {
        let port = MadeFunction::new(ROOT, address(0, slot, 1), identity(0x1022, 0x1483, 0x06_0400));
        let bus = MadeDevice::new(&format!("{}/pci_bus/0000:{bus:02x}", port.path()), "pci_bus");
        port.driver("pcieport").group(u32::from(slot)).child(bus)
    });
    let own = radeon(&ports[0], 3, card).driver("amdgpu").group(20).attribute("boot_vga", "1\n");
    let own = own.drm("card0", 0).drm("renderD128", 128);
    let own = own.clone().child(framebuffer(&own, "amdgpudrmfb\n"));
    let given = radeon(&ports[1], 6, card).driver("vfio-pci").group(21);
    let given = given.clone().child(vfio_device(&given, 0));
    let sound = |port: &MadeFunction, bus, group, driver| {
        let ids = identity(0x1002, 0xab28, 0x04_0300);
        let names = "Navi 21/23 HDMI/DP Audio Controller";
        let made = MadeFunction::new(port.path(), address(bus, 0, 1), ids).names(AMD, names);
        made.driver(driver).group(group).attribute("numa_node", "0\n")
    };
    let given_sound = sound(&ports[1], 6, 21, "vfio-pci");
    let given_sound = given_sound.clone().child(vfio_device(&given_sound, 1));
    let disk = MadeFunction::new(ROOT, address(0, 0x1d, 0), identity(0x144d, 0xa80a, 0x01_0802));
    let node = MadeDevice::new("/devices/virtual/vfio/21", "vfio").node("vfio/21", 243, 0);
    let bridge = MadeFunction::new(ROOT, address(0, 0, 0), identity(0x1022, 0x1480, 0x06_0000)).group(0);
    let iommu =
        MadeDevice::new("/devices/virtual/iommu/ivhd0", "iommu").text_attribute("amd-iommu/cap", "40f\n");
    let host = MadeHost::new().device(&iommu).function(&bridge).function(&ports[0]).function(&own);
    let host = host.function(&sound(&ports[0], 3, 20, "snd_hda_intel")).function(&ports[1]).function(&given);
    let host = host.function(&given_sound).function(&disk.driver("nvme").group(7)).device(&node);
    let made = MadeSnapshot::new(consoles(host, true).dump())
        .file("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\nflags\t\t: fpu svm\naddress sizes\t: 48 bits physical, 48 bits virtual\n")
        .file("/proc/iomem", "0-0 : PCI Bus 0000:03\n  0-0 : 0000:03:00.0\n    0-0 : amdgpu\n0-0 : PCI Bus 0000:06\n  0-0 : 0000:06:00.0\n    0-0 : vfio-pci\n")
        .file(&format!("/boot/config-{DEBIAN}"), "CONFIG_AMD_IOMMU=y\nCONFIG_VFIO_PCI=m\nCONFIG_KVM_AMD=m\n")
        .file(&modules(DEBIAN, "modules.dep"), "kernel/drivers/vfio/pci/vfio-pci.ko.xz:\nkernel/drivers/vfio/vfio_iommu_type1.ko.xz:\nkernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko.xz:\n")
        .file("/sys/firmware/acpi/tables/IVRS", "")
        .file("/sys/module/amdgpu/initstate", "live\n")
        .file("/sys/module/apparmor/parameters/enabled", "Y\n")
        .file("/etc/apparmor.d/usr.sbin.libvirtd", "profile libvirtd /usr/sbin/libvirtd {\n  /etc/libvirt/hooks/** rmix,\n")
        .file("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        .file("/usr/sbin/update-grub", "")
        .file("/usr/sbin/libvirtd", "")
        .file("/usr/bin/qemu-system-x86_64", "");
    let absent = [
        "/sys/fs/selinux/enforce",
        "/sys/fs/selinux/booleans/virt_hooks_unconfined",
        SECURE_BOOT,
        LOADER,
        "/usr/sbin/grubby",
    ];
    let made = absent
        .into_iter()
        .chain(["/etc/kernel/proxmox-boot-uuids", "/etc/apparmor.d/usr.sbin.virtqemud"])
        .fold(made, MadeSnapshot::absent);
    whole(made, DEBIAN).testimony(gaming(card))
}

const AMD: &str = "Advanced Micro Devices, Inc. [AMD/ATI]";

fn radeon(port: &MadeFunction, bus: u8, ids: MadeIdentity) -> MadeFunction {
    MadeFunction::new(port.path(), address(bus, 0, 0), ids)
        .names(AMD, "Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]")
        .attribute("numa_node", "0\n")
        .bar(0, 16 << 30)
        .bar(2, 2 << 20)
}

/// What a VFIO driver registers for a function.
fn vfio_device(function: &MadeFunction, number: u32) -> MadeDevice {
    let path = format!("{}/vfio-dev/vfio{number}", function.path());
    MadeDevice::new(&path, "vfio-dev").link("device", &format!("/sys{}", function.path()))
}

/// A server of Intel's under an enterprise Linux with Secure Boot, lockdown and SELinux, whose card's driver was built here and
/// signed with an enrolled key: its virtual functions become vGPUs.
pub fn intel_secure_boot() -> MadeSnapshot {
    let made = MadeSnapshot::new(vgpu_types_host().dump())
        .file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\naddress sizes\t: 52 bits physical, 57 bits virtual\n")
        .file("/proc/iomem", "0-0 : PCI Bus 0000:26\n  0-0 : 0000:26:00.0\n    0-0 : nvidia\n")
        .file(&format!("/boot/config-{ENTERPRISE}"), "CONFIG_INTEL_IOMMU=y\n# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\nCONFIG_VFIO_PCI=m\nCONFIG_KVM_INTEL=m\n")
        .file(&modules(ENTERPRISE, "modules.dep"), "kernel/drivers/vfio/pci/vfio-pci.ko.xz:\nkernel/drivers/vfio/vfio_iommu_type1.ko.xz:\nextra/nvidia.ko.xz:\n")
        .file("/sys/firmware/acpi/tables/DMAR", "")
        .folder("/sys/module/nvidia")
        .file("/sys/module/nvidia/version", "580.178.05\n")
        .folder("/sys/module/nvidia_vgpu_vfio")
        .file("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.178.05  Mon Jan 12 10:00:00 UTC 2026\n")
        .file("/sys/fs/selinux/enforce", "1")
        .file("/sys/fs/selinux/booleans/virt_hooks_unconfined", "1 1")
        .file(SECURE_BOOT, "\u{6}\0\0\0\u{1}")
        .file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
        .file("/sys/module/module/parameters/sig_enforce", "N\n")
        .file("/usr/sbin/grubby", "")
        .file("/usr/sbin/virtqemud", "")
        .file("/usr/libexec/qemu-kvm", "");
    let absent = [
        "/usr/sbin/libvirtd",
        "/usr/bin/qemu-system-x86_64",
        "/usr/bin/qemu-kvm",
        LOADER,
        "/sys/module/apparmor/parameters/enabled",
    ];
    let made = absent.into_iter().fold(made, MadeSnapshot::absent);
    let made = whole(made, ENTERPRISE);
    let made = made.file("/proc/cmdline", "ro intel_iommu=on\n");
    made.testimony(sharing(identity(0x10de, 0x26b9, 0x03_0200)))
}

const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const LOADER: &str = "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const HOOK: &str = "/etc/libvirt/hooks/qemu.d/50-gpuvirt";

fn modules(release: &str, name: &str) -> String {
    format!("/lib/modules/{release}/{name}")
}

/// What hosts of either kind have alike.
fn whole(made: MadeSnapshot, release: &str) -> MadeSnapshot {
    let made = made
        .folder("/sys/class/misc/kvm")
        .file("/proc/cmdline", "ro quiet\n")
        .file("/proc/sys/kernel/osrelease", &format!("{release}\n"))
        .file("/proc/interrupts", "           CPU0\n  1:          9  IR-IO-APIC    1-edge      i8042\n")
        .file("/proc/meminfo", "MemTotal:       134217728 kB\nHugepagesize:       2048 kB\n")
        .file(&modules(release, "modules.builtin"), "kernel/fs/ext4/ext4.ko\n")
        .file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "10240\n")
        .file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "10240\n")
        .folder("/sys/module/vfio_iommu_type1")
        .file("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n")
        .file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n")
        .file("/sys/module/vfio_pci/parameters/disable_idle_d3", "N\n")
        .folder("/etc/modprobe.d")
        .folder("/etc/udev/rules.d")
        .file(HOOK, "gpuvirt\n")
        .mode(HOOK, 0o755)
        .file("/etc/systemd/system/multi-user.target.wants/gpuvirtd.service", "")
        .file("/etc/systemd/system/sysinit.target.wants/gpuvirt-claim.service", "")
        .file("/usr/lib/udev/rules.d/70-gpuvirt.rules", "rules\n")
        .file("/usr/bin/gpuvirt", "")
        .file("/usr/sbin/gpuvirtd", "");
    let absent = [
        "/etc/systemd/system/gpuvirt-claim.service",
        "/etc/udev/rules.d/70-gpuvirt.rules",
        "/run/udev/rules.d/70-gpuvirt.rules",
        "/usr/local/lib/udev/rules.d/70-gpuvirt.rules",
        "/sys/fs/cgroup/system.slice/nvidia-fabricmanager.service",
    ];
    absent.into_iter().fold(made, MadeSnapshot::absent)
}

fn known(ids: MadeIdentity) -> PciIdentity {
    PciIdentity {
        vendor: ids.vendor,
        device: ids.device,
        subsystem_vendor: ids.subsystem.0,
        subsystem_device: ids.subsystem.1,
        class: gpuvirt_model::ClassCode(ids.class),
    }
}

/// libvirt, gpuvirtd and who holds what, where all is well.
fn well(desired: Desired, domains: Vec<Domain>, machines: Vec<Machine>) -> Testimony {
    let versions = LibvirtVersions { libvirt: 11_003_000, qemu: 10_000_000 };
    let locker = Locker { pid: 812, command: "libvirtd".to_owned(), limit_kib: Some(8192), may_raise: true };
    Testimony {
        desired,
        domains: Reading::Known(domains),
        libvirt: LibvirtHealth {
            uri: Some("qemu:///system".to_owned()),
            versions: Reading::Known(versions),
            machines: Reading::Known(machines),
            owes_answer: false,
        },
        daemon: DaemonHealth::default(),
        lockers: Reading::Known(vec![locker]),
        ..Testimony::default()
    }
}

/// One card for the host, one for a VM that is off and starts with the host, its memory in huge pages.
fn gaming(card: MadeIdentity) -> Testimony {
    let (own, given) = (address(3, 0, 0), address(6, 0, 0));
    let desired = Desired::default()
        .with_gpu(DesiredGpu::new(own, known(card), ConfiguredType::Shared))
        .with_gpu(DesiredGpu::new(given, known(card), ConfiguredType::Direct));
    let functions = [given, address(6, 0, 1)];
    let device = |address: PciAddress| Hostdev::Pci { address, managed: false };
    let uuid = Uuid::from_u128(0x6a3e);
    let request = Request {
        id: 1,
        alias: "ua-gpuvirt-1".to_owned(),
        wanted: Wanted::Gpu { gpu: given, identity: known(card) },
        assigned: Some(device(given)),
        key: None,
    };
    let (name, memory) = ("games".to_owned(), 16 << 20);
    let domain = Domain {
        name: name.clone(),
        uuid,
        state: DomainState::ShutOff,
        autostart: true,
        config: functions.map(device).to_vec(),
        live: Vec::new(),
        requests: Requests { domain: Some(uuid), list: vec![request], ..Requests::default() },
        guest: Guest {
            memory_kib: Some(memory),
            huge_pages: Some(HugePages::HostDefault),
            ..Guest::default()
        },
    };
    let place = |address| MachineDevice { address, on_root_bus: false, rom_file: false };
    let machine = Machine {
        name,
        kvm: true,
        current_kib: Some(memory),
        machine_type: Some("pc-q35-10.0".to_owned()),
        bus: MachineBus::Express,
        firmware: MachineFirmware::Uefi,
        cpu_mode: Some("host-passthrough".to_owned()),
        host_physical_bits: true,
        memory_nodes: Some("0".to_owned()),
        devices: functions.map(place).to_vec(),
        ..Machine::default()
    };
    let via = Via::Fd { fd: 11, path: "/dev/dri/card0".to_owned() };
    let desktop = Holder::Process { pid: 1377, command: "gnome-shell".to_owned(), via, container: None };
    let holders = BTreeMap::from([(own, Holders { seen: vec![desktop], unseen: None })]);
    Testimony { holders, ..well(desired, vec![domain], vec![machine]) }
}

/// A card whose virtual functions are for vGPUs, and a VM that asks for one by its profile.
fn sharing(card: MadeIdentity) -> Testimony {
    let gpu = address(0x26, 0, 0);
    let mut entry = DesiredGpu::new(gpu, known(card), ConfiguredType::SharedDirect);
    entry.vf_count = Some(4);
    well(Desired::default().with_gpu(entry), Vec::new(), Vec::new())
}
