#!/bin/bash
# The lab's QEMU: `qemu-<key>/`, the newest that Debian has for the lab's release, unpacked beside the machine's own and never installed.
# Prints the path of the program that starts it.
# Not the machine's own: before 10.2 an emulated processor that left a nested guest cleared a bit of `interrupt_request` without
# an atomic operation (do_vmexit in target/i386/tcg). An interrupt raised in that moment was lost, and the lab VM hung or panicked.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

package=qemu-system-x86
out=$LAB_CACHE/qemu-$(key "$0" "$LAB_SRC/debootstrap.sh" -- "$package" "$LAB_SUITE")
echo "$out/start"
[ ! -d "$out" ] || exit 0

need_root "unpacking the lab's QEMU"
# shellcheck source=tests/lab/apt.sh
. "$LAB_SRC/apt.sh"
# shellcheck source=tests/lab/debootstrap.sh
. "$LAB_SRC/debootstrap.sh"
find_mirrors
say "the lab's QEMU: downloading and unpacking"
tmp=$LAB_CACHE/tmp.$$.qemu
trap 'rm -rf --one-file-system "$tmp"' EXIT
debootstrap_lab "$tmp" "$package" --variant=extract --format=directory --aptopt="APT::Default-Release \"$LAB_SUITE-backports\""
# With the C library that it was built for, which need not be this machine's.
cat >"$tmp/start" <<'START'
#!/bin/sh
root=${0%/*}
libraries=$root/usr/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR="$libraries/qemu"
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/bin/qemu-system-x86_64" \
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
START
chmod 755 "$tmp/start"
"$tmp/start" --version >/dev/null || die "the lab's QEMU does not start"
mv -T "$tmp" "$out"
trap - EXIT
