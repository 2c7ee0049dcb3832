#!/bin/bash
# Runs in the folder that modular.sh made, by chroot: unpacks Debian's source of libvirt with its patches, builds the daemons and
# packs what belongs in the lab VM into /build/modular.tar.
set -euo pipefail
export LC_ALL=C.UTF-8
cd /build
mkdir source
tar -xf libvirt_*.orig.tar.* --strip-components=1 -C source
tar -xf libvirt_*.debian.tar.* -C source
cd source
grep -v '^#' debian/patches/series | while read -r patch; do patch -s -p1 <"debian/patches/$patch"; done
meson setup /build/ninja . --prefix=/usr --sysconfdir=/etc --localstatedir=/var --libdir="lib/$(gcc -print-multiarch)" \
  --libexecdir=lib/libvirt -Drunstatedir=/run -Dauto_features=disabled -Dsystem=true -Dtests=disabled -Ddocs=disabled \
  -Dinit_script=systemd -Ddriver_remote=enabled -Ddriver_qemu=enabled -Ddriver_libvirtd=enabled -Djson_c=enabled \
  -Dudev=enabled -Dpciaccess=enabled -Dlibnl=enabled -Dcapng=enabled -Dnumactl=enabled -Dattr=enabled -Daudit=enabled \
  -Dapparmor=enabled -Dapparmor_profiles=enabled -Dsecdriver_apparmor=enabled -Dpolkit=enabled -Dnls=disabled \
  -Dqemu_user=libvirt-qemu -Dqemu_group=libvirt-qemu
cd /build/ninja
# Units and the AppArmor profile, as far as ninja makes them and the configuration did not.
ninja -t targets all | sed -En 's/^(src\/[^:]*(virt(qemud|nodedevd)(-ro|-admin)?\.(service|socket)|usr\.sbin\.virtqemud)): .*/\1/p' >/build/more
xargs ninja -j "$(nproc)" src/virtqemud src/virtnodedevd </build/more

root=/build/root
# needs_one FOLDER NAME MODE : installs the file of that name, which must be there.
needs_one() {
  local found
  found=$(find src -type f -name "$2" -print -quit)
  [ -n "$found" ] || { echo "libvirt's build made no $2" && return 1; }
  install -D -m "$3" -t "$root/$1" "$found"
}
for daemon in virtqemud virtnodedevd; do
  needs_one usr/sbin "$daemon" 755
  for unit in .service .socket -ro.socket -admin.socket; do needs_one usr/lib/systemd/system "$daemon$unit" 644; done
done
needs_one etc/apparmor.d usr.sbin.virtqemud 644
strip "$root"/usr/sbin/*
tar -C "$root" --owner=0 --group=0 -cf /build/modular.tar .
