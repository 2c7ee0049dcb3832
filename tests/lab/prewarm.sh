#!/bin/bash
# First boot of a fresh image, written to its disk: libvirt probes QEMU's capabilities (seconds under emulation), AppArmor
# compiles its profiles, the journal of ext4 and the caches settle. Every later boot starts from there.
# usage: prewarm.sh IMAGE_DIR
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/qemu.sh
. "$LAB_SRC/qemu.sh"
# shellcheck source=tests/lab/ssh.sh
. "$LAB_SRC/ssh.sh"
# shellcheck source=tests/lab/machine.sh
. "$LAB_SRC/machine.sh"

image=$1 run=$1/run start=$EPOCHREALTIME
mkdir "$run"
accel=$("$LAB_SRC/accel.sh" "$image/vmlinux" "$image/l2-initrd.cpio")
trap 'machine_stop "$run"' EXIT
qemu_start "$image" "$image/disk.raw" "$run" "$accel"
lab_port "$(cat "$run/pid")" >"$run/port"
machine_wait "$run" true || die "the first boot of the lab image failed; its console: $(tail -n 20 "$run/console.log")"
say "first boot: ssh after $(seconds_since "$start") s ($accel)"
# The lab's own domain is defined once: that probes the KVM side of the capabilities too.
lab_ssh "$run" 127.0.0.1 'set -e
  virsh -q capabilities >/dev/null && virsh -q domcapabilities --virttype kvm >/dev/null
  /lab/guest-domain warm >/run/warm.xml && virsh -q define /run/warm.xml && virsh -q undefine warm
  systemctl is-system-running --wait || systemctl --failed --no-legend >&2; sync' </dev/null >&2 ||
  die 'the first boot of the lab image found libvirt unusable'
machine_stop "$run"
trap - EXIT
rm -rf "$run"
say "first boot: done after $(seconds_since "$start") s"
