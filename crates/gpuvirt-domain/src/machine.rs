//! A domain's machine, as far as GPUs care: processor, firmware, and how its host devices are placed.
//!
//! It reads what libvirt wrote, with the defaults that libvirt fills in; what it does not know is left at its default.

use gpuvirt_model::{Hostdev, Machine, MachineBus, MachineDevice, MachineFirmware};
use roxmltree::Node;

use crate::XmlError;
use crate::guest::kib;
use crate::node::{child, devices, hostdev, is, parse};
use crate::read::{PciTopology, guest_address, read_document};

/// Reads a domain's machine.
///
/// # Errors
/// [`XmlError`] as for [`crate::read()`].
pub fn machine(xml: &str) -> Result<Machine, XmlError> {
    let document = parse(xml)?;
    let domain = read_document(&document)?;
    let root = document.root_element();
    let (cpu, features) = (child(&root, "cpu"), child(&root, "features"));
    Ok(Machine {
        name: domain.name,
        kvm: root.attribute("type") == Some("kvm"),
        current_kib: child(&root, "currentMemory").and_then(|node| kib(&node)),
        balloon: devices(&root).any(|device| {
            is(&device, "memballoon") && device.attribute("model").is_some_and(|model| model != "none")
        }),
        machine_type: child(&root, "os")
            .and_then(|os| child(&os, "type"))
            .and_then(|kind| kind.attribute("machine"))
            .map(str::to_owned),
        bus: match domain.topology {
            PciTopology::Express => MachineBus::Express,
            PciTopology::Conventional => MachineBus::Conventional,
            PciTopology::Unknown => MachineBus::Unknown,
        },
        firmware: firmware(&root),
        cpu_mode: cpu.and_then(|cpu| cpu.attribute("mode")).map(str::to_owned),
        host_physical_bits: cpu.is_some_and(|cpu| host_physical_bits(&root, &cpu)),
        physical_bits: cpu
            .and_then(|cpu| child(&cpu, "maxphysaddr"))
            .filter(|bits| bits.attribute("mode") == Some("emulate"))
            .and_then(|bits| bits.attribute("bits")?.parse().ok()),
        mmio64_mib: mmio64(&root),
        kvm_hidden: features.and_then(|all| switched_on(&all, "kvm", "hidden")).is_some(),
        hyperv_vendor: features.and_then(|all| switched_on(&all, "hyperv", "vendor_id")).is_some(),
        memory_nodes: child(&root, "numatune")
            .and_then(|tune| child(&tune, "memory"))
            .and_then(|memory| memory.attribute("nodeset"))
            .map(str::to_owned),
        devices: devices(&root).filter_map(|device| placed(&device)).collect(),
    })
}

/// By a word of its own; or by the processor's mode: with KVM, QEMU's models `host` and `max` have the host's width by
/// themselves (`host_cpu_max_instance_init`, QEMU 6.0), unless another one is asked for.
fn host_physical_bits(root: &Node<'_, '_>, cpu: &Node<'_, '_>) -> bool {
    match child(cpu, "maxphysaddr").map(|bits| bits.attribute("mode") == Some("passthrough")) {
        Some(passthrough) => passthrough,
        None => {
            root.attribute("type") == Some("kvm")
                && matches!(cpu.attribute("mode"), Some("host-passthrough" | "maximum"))
        }
    }
}

/// A PCI host device, with its place in the guest.
fn placed(device: &Node<'_, '_>) -> Option<MachineDevice> {
    let Hostdev::Pci { address, .. } = hostdev(device).ok()?? else { return None };
    let place = guest_address(device).ok().flatten();
    let rom_file = child(device, "rom").is_some_and(|rom| rom.has_attribute("file"));
    Some(MachineDevice { address, on_root_bus: place.is_some_and(|place| place.bus == 0), rom_file })
}

/// `<features><GROUP><NAME state='on'/>`.
fn switched_on<'a, 'i>(features: &Node<'a, 'i>, group: &str, name: &str) -> Option<Node<'a, 'i>> {
    let node = child(&child(features, group)?, name)?;
    (node.attribute("state") == Some("on")).then_some(node)
}

/// `<os firmware='efi'>`, or a loader that is a flash: SeaBIOS is none.
fn firmware(root: &Node<'_, '_>) -> MachineFirmware {
    let Some(os) = child(root, "os") else { return MachineFirmware::Bios };
    let flash = child(&os, "loader").is_some_and(|loader| loader.attribute("type") == Some("pflash"));
    if flash || os.attribute("firmware") == Some("efi") {
        MachineFirmware::Uefi
    } else {
        MachineFirmware::Bios
    }
}

