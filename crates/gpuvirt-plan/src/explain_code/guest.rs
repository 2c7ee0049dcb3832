//! The guest's own memory and IOMMU.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "memory-not-lockable",
        cause: "A device that is passed through reaches all of the guest's memory, so all of it is locked while the VM \
                runs, and that can't be done: a hard limit is smaller than the memory, or the host does not have the \
                memory, or the huge pages, to give. QEMU would fail with \"VFIO_MAP_DMA: Cannot allocate memory\".",
        evidence: "The memory and the hard_limit in the domain's definition, /proc/meminfo with the swap that is free \
                   and what ZFS caches, and the free huge pages in /sys/kernel/mm/hugepages. libvirt raises \
                   RLIMIT_MEMLOCK itself, except where the definition has a hard_limit: then it is that.",
        remedy: "Take the limit away (virsh memtune --config --hard-limit -1 --domain VM) or raise it to the memory and \
                 1 GiB, times the number of devices where the guest has an IOMMU of its own. Where the host lacks \
                 memory: shut down another VM, give this one less, or set aside huge pages (vm.nr_hugepages).",
    },
    Explanation {
        name: "viommu-with-vgpu",
        cause: "The guest has an IOMMU of its own and a vGPU. The vGPU's driver on the host follows the guest's memory, \
                not what the guest's IOMMU makes of it, so the vGPU would read and write the wrong pages. vSphere \
                refuses the same.",
        evidence: "The iommu element in the domain's definition beside a vGPU.",
        remedy: "Take the iommu element out (virsh edit VM), or the vGPU (`gpuvirt vm remove VM DEVICE`). A whole GPU \
                 goes with an IOMMU in the guest.",
    },
    Explanation {
        name: "memory-limit",
        cause: "The VM's hard limit is smaller than its memory. Its vGPU's driver locks guest memory as the guest uses \
                it, and fails when the limit is reached; the whole VM may be killed for it. The doctor says the same of a \
                limit that holds the memory of a VM with a passthrough device and less than 1 GiB besides: VFIO locks more \
                than the memory (ROMs, the memory of emulated devices), and QEMU itself counts against the limit too.",
        evidence: "The memory and the hard_limit in the domain's definition.",
        remedy: "virsh memtune --config --hard-limit -1 --domain VM, or a limit of the memory and 1 GiB, as libvirt has it where \
                 none is set.",
    },
    Explanation {
        name: "viommu-caching-mode",
        cause: "The guest has an IOMMU of its own and a whole GPU. QEMU maps the guest's memory for the GPU as the \
                guest's IOMMU says, and learns of that only in caching mode (model intel). Without it QEMU fails when \
                the guest turns its IOMMU on. virtio needs nothing.",
        evidence: "The iommu element in the domain's definition.",
        remedy: "virsh edit VM: write <driver caching_mode='on'/> into the iommu element, and intremap='on' with \
                 <ioapic driver='qemu'/> where the guest is to remap interrupts. With iommufd (<driver iommufd='yes'/> \
                 of the hostdev, libvirt 12 and newer) the same holds.",
    },
];
