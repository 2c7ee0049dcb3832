//! Requests of domains, and starts that are refused by the hook.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "cloned-request",
        cause: "The domain was cloned: its device requests, and the devices that were added with them, are those of \
                its original. Two VMs would run for the same devices.",
        evidence: "The requests in the domain's metadata name the uuid of the domain that they were written for.",
        remedy: "Take the copied devices out (`gpuvirt vm remove VM DEVICE` for each that `gpuvirt vm show VM` lists), \
                 then add the clone's own with `gpuvirt vm add`.",
    },
    Explanation {
        name: "request-unmet",
        cause: "The device in the domain's definition is not what its request asks for: another kind of card, or a \
                virtual function with another profile.",
        evidence: "The request in the domain's metadata, compared with the device as the host shows it.",
        remedy: "`gpuvirt vm start VM` chooses a device that fits, edits the definition and starts the VM.",
    },
    Explanation {
        name: "busy",
        cause: "A change of the GPU is under way whose write has kept the kernel waiting for longer than another change \
                waits (5 s), or of a GPU in its IOMMU group, or of one for which services are stopped that hold this \
                one too. At a start: a change of a GPU that the VM needs is under way, or a change before this start \
                takes longer than libvirt may be kept waiting (2 s, and 10 s where a vGPU is to be made). Other GPUs \
                are not concerned.",
        evidence: "gpuvirtd's own turn of changes.",
        remedy: "Try again, or start the VM again, when the change has ended; `gpuvirt status` shows its step and how \
                 long that has taken, and what is not settled.",
    },
    Explanation {
        name: "request-without-device",
        cause: "The domain asks for a device in its metadata, and the hostdev that it got is not in its definition: \
                somebody took it out with another tool. The VM starts without it.",
        evidence: "No hostdev has the alias that the request names.",
        remedy: "`gpuvirt vm remove VM request-N` forgets the request; `gpuvirt vm add` with the same options gives \
                 the VM a device again.",
    },
    Explanation {
        name: "copied-request",
        cause: "The domain was cloned from another and has that one's device requests; its start is refused as \
                cloned-request.",
        evidence: "The requests in the domain's metadata name the uuid of the domain that they were written for.",
        remedy: "Take the copied devices out with `gpuvirt vm remove`, then add the clone's own with `gpuvirt vm add`.",
    },
    Explanation {
        name: "device-without-request",
        cause: "The domain has a GPU or a vGPU that none of its requests asks for: somebody added it with another \
                tool. The rules hold for it all the same, but gpuvirt will not choose another one for it.",
        evidence: "A hostdev of the definition is a GPU's, and no request in its metadata has its alias.",
        remedy: "Nothing, if it is meant so. Else take it out with the tool that put it there and use `gpuvirt vm add`.",
    },
    Explanation {
        name: "live-violation",
        cause: "A running VM has devices that would have been refused at its start; they were attached while it ran, \
                for which libvirt has no hook. It is left alone, and refused at its next start.",
        evidence: "The host devices of the running QEMU, as libvirt shows them.",
        remedy: "Detach the device (virsh detach-device VM FILE --live), or shut the VM down; `gpuvirt vm show VM` \
                 lists its devices.",
    },
];
