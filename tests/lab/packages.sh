#!/bin/bash
# Installs on this machine what the lab needs and lacks. The only piece that changes the machine.
# Without root it prints the command to run and fails.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

# command that must exist, and the package it comes from
TOOLS='mmdebstrap:mmdebstrap zstd:zstd ssh:openssh-client ssh-keygen:openssh-client mke2fs:e2fsprogs
  cpio:cpio modinfo:kmod tar:tar flock:util-linux awk:mawk xz:xz-utils qemu-img:qemu-utils'

missing() {
  local tool
  for tool in $TOOLS; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${tool%%:*}" >/dev/null || echo "${tool##*:}"
  done | sort -u
}

[ "$(uname -m)" = x86_64 ] || die "the lab runs on x86-64 only"
tools=$(missing | tr '\n' ' ')
[ -n "$tools" ] || exit 0

command -v apt-get >/dev/null || die "not a Debian machine; install by hand: $tools"
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
packages=${tools% }
if [ "$(id -u)" != 0 ]; then
  say "packages are missing. Run as root, then try again:"
  printf '  apt-get install --no-install-recommends %s\n' "$packages" >&2
  exit 1
fi

say "installing on this machine: $packages"
# shellcheck source=tests/lab/apt.sh
. "$LAB_SRC/apt.sh"
find_mirrors
debian_sources "$codename" >"$APT_DIR/sources.list"
lab_apt -qq update
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive lab_apt -qq -y --no-install-recommends install $packages >&2
