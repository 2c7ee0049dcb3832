#!/bin/bash
# Installs gpuvirt in the lab VM from its package, with the lab's configuration (its stand-ins as GPUs), and starts it.
# usage: deploy.sh [--tests]   --tests: also what the end-to-end and conformance tests need
# environment: GPUVIRT_LAB_PROFILE: cargo's profile for the package, `release` where it is not set
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
root=$(cd "$LAB_SRC/../.." && pwd)
lab=$root/scripts/lab
target=$(cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

package=$("$root/scripts/package" --profile "${GPUVIRT_LAB_PROFILE:-release}" --out "$target")
if [ "${1:-}" = --tests ]; then
  cargo build --manifest-path "$root/Cargo.toml" --release --locked -p gpuvirt-conformance -p gpuvirt-e2e
fi
"$lab" module "$root/tests/kmod" >/dev/null

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage"/usr/bin "$stage"/lab/e2e
install -m 644 "$package" "$stage/lab/gpuvirt.deb"
install -m 644 "$LAB_SRC/guest/gpuvirtd.toml" "$stage/lab/"
if [ "${1:-}" = --tests ]; then
  install -m 755 "$target/release/gpuvirt-conformance" "$stage/usr/bin/"
  install -m 755 "$root"/tests/e2e/guest/* "$LAB_SRC"/guest/{sriov-manage,nvidia-smi} "$target"/release/e2e-{hold,clients} "$stage/lab/e2e/"
  install -m 644 "$LAB_SRC/guest/gpuvirtd.toml" "$stage/lab/e2e/"
  # Functions that the host lets sleep, as many distributions do: what VFIO makes of that is to be put back.
  # shellcheck source=tests/lab/devices.env
  . "$LAB_SRC/devices.env"
  mkdir -p "$stage/etc/udev/rules.d"
  for device in "$PLAIN_GPU" "$MULTI_AUDIO"; do
    printf 'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="%s", ATTR{power/control}="auto"\n' "$device"
  done >"$stage/etc/udev/rules.d/90-e2e-power.rules"
fi
"$lab" push "$stage"/* /
# shellcheck disable=SC2016 # it is the lab's shell that expands
"$lab" exec -- sh -c '
  [ -d /sys/module/gpuvirt_mdev ] || { modprobe -a vfio mdev && insmod /lab/modules/gpuvirt_mdev.ko; }
  DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold /lab/gpuvirt.deb >/dev/null &&
  install -m 644 /lab/gpuvirtd.toml /etc/gpuvirt/ && systemctl restart gpuvirtd
  # libvirt looks for hooks when it starts
  systemctl try-restart libvirtd virtqemud 2>/dev/null || true
  # The rule is for functions that come; these came before it.
  if [ -e /etc/udev/rules.d/90-e2e-power.rules ]; then
    . /lab/devices.env
    for function in "$PLAIN_GPU" "$MULTI_AUDIO"; do echo auto >"/sys/bus/pci/devices/$function/power/control"; done
  fi
  # tests cut the power
  sync'
