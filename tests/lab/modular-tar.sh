#!/bin/bash
# libvirt's modular daemons for the lab VM, which Debian does not package: `modular-KEY.tar`, with virtqemud, virtnodedevd and their
# units, built from Debian's own source of the version that the image has, so that they load the drivers that are there.
# Prints the tar's path. Made on demand; the first time takes some minutes.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

# What libvirt's build wants for these two.
PACKAGES=gcc,libc6-dev,patch,xz-utils,meson,ninja-build,pkgconf,python3,gettext,xsltproc,libxml2-utils,rpcsvc-proto,libtirpc-dev
PACKAGES+=,libglib2.0-dev,libgnutls28-dev,libxml2-dev,libjson-c-dev,libcap-ng-dev,libudev-dev,libpciaccess-dev,libnl-3-dev
PACKAGES+=,libnl-route-3-dev,libapparmor-dev,libnuma-dev,libacl1-dev,libattr1-dev,libaudit-dev,libdbus-1-dev

"$LAB_SRC/build.sh"
rootfs=$("$LAB_SRC/rootfs.sh")
version=$(tar -xOf "$rootfs" ./var/lib/dpkg/status | awk '/^Package: libvirt-daemon$/ { ours = 1 } ours && /^Version: / { print $2; ours = 0 }')
[ -n "$version" ] || die 'the lab image has no libvirt-daemon'
out=$LAB_CACHE/modular-$(key "$0" "$LAB_SRC/modular-build.sh" "$LAB_SRC/debootstrap.sh" -- "$PACKAGES" "$LAB_SUITE" "$version").tar
echo "$out"
[ ! -s "$out" ] || exit 0

need_root "building libvirt's modular daemons"
exec 9>"$LAB_CACHE/modular.lock"
flock 9
[ ! -s "$out" ] || exit 0
# shellcheck source=tests/lab/apt.sh
. "$LAB_SRC/apt.sh"
# shellcheck source=tests/lab/debootstrap.sh
. "$LAB_SRC/debootstrap.sh"
find_mirrors
say "libvirt's modular daemons $version: downloading, unpacking and compiling"
tmp=$LAB_CACHE/modular-tmp.$$
trap 'rm -rf --one-file-system "$tmp"' EXIT
# The same mirrors, for sources, with lists of its own.
mkdir -p "$tmp"/{sources,lists/partial}
debian_sources "$LAB_SUITE" | sed 's/^deb /deb-src /' >"$tmp/sources.list"
sources_apt() { lab_apt -qq -o Dir::Etc::sourcelist="$tmp/sources.list" -o Dir::State::lists="$tmp/lists" "$@" >&2; }
sources_apt update
# Both are checked against the signed index; mirrors that keep no descriptions (.dsc) do.
for part in --tar-only --diff-only; do (cd "$tmp/sources" && sources_apt source --download-only $part "libvirt=$version"); done
debootstrap_lab "$tmp/root" "$PACKAGES" --format=directory
mkdir "$tmp/root/build"
mv "$tmp"/sources/* "$tmp/root/build/"
install -m 755 "$LAB_SRC/modular-build.sh" "$tmp/root/build/"
chroot "$tmp/root" /build/modular-build.sh >"$LAB_CACHE/modular.log" 2>&1 || die "$(tail -n 20 "$LAB_CACHE/modular.log")"
mv "$tmp/root/build/modular.tar" "$out"
