//! GPU instances.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "no-mig",
        cause: "The card can't be cut into GPU instances (Multi-Instance GPU), or the program that does it is not \
                known: gpuvirt goes through the vendor's own command.",
        evidence: "The command answers [N/A] for the card's MIG mode, or no rule for the card's driver in \
                   gpuvirtd.toml names a command.",
        remedy: "Use another vGPU mode: `gpuvirt gpu set GPU --type shared-direct --vgpu-mode same-size`. Where the \
                 command is only somewhere else, name it in gpuvirtd.toml.",
    },
    Explanation {
        name: "mig-off",
        cause: "GPU instances are made only on a card whose vGPU mode is mig and whose MIG mode is on. A mode that was \
                set while something used the card comes with its next reset.",
        evidence: "The stored configuration, and the MIG mode that the vendor's command shows, current and pending.",
        remedy: "`gpuvirt gpu set GPU --type shared-direct --vgpu-mode mig`. Where the mode is pending, stop what uses \
                 the card and ask again, or reboot the host.",
    },
    Explanation {
        name: "gpu-instance-not-found",
        cause: "The card has no GPU instance with this number. GPU instances do not survive a reboot, nor virtual \
                functions that are enabled or disabled.",
        evidence: "The list of the vendor's command.",
        remedy: "`gpuvirt mig list GPU` shows those that exist.",
    },
    Explanation {
        name: "gpu-instance-in-use",
        cause: "A vGPU lives on the GPU instance. It would lose its memory and its engines.",
        evidence: "gpu_instance_id of the card's virtual functions. A vGPU whose driver does not say on which \
                   instance it lives counts for each of them.",
        remedy: "Remove the vGPU that is named first: `gpuvirt vgpu remove ID`.",
    },
];
