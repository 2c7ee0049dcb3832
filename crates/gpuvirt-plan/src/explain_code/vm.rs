//! libvirt domains.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "domain-running",
        cause: "A running VM has the card, or the VM that is to be edited runs. Cards change hands only while the \
                VM is powered off.",
        evidence: "The devices of the running QEMU, as libvirt shows them.",
        remedy: "Shut the VM down (virsh shutdown VM), then try again.",
    },
    Explanation {
        name: "domain-not-found",
        cause: "libvirt has no domain of this name.",
        evidence: "The domains of qemu:///system; those of a user's own qemu:///session are not looked at.",
        remedy: "`gpuvirt vm list` or virsh list --all shows the names.",
    },
    Explanation {
        name: "mixed-modes",
        cause: "One VM would have a whole GPU and a vGPU. Drivers in the guest can't serve both together, and \
                vSphere forbids it for the same reason.",
        evidence: "The host devices in the domain's definition.",
        remedy: "Remove the other device first: `gpuvirt vm show VM`, `gpuvirt vm remove VM DEVICE`.",
    },
    Explanation {
        name: "too-many-devices",
        cause: "One VM gets 16 GPUs and vGPUs at most, each whole card counted once: vSphere draws the line there too, \
                and guests' drivers are not tried beyond it.",
        evidence: "The host devices in the domain's definition that are GPUs, virtual functions of GPUs, or mediated \
                   devices.",
        remedy: "Take a device out first (`gpuvirt vm show VM`, `gpuvirt vm remove VM DEVICE`), or use a larger \
                 profile instead of several.",
    },
    Explanation {
        name: "not-full-size",
        cause: "NVIDIA's guests take several vGPUs only of the classes Q and C, and on boards without virtual functions \
                (up to Turing) only such that have all of their GPU's frame buffer.",
        evidence: "The class in the profiles' names; on boards without virtual functions how many of the profile fit on \
                   the empty GPU.",
        remedy: "Give the VM one vGPU, or full-size ones of several GPUs: `gpuvirt profile list` shows those with a MAX \
                 of 1.",
    },
    Explanation {
        name: "domain-not-editable",
        cause: "The domain's definition kept changing while it was edited, or it can't be edited safely, so it was \
                left as it is.",
        evidence: "The definition was read again just before it was to be stored, and differed; or it has no room \
                   for the device.",
        remedy: "Close virt-manager and virsh edit, then try again. `gpuvirt xml --gpu GPU` prints the elements to \
                 paste by hand.",
    },
    Explanation {
        name: "hostdev-managed",
        cause: "The domain has this device with managed='yes': libvirt itself would bind and unbind its driver at \
                every start and stop, without gpuvirt's checks. A VM with a virtual function of a managed GPU does not start \
                so: libvirt would take it from the driver that makes it a vGPU.",
        evidence: "The hostdev element in the domain's definition.",
        remedy: "Write managed='no' there (virsh edit VM), or remove the device and add it with `gpuvirt vm add`.",
    },
    Explanation {
        name: "device-not-found",
        cause: "The domain's definition does not have this device, so there is nothing to remove.",
        evidence: "The host devices in the definition that the next start uses.",
        remedy: "`gpuvirt vm show VM` shows the devices that it has.",
    },
    Explanation {
        name: "not-migratable",
        cause: "Something that a live migration takes is missing: a card that is passed through has no state that could be \
                saved, a vGPU's driver may not save its own, and kernel, libvirt and QEMU must be new enough; the other host \
                must offer the same profile on a card of the same make, under a driver of the same version.",
        evidence: "The kernel's debugfs (vfio), the host's drivers and versions, and the recording of the other host.",
        remedy: "Power the VM off, move its definition, and start it there. `gpuvirt vm migratable VM -o json` lists every check.",
    },
];
