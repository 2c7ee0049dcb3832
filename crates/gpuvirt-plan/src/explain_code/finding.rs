//! Findings of the doctor that are no refusals and no warnings besides.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "no-cpu-virtualization",
        cause: "KVM needs the processor's virtualization (VT-x, AMD-V), and only a VM that KVM runs can have a GPU at any \
                speed. The processor lacks it, or the firmware has switched it off, or this host is itself a VM whose \
                hypervisor does not nest.",
        evidence: "Neither vmx nor svm among the flags in /proc/cpuinfo.",
        remedy: "Turn on VT-x or SVM in the firmware's setup, and power the host off and on. In a VM: give it the \
                 processor as it is (cpu host-passthrough) on a host whose kvm_intel or kvm_amd has nested=1.",
    },
    Explanation {
        name: "kvm-missing",
        cause: "The processor virtualizes, and the kernel's KVM is not there to use it: libvirt then runs VMs in \
                software, or not at all.",
        evidence: "/dev/kvm is not there, while the flags in /proc/cpuinfo have vmx or svm.",
        remedy: "Load the module: modprobe kvm_intel or modprobe kvm_amd. When that is refused, the firmware keeps \
                 virtualization locked: turn it on in its setup.",
    },
    Explanation {
        name: "unsafe-interrupts",
        cause: "VFIO was told to go without interrupt remapping (allow_unsafe_interrupts). Where interrupts are not \
                remapped, a guest with a passthrough device can send the host any interrupt; where they are, the \
                setting does nothing and only hides the day on which they are no more.",
        evidence: "The parameter of vfio_iommu_type1 in /sys/module, and the interrupt chips in /proc/interrupts.",
        remedy: "Drop it from /etc/modprobe.d and the kernel's command line where interrupts are remapped. Elsewhere turn \
                 remapping on in the firmware's setup, or keep to guests that you trust.",
    },
    Explanation {
        name: "noiommu-mode",
        cause: "VFIO's mode without IOMMU gives a device's DMA all of the host's memory. QEMU can't use it; programs such as \
                DPDK do.",
        evidence: "The parameter enable_unsafe_noiommu_mode of vfio in /sys/module.",
        remedy: "Drop it from /etc/modprobe.d and the kernel's command line, and reboot.",
    },
    Explanation {
        name: "acs-override",
        cause: "A patched kernel was told to split IOMMU groups that the hardware does not isolate. Passthrough then \
                works, and the devices can still reach each other's memory past the IOMMU: a guest may read or \
                corrupt what the host or another guest has.",
        evidence: "pcie_acs_override= in /proc/cmdline.",
        remedy: "Use slots whose groups are their own, and drop the argument; or keep to guests that you trust. gpuvirt never \
                 sets it.",
    },
];
