#!/bin/bash
# Prints the serial console of the lab VM's current or last run.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
[ -f "$LAB_RUN/console.log" ] || die "lab '$LAB_NAME' has no console log"
cat "$LAB_RUN/console.log"
