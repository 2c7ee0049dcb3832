//! The document of `gpuvirt config`, and what becomes of it at boot.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "selector-ambiguous",
        cause: "The document names a GPU by what it is (match), and more GPUs of this host fit than it says, or two of \
                its entries mean the same GPU. Which one is meant would be a guess.",
        evidence: "Vendor, device and subsystem ids and the slots of the GPUs of this host, against the entry's match \
                   and count.",
        remedy: "Narrow the match with subsystem or slot, say how many are meant with count, or give the address. \
                 `gpuvirt gpu list` shows the GPUs.",
    },
    Explanation {
        name: "selector-unmatched",
        cause: "The document names GPUs by what they are (match), and this host has fewer of them than it says. A card \
                may be missing, or the document is another host's.",
        evidence: "Vendor, device and subsystem ids and the slots of the GPUs of this host, against the entry's match \
                   and count.",
        remedy: "Look for the card with `gpuvirt gpu list`; correct match or count, or leave the entry out.",
    },
    Explanation {
        name: "import-contradiction",
        cause: "Other tools' files, libvirt's domains or what is configured already say two things of one GPU, such as \
                driverctl that it belongs to vfio-pci and mdevctl that it has mediated devices. Which one is meant would \
                be a guess, so nothing at all is applied.",
        evidence: "The files, each with its line, as `gpuvirt import` lists them.",
        remedy: "Take out what no longer holds and import again. Or decide in the document: `gpuvirt import > gpus.yaml`, \
                 edit it, `gpuvirt config apply --adopt -f gpus.yaml`.",
    },
    Explanation {
        name: "initramfs-stale",
        cause: "The initramfs of the running kernel was made before the present list of passthrough cards. Where it \
                holds a host driver, that driver takes the card at the next boot before the host's own claim. The \
                daemon then still leads the card to VFIO, unless something holds it by that time.",
        evidence: "The list that the package's hook noted in /var/lib/gpuvirt/initramfs when it made the image, against \
                   /etc/gpuvirt/claims, and the ages of note and image.",
        remedy: "Make the image anew: update-initramfs -u (initramfs-tools) or dracut -f. gpuvirtd never does it by \
                 itself.",
    },
];
