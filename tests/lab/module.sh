#!/bin/bash
# Compiles the kernel modules in DIR (a Kbuild or Makefile with obj-m) for the lab VM's kernel. The .ko files are kept for this lab:
# `up` puts them into /lab/modules, and a lab that is up gets them at once. DIR itself is only read.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"

[ -d "${1:-}" ] || die 'usage: scripts/lab module DIR'
builder=$("$LAB_SRC/build.sh" --builder)
image=$("$LAB_SRC/build.sh" --image)
version=$(cat "$image/kernel")
mapfile -t sources < <(find "$1" -maxdepth 1 -type f ! -name '*.ko' ! -name '*.o' ! -name '*.mod*' ! -name '.*' | sort)
[ ${#sources[@]} -gt 0 ] || die "no sources in $1"
out=$LAB_CACHE/ko-$(key "${sources[@]}" -- "$(basename "$builder")" "$version" "$(basename "$1")")

if [ ! -d "$out" ]; then
  need_root 'compiling in the builder (chroot)'
  work=$(mktemp -d "$builder/build/XXXXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp "${sources[@]}" "$work/"
  chroot "$builder" make -s -C "/lib/modules/$version/build" M="/build/$(basename "$work")" modules >&2
  tmp=$LAB_CACHE/ko-tmp.$$
  mkdir "$tmp"
  cp "$work"/*.ko "$tmp/"
  mv -T "$tmp" "$out" 2>/dev/null || rm -rf "$tmp" # another run was quicker
fi
mkdir -p "$LAB_MODULES"
cp "$out"/*.ko "$LAB_MODULES/"
if machine_alive "$LAB_RUN"; then "$LAB_SRC/push.sh" "$out"/*.ko /lab/modules; fi
(cd "$out" && printf '%s\n' *.ko)
