#!/bin/bash
# Debian for the lab VM: `rootfs-<key>.tar` (packages only, nothing of ours) and `rootfs-<key>.kernel` (its kernel's version).
# Prints the tar's path. Keyed by the package list and this recipe, so versions stay until the recipe changes or `build --refresh`.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

packages=$(grep -v '^#' "$LAB_SRC/packages.list" | paste -sd,)
out=$LAB_CACHE/rootfs-$(key "$0" "$LAB_SRC/debootstrap.sh" -- "$packages" "$LAB_SUITE").tar
echo "$out"
[ ! -s "$out" ] || exit 0

need_root 'building the lab image'
# shellcheck source=tests/lab/apt.sh
. "$LAB_SRC/apt.sh"
# shellcheck source=tests/lab/debootstrap.sh
. "$LAB_SRC/debootstrap.sh"
find_mirrors
say 'Debian for the lab VM: downloading and unpacking'
tmp=$LAB_CACHE/tmp.$$.rootfs.tar
trap 'rm -f "$tmp"' EXIT
# The image brings a tiny initramfs of its own; the generated one only has to be quick to make.
# shellcheck disable=SC2016 # mmdebstrap expands $1
debootstrap_lab "$tmp" "$packages" --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"
  printf "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\nRESUME=none\n" >"$1/etc/initramfs-tools/conf.d/lab"'
tar -tf "$tmp" | sed -n 's,^\./usr/lib/modules/\([^/]*\)/$,\1,p' | head -n1 >"${out%.tar}.kernel"
[ -s "${out%.tar}.kernel" ] || die 'the lab image has no kernel'
mv "$tmp" "$out"
