#!/bin/bash
# Puts libvirt's modular daemons into the lab VM that is up: virtqemud and virtnodedevd with their units, beside libvirtd, which
# stays what runs until somebody chooses otherwise (tests/e2e/guest/libvirt-daemons).
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"
require_up
tar=$("$LAB_SRC/modular-tar.sh")
on_lab -T -- 'tar -x --warning=no-timestamp -C / && systemctl daemon-reload' <"$tar"
