#!/bin/bash
# Debian packages that the lab VM's image does not hold, with whatever they need that it does not hold either: `extra-KEY/`, a
# folder of .deb files of the image's own Debian. Prints its path. Made on demand: a larger image would cost every run.
# usage: extra-debs.sh PACKAGE...
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

[ $# -gt 0 ] || die 'usage: extra-debs.sh PACKAGE...'
rootfs=$("$LAB_SRC/rootfs.sh")
out=$LAB_CACHE/extra-$(key "$0" -- "$@" "$LAB_SUITE" "$(basename "$rootfs")" "$(stat -c %Y "${rootfs%.tar}.kernel")")
echo "$out"
if [ -d "$out" ]; then touch "$out"; exit 0; fi

need_root 'fetching more packages for the lab'
# shellcheck source=tests/lab/apt.sh
. "$LAB_SRC/apt.sh"
find_mirrors
say "for the lab VM, beside what its image holds: $*"
tmp=$LAB_CACHE/extra-tmp.$$
trap 'rm -rf --one-file-system "$tmp"' EXIT
mkdir -p "$tmp"/{lists,archives}/partial
debian_sources "$LAB_SUITE" >"$tmp/sources.list"
# What the image has is what counts as installed.
tar -xOf "$rootfs" ./var/lib/dpkg/status >"$tmp/status"
extra_apt() {
  lab_apt -qq -o Dir::Etc::sourcelist="$tmp/sources.list" -o Dir::State::lists="$tmp/lists" -o Dir::State::status="$tmp/status" \
    -o Dir::Cache="$tmp" -o Dir::Cache::archives="$tmp/archives" "$@" >&2
}
extra_apt update
extra_apt -y --no-install-recommends --download-only install "$@"
rm -r "$tmp/archives/partial" "$tmp/archives/lock"
ls "$tmp"/archives/*.deb >/dev/null || die "the image holds all of: $*"
mv -T "$tmp/archives" "$out"
