//! vGPUs and profiles.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "no-vgpu-support",
        cause: "The driver that has the card offers no vGPUs that gpuvirt can make. Plain display drivers offer \
                none, even on cards that could.",
        evidence: "No mdev_supported_types in the folder of the function or of its virtual functions, no virtual functions with \
                   nvidia/creatable_vgpu_types, and no sriov_totalvfs.",
        remedy: "Load the vendor's vGPU host driver and reboot or reload it. `gpuvirt profile list` shows what is \
                 offered then.",
    },
    Explanation {
        name: "not-shared-direct",
        cause: "vGPUs are made only on a GPU that was configured for them.",
        evidence: "The stored configuration gives this GPU another type.",
        remedy: "`gpuvirt gpu set GPU --type shared-direct`.",
    },
    Explanation {
        name: "profile-not-offered",
        cause: "The GPU's driver offers no profile of this name, at least not now: what is offered depends on the \
                card, on the driver's version, and with some on what is made already.",
        evidence: "The types in mdev_supported_types of the GPU's functions, or in nvidia/creatable_vgpu_types of its virtual \
                   functions, by name; vf where virtual functions are free.",
        remedy: "`gpuvirt profile list --gpu GPU` shows the names. They are those of the driver in lower case, with \
                 _ for spaces.",
    },
    Explanation {
        name: "no-capacity",
        cause: "The GPU has no room for one more vGPU of this profile. Capacity is shared between its profiles, and \
                many drivers allow one size at a time only.",
        evidence: "available_instances of the type is 0.",
        remedy: "Choose a smaller profile or another GPU, or remove a vGPU that nobody needs: `gpuvirt vgpu list`.",
    },
    Explanation {
        name: "uuid-in-use",
        cause: "A vGPU with this UUID exists. UUIDs are unique on a host: VMs name vGPUs by them.",
        evidence: "A device of this name in /sys/bus/mdev/devices.",
        remedy: "Leave out --uuid, and a new one is chosen. `gpuvirt vgpu show UUID` shows the present one.",
    },
    Explanation {
        name: "vgpu-not-found",
        cause: "No vGPU has this UUID. vGPUs do not survive a reboot of the host by themselves.",
        evidence: "No device of this name in /sys/bus/mdev/devices, and no virtual function at this address that is a vGPU.",
        remedy: "`gpuvirt vgpu list` shows those that exist. `gpuvirt vgpu create --uuid UUID` makes it anew.",
    },
    Explanation {
        name: "vgpu-in-use",
        cause: "A running VM or a process holds the vGPU. Removing it would wait in the kernel, or take it from \
                under the guest.",
        evidence: "Running domains that have it, and file descriptors of processes on its VFIO group.",
        remedy: "Shut down the VM that is named, then try again.",
    },
    Explanation {
        name: "not-ours",
        cause: "gpuvirt did not make this vGPU, so it does not remove it: mdevctl, a cloud agent or a script \
                reckons with it.",
        evidence: "It is not in gpuvirt's own records.",
        remedy: "Remove it with the tool that made it, e.g. mdevctl stop -u UUID.",
    },
    Explanation {
        name: "several-gpus",
        cause: "The vGPUs are on several GPUs. One change is about one GPU, so that it is either done or undone as a \
                whole.",
        evidence: "The parents of the vGPUs belong to different GPUs.",
        remedy: "One `gpuvirt vgpu remove` for each GPU; the refusal has the commands.",
    },
];
