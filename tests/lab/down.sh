#!/bin/bash
# Powers the lab VM off and throws its disk away; the console log stays. Nothing is left running.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"

[ -d "$LAB_RUN" ] || { say "lab '$LAB_NAME' is not up" && exit 0; }
exec 8>"$LAB_RUN.lock"
flock 8
start=$EPOCHREALTIME
machine_stop "$LAB_RUN"
(cd "$LAB_RUN" && rm -f pid port accel image disk.qcow2 ssh.sock monitor.sock)
say "lab '$LAB_NAME' is down ($(seconds_since "$start") s)"
