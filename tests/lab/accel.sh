#!/bin/bash
# Prints `kvm` or `tcg`: KVM only where it boots a guest to its own words. Opening /dev/kvm proves nothing, nor does creating a VM.
# The verdict is kept per boot of this machine and QEMU version. `GPUVIRT_LAB_ACCEL` overrides.
# usage: accel.sh VMLINUX L2_INITRD
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
DEADLINE=20

case ${GPUVIRT_LAB_ACCEL:-} in
  kvm | tcg) echo "$GPUVIRT_LAB_ACCEL" && exit ;;
  '') ;;
  *) die "GPUVIRT_LAB_ACCEL is kvm or tcg, not '$GPUVIRT_LAB_ACCEL'" ;;
esac

qemu=$("$LAB_SRC/emulator.sh")

boots_a_guest() {
  timeout -k 2 "$DEADLINE" "$qemu" -nodefaults -display none -no-reboot -machine q35 -accel kvm -cpu host -m 256 \
    -kernel "$1" -initrd "$2" -append 'console=ttyS0 quiet panic=-1' -serial stdio </dev/null 2>/dev/null | grep -qa L2-DONE
}

verdict=$LAB_CACHE/accel-$(key -- "$(cat /proc/sys/kernel/random/boot_id)" "$("$qemu" --version)" "$(id -u)")
if [ ! -s "$verdict" ]; then
  choice=tcg
  if [ ! -w /dev/kvm ]; then
    say 'no usable /dev/kvm: software emulation'
  elif boots_a_guest "$1" "$2"; then
    choice=kvm
  else
    say "/dev/kvm opens, but a guest did not boot under it within $DEADLINE s: software emulation"
  fi
  echo "$choice" >"$verdict.$$" && mv "$verdict.$$" "$verdict"
fi
cat "$verdict"
