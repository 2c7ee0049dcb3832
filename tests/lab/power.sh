#!/bin/bash
# Takes the power from the running lab VM (its QEMU is killed: what no program synced is lost) and boots it again on the disk
# that it has. `--initrd FILE`: with this initramfs, e.g. one that the lab VM's own initramfs-tools made; the next power cut
# without it boots the lab's own again. `--append WORDS`: its kernel is told these besides, for this boot.
# `--swap N M`: with what is behind root ports N and M in each other's place, as after somebody moved cards between slots; the
# next power cut without it has them back.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
# shellcheck source=tests/lab/qemu.sh
. "$LAB_SRC/qemu.sh"

image=$LAB_CACHE/$(cat "$LAB_RUN/image")
initrd=$image/initrd.cpio
case ${1:-} in
  '') ;;
  --initrd) initrd=$(realpath -e "${2:?FILE}") ;;
  --swap)
    one=",bus=rp${2:?N}" other=",bus=rp${3:?M}"
    for i in "${!QEMU_DEVICES[@]}"; do
      case ${QEMU_DEVICES[i]}, in
        *"$one,"*) QEMU_DEVICES[i]=${QEMU_DEVICES[i]/"$one"/"$other"} ;;
        *"$other,"*) QEMU_DEVICES[i]=${QEMU_DEVICES[i]/"$other"/"$one"} ;;
      esac
    done
    ;;
  --append) LAB_APPEND=${2:?WORDS} ;; # for qemu_start
  *) die 'usage: scripts/lab power [--initrd FILE | --append WORDS | --swap N M]' ;;
esac
require_up
start=$EPOCHREALTIME
pid=$(machine_pid "$LAB_RUN")
ssh_master_stop "$LAB_RUN"
kill -KILL "$pid"
tail --pid="$pid" -f /dev/null
rm -f "$LAB_RUN"/{pid,port,ssh.sock,monitor.sock}
mv "$LAB_RUN/console.log" "$LAB_RUN/console.before.log"
# QEMU is started from a folder that names kernel and initramfs.
rm -rf "${LAB_RUN:?}/boot"
mkdir "$LAB_RUN/boot"
ln -s "$image/vmlinux" "$LAB_RUN/boot/vmlinux"
ln -s "$initrd" "$LAB_RUN/boot/initrd.cpio"
qemu_start "$LAB_RUN/boot" "$LAB_RUN/disk.qcow2" "$LAB_RUN" "$(cat "$LAB_RUN/accel")"
lab_port "$(machine_pid "$LAB_RUN")" >"$LAB_RUN/port" || die 'QEMU listens on no loopback port'
machine_wait "$LAB_RUN" "$MACHINE_READY" || { explain_loss && exit "$LAB_LOST"; }
ssh_master_start "$LAB_RUN"
say "lab '$LAB_NAME' is back after $(seconds_since "$start") s"
