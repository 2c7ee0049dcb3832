#!/bin/bash
# shellcheck disable=SC2154 # dracut sets moddir, kernel and others
# Puts the list of early claims into the initramfs; see the hook for initramfs-tools, which does the same.

check() { return 0; }

depends() { return 0; }

install() {
  local list=/etc/gpuvirt/claims notes=/var/lib/gpuvirt/initramfs
  inst_simple /usr/lib/gpuvirt/claim
  [[ ! -r ${dracutsysrootdir-}$list ]] || inst_simple "$list"
  inst_hook pre-udev 05 "$moddir/claim.sh"

  # Only for this host: an image that is made for another one says nothing about ours.
  [[ -z ${dracutsysrootdir-} ]] || return 0
  mkdir -p "$notes"
  if [[ -r $list ]]; then cat "$list"; fi >"$notes/.new"
  mv "$notes/.new" "$notes/$kernel" || dwarn "gpuvirt: it can't be noted with which list this image was made"
}
