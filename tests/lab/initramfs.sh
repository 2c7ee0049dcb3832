#!/bin/bash
# A tiny initramfs: busybox, an init of ours, and the named kernel modules with what they depend on, in load order.
# usage: initramfs.sh ROOT KERNEL_VERSION INIT OUT MODULE...
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
root=$1 version=$2 init=$3 out=$4
shift 4

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,modules,dev,proc,sys,root}
cp "$root/usr/bin/busybox" "$tree/bin/busybox"
ln -s busybox "$tree/bin/sh"
install -m 755 "$init" "$tree/init"

# insmod_files MODULE... : files to load, dependencies first, each once
insmod_files() {
  local module
  for module in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin modprobe -d "$root" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
  done | awk '!seen[$0]++'
}

n=10
for file in $(insmod_files "$@"); do
  name=$(basename "$file")
  case $name in
    *.ko.xz) xz -dc "$file" >"$tree/modules/$n-${name%.xz}" ;;
    *) cp "$file" "$tree/modules/$n-$name" ;;
  esac
  n=$((n + 1))
done
(cd "$tree" && find . | sort | cpio -o -H newc -R 0:0 --quiet) >"$out"
