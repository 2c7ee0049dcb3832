//! VMs.

use crate::explain_code::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "balloon-useless",
        cause: "A balloon takes memory from a guest that it does not use. With a GPU all of it is pinned at \
                the start, and QEMU keeps the balloon from doing anything.",
        evidence: "<currentMemory> below <memory>, and a <memballoon>, in a VM with a GPU.",
        remedy: "Give the VM the memory that it is to have: <memory> and <currentMemory> alike.",
    },
    Explanation {
        name: "lock-limit-low",
        cause: "libvirt's daemon raises QEMU's limit on locked memory for each VM. This one lacks the \
                capability to do so (CAP_SYS_RESOURCE), as where a drop-in of its unit takes it away, and \
                its own limit is below what the VM needs.",
        evidence: "Max locked memory in /proc/PID/limits, and CapEff in /proc/PID/status, of root's libvirtd or \
                virtqemud: a user's own, and one in a container below this host, start other VMs than these.",
        remedy: "LimitMEMLOCK=infinity for its unit, in a drop-in of systemd's; or give it CAP_SYS_RESOURCE again: systemctl cat \
                shows the CapabilityBoundingSet= that lacks it.",
    },
    Explanation {
        name: "aperture-small",
        cause: "A guest's firmware keeps a part of its addresses for the windows of cards. OVMF takes 32 GiB \
                where it can't tell how wide the processor's addresses are, and cards with much memory want \
                more: the guest's driver then reports a card without memory.",
        evidence: "The sizes of the card's 64-bit windows, and neither cpu host-passthrough (or maximum), which has the \
                host's width by itself, nor maxphysaddr nor X-PciMmio64Mb in the definition of a UEFI guest.",
        remedy: "cpu host-passthrough, or <maxphysaddr mode='passthrough'/> with another one, and an OVMF of late 2022 or \
                newer; or the fw_cfg argument opt/ovmf/X-PciMmio64Mb, in <qemu:commandline> of a <domain> that has \
                xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'.",
    },
    Explanation {
        name: "address-width",
        cause: "A processor has so many bits for an address, and everything that a guest reaches must fit in them: its \
                memory, and above it the windows of its cards. A guest that is told of more bits than the processor has puts \
                windows where the processor can't reach, and hangs or finds a card without memory; one whose firmware is \
                told to keep a window that does not fit beside its memory does not even start.",
        evidence: "address sizes in /proc/cpuinfo; <maxphysaddr> and opt/ovmf/X-PciMmio64Mb in the definition, and the sizes \
                of the card's 64-bit windows.",
        remedy: "<maxphysaddr mode='passthrough'/>, or no more bits than the processor has, and no larger \
                X-PciMmio64Mb than twice the card's windows. A card whose windows don't fit at all needs them made \
                smaller (Resizable BAR off in the firmware's setup) or another processor.",
    },
    Explanation {
        name: "qemu-old",
        cause: "A definition names the machine that the guest sees with the release of QEMU that brought it. An older QEMU \
                does not have it, and libvirt does not start the VM: it was defined on another host, or QEMU was taken \
                back to an earlier release.",
        evidence: "The machine type in the definition, beside the version of QEMU that libvirt runs.",
        remedy: "Upgrade QEMU, or give the VM a machine that this host has (virsh edit).",
    },
    Explanation {
        name: "numa-remote",
        cause: "The guest's memory is bound to another node than its GPU sits on. It works, and each \
                transfer crosses from one processor to the other.",
        evidence: "numa_node of the card, <numatune> in the definition.",
        remedy: "Bind the memory to the GPU's node, and the virtual processors to processors of that node.",
    },
    Explanation {
        name: "device-absent",
        cause: "The definition names a device that this host has not got, and no request of gpuvirt's says \
                how it would be made: the start fails. A vGPU that is configured on a GPU and was taken by \
                a reboot or by somebody is such a device too.",
        evidence: "The host devices in the definition, beside /sys/bus/pci/devices and /sys/bus/mdev/devices.",
        remedy: "Make a configured vGPU again by its name (gpuvirt vgpu create --uuid, or the document by \
                gpuvirt config apply). Else remove it and add what the VM is to have: gpuvirt vm remove, \
                gpuvirt vm add. PCI addresses move when cards are added or removed; mediated devices go at \
                each reboot.",
    },
    Explanation {
        name: "conventional-bus",
        cause: "The guest's machine is an i440fx, which has a conventional PCI bus. A PCI Express card works \
                there without its extended config space; many drivers don't start.",
        evidence: "The machine type in the definition.",
        remedy: "Make a new VM with machine q35 and attach the old disk; install a Windows guest anew.",
    },
    Explanation {
        name: "on-root-bus",
        cause: "On a PCI Express machine a card belongs behind a root port. On the root bus it looks as if \
                it were part of the chipset; AMD's and some of NVIDIA's drivers look for the port above and \
                stumble.",
        evidence: "The guest address of the hostdev: bus 0.",
        remedy: "Drop the <address> of the hostdev and let libvirt choose.",
    },
    Explanation {
        name: "code-43",
        cause: "The last driver for NVIDIA's GeForce cards of the Fermi generation stops with Code 43 when it sees that it is in \
                a VM. Quadro and Tesla boards of that generation don't mind.",
        evidence: "The card's device id, and a definition that neither hides KVM nor changes Hyper-V's vendor.",
        remedy: "<kvm><hidden state='on'/></kvm> and <hyperv><vendor_id state='on' value='none'/></hyperv> in \
                <features>.",
    },
    Explanation {
        name: "code-43-needless",
        cause: "KVM is hidden from the guest, an old remedy against Code 43. NVIDIA's drivers since 465 work \
                in VMs openly, and hiding KVM takes the guest's fast clock and spinlocks away.",
        evidence: "<kvm><hidden state='on'/> in a VM with a card newer than Fermi.",
        remedy: "Drop it, when the guest's driver is 465 or newer.",
    },
    Explanation {
        name: "not-kvm",
        cause: "The VM is of the type qemu: its processor is software. A GPU then waits for the processor \
                all the time.",
        evidence: "<domain type='qemu'> in the definition.",
        remedy: "<domain type='kvm'>, where /dev/kvm is there.",
    },
];
