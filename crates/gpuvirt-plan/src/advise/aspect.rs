//! Passthrough and vGPU side by side: what differs, and who says so.

use serde::Serialize;

/// One thing in which the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aspect {
    /// What.
    pub name: &'static str,
    /// Of a whole card.
    pub passthrough: &'static str,
    /// Of a share.
    pub vgpu: &'static str,
    /// Whose word it is.
    pub source: &'static str,
}

/// All of them, in the order in which they matter to most.
pub const ASPECTS: &[Aspect] = &[
    Aspect {
        name: "performance",
        passthrough: "the card's own, all of it, always",
        vgpu: "time-sliced: the card's own while others are idle, a share while not; MIG-backed: a fixed part",
        source: "NVIDIA virtual GPU software user guide, vGPU schedulers; MIG user guide",
    },
    Aspect {
        name: "isolation",
        passthrough: "by the IOMMU: the guest's faults stay with its card; a card's reset hits nobody else",
        vgpu: "memory apart; time-sliced shares engines, and a fault of the card is everybody's; MIG keeps engines apart",
        source: "Linux Documentation/driver-api/vfio.rst; NVIDIA MIG user guide",
    },
    Aspect {
        name: "density",
        passthrough: "one running VM a card",
        vgpu: "as many as the profile says (`gpuvirt capacity`)",
        source: "libvirt hostdev; NVIDIA virtual GPU software user guide, vGPU types",
    },
    Aspect {
        name: "licence",
        passthrough: "none of a hypervisor's; NVIDIA's workstation features in the guest take theirs",
        vgpu: "NVIDIA: vGPU software or AI Enterprise for each VM; Intel's and AMD's SR-IOV: none",
        source: "NVIDIA virtual GPU software licensing guide",
    },
    Aspect {
        name: "CPU and platform",
        passthrough: "VT-d or AMD-Vi, on; interrupt remapping; the card alone in its IOMMU group",
        vgpu: "mediated devices of old cards do without an IOMMU; those on virtual functions take it too, with SR-IOV in the firmware",
        source: "Linux Documentation/driver-api/vfio.rst and vfio-mediated-device.rst, Documentation/PCI/pci-iov-howto.rst",
    },
    Aspect {
        name: "GPUs",
        passthrough: "any that can be reset, GeForce among them",
        vgpu: "those on the vendor's list: NVIDIA's for data centers and workstations, AMD's with gim, Intel's with SR-IOV or GVT-g",
        source: "NVIDIA virtual GPU software supported GPUs; AMD gim; Intel i915 and xe",
    },
    Aspect {
        name: "driver on the host",
        passthrough: "none: vfio-pci has the card",
        vgpu: "the vendor's vGPU host driver",
        source: "docs/drivers.md",
    },
    Aspect {
        name: "driver in the guest",
        passthrough: "the card's ordinary one",
        vgpu: "NVIDIA: the GRID driver, of a release that goes with the host's",
        source: "NVIDIA virtual GPU software release notes, compatibility requirements",
    },
    Aspect {
        name: "live migration",
        passthrough: "no",
        vgpu: "where driver, kernel, libvirt and QEMU can (`gpuvirt vm migratable`)",
        source: "docs/migration.md",
    },
    Aspect {
        name: "effort",
        passthrough: "one command, when the platform is set up; often a parameter for the kernel and a reboot",
        vgpu: "the vendor's host driver, a licence server for NVIDIA's, a driver for each guest; then one command",
        source: "docs/passthrough.md, docs/vgpu.md",
    },
];
