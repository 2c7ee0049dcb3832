#!/bin/bash
# Compiles the kernel modules in DIR (a Kbuild or Makefile with obj-m) for the lab VM's kernel. The .ko files are kept for this lab:
# `up` puts them into /lab/modules, and a lab that is up gets them at once. DIR itself is only read, and so are the folders beside it
# whose files it includes ("../FOLDER/file").
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"

[ -d "${1:-}" ] || die 'usage: scripts/lab module DIR'
builder=$("$LAB_SRC/build.sh" --builder)
image=$("$LAB_SRC/build.sh" --image)
version=$(cat "$image/kernel")
# sources, not what a build in the tree left there
mapfile -t sources < <(cd "$1" && find . -type f ! -name '*.ko' ! -name '*.o' ! -name '*.mod' ! -name '*.mod.c' ! -name '*.order' \
  ! -name '*.symvers' ! -name '.*' | sort)
[ ${#sources[@]} -gt 0 ] || die "no sources in $1"
mapfile -t beside < <(cd "$1" && grep -ho '^#include "\.\./[^/".][^/"]*/' "${sources[@]}" | cut -d'"' -f2 | sort -u)
beside=("${beside[@]%/}")
for i in "${!beside[@]}"; do [ -d "$1/${beside[i]}" ] || unset "beside[i]"; done
included=()
[ ${#beside[@]} = 0 ] || mapfile -t included < <(cd "$1" && find "${beside[@]}" -type f -name '*.[ch]' | sort)
out=$LAB_CACHE/ko-$(cd "$1" && key "${sources[@]}" "${included[@]}" -- "${sources[@]}" "$(basename "$builder")" "$version")

if [ ! -d "$out" ]; then
  need_root 'compiling in the builder (chroot)'
  work=$(mktemp -d "$builder/build/XXXXXXXX")
  tmp=$LAB_CACHE/ko-tmp.$$
  trap 'rm -rf "$work" "$tmp"' EXIT
  mkdir "$work/sources"
  (cd "$1" && cp --parents "${sources[@]}" "$work/sources/" && for folder in "${beside[@]}"; do cp -r "$folder" "$work/"; done)
  chroot "$builder" make -s -C "/lib/modules/$version/build" M="/build/$(basename "$work")/sources" modules >&2
  mkdir "$tmp"
  find "$work" -name '*.ko' -exec cp -t "$tmp" {} +
  [ -n "$(ls "$tmp")" ] || die "$1 made no kernel module"
  mv -T "$tmp" "$out" 2>/dev/null || true # another run was quicker
fi
mkdir -p "$LAB_MODULES"
cp "$out"/*.ko "$LAB_MODULES/"
if machine_alive "$LAB_RUN"; then "$LAB_SRC/push.sh" "$out"/*.ko /lab/modules; fi
(cd "$out" && printf '%s\n' *.ko)
