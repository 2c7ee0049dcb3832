#!/bin/bash
# Unpacks the ELF kernel out of a Debian vmlinuz: QEMU starts it directly (PVH), which saves the decompression under emulation.
# The header's fields are from the x86 boot protocol: 0x1f1 setup_sects, 0x248 payload_offset, 0x24c payload_length.
# usage: vmlinux.sh VMLINUZ OUT
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"

# field OFFSET SIZE : an unsigned little-endian number
field() { od -An -v -t "u$2" -j "$1" -N "$2" "$vmlinuz" | tr -d ' '; }

vmlinuz=$1 out=$2
setup_sectors=$(field $((0x1f1)) 1)
offset=$(((${setup_sectors/#0/4} + 1) * 512 + $(field $((0x248)) 4)))
# the payload's last four bytes are its unpacked size, not part of the zstd stream
length=$(($(field $((0x24c)) 4) - 4))
tail -c +$((offset + 1)) "$vmlinuz" | head -c "$length" | zstd -dc >"$out" 2>/dev/null || true
[ "$(head -c 4 "$out" | od -An -c | tr -d ' ')" = '177ELF' ] || die "$vmlinuz holds no zstd-packed ELF kernel"
