#!/bin/bash
# Installs Debian packages that the image does not hold into the lab VM that is up; they go with its disk.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
[ $# -gt 0 ] || die 'usage: scripts/lab extra PACKAGE...'
require_up
folder=$("$LAB_SRC/extra-debs.sh" "$@")
"$LAB_SRC/push.sh" "$folder" /lab
# apt knows in which order; nothing is downloaded.
on_lab -T -- "DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install /lab/$(basename "$folder")/*.deb \
  >/lab/extra.log 2>&1 || { cat /lab/extra.log >&2; exit 1; }"
