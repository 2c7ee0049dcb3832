//! The package: what installing it changes on the host, an upgrade under what runs and waits, removal, and what a purge leaves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// Installs the package that the lab was given.
const INSTALL: &str = "DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold /lab/gpuvirt.deb 2>&1";
/// The lab's own configuration again, after a purge took it.
const CONFIGURE: &str =
    "mkdir -p /etc/gpuvirt && cp /lab/gpuvirtd.toml /etc/gpuvirt/ && systemctl restart gpuvirtd";
/// Every file that the host is made of, bar the package's own, and the modules that are loaded.
const HOST: &str = "find /etc /boot /usr/lib/modules /usr/lib/systemd /var/lib/libvirt -xdev -type f ! -path '*gpuvirt*' \
     -print0 | sort -z | xargs -0 md5sum; lsmod | cut -d' ' -f1 | sort";
/// The same package as of an earlier version: an older number, and one unit for everything, in which the daemon is the
/// parent of its writers.
const OLD_PACKAGE: &str = r"
set -e
rm -rf /tmp/e2e-old && dpkg-deb -R /lab/gpuvirt.deb /tmp/e2e-old && cd /tmp/e2e-old
units=usr/lib/systemd/system
sed -i 's/^Version: .*/Version: 0.0.1/' DEBIAN/control
sed -i '/gpuvirt-writer\.\(service\|socket\)/d' DEBIAN/md5sums
rm $units/gpuvirt-writer.*
sed -i -e 's/ --writers .*//; /^\(Wants\|After\)=gpuvirt-writer/d' \
  -e '/^\(ProtectKernelTunables\|ReadOnlyPaths\|CapabilityBoundingSet\|SystemCallFilter\|DevicePolicy\)=/d' $units/gpuvirtd.service
sed -i '/gpuvirt-writer/d' DEBIAN/postinst DEBIAN/prerm
dpkg-deb --root-owner-group -Znone -b . /tmp/e2e-old.deb >/dev/null
DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold /tmp/e2e-old.deb 2>&1
systemctl stop gpuvirt-writer.socket gpuvirt-writer.service 2>/dev/null || true
! systemctl cat gpuvirt-writer.service 2>/dev/null";

/// Takes a vGPU from a GPU whose driver lets nobody go; the process whose write waits.
fn removal_that_waits(lab: &Lab, uuid: &str) -> String {
    let removed = lab.sh(&format!(
        "at_work() {{ for pid in $(pgrep -x gpuvirt-writer); do
            ! ls -l /proc/$pid/fd 2>/dev/null | grep -q memfd:gpuvirt-writer || echo $pid; done; }}
         echo Y >/sys/module/gpuvirt_mdev/parameters/hold_remove
         setsid gpuvirt vgpu remove {uuid} >/tmp/e2e-removal 2>&1 </dev/null &
         for try in {{1..600}}; do [ -e /sys/bus/mdev/devices/{uuid} ] || break; read -rt 0.1 <> <(:); done; at_work"
    ));
    let pid = removed.expect(0).text().to_owned();
    assert!(pid.parse::<u32>().is_ok(), "one process waits: {pid:?}");
    pid
}

/// The write ends, and what began with it is settled by whichever daemon runs now, unasked.
fn lets_go(lab: &Lab) {
    lab.sh(
        "echo N >/sys/module/gpuvirt_mdev/parameters/hold_remove
         timeout 60 bash -c 'while ls /var/lib/gpuvirt/journal/*.json >/dev/null 2>&1; do read -rt 0.1 <> <(:) || :; done'",
    )
    .expect(0);
    lab.assert_settled("a write that outlived an upgrade");
}

