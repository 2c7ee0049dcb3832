#!/bin/bash
# The lab VM's image: `image-<key>/` with disk.raw, vmlinux, initrd.cpio, l2-initrd.cpio, kernel (its version). Prints its path.
# Built beside its place and renamed, so a folder of that name is always whole. Ends with a first boot (prewarm.sh).
# usage: image.sh ROOTFS.tar
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/ssh.sh
. "$LAB_SRC/ssh.sh"
DISK_SIZE=3G # sparse

tar=$1
make_ssh_keys
out=$LAB_CACHE/image-$(key "$LAB_SRC"/{image,configure,initramfs,vmlinux,prewarm,emulator,qemu,qemu-devices}.sh "$LAB_SRC"/devices.env \
  "$LAB_SRC"/guest/{l1-init,l2-init,guest-domain,guest-run,check-devices,modprobe.conf,sshd.conf} "$LAB_SSH_DIR/known_hosts" -- "$(basename "$tar")" "$DISK_SIZE" "${GPUVIRT_LAB_ACCEL:-}")
echo "$out"
[ ! -d "$out" ] || exit 0

need_root 'building the lab image'
version=$(cat "${tar%.tar}.kernel")
say "lab image: Debian $LAB_SUITE, kernel $version"
tmp=$LAB_CACHE/tmp.$$.image
trap 'rm -rf --one-file-system "$tmp"' EXIT
root=$tmp/root
mkdir -p "$root"
tar -C "$root" -xf "$tar"

"$LAB_SRC/vmlinux.sh" "$root/boot/vmlinuz-$version" "$tmp/vmlinux"
"$LAB_SRC/initramfs.sh" "$root" "$version" "$LAB_SRC/guest/l1-init" "$tmp/initrd.cpio" virtio_blk virtio_net ext4 crc32c_generic pvpanic-pci
"$LAB_SRC/initramfs.sh" "$root" "$version" "$LAB_SRC/guest/l2-init" "$tmp/l2-initrd.cpio" button evdev
"$LAB_SRC/configure.sh" "$root" "$LAB_SSH_DIR" "$tmp/vmlinux" "$tmp/l2-initrd.cpio"
truncate -s "$DISK_SIZE" "$tmp/disk.raw"
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -m 0 -E lazy_itable_init=1,nodiscard -N 80000 -d "$root" "$tmp/disk.raw"
rm -rf --one-file-system "$root"
echo "$version" >"$tmp/kernel"

"$LAB_SRC/prewarm.sh" "$tmp"
mv -T "$tmp" "$out"
trap - EXIT
