//! IOMMU, groups, interrupts, VFIO.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "no-iommu",
        cause: "A card that is given to a VM reads and writes memory at addresses that the guest chooses. Only an \
                IOMMU keeps it inside the guest's memory, and the host has none working, or none for this card.",
        evidence: "The kernel shows no group in /sys/kernel/iommu_groups, or the function has no iommu_group link. \
                   The kernel's command line is not asked: it tells what was wanted, not what works.",
        remedy: "Turn on VT-d (Intel) or AMD-Vi in the firmware's setup; on Intel boot with intel_iommu=on; reboot. \
                 Inside a VM the hypervisor must offer a virtual IOMMU. Where only an Intel processor's own graphics have \
                 no group: Debian's kernels leave them out (CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF) unless they are told \
                 intel_iommu=on, and igfx_off leaves all graphics out.",
    },
    Explanation {
        name: "group-not-viable",
        cause: "Devices of one IOMMU group can reach each other without passing the IOMMU, so the kernel gives a \
                group to a VM as a whole or not at all. Another device of this card's group has a host driver.",
        evidence: "The members in /sys/kernel/iommu_groups/N/devices and their driver links. Functions of the card \
                   itself, functions without a driver, bridges with the driver pcieport and functions of VFIO \
                   drivers or pci-stub are no obstacle. A member that can't be read is one, and one that is no PCI device: on x86 those have groups \
                   of their own. And of each bridge upstream whether it has Access Control Services, by which devices behind it are \
                   told apart, and whether they are on: the kernel switches them on, unless pci=disable_acs_redir= or \
                   pci=config_acs= says otherwise.",
        remedy: "Move the card or the other device to another slot: groups follow the slots. Or take the other \
                 device from its driver, when the host can do without it. gpuvirt never unbinds a device that is \
                 not part of the GPU, and does not use the ACS override patch, which only hides the danger.",
    },
    Explanation {
        name: "no-interrupt-remapping",
        cause: "Without interrupt remapping a device given to a VM can send the host any interrupt, so VFIO refuses \
                to start such a VM unless it was told to allow unsafe interrupts.",
        evidence: "No interrupt chip in /proc/interrupts begins with IR-, and vfio_iommu_type1 was not loaded with \
                   allow_unsafe_interrupts.",
        remedy: "Turn on interrupt remapping (x2APIC, VT-d) in the firmware's setup and drop nointremap from the \
                 kernel's command line. Where the host is itself a VM, that VM wants <ioapic driver='qemu'/> in its <features> and \
                 <driver intremap='on'/> in its <iommu>. Only where every guest is trusted: Y into \
                 /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts until the next boot, and options \
                 vfio_iommu_type1 allow_unsafe_interrupts=1 in /etc/modprobe.d from then on.",
    },
    Explanation {
        name: "vfio-missing",
        cause: "Passthrough needs the kernel's driver vfio-pci, and QEMU needs vfio_iommu_type1 to map a VM's memory for \
                any device; one of them is neither loaded nor installed for the running kernel.",
        evidence: "No /sys/bus/pci/drivers/vfio-pci or /sys/module/vfio_iommu_type1, and neither in modules.dep or \
                   modules.builtin of this kernel. After a kernel update the modules of the running one may be gone.",
        remedy: "Reboot into the installed kernel, or install the modules of the running one. A kernel of your own \
                 needs CONFIG_VFIO_PCI and CONFIG_VFIO_IOMMU_TYPE1.",
    },
    Explanation {
        name: "not-an-endpoint",
        cause: "Only endpoints can be given to a VM. This function is a bridge: what is behind it would go too, \
                while the host still uses it.",
        evidence: "The header type in the function's config space is not 0.",
        remedy: "Name the GPU behind the bridge: `gpuvirt gpu list` shows the addresses.",
    },
];
