#!/bin/bash
# Runs a command in the lab VM as root: its exit code, stdin, stdout, stderr and argument boundaries are kept.
# Exit code 70: the lab VM itself went away.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
[ "${1:-}" != -- ] || shift
[ $# -gt 0 ] || die 'usage: scripts/lab exec [--] CMD...'
require_up
# the remote shell stays, so that a command that a signal ended gives 128 + signal, as everywhere
on_lab -T -- "$(quoted "$@"); exit \$?"
