# shellcheck shell=bash
# Sourced by every piece of the lab: where things are, how to speak, how to name an artefact.
# Sets no trap, starts nothing, writes nothing.
# shellcheck disable=SC2034 # the pieces use what is set here
set -euo pipefail

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# What a root shell without login lacks.
PATH=$PATH:/usr/sbin:/sbin
LAB_CACHE=${GPUVIRT_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gpuvirt/lab}
LAB_NAME=${GPUVIRT_LAB_NAME:-default}
LAB_RUN=$LAB_CACHE/run/$LAB_NAME          # one running lab: disk, sockets, console, pid
LAB_MODULES=$LAB_CACHE/modules/$LAB_NAME  # what `module` built for this lab; survives `down`
LAB_SUITE=trixie                          # the Debian that runs in the lab VM

say() { printf 'lab: %s\n' "$*" >&2; }
die() { printf 'lab: error: %s\n' "$*" >&2; exit 1; }

case $LAB_NAME in
  '' | *[!a-zA-Z0-9_-]*) die "GPUVIRT_LAB_NAME may hold letters, digits, - and _ only: '$LAB_NAME'" ;;
esac
# A Unix socket's path ends at 107 bytes, and ssh adds 17 while it creates one.
[ $((${#LAB_CACHE} + ${#LAB_NAME} + 45)) -le 107 ] || die "GPUVIRT_LAB_CACHE is too long a path for Unix sockets: $LAB_CACHE"

# key FILE... -- WORD... : a short hash of what an artefact is made from.
key() {
  local part
  for part in "$@"; do
    if [ "$part" = -- ]; then continue; elif [ -f "$part" ]; then cat "$part"; else printf '%s\n' "$part"; fi
  done | sha256sum | cut -c1-12
}

# seconds_since START : whole seconds since a value of $EPOCHREALTIME, with one decimal.
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root"; }
