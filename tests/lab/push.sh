#!/bin/bash
# Copies files or folders into the folder DST of the lab VM, which is made if missing. Modes and links are kept; the owner is root.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
[ $# -ge 2 ] || die 'usage: scripts/lab push SRC... DST'
require_up
destination=${!#}
entries=()
for source in "${@:1:$#-1}"; do
  [ -e "$source" ] || die "no such file: $source"
  source=$(realpath -s -- "$source")
  entries+=(-C "$(dirname "$source")" "./$(basename "$source")")
done
tar -c --owner=0 --group=0 "${entries[@]}" |
  on_lab -T -- "mkdir -p $(quoted "$destination") && tar -x --warning=no-timestamp -C $(quoted "$destination")"
