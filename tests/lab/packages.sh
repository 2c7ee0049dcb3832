#!/bin/bash
# Installs on this machine what the lab needs and lacks. The only piece that changes the machine.
# Without root it prints the command to run and fails.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

QEMU_MIN=8 # igb, the SR-IOV network card, came with QEMU 8.0

# command that must exist, and the package it comes from
TOOLS='mmdebstrap:mmdebstrap zstd:zstd ssh:openssh-client ssh-keygen:openssh-client mke2fs:e2fsprogs
  cpio:cpio modinfo:kmod tar:tar flock:util-linux awk:mawk xz:xz-utils qemu-img:qemu-utils'

qemu_major() { qemu-system-x86_64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p' || true; }

missing() {
  local tool
  for tool in $TOOLS; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${tool%%:*}" >/dev/null || echo "${tool##*:}"
  done | sort -u
}

[ "$(uname -m)" = x86_64 ] || die "the lab runs on x86-64 only"
tools=$(missing | tr '\n' ' ')
qemu=$(qemu_major)
[ "${qemu:-0}" -ge "$QEMU_MIN" ] && qemu=present || qemu=''
if [ -z "$tools" ] && [ -n "$qemu" ]; then exit 0; fi

command -v apt-get >/dev/null || die "not a Debian machine; install by hand: QEMU >= $QEMU_MIN, $tools"
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
packages=${tools% }
target=()
if [ -z "$qemu" ]; then
  packages+=' qemu-system-x86'
  # qemu-utils must be of the same version
  case " $packages " in *' qemu-utils '*) ;; *) packages+=' qemu-utils' ;; esac
  [ "$codename" = bookworm ] && target=(-t bookworm-backports)
fi
if [ "$(id -u)" != 0 ]; then
  say "packages are missing. Run as root, then try again:"
  [ ${#target[@]} = 0 ] || say "(with the repository $codename-backports enabled, or run 'scripts/lab build' once as root)"
  printf '  apt-get install --no-install-recommends %s%s\n' "${target[*]:+${target[*]} }" "$packages" >&2
  exit 1
fi

say "installing on this machine: $packages${target[*]:+ (QEMU from $codename-backports)}"
# shellcheck source=tests/lab/apt.sh
. "$LAB_SRC/apt.sh"
find_mirrors
debian_sources "$codename" >"$APT_DIR/sources.list"
[ ${#target[@]} = 0 ] || echo "deb $APT_MAIN $codename-backports main" >>"$APT_DIR/sources.list"
lab_apt -qq update
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive lab_apt -qq -y --no-install-recommends "${target[@]}" install $packages >&2
[ "$(qemu_major)" -ge "$QEMU_MIN" ] || die "QEMU $(qemu_major) is installed, the lab needs $QEMU_MIN or later"
