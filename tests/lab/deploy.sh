#!/bin/bash
# Puts gpuvirt into the lab VM as a package would: binaries, unit, configuration (with the lab's stand-ins as GPUs), and starts it.
# usage: deploy.sh [--tests]   --tests: also what the end-to-end and conformance tests need
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
root=$(cd "$LAB_SRC/../.." && pwd)
lab=$root/scripts/lab
target=$(cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

packages=(-p gpuvirt -p gpuvirtd)
[ "${1:-}" != --tests ] || packages+=(-p gpuvirt-conformance -p gpuvirt-e2e)
cargo build --manifest-path "$root/Cargo.toml" --release --locked "${packages[@]}"
"$lab" module "$root/tests/kmod" >/dev/null

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage"/usr/bin "$stage"/usr/sbin "$stage"/etc/systemd/system "$stage"/etc/gpuvirt "$stage"/lab/e2e
install -m 755 "$target/release/gpuvirt" "$stage/usr/bin/"
install -m 755 "$target/release/gpuvirtd" "$stage/usr/sbin/"
install -m 644 "$root/crates/gpuvirtd/systemd/gpuvirtd.service" "$stage/etc/systemd/system/"
install -m 644 "$LAB_SRC/guest/gpuvirtd.toml" "$stage/etc/gpuvirt/"
install -D -m 755 "$root/crates/gpuvirt/hooks/50-gpuvirt" "$stage/etc/libvirt/hooks/qemu.d/50-gpuvirt"
if [ "${1:-}" = --tests ]; then
  install -m 755 "$target/release/gpuvirt-conformance" "$stage/usr/bin/"
  install -m 755 "$root"/tests/e2e/guest/* "$LAB_SRC"/guest/{sriov-manage,nvidia-smi} "$target/release/e2e-hold" "$stage/lab/e2e/"
  install -m 644 "$LAB_SRC/guest/gpuvirtd.toml" "$stage/lab/e2e/"
fi
"$lab" push "$stage"/* /
"$lab" exec -- sh -c '
  [ -d /sys/module/gpuvirt_mdev ] || { modprobe -a vfio mdev && insmod /lab/modules/gpuvirt_mdev.ko; }
  systemctl daemon-reload && systemctl restart gpuvirtd
  # libvirt looks for hooks when it starts
  systemctl try-restart libvirtd virtqemud 2>/dev/null || true'
