//! Warnings: not refused, but to be known.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "no-reset-method",
        cause: "The kernel can't reset the card. Its next guest gets it as the last one left it, which may not \
                start, or may read what the last one had in its memory.",
        evidence: "reset_method of the function is empty.",
        remedy: "Give it to one VM only, and power the host off between owners. Some cards have a vendor's reset \
                 module.",
    },
    Explanation {
        name: "interrupt-remapping-unknown",
        cause: "It can't be told whether interrupts are remapped. Where they are not, VFIO refuses to start the VM.",
        evidence: "/proc/interrupts shows no chip that tells.",
        remedy: "Try to start the VM; when it fails with an interrupt remapping error: gpuvirt explain \
                 no-interrupt-remapping.",
    },
    Explanation {
        name: "holders-unseen",
        cause: "Some holders of the card may be hidden, so a change may have to wait for one of them.",
        evidence: "The files of other users' processes can be read by root only, or the recording holds none.",
        remedy: "Ask gpuvirtd, or run the command as root.",
    },
    Explanation {
        name: "no-host-driver",
        cause: "The card was given back to the host, and no driver took it: the host can't use it now.",
        evidence: "The function has no driver link after the kernel was asked to find one.",
        remedy: "Load the driver (modprobe nvidia, amdgpu, i915), then bind it: echo ADDRESS > \
                 /sys/bus/pci/drivers_probe. Where it is loaded and does not take the card, journalctl -k | grep ADDRESS \
                 says why.",
    },
    Explanation {
        name: "service-down",
        cause: "A service that was stopped so that a card could be prepared did not start again.",
        evidence: "Its control group has no process some seconds after systemctl was told to start it.",
        remedy: "See why, and start it: systemctl status UNIT; systemctl start UNIT.",
    },
    Explanation {
        name: "power-control-lost",
        cause: "The card is the host's again, its power/control was put back to what it was before VFIO had it, and somebody \
                has set it otherwise since: its driver, once it had the card, or a rule of udev's.",
        evidence: "power/control of the function, read again after the last write.",
        remedy: "Nothing, where the driver or the rule is right. Otherwise write the other value, on or auto, to power/control \
                 in the function's folder below /sys/bus/pci/devices.",
    },
    Explanation {
        name: "also-defined-in",
        cause: "Another VM's definition names the same device. Both can be defined; only one can run at a time.",
        evidence: "The host devices in the definitions of all domains.",
        remedy: "Nothing, when they take turns. Otherwise `gpuvirt vm remove VM DEVICE` on one of them.",
    },
    Explanation {
        name: "fractional-vgpus",
        cause: "One VM has several vGPUs that are parts of a GPU, or whose size is not known. Which of them go together \
                depends on the board and on the driver's version, and shows when the VM starts.",
        evidence: "How many of each vGPU's profile fit on the empty GPU, where the driver tells; 1 is a whole GPU.",
        remedy: "Start the VM; when its vGPUs fail, use profiles with a MAX of 1: `gpuvirt profile list`.",
    },
    Explanation {
        name: "host-driver-unsure",
        cause: "It can't be told whether the host's driver of the card is the one that makes vGPUs.",
        evidence: "/sys/module and /proc/driver/nvidia tell nothing here, and the card shows no types yet.",
        remedy: "`gpuvirt gpu show GPU` after the change: a driver that makes vGPUs offers profiles then.",
    },
    Explanation {
        name: "host-driver-mismatch",
        cause: "The host's driver of the card is of another kind than its configured type needs: the plain driver makes no \
                vGPUs, and NVIDIA's vGPU manager gives the host's own programs neither CUDA nor graphics.",
        evidence: "The driver's modules, and whether the card offers vGPU types: `gpuvirt gpu show GPU`, host driver.",
        remedy: "Install the driver for the type (docs/drivers.md; `gpuvirt driver check FILE --gpu GPU` judges a package), \
                 or configure the type that the driver is for.",
    },
    Explanation {
        name: "accepted",
        cause: "A refusal was accepted by the admin, and the change went ahead.",
        evidence: "--accept NAME with this change, or stored with an earlier one.",
        remedy: "Nothing. `gpuvirt gpu show GPU` lists what is accepted; `gpuvirt gpu unset GPU` forgets it.",
    },
];
