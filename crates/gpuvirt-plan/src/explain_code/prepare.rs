//! Preparing a card for vGPUs.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "too-many-vfs",
        cause: "More virtual functions were asked for than the card can have.",
        evidence: "sriov_totalvfs of the physical function; without it the card has no SR-IOV at all.",
        remedy: "Leave out --vfs for as many as there can be, or name a smaller number.",
    },
    Explanation {
        name: "vf-count-fixed",
        cause: "The card's driver wants its vendor's own tool to make virtual functions, and that always makes all of \
                them.",
        evidence: "The rule of the driver in gpuvirtd.toml ([[driver]] vf_tool), or the built-in one for nvidia.",
        remedy: "Leave out --vfs. Virtual functions that nobody uses cost no frame buffer.",
    },
    Explanation {
        name: "no-mixed-size",
        cause: "No way is known to make this card's driver keep vGPUs of several sizes side by side.",
        evidence: "The driver has no rule with a command, built in or in gpuvirtd.toml, or its virtual functions are \
                   plain ones, whose sizes are not ours to choose.",
        remedy: "Leave out --vgpu-mode: the driver's own rule then holds, on NVIDIA's cards one size at a time.",
    },
    Explanation {
        name: "driver-does-not-fit",
        cause: "The package is not a driver for what the GPU is used as. A vGPU takes NVIDIA's GRID driver of a release that \
                goes with the host's manager; a passthrough card takes the data center or the GRID driver in its VM; only \
                a vGPU manager makes vGPUs.",
        evidence: "The package's name, the host's driver and its version, and the table of docs/drivers.md.",
        remedy: "Install what the answer names. `gpuvirt driver check FILE` tells what any other package is.",
    },
];
