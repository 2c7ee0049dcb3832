//! GPUs.

use crate::explain_code::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "type-pending",
        cause: "What the GPU is now is not what was configured: its type, its vGPU mode, how many virtual \
                functions it has, or the vGPUs that an admin made on it. Often something holds it or its \
                driver is missing, a reboot took what could not be made again, or somebody removed it by \
                hand.",
        evidence: "What was stored, beside the driver, virtual functions and vGPUs in /sys. vGPUs that are \
                   made for a VM's start are not missed, nor is what a change is at.",
        remedy: "gpuvirt gpu set ADDRESS --type TYPE --dry-run names everything that is in the way; gpuvirt \
                 status says why the last start did not make it so. gpuvirt config export | gpuvirt config \
                 apply -f - leads every GPU to what is configured, vGPUs included.",
    },
    Explanation {
        name: "reset-bug",
        cause: "AMD's Polaris, Vega and Navi 1x come back from the kernel's resets with a firmware that \
                hangs. The first guest works; after it, neither another guest nor the host finds a working \
                card until the power was off.",
        evidence: "The device id, and reset_method without device_specific, which is what the module \
                vendor-reset adds.",
        remedy: "Install vendor-reset (DKMS), load it, and put device_specific first in reset_method. \
                Otherwise let guests shut down cleanly.",
    },
    Explanation {
        name: "power-stuck",
        cause: "The card is in D3cold or an error state while the kernel takes it for awake, or sleeps on \
                since waking it failed. Drivers and guests then find a card that answers nothing.",
        evidence: "power_state and power/runtime_status of the function.",
        remedy: "Write on to its power/control before it is given away; keep it awake with 0 in d3cold_allowed until the next \
                boot, and with vfio-pci's disable_idle_d3=1 in /etc/modprobe.d from then on. A power cycle brings it back.",
    },
    Explanation {
        name: "d3cold",
        cause: "vfio-pci lets a card sleep while no VM has it, and on this host the platform then cuts the card's power. Most cards \
                come back when a VM starts. Some don't, after many starts or at once: the kernel says \"Unable to change power \
                state from D3cold to D0, device inaccessible\", QEMU \"stuck in D3\", and only a power cycle of the host helps. \
                Nothing is wrong while yours comes back.",
        evidence: "power_state, power/runtime_status and d3cold_allowed of the function, which nobody wakes to read, and the \
                   parameter disable_idle_d3 of vfio-pci.",
        remedy: "Keep it awake: 0 into its d3cold_allowed for this boot; vfio-pci's disable_idle_d3=1 in /etc/modprobe.d for all \
                 cards from the next boot on. It costs some watts while no VM has the card.",
    },
    Explanation {
        name: "firmware-framebuffer",
        cause: "The firmware's picture stays on the boot display until a driver takes it over. Where none \
                does, the kernel keeps that part of the card's memory for it (BOOTFB, efifb, simplefb, efidrm, simpledrm), and \
                VFIO can't map the whole: QEMU complains that it can't reserve the BAR, and the guest's \
                screen is black. Since Linux 6.0 vfio-pci takes the picture away from a VGA controller when it takes the card, \
                so there it is found only where the card is VFIO's and the picture still there.",
        evidence: "/proc/iomem, in the lines below the card's address, and the kernel's release.",
        remedy: "Keep the kernel from taking the firmware's picture over: initcall_blacklist=sysfb_init on \
                its command line (video=efifb:off before 5.15), or choose another boot display.",
    },
    Explanation {
        name: "shadowed-rom",
        cause: "The firmware ran the boot display's ROM, and what the card shows since may be what that \
                left. A guest's firmware that runs it again finds no picture.",
        evidence: "boot_vga of the card, and a hostdev without a ROM file.",
        remedy: "Save the ROM while another card is the boot display, or get it from the card's maker, and \
                name it in the hostdev: <rom file='...'/>.",
    },
    Explanation {
        name: "bar-unassigned",
        cause: "The firmware and the kernel found no addresses for a window of the card, so that no driver \
                works with it. Cards with large memory need the space above 4 GiB.",
        evidence: "The address 0 of a window with a size in the function's resource.",
        remedy: "Turn on Above 4G Decoding (and SR-IOV) in the firmware's setup. pci=realloc on the kernel's \
                command line lets the kernel place them anew.",
    },
    Explanation {
        name: "bar-resizable",
        cause: "The card offers larger windows than it has (Resizable BAR). Some guests are faster with \
                them, and only the host can change them, while no driver has the card.",
        evidence: "resourceN_resize and resource of the function.",
        remedy: "Turn on Resizable BAR in the firmware's setup, or write the size's number into \
                resourceN_resize before the card goes to vfio-pci. Some older guests' drivers want the small \
                window: try.",
    },
    Explanation {
        name: "lost-at-reboot",
        cause: "Virtual functions and vGPUs do not survive a reboot, and this GPU is not managed, so that \
                gpuvirt does not make them again.",
        evidence: "The virtual functions and vGPUs that live now, and the stored configuration.",
        remedy: "Let gpuvirt manage it (gpu set --type shared-direct), or make sure that what made them does \
                so at each boot, before VMs start.",
    },
    Explanation {
        name: "vf-taken-by-host",
        cause: "The host's own driver binds new virtual functions unless it is told not to, and has taken \
                those that are meant for VMs.",
        evidence: "The driver links of the virtual functions.",
        remedy: "Let gpuvirt make them (gpu set --type shared-direct), or write 0 to sriov_drivers_autoprobe \
                before they are made.",
    },
    Explanation {
        name: "vgpu-vf-on-vfio",
        cause: "NVIDIA's virtual functions for vGPUs stay on the driver nvidia and are given a vGPU type \
                there. On vfio-pci they have none, and the guest finds no card. managed='yes' in a hostdev \
                is what usually puts them there.",
        evidence: "The driver links of the virtual functions of a GPU that nvidia has.",
        remedy: "Unbind them, gpu set --type shared-direct, and let VMs ask for a profile.",
    },
];
