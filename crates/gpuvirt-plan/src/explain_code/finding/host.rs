//! The host: processor, IOMMU, what is installed, memory, boot.

use crate::explain_code::Explanation;

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
        evidence: "/sys/class/misc/kvm is not there, while the flags in /proc/cpuinfo have vmx or svm. That /dev/kvm is there \
                   says nothing: systemd makes the node at boot, module or not.",
        remedy: "Load the module: modprobe kvm_intel or modprobe kvm_amd. When that is refused, the firmware keeps \
                 virtualization locked: turn it on in its setup.",
    },
    Explanation {
        name: "vfio-kept-away",
        cause: "Something keeps vfio-pci, or what it is built on, from being loaded: module_blacklist= on the kernel's command \
                line, for which the kernel refuses a module whoever loads it, or an install line of modprobe.d with false or true \
                in its place. A blacklist line and modprobe.blacklist= leave alone who loads it by its name, as gpuvirt does; \
                libvirt does not, for hostdevs with managed='yes', and says \"administratively prohibited\".",
        evidence: "The word on /proc/cmdline or the line of modprobe.d, while the module is installed and not loaded. A name on the \
                   command line is compared as the kernel spells it: vfio-pci with a hyphen keeps nothing away there.",
        remedy: "Take the module off the list, and reboot where it is the kernel's. Cards are kept from their host drivers by \
                 address (gpuvirt gpu set ADDRESS --type direct); no list is needed for that.",
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
    Explanation {
        name: "libvirt-missing",
        cause: "VMs are libvirt's: without its daemon there is nobody to give a GPU to.",
        evidence: "Neither libvirtd nor virtqemud is in /usr/sbin.",
        remedy: "Install it: apt install libvirt-daemon-system, or dnf install libvirt.",
    },
    Explanation {
        name: "qemu-missing",
        cause: "libvirt runs VMs with QEMU, and QEMU for x86-64 is not installed.",
        evidence: "None of the programs under which distributions install it is there.",
        remedy: "Install it: apt install qemu-system-x86, or dnf install qemu-kvm.",
    },
    Explanation {
        name: "libvirt-unreachable",
        cause: "gpuvirtd asks libvirt which VMs have which GPU. libvirt does not answer, so VMs are unknown: \
                they are neither edited nor counted, and switches that a running VM would forbid are refused \
                as unknown.",
        evidence: "The error of the connection to the URI in gpuvirtd.toml, by default qemu:///system.",
        remedy: "Look at the daemon: systemctl status libvirtd virtqemud.socket. Modular libvirt answers on \
                virtqemud's socket; another URI is libvirt_uri in /etc/gpuvirt/gpuvirtd.toml.",
    },
    Explanation {
        name: "libvirt-uri",
        cause: "gpuvirtd is configured for another libvirt than the host's own. VMs of qemu:///system, which \
                is where passthrough works without further ado, are not known to it.",
        evidence: "libvirt_uri in /etc/gpuvirt/gpuvirtd.toml.",
        remedy: "Set libvirt_uri to qemu:///system and restart gpuvirtd, unless it is a test.",
    },
    Explanation {
        name: "libvirt-old",
        cause: "libvirt is too old for what is set up: before 6.5 it does not read the folder of hooks, and \
                before 10.0 it refuses vGPUs that are virtual functions bound to the vendor's own driver.",
        evidence: "The version that libvirt's daemon tells.",
        remedy: "Upgrade libvirt, with the distribution's release where it has no newer one.",
    },
    Explanation {
        name: "daemon-unreachable",
        cause: "gpuvirtd keeps the rules: it is asked at every start of a VM with a managed GPU, makes \
                vGPUs, and restores everything at boot. It does not answer, so none of that happens, and \
                this command reads the host by itself and knows no VMs.",
        evidence: "The connection to its socket.",
        remedy: "systemctl enable --now gpuvirtd; journalctl -u gpuvirtd when it does not start.",
    },
    Explanation {
        name: "daemon-not-enabled",
        cause: "The kernel forgets drivers' bindings, virtual functions and vGPUs at every boot. gpuvirtd \
                makes them again when it starts, and systemd does not start it with the host.",
        evidence: "No link to gpuvirtd.service in /etc/systemd/system/multi-user.target.wants, while GPUs are \
                configured.",
        remedy: "systemctl enable gpuvirtd.",
    },
    Explanation {
        name: "claim-not-enabled",
        cause: "gpuvirt-claim.service keeps host drivers off passthrough cards before udev loads those drivers. \
                It is disabled or masked, so a host driver may have such a card when gpuvirtd starts, and \
                what then draws on the card or has it open keeps it from VMs.",
        evidence: "No link to gpuvirt-claim.service in /etc/systemd/system/sysinit.target.wants, or an empty file \
                or a link to /dev/null in the unit's place, while a card is configured for passthrough.",
        remedy: "systemctl enable gpuvirt-claim.service; where it is masked, systemctl unmask it first. It runs at \
                the next boot.",
    },
    Explanation {
        name: "udev-rule-missing",
        cause: "At boot gpuvirt-claim.service keeps host drivers off passthrough cards. For a card that comes to the bus \
                later (plugged in, rescanned, back after a surprise removal) the udev rule 70-gpuvirt.rules does. udev does \
                not read it, so a host driver takes such a card first, and what then draws on the card or has it open keeps \
                it from VMs.",
        evidence: "No 70-gpuvirt.rules in the folders that udev reads, or one in /etc or /run that is empty or a link to \
                /dev/null, while a card is configured for passthrough.",
        remedy: "Where it is masked, remove the mask; where it is not there, install the package again. Then udevadm \
                control --reload.",
    },
    Explanation {
        name: "taken-by-id",
        cause: "vfio-pci was told to take cards by vendor and device (ids=). It takes every card of that \
                kind, the one that the host is to keep too, and a second one that is added later. An entry may name a subsystem \
                besides, or in the place of a device any one of a class: vendor:device:subvendor:subdevice:class:class_mask, \
                where ffffffff is any.",
        evidence: "vfio-pci.ids= on the kernel's command line, ids= in /etc/modprobe.d or /etc/initramfs-tools/modules, a rule in \
                   /etc/udev/rules.d that sets driver_override by vendor and device, and the cards that fit.",
        remedy: "Configure each card that VMs are to have by its address (gpuvirt gpu set ADDRESS --type direct), and none \
                that the host is to keep; drop the ids, make the initramfs anew and reboot. Where all of them are for VMs, or \
                nothing says that the only one is the host's, it is a note. gpuvirt import shows what it would write.",
    },
    Explanation {
        name: "ids-unheeded",
        cause: "vfio-pci's parameter ids= names a card, and that value has no effect. The parameter is one text that each later value \
                replaces: of several, in modprobe.d (by the files' names, whichever folder they are in), then on the kernel's \
                command line, then in /etc/initramfs-tools/modules (there the line that loads the driver), only the last counts. Where \
                vfio-pci is built into the kernel, only the kernel's command line does.",
        evidence: "The line without effect, and the later one or /lib/modules/RELEASE/modules.builtin.",
        remedy: "Configure the card by its address (gpuvirt gpu set ADDRESS --type direct), which needs no ids, and drop them; else \
                put all ids into the one value that counts. There is no finding for a card that this value takes too, nor where the \
                card or another of its model is on VFIO, configured, or taken by libvirt for a VM (managed='yes'). Neither is there \
                one where an empty value on the kernel's command line counts: that entry of the boot menu is the one without \
                passthrough.",
    },
    Explanation {
        name: "memory-overcommitted",
        cause: "VFIO pins all memory of a VM with a GPU: none of it is swapped, shared or given back. The \
                VMs that run or start with the host want more together than the host has, so the last to \
                start fails, or the host runs out of memory. The same goes for huge pages, of which each VM alone finds enough.",
        evidence: "The memory in the VMs' definitions, and MemTotal in /proc/meminfo; of VMs in huge pages, the VMs without a GPU \
                among them, nr_hugepages of that size.",
        remedy: "Give the VMs less memory, raise the number of huge pages, or don't start all of them together.",
    },
    Explanation {
        name: "driver-unsigned",
        cause: "Under lockdown, which Secure Boot brings about, the kernel loads modules with a signature that it trusts \
                and no others. The host is to use the card, and its driver is installed, did not come with the kernel and is \
                not loaded; nothing in modprobe.d keeps it away. It may be for want of a signature: a driver that is built on \
                the host (DKMS) is trusted when its key is enrolled, which its file does not tell.",
        evidence: "/sys/kernel/security/lockdown, the kernel's parameter module.sig_enforce, Secure Boot's variable below \
                /sys/firmware/efi/efivars; modules.dep, where the driver's file is not below kernel/; and /sys/module.",
        remedy: "Sign the module with a key of your own (mokutil --import, reboot, enrol), take the \
                distribution's signed package, or turn Secure Boot off. VFIO's own modules come with the \
                kernel and are signed.",
    },
    Explanation {
        name: "nvswitch",
        cause: "GPUs that are joined by NVSwitches are one machine to NVIDIA's driver: a guest with some of \
                them can't use CUDA before Fabric Manager, on the host or in a service VM, has made a \
                partition of just these.",
        evidence: "NVIDIA's bridges (class 0680) on the PCI bus, and whether nvidia-fabricmanager runs.",
        remedy: "Run Fabric Manager in its shared NVSwitch mode and give partitions, or give all GPUs and all \
                switches to one VM. gpuvirt does not talk to Fabric Manager.",
    },
];
