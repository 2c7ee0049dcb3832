#!/bin/bash
# Says whether the lab VM is up. exit: 0 up, 1 down, 70 its kernel panicked.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"

[ ! -f "$LAB_RUN/panics" ] || say "kernel panics of this lab since it was first started: $(wc -l <"$LAB_RUN/panics")"
if machine_panicked "$LAB_RUN"; then
  echo "lab '$LAB_NAME': its kernel panicked"
  exit "$LAB_LOST"
elif machine_alive "$LAB_RUN"; then
  echo "lab '$LAB_NAME': up, $(cat "$LAB_RUN/accel"), pid $(machine_pid "$LAB_RUN"), ssh port $(cat "$LAB_RUN/port"), $(cat "$LAB_RUN/image")"
else
  echo "lab '$LAB_NAME': down"
  exit 1
fi
