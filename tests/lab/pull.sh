#!/bin/bash
# Copies a file or folder of the lab VM into the folder DST on this machine, which is made if missing.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
[ $# = 2 ] || die 'usage: scripts/lab pull SRC DST'
require_up
mkdir -p "$2"
on_lab -T -- "tar -c -C $(quoted "$(dirname "$1")") -- $(quoted "./$(basename "$1")")" </dev/null |
  tar -x --no-same-owner -C "$2"
