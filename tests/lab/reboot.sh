#!/bin/bash
# Reboots the running lab VM on the disk it has, so that what a host remembers over a reboot can be tested, and waits for it.
# `--hard`: at once, as when the power fails (files are not synced, no service stops).
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"

case ${1:-} in
  '') how='systemctl reboot' ;;
  --hard) how='echo b >/proc/sysrq-trigger' ;;
  *) die 'usage: scripts/lab reboot [--hard]' ;;
esac
require_up
start=$EPOCHREALTIME
before=$(on_lab -T -- 'cat /proc/sys/kernel/random/boot_id' </dev/null)
# the connection ends under the command; what counts is the next boot's id
timeout 20 "$LAB_SRC/exec.sh" -- sh -c "$how" </dev/null >/dev/null 2>&1 || true
ssh_master_stop "$LAB_RUN"
machine_wait "$LAB_RUN" "[ \$(cat /proc/sys/kernel/random/boot_id) != $before ] && $MACHINE_READY" ||
  { explain_loss && exit "$LAB_LOST"; }
ssh_master_start "$LAB_RUN"
say "lab '$LAB_NAME' is back after $(seconds_since "$start") s"
