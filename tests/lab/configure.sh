#!/bin/bash
# Turns an unpacked Debian into the lab VM's root: ssh with our key, quick start, the nested guest's kernel and programs.
# libvirt's own files (qemu.conf, its AppArmor profiles, its units) stay as Debian ships them.
# usage: configure.sh ROOT SSH_DIR VMLINUX L2_INITRD
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
root=$1 ssh=$2 vmlinux=$3 l2_initrd=$4 guest=$LAB_SRC/guest units=$1/etc/systemd/system

echo lab >"$root/etc/hostname"
printf '127.0.0.1 localhost lab\n' >"$root/etc/hosts"
: >"$root/etc/fstab"
# a fixed identity: `ConditionFirstBoot` work would run at every boot of a throw-away disk
echo 67707576697274006c61620000000001 >"$root/etc/machine-id"

install -d -m 700 "$root/root/.ssh"
install -m 600 "$ssh/id_ed25519.pub" "$root/root/.ssh/authorized_keys"
rm -f "$root"/etc/ssh/ssh_host_*
install -m 600 "$ssh/host_ed25519" "$root/etc/ssh/ssh_host_ed25519_key"
install -m 644 "$ssh/host_ed25519.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
install -m 644 "$guest/sshd.conf" "$root/etc/ssh/sshd_config.d/lab.conf"
install -m 644 "$guest/modprobe.conf" "$root/etc/modprobe.d/lab.conf"

# Units that cost seconds under emulation and do nothing for a lab.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
  fstrim.timer logrotate.timer getty@tty1.service serial-getty@ttyS0.service systemd-hwdb-update.service \
  systemd-journal-flush.service systemd-pstore.service systemd-firstboot.service systemd-tpm2-setup.service \
  systemd-tpm2-setup-early.service systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-pcrmachine.service \
  systemd-random-seed.service systemd-update-utmp.service sshd-keygen.service modprobe@drm.service \
  keyboard-setup.service console-setup.service; do
  ln -sfn /dev/null "$units/$unit"
done
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nForwardToConsole=no\n' >"$root/etc/systemd/journald.conf.d/lab.conf"

# Of Debian's AppArmor profiles, those of programs that this image holds; libvirt's own among them.
# Loading a hundred profiles of absent desktop programs would only slow the start.
find "$root/etc/apparmor.d" -maxdepth 1 -type f ! -name 'usr.sbin.libvirtd' ! -name 'usr.lib.libvirt.virt-aa-helper' \
  ! -name unix-chkpwd ! -name lsb_release -delete

install -d "$root/lab/modules"
install -m 755 "$guest/guest-domain" "$guest/guest-run" "$guest/check-devices" "$root/lab/"
install -m 644 "$LAB_SRC/devices.env" "$root/lab/devices.env"
# Where libvirt's own tools put kernels: a confined QEMU may read it.
install -m 644 "$vmlinux" "$root/var/lib/libvirt/boot/l2-vmlinux"
install -m 644 "$l2_initrd" "$root/var/lib/libvirt/boot/l2-initrd.cpio"