#[test]
fn an_upgrade_keeps_what_is_configured_what_runs_and_what_waits() {
    let lab = Lab::fresh();
    let (gpu, mdev) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
    lab.sh(OLD_PACKAGE).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct --label kept")).expect(0);
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    let guest = lab.guest("upgraded", "--hold");
    lab.gpuvirt("vm add upgraded --profile lab-1q").expect(0);
    guest.run().expect(0).says("L2-READY");
    let before = lab.picture();
    let configured = lab.gpuvirt("config export").expect(0).stdout;
    for (uuid, unit) in [
        ("00000000-0000-4000-8000-000000000001", "gpuvirtd.service"),
        ("00000000-0000-4000-8000-000000000002", "gpuvirt-writer.service"),
    ] {
        lab.gpuvirt(&format!("vgpu create --gpu {mdev} --profile lab-1q --uuid {uuid}")).expect(0);
        let waits = removal_that_waits(&lab, uuid);
        lab.sh(&format!("cat /proc/{waits}/cgroup")).expect(0).says(unit);
        // From the old layout, and then over itself: neither waits for the write or ends it.
        lab.sh(&format!("timeout 100 sh -c '{INSTALL}'")).expect(0);
        lab.sh("systemctl is-active gpuvirtd gpuvirt-writer.service gpuvirt-writer.socket").expect(0);
        lab.sh(&format!("ls -l /proc/{waits}/fd | grep memfd:gpuvirt-writer && cat /proc/{waits}/cgroup"))
            .expect(0)
            .says(unit);
        lab.gpuvirt("status").expect(0).says("hands-off").says("still waits in the kernel");
        assert_eq!(lab.gpu("kept")["active"], "direct");
        // Other changes are made, by the new version's writers.
        let twin = lab.devices.get("TWIN_A");
        lab.gpuvirt(&format!("gpu set {twin} --type direct")).expect(0);
        lab.gpuvirt(&format!("gpu set {twin} --type shared")).expect(0);
        lab.gpuvirt(&format!("gpu unset {twin}")).expect(0);
        lets_go(&lab);
        // Taken back, or done: either is settled.
        lab.sh(&format!("[ ! -e /sys/bus/mdev/devices/{uuid} ] || gpuvirt vgpu remove {uuid}")).expect(0);
    }
    lab.sh("[ $(dpkg-query -W -f '${Version}' gpuvirt) != 0.0.1 ] && virsh domstate upgraded")
        .expect(0)
        .says("running");
    assert_eq!(lab.gpuvirt("config export").expect(0).stdout, configured);
    let after = lab.picture();
    for line in before.lines().filter(|line| line.starts_with("mdev ") || line.contains(gpu)) {
        assert!(after.contains(line), "{line} is missing in\n{after}");
    }
    guest.destroy();
    lab.gpuvirt("gpu set kept --type shared").expect(0);
}

#[test]
fn the_package_is_removed_and_installed_again_and_purged() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    let guest = lab.guest("ours", "");
    lab.gpuvirt(&format!("vm add ours --gpu {gpu}")).expect(0);
    // Beside ours stands the admin's own hook, which is nobody's but theirs.
    let own_hook = "stat -c '%a %y' /etc/libvirt/hooks/qemu && cat /etc/libvirt/hooks/qemu";
    lab.sh("printf '#!/bin/sh\\n# own\\n' >/etc/libvirt/hooks/qemu && chmod 755 /etc/libvirt/hooks/qemu")
        .expect(0);
    let own = lab.sh(own_hook).expect(0).stdout;
    let before = lab.picture();
    lab.sh("dpkg -r gpuvirt").expect(0);
    assert_eq!(lab.picture(), before, "removal leaves the host as it is");
    assert_eq!(lab.sh(own_hook).expect(0).stdout, own);
    lab.sh("test -s /var/lib/gpuvirt/state.json && ! pgrep gpuvirt && ! command -v gpuvirt && ! test -e /run/gpuvirt")
        .expect(0);
    // The hook is left, as every file in /etc is, and lets every VM start: one with our device too.
    lab.sh("test -x /etc/libvirt/hooks/qemu.d/50-gpuvirt").expect(0);
    guest.run().expect(0).says("L2-DONE").says("1234:1111");
    lab.sh(INSTALL).expect(0);
    lab.sh("systemctl is-active gpuvirtd gpuvirt-writer.service").expect(0);
    assert_eq!(lab.gpu(gpu)["configured"], "direct", "installed again it knows what was configured");
    lab.gpuvirt(&format!("vm remove ours {gpu}")).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.sh("virsh -q undefine ours; dpkg -P gpuvirt").expect(0);
    assert_eq!(lab.sh(own_hook).expect(0).stdout, own);
    // What is named like us is the lab's own.
    lab.sh(
        "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /lab -prune -o -path /tmp -prune -o -path /root -prune -o \
         -path /var/log -prune -o -name '*gpuvirt*' -print | grep -v gpuvirt-conformance; test ! -e /run/gpuvirt && \
         ! systemctl list-unit-files --no-legend | grep gpuvirt",
    )
    .expect(0)
    .never_says("gpuvirt");
    // Installing it on a host without changes nothing of that host.
    let host = lab.sh(HOST).expect(0).stdout;
    let picture = lab.picture();
    lab.sh(INSTALL).expect(0);
    lab.sh("systemctl is-active gpuvirtd").expect(0);
    assert_eq!(lab.sh(HOST).expect(0).stdout, host, "installing changed the host");
    assert_eq!(lab.picture(), picture, "installing changed the host");
    lab.sh("rm /etc/libvirt/hooks/qemu").expect(0);
    lab.sh(CONFIGURE).expect(0);
    lab.assert_pristine();
}
