#!/bin/bash
# A folder with gcc and the headers of the lab VM's kernel: `builder-<key>/`. Prints its path.
# `module` compiles in it by chroot; it never boots.
# usage: builder.sh KERNEL_VERSION
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

version=${1:?usage: builder.sh KERNEL_VERSION}
packages=gcc,make,libc6-dev,linux-headers-amd64
out=$LAB_CACHE/builder-$(key "$0" "$LAB_SRC/debootstrap.sh" -- "$packages" "$LAB_SUITE" "$version")
echo "$out"
[ ! -d "$out" ] || exit 0

need_root 'building the module builder'
# shellcheck source=tests/lab/apt.sh
. "$LAB_SRC/apt.sh"
# shellcheck source=tests/lab/debootstrap.sh
. "$LAB_SRC/debootstrap.sh"
find_mirrors
say 'compiler and kernel headers: downloading and unpacking'
tmp=$LAB_CACHE/tmp.$$.builder
trap 'rm -rf --one-file-system "$tmp"' EXIT
debootstrap_lab "$tmp" "$packages" --format=directory
[ -d "$tmp/lib/modules/$version/build" ] ||
  die "the mirror's kernel headers are no longer for $version; take a new kernel with: scripts/lab build --refresh"
mkdir -p "$tmp/build"
mv -T "$tmp" "$out"
trap - EXIT
