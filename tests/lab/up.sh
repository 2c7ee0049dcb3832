#!/bin/bash
# Boots the lab VM on a throw-away disk and waits until ssh answers, all devices have settled and libvirt listens.
# Already up: says so. A kernel panic during the boot is told and tried once more; one before is told and started anew.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
# shellcheck source=tests/lab/qemu.sh
. "$LAB_SRC/qemu.sh"

# start_machine : a new disk, QEMU, and the way to it
start_machine() {
  rm -f "$LAB_RUN"/{pid,port,console.log,disk.qcow2,ssh.sock,monitor.sock}
  qemu-img create -q -f qcow2 -b "$image/disk.raw" -F raw "$LAB_RUN/disk.qcow2"
  qemu_start "$image" "$LAB_RUN/disk.qcow2" "$LAB_RUN" "$accel"
  lab_port "$(machine_pid "$LAB_RUN")" >"$LAB_RUN/port" || die 'QEMU listens on no loopback port'
  echo "$accel" >"$LAB_RUN/accel"
  basename "$image" >"$LAB_RUN/image"
  machine_wait "$LAB_RUN" "$MACHINE_READY"
}

note_panic() { date -u +%FT%TZ >>"$LAB_RUN/panics" && explain_loss; }

case ${1:-} in '' | --fresh) ;; *) die 'usage: scripts/lab up [--fresh]' ;; esac
mkdir -p "$LAB_RUN"
exec 8>"$LAB_RUN.lock"
flock 8
if machine_panicked "$LAB_RUN"; then
  note_panic
  machine_stop "$LAB_RUN"
elif machine_alive "$LAB_RUN"; then
  if [ "${1:-}" != --fresh ]; then
    say "lab '$LAB_NAME' is already up"
    exit 0
  fi
  machine_stop "$LAB_RUN"
fi

image=$("$LAB_SRC/build.sh" --image)
accel=$("$LAB_SRC/accel.sh" "$image/vmlinux" "$image/l2-initrd.cpio")
start=$EPOCHREALTIME rc=0
start_machine || rc=$?
if [ $rc = 2 ]; then
  note_panic
  machine_stop "$LAB_RUN"
  say 'starting it once more'
  rc=0
  start_machine || rc=$?
fi
if [ $rc != 0 ]; then
  tail -n 30 "$LAB_RUN/console.log" >&2
  die "the lab VM was not ready within $BOOT_DEADLINE s (its console is above; it is left as it is)"
fi
ssh_master_start "$LAB_RUN"
[ -z "$(ls "$LAB_MODULES"/*.ko 2>/dev/null)" ] || "$LAB_SRC/push.sh" "$LAB_MODULES"/*.ko /lab/modules
say "lab '$LAB_NAME' is up after $(seconds_since "$start") s ($accel)"
