# shellcheck shell=bash
# Sourced: the lab VM's QEMU command line, the same for the first boot at build time and for each run.
# Defines: qemu_start IMAGE_DIR DISK RUN_DIR ACCEL. It returns when QEMU runs in the background, with its pid in RUN_DIR/pid.
# shellcheck source=tests/lab/qemu-devices.sh
. "$LAB_SRC/qemu-devices.sh"

LAB_MEM=${GPUVIRT_LAB_MEM:-3072} # MiB
LAB_CPUS=${GPUVIRT_LAB_CPUS:-2}

# accel_args ACCEL : software emulation with every feature (its CPU has SVM, so nested guests are KVM guests), or KVM.
accel_args() {
  case $1 in
    kvm) echo -accel kvm -cpu host ;;
    *) echo -accel tcg,thread=multi,tb-size=512 -cpu max ;;
  esac
}

# `oops=panic` and pvpanic: an oops in the lab VM ends QEMU, so nobody waits for a dead kernel.
# QEMU outlives us, so it must not hold our locks (descriptors 8 and 9).
# An ordinary reboot stays a reboot: tests reboot the host and look again.
qemu_start() {
  local image=$1 disk=$2 run=$3 accel=$4 qemu
  qemu=$("$LAB_SRC/emulator.sh") || return
  local append='root=/dev/vda rw console=ttyS0 quiet intel_iommu=on iommu=pt oops=panic net.ifnames=0'
  # A machine that hangs panics, and whoever waits for it is told.
  append+=' softlockup_panic=1 watchdog_thresh=60'
  # So does one of whose processors one does nothing any more: its own watchdog sleeps too, the other one's RCU finds it.
  append+=' sysctl.kernel.panic_on_rcu_stall=1 rcupdate.rcu_cpu_stall_timeout=60'
  append+=' mitigations=off nokaslr tsc=reliable no_timer_check'
  append+=${LAB_APPEND:+ $LAB_APPEND}
  # shellcheck disable=SC2046 # words on purpose
  (cd "$run" && "$qemu" -name "gpuvirt-lab-$LAB_NAME" -nodefaults -display none -daemonize -pidfile "$run/pid" \
    -machine q35,kernel-irqchip=split,sata=off,smbus=off,i8042=off,vmport=off $(accel_args "$accel") -smp "$LAB_CPUS" -m "$LAB_MEM" \
    -device intel-iommu,intremap=on,caching-mode=on,device-iotlb=on \
    -kernel "$image/vmlinux" -initrd "$image/initrd.cpio" -append "$append" \
    -chardev file,id=console,path=console.log -serial chardev:console \
    -monitor unix:monitor.sock,server=on,wait=off \
    -device pvpanic-pci,bus=pcie.0,addr=0x7 -action panic=exit-failure \
    -object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0,bus=pcie.0,addr=0x2 \
    -drive "if=none,id=root,file=$disk,cache=unsafe,format=${disk##*.}" -device virtio-blk-pci,drive=root,bus=pcie.0,addr=0x3 \
    -netdev user,id=mgmt,restrict=on,hostfwd=tcp:127.0.0.1:0-:22 \
    -device virtio-net-pci,netdev=mgmt,bus=pcie.0,addr=0x4,romfile= \
    "${QEMU_DEVICES[@]}" >qemu.log 2>&1 8>&- 9>&-) || die "QEMU did not start: $(cat "$run/qemu.log")"
}
