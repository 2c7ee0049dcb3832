#!/bin/bash
# An interactive root shell in the lab VM.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
require_up
on_lab -t -- 'bash -l'
