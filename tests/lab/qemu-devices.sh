# shellcheck shell=bash
# Sourced: QEMU arguments for the stand-ins. Root port N sits at pcie.0 slot 0x10+N-1, so the firmware numbers its bus N.
# Addresses as the lab VM sees them are in devices.env; a change here is a change there.
# Sets: QEMU_DEVICES (array).

QEMU_DEVICES=()

# root_port N : a root port of its own; everything behind it is one isolation unit of its own.
# The ports come before all that sits behind any of them, so that two may swap what they have (`scripts/lab power --swap`).
root_port() {
  local port
  port="pcie-root-port,id=rp$1,bus=pcie.0,chassis=$1,slot=$1,addr=0x$(printf %x $((15 + $1)))"
  QEMU_DEVICES=(-device "$port" "${QEMU_DEVICES[@]}")
}
on_port() { QEMU_DEVICES+=(-device "$2,bus=rp$1"); }

# Option ROMs are left out: the firmware would run them, slowly, and no stand-in needs one.
# The host's own display sits on the root bus, as on a server with a board-management chip.
QEMU_DEVICES+=(-device "VGA,id=boot-gpu,bus=pcie.0,addr=0x1")
root_port 1 && on_port 1 bochs-display,id=plain-gpu
root_port 2 && on_port 2 ati-vga,id=multi-gpu,addr=0x0.0,multifunction=on,romfile= \
  && on_port 2 intel-hda,id=multi-audio,addr=0x0.1
root_port 3 && on_port 3 bochs-display,id=twin-a
root_port 4 && on_port 4 bochs-display,id=twin-b
root_port 5 && on_port 5 igb,id=sriov-pf,romfile=
QEMU_DEVICES+=(-device "nvme-subsys,id=nvme-subsys0")
root_port 6 && on_port 6 nvme,id=sriov-nvme,serial=LAB0,subsys=nvme-subsys0,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=17
# A conventional bus has no isolation: both devices behind this bridge share one group (buses 7 and 8).
root_port 7 && on_port 7 pcie-pci-bridge,id=dirty-bridge
QEMU_DEVICES+=(-device "secondary-vga,id=dirty-gpu,bus=dirty-bridge,addr=0x1,romfile="
  -device "e1000,id=dirty-nic,bus=dirty-bridge,addr=0x2,romfile=")
root_port 8 && on_port 8 edu,id=mdev-gpu
