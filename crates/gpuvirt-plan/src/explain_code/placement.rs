//! Where vGPUs are made, and what is kept free.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "no-suitable-gpu",
        cause: "A vGPU was asked for without a GPU, and none of this host's can take it now: each was looked at, and each \
                has its own reason.",
        evidence: "A GPU is suitable when it is configured and active as shared-direct, is the card that was configured, is \
                   neither cordoned nor hands-off, offers the profile, and has room that is not reserved.",
        remedy: "The reasons stand behind each GPU's address; the nearest one to remove is the one to remove. \
                 `gpuvirt capacity` shows what each GPU has left.",
    },
    Explanation {
        name: "capacity-reserved",
        cause: "There is room for the vGPU, but it is kept: for a reservation of the host, or for a VM that starts with \
                the host and whose vGPU does not exist now.",
        evidence: "The reservations in the stored configuration, less the vGPUs of their profile that exist, and the \
                   definitions of domains with autostart.",
        remedy: "`gpuvirt capacity` shows what is reserved and `gpuvirt host show` for whom. Take a reservation back with \
                 `gpuvirt host reserve PROFILE 0`, or choose another profile or GPU.",
    },
    Explanation {
        name: "cordoned",
        cause: "The admin cordoned the GPU: what is on it stays, and nothing more is placed there.",
        evidence: "The stored configuration says so, and `gpuvirt gpu show GPU` shows it.",
        remedy: "`gpuvirt gpu uncordon GPU`, or choose another GPU.",
    },
    Explanation {
        name: "maintenance",
        cause: "The host is in maintenance: what runs stays, and no vGPU is made.",
        evidence: "The stored configuration says so, and `gpuvirt host show` shows it.",
        remedy: "`gpuvirt host maintenance off` when the work is done.",
    },
    Explanation {
        name: "policy-not-in-effect",
        cause: "The assignment policy decides among GPUs on which one size of vGPU lives at a time. In mixed-size mode the \
                GPU with the fewest vGPUs is taken, then the placement that fragments least; in MIG mode the free GPU \
                instances decide.",
        evidence: "The stored configuration gives the GPU one of these vGPU modes.",
        remedy: "Nothing is wrong. `gpuvirt host show` lists the GPUs on which the policy does not act.",
    },
    Explanation {
        name: "affects-others",
        cause: "The change would give other graphics types to GPUs that the request does not name: those that are \
                configured as default follow the host's default type.",
        evidence: "The stored configuration of those GPUs is default.",
        remedy: "Repeat the request with --yes: each of them then becomes the new type, or says why it can't yet. To keep \
                 one as it is, give it a type of its own first: `gpuvirt gpu set GPU --type TYPE`.",
    },
];
