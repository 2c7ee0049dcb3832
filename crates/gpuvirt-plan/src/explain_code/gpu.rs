//! The card: who has it, what it shows, what was stored about it.

use super::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "gpu-not-found",
        cause: "No GPU of this host has this address or this label. The address of a companion function (the audio \
                function of a card) or of a virtual function does not name a GPU.",
        evidence: "A GPU is a PCI function of a display class, or of a class or an id that gpuvirtd.toml adds. Labels \
                   are those given with `gpuvirt gpu set --label`.",
        remedy: "`gpuvirt gpu list` shows address and label of each. Addresses change when cards are added or the \
                 firmware is updated.",
    },
    Explanation {
        name: "gpu-in-use",
        cause: "A process, a sound stream or a DRM client has the card open, or USB devices are plugged into its own \
                USB port. Unbinding it from its driver would wait in the kernel for as long as it does, crash it, or \
                take the devices from the host.",
        evidence: "File descriptors and memory mappings of all processes, matched by device number, so that \
                   containers are found too, unless refcnt of the drivers' modules says that there is nobody; open \
                   streams in /proc/asound; kernel clients in debugfs; devices below usbN of the card's USB \
                   controller.",
        remedy: "End what is named, or stop its service: desktop session, CUDA job, nvidia-persistenced, a \
                 container. Plug USB devices into another port. `gpuvirt gpu show GPU` shows the present holders.",
    },
    Explanation {
        name: "boot-display",
        cause: "The firmware used this card as its display. Host messages would be lost from its screen, and some \
                cards need their ROM handed to the guest, because the firmware has changed it.",
        evidence: "boot_vga or boot_display of the function is 1.",
        remedy: "Make another card the primary display in the firmware's setup. Where nobody looks at that screen: \
                 --accept boot-display.",
    },
    Explanation {
        name: "console-active",
        cause: "The kernel's console draws on this card without any process that could be ended. When the driver \
                goes, the console goes dark, and some drivers hang on it.",
        evidence: "A vtconsole that draws on frame buffers is bound, and a frame buffer in /sys/class/graphics \
                   belongs to this card.",
        remedy: "Unbind the console first: echo 0 > /sys/class/vtconsole/vtcon1/bind. Or leave the driver off the \
                 card at boot. Where losing the console is fine: --accept console-active.",
    },
    Explanation {
        name: "vfs-alive",
        cause: "Virtual functions of the card exist. They vanish when its driver does, under the VMs that have them.",
        evidence: "sriov_numvfs of the physical function is not 0.",
        remedy: "Shut down the VMs that have them, then write 0 to sriov_numvfs, or turn off the unit that makes \
                 them at boot.",
    },
    Explanation {
        name: "vgpus-alive",
        cause: "vGPUs of the card exist. They vanish with its driver or its virtual functions, under the VMs that have \
                them; and a card on which they live is shared-direct, in whichever way they are made.",
        evidence: "Mediated devices in /sys/bus/mdev/devices whose parent is a function of this card; virtual functions \
                   of it that have a vGPU type (nvidia/current_vgpu_type) or that VFIO has.",
        remedy: "Remove those that gpuvirt made with `gpuvirt vgpu remove`, others with the tool that made them \
                 (mdevctl, nvidia's scripts). Or say `--when idle`: it is stored, and the card follows when they are \
                 gone.",
    },
    Explanation {
        name: "identity-changed",
        cause: "Another card than the configured one sits at this address. Cards move when hardware or firmware \
                changes, and what was right for one may take the host's own display from another.",
        evidence: "Vendor, device, subsystem and class at the address differ from those stored when it was \
                   configured.",
        remedy: "`gpuvirt gpu list` shows where the card is now. `gpuvirt gpu unset ADDRESS`, then configure the \
                 card that sits there, or the old one at its new address.",
    },
    Explanation {
        name: "gpu-unresponsive",
        cause: "The card does not answer on the bus: it fell off it, or sleeps so deeply that it must be woken \
                first. A guest would get a dead device.",
        evidence: "Its config space reads as all ones.",
        remedy: "Look at dmesg for its address and at its power supply. `echo on > power/control` in its folder \
                 wakes it; a card that hangs since its last guest often needs the host to be powered off.",
    },
    Explanation {
        name: "device-locked",
        cause: "A write to the card waits in the kernel: an unbind for whoever has the card open, or a driver that \
                does not end its start. The kernel holds the function's lock meanwhile, and any other write to it \
                would wait too. Other GPUs are not concerned.",
        evidence: "Reading driver_override, which takes the lock on many kernels, did not end within seconds; or a \
                   writer process of gpuvirtd (gpuvirt-writer) still shows the write that it makes.",
        remedy: "Shut down the VM or end the process that has the card: the write then goes on by itself. Never kill \
                 the process that writes. Where a driver hangs, dmesg says so, and only a reboot ends it.",
    },
    Explanation {
        name: "binding-unknown",
        cause: "What a function of the card is bound to, or its driver_override, can't be read or understood. A \
                change could not be taken back to it.",
        evidence: "The function's driver link or its driver_override, named in the message.",
        remedy: "Read the file that is named, as root. A driver_override that names no driver is cleared by writing \
                 an empty line to it.",
    },
    Explanation {
        name: "hands-off",
        cause: "An earlier change of this GPU failed and could not be undone, or a write to it still waits in the \
                kernel. Nothing more is done to it, so that nothing gets worse.",
        evidence: "The journal in /var/lib/gpuvirt holds a change that never settled.",
        remedy: "`gpuvirt status` and journalctl -u gpuvirtd say what failed and how the card stands. Remove the cause, \
                 then `gpuvirt recover`; gpuvirtd also tries when it is started anew. `gpuvirt gpu unset GPU` gives up \
                 instead: the card is unmanaged then, and stays as it is.",
    },
    Explanation {
        name: "unmanaged",
        cause: "Nobody configured this GPU with gpuvirt, so gpuvirt does not touch it: not its driver, and nothing \
                that was made on it.",
        evidence: "The stored configuration has no entry for its address.",
        remedy: "`gpuvirt gpu set GPU --type TYPE` makes gpuvirt manage it. --dry-run shows what that would do.",
    },
    Explanation {
        name: "label-ambiguous",
        cause: "A label stands for a GPU where only one GPU has it. Several have this one, so that VMs can ask for \
                any of them, and here a single GPU must be named.",
        evidence: "The stored configuration has several entries with the label; the message names them.",
        remedy: "Name the GPU by its address. For a VM that may get any of them: `gpuvirt vm add VM --match \
                 VVVV:DDDD --label LABEL`.",
    },
    Explanation {
        name: "not-passthrough",
        cause: "The GPU is not bound to a VFIO driver. libvirt would either refuse to start the VM or take the card \
                from the host's driver by itself, unchecked.",
        evidence: "The driver links of the card's functions.",
        remedy: "`gpuvirt gpu set GPU --type direct` first.",
    },
    Explanation {
        name: "state-unreadable",
        cause: "A stored file of gpuvirt is there and can't be understood, or the folder is somebody else's to write in, or \
                can't be written to. It may name GPUs and vGPUs that are in use, so nothing is changed as if it were empty. \
                What is asked of the host is answered as ever.",
        evidence: "A file in /var/lib/gpuvirt fails its checks, or the folder itself; the message names it, with the line.",
        remedy: "Restore the file from a backup. Or move it aside: then every GPU is unmanaged, and stays as it is now. A folder \
                 is looked at when gpuvirtd starts: put right what the message says, and `systemctl restart gpuvirtd`.",
    },
    Explanation {
        name: "no-writer",
        cause: "gpuvirtd may not write to the host itself. It asks gpuvirt-writer.service for that, over a socket, and \
                there is no socket or nobody serves it. What is asked of the host is answered as ever; nothing is changed.",
        evidence: "/run/gpuvirt/writer.sock, or how the last attempt to have a writer ended.",
        remedy: "`systemctl start gpuvirt-writer.socket`; the service comes with the first write. Where it does not run, \
                 `systemctl status gpuvirt-writer.service` and `journalctl -u gpuvirt-writer` have the reason. What was \
                 to be restored meanwhile is led back by `systemctl restart gpuvirtd`.",
    },
];
