# shellcheck shell=bash
# Sourced after qemu.sh and ssh.sh: the life of one lab VM in a run folder.
# Defines: machine_alive, machine_panicked, machine_wait, machine_stop.

BOOT_DEADLINE=${GPUVIRT_LAB_BOOT_DEADLINE:-240} # seconds; a loaded two-core machine takes a minute
STOP_DEADLINE=60
# all devices have their drivers, libvirt listens
# shellcheck disable=SC2034 # for up and reboot
MACHINE_READY='udevadm settle && systemctl is-active -q multi-user.target libvirtd.socket'

machine_pid() { cat "$1/pid" 2>/dev/null || true; }

# A pid alone may have been reused: ours names our run folder on its command line.
machine_alive() {
  local pid
  pid=$(machine_pid "$1")
  [ -n "$pid" ] && { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -e "-pidfile $1/pid "
}

machine_panicked() { grep -aq 'Kernel panic - not syncing' "$1/console.log" 2>/dev/null; }

# machine_wait RUN_DIR COMMAND : until COMMAND succeeds in the lab VM. 1: deadline, 2: QEMU ended or the kernel panicked.
# The condition is tried again and again; the half second between two tries only spares the emulated CPU.
machine_wait() {
  local run=$1 command=$2 deadline=$((SECONDS + BOOT_DEADLINE))
  while :; do
    lab_ssh "$run" -o ConnectTimeout=3 127.0.0.1 "$command" </dev/null >/dev/null 2>&1 && return 0
    if ! machine_alive "$run" || machine_panicked "$run"; then return 2; fi
    [ $SECONDS -lt $deadline ] || return 1
    read -r -t 0.5 <> <(:) || true
  done
}

# machine_stop RUN_DIR : power off cleanly, within a deadline; then the hard way. Nothing is left running.
machine_stop() {
  local run=$1 pid deadline=$((SECONDS + STOP_DEADLINE))
  pid=$(machine_pid "$run")
  if machine_alive "$run" && ! machine_panicked "$run"; then
    lab_ssh "$run" -o ConnectTimeout=3 127.0.0.1 'systemctl poweroff' </dev/null >/dev/null 2>&1 || true
  fi
  ssh_master_stop "$run"
  while machine_alive "$run" && [ $SECONDS -lt $deadline ]; do
    machine_panicked "$run" && break
    timeout 1 tail --pid="$pid" -f /dev/null || true
  done
  if machine_alive "$run"; then
    say "the lab did not power off within $STOP_DEADLINE s; killing QEMU ($pid)"
    kill -KILL "$pid"
    tail --pid="$pid" -f /dev/null
  fi
}