/// The size of the 64-bit window that OVMF is told by QEMU's own argument `-fw_cfg opt/ovmf/X-PciMmio64Mb,string=N`.
fn mmio64(root: &Node<'_, '_>) -> Option<u64> {
    let arguments =
        root.children().filter(|node| node.is_element() && node.tag_name().name() == "commandline");
    let mut values = arguments.flat_map(|node| node.children()).filter_map(|arg| arg.attribute("value"));
    let number = values.find_map(|value| value.split_once("opt/ovmf/X-PciMmio64Mb,string="));
    number.and_then(|(_, number)| number.split(',').next()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>win11</name>
        <memory unit='GiB'>16</memory><currentMemory unit='MiB'>8192</currentMemory>
        <memtune><hard_limit unit='KiB'>1000</hard_limit></memtune>
        <memoryBacking><hugepages><page size='1' unit='G'/></hugepages><locked/></memoryBacking>
        <numatune><memory mode='strict' nodeset='0-1'/></numatune>
        <os><type machine='pc-q35-10.0'>hvm</type><loader type='pflash'>/x</loader></os>
        <features><kvm><hidden state='on'/></kvm><hyperv><vendor_id state='on' value='x'/></hyperv></features>
        <cpu mode='host-passthrough'><maxphysaddr mode='passthrough'/></cpu>
        <devices><memballoon model='virtio'/><iommu model='intel'/>
        <hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x41' slot='0' function='0'/></source>
        <rom file='/x.rom'/><address type='pci' domain='0' bus='0' slot='5' function='0'/></hostdev></devices>
        <qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/ovmf/X-PciMmio64Mb,string=65536'/>
        </qemu:commandline></domain>";

    #[test]
    fn all_of_a_machine_is_read() {
        let guest = machine(FULL).unwrap();
        assert_eq!(guest.current_kib, Some(8 << 20));
        assert!(guest.kvm && guest.balloon);
        assert_eq!((guest.bus, guest.firmware), (MachineBus::Express, MachineFirmware::Uefi));
        assert_eq!((guest.cpu_mode.as_deref(), guest.host_physical_bits), (Some("host-passthrough"), true));
        assert_eq!((guest.kvm_hidden, guest.hyperv_vendor, guest.mmio64_mib), (true, true, Some(65536)));
        assert_eq!((guest.machine_type.as_deref(), guest.physical_bits), (Some("pc-q35-10.0"), None));
        assert_eq!(guest.memory_nodes.as_deref(), Some("0-1"));
        let device = guest.devices.first().unwrap();
        assert_eq!((device.on_root_bus, device.rom_file), (true, true));
    }

    #[test]
    fn a_bare_machine_has_libvirts_defaults() {
        let guest = machine("<domain><name>x</name><memory>1024</memory></domain>").unwrap();
        let want = Machine { name: "x".to_owned(), ..Machine::default() };
        assert_eq!(guest, want);
    }

    #[test]
    fn told_address_bits_are_read() {
        let bits = |text: &str| {
            let cpu = format!("<cpu mode='host-model'>{text}</cpu>");
            let guest =
                machine(&format!("<domain><name>x</name><memory>1024</memory>{cpu}</domain>")).unwrap();
            (guest.host_physical_bits, guest.physical_bits)
        };
        assert_eq!(bits("<maxphysaddr mode='emulate' bits='52'/>"), (false, Some(52)));
        assert_eq!(bits("<maxphysaddr mode='passthrough' limit='39'/>"), (true, None));
        assert_eq!(bits("<maxphysaddr mode='emulate' bits='999'/>"), (false, None));
        assert_eq!(bits(""), (false, None));
    }

    #[test]
    fn kvm_gives_the_hosts_processor_the_hosts_address_bits() {
        let knows = |kind: &str, cpu: &str| {
            let text = format!("<domain type='{kind}'><name>x</name><memory>1024</memory>{cpu}</domain>");
            machine(&text).unwrap().host_physical_bits
        };
        assert!(knows("kvm", "<cpu mode='host-passthrough' check='none' migratable='on'/>"));
        assert!(knows("kvm", "<cpu mode='maximum'/>"));
        assert!(!knows("qemu", "<cpu mode='maximum'/>"));
        assert!(!knows("kvm", "<cpu mode='host-model'/>"));
        assert!(!knows("kvm", "<cpu mode='custom'><model>qemu64</model></cpu>"));
        assert!(
            !knows("kvm", "<cpu><topology sockets='1' cores='2' threads='1'/></cpu>") && !knows("kvm", "")
        );
        assert!(!knows("kvm", "<cpu mode='host-passthrough'><maxphysaddr mode='emulate' bits='40'/></cpu>"));
        assert!(knows("kvm", "<cpu mode='host-model'><maxphysaddr mode='passthrough'/></cpu>"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "<domain>(<(memory|os|cpu|features|name)( unit='[a-zA-Z]{0,3}')?>\\PC{0,9}){0,4}") {
            let _ = machine(&text);
        }
    }
}
