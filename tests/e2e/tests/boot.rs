//! What the admin asked for is true after a reboot, a reset and a power cut, and it is said what is in the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, MODULE_AT_BOOT, NETWORK_AT_BOOT, NOTHING_AT_BOOT, Reboot, restored};
use serde_json::Value;

#[test]
fn after_a_reboot_gpus_and_vgpus_are_as_asked_and_an_autostarted_vm_has_its_card() {
    let lab = Lab::fresh();
    let (gpu, mdev) = (lab.devices.get("MULTI_GPU"), lab.devices.get("MDEV_GPU"));
    lab.sh(MODULE_AT_BOOT).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    lab.gpuvirt(&format!("vgpu create --gpu {mdev} --profile lab-1q --count 2")).expect(0);
    let guest = lab.guest("boots", "--hold");
    lab.gpuvirt(&format!("vm add boots --gpu {gpu}")).expect(0);
    lab.sh("virsh -q autostart boots").expect(0);
    let before = lab.picture();
    assert_eq!(before.lines().filter(|line| line.starts_with("mdev ")).count(), 2, "{before}");

    lab.reboot(Reboot::Orderly);
    let shown = lab.status();
    assert_eq!(shown["restore"]["finished"], true, "{shown}");
    assert_eq!(restored(&shown, gpu).0, "changed", "{shown}");
    assert_eq!(restored(&shown, mdev).0, "changed", "{shown}");
    assert_eq!(lab.picture(), before);
    // Ready before libvirt was started, and the card in the guest that libvirt started by itself.
    let order = "at() { systemctl show -P ActiveEnterTimestampMonotonic $1; }
        [ $(at gpuvirtd) -le $(systemctl show -P ExecMainStartTimestampMonotonic libvirtd) ]";
    lab.sh(order).expect(0);
    let console = format!("/var/log/libvirt/qemu/{}-console.log", guest.name);
    let waits =
        format!("timeout 240 sh -c 'until grep -aqs L2-READY {console}; do sleep 0.5; done'; cat {console}");
    lab.sh(&waits).expect(0).says("L2-READY").says("1002:");
    guest.destroy();
    lab.sh(NOTHING_AT_BOOT).expect(0);
}

#[test]
fn libvirts_library_comes_when_libvirt_is_asked_and_not_with_the_daemon() {
    let lab = Lab::fresh();
    // What is loaded with it holds up READY, and with it every VM of a boot.
    lab.sh("ldd /usr/sbin/gpuvirtd").expect(0).says("libc.so").never_says("libvirt");
    // As at a boot, where libvirt comes after us: ready and restored, and nobody has asked for it yet.
    let sockets = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket";
    lab.sh(&format!("systemctl stop {sockets} libvirtd.service && systemctl restart gpuvirtd")).expect(0);
    let mapped = "cat /proc/$(systemctl show -P MainPID gpuvirtd)/maps";
    lab.sh(mapped).expect(0).says("/usr/sbin/gpuvirtd").never_says("libvirt");
    lab.sh(&format!("systemctl start {sockets} && virsh -q list")).expect(0);
    lab.gpuvirt("vm list").expect(0);
    lab.sh(mapped).expect(0).says("/libvirt.so.0");
    lab.assert_pristine();
}

#[test]
fn after_a_reset_and_after_a_power_cut_a_gpu_is_as_asked() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct --label survivor")).expect(0);
    for how in [Reboot::Reset, Reboot::PowerCut] {
        lab.reboot(how);
        assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci", "{how:?}");
        let shown = lab.gpu("survivor");
        assert_eq!((&shown["active"], &shown["pending"]), (&"direct".into(), &Value::Null), "{how:?}");
    }
    lab.gpuvirt("gpu set survivor --type shared").expect(0);
    assert_eq!(lab.binding(gpu), "bochs-drm/(null)");
}

#[test]
fn a_power_cut_while_a_removal_waits_leaves_the_vgpu_that_was_asked_for() {
    let lab = Lab::fresh();
    let mdev = lab.devices.get("MDEV_GPU");
    lab.sh(MODULE_AT_BOOT).expect(0);
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    let made = lab.gpuvirt(&format!("vgpu create --gpu {mdev} --profile lab-1q -o json")).expect(0).json();
    let id = made["ids"][0].as_str().or(made["id"].as_str()).unwrap_or_else(|| panic!("{made}")).to_owned();
    // The removal waits in the driver; the power goes while its journal is open.
    lab.sh(&format!(
        "echo Y >/sys/module/gpuvirt_mdev/parameters/hold_remove
         setsid gpuvirt vgpu remove {id} >/dev/null 2>&1 </dev/null &
         timeout 60 sh -c 'until ls /var/lib/gpuvirt/journal/*.json >/dev/null 2>&1; do sleep 0.1; done'"
    ))
    .expect(0);
    lab.reboot(Reboot::Reset);
    let shown = lab.status();
    assert!(shown["gpus"].as_array().unwrap().iter().all(|gpu| gpu["handsOff"].is_null()), "{shown}");
    lab.sh(&format!("test -e /sys/bus/mdev/devices/{id} && ! ls /var/lib/gpuvirt/journal/*.json")).expect(0);
    lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    lab.sh(NOTHING_AT_BOOT).expect(0);
}

/// The power goes while that call of the command's waits in the kernel; the host is as it was asked to be before.
fn power_cut_during(lab: &Lab, function: &str, (gpu, command): (&str, &str)) {
    let before = lab.picture();
    lab.sh(&format!(
        "modprobe -a vfio-pci mdev; sync
         insmod /lab/modules/gpuvirt_fault.ko function={function} errno=0 hold=Y || exit 1
         setsid {command} >/dev/null 2>&1 </dev/null &
         timeout 60 bash -c 'until [ $(cat /sys/module/gpuvirt_fault/parameters/struck) = Y ]; do read -rt 0.1 <> <(:) || :; done'"
    ))
    .expect(0);
    lab.sh("ls /var/lib/gpuvirt/journal").expect(0).says(".json");
    lab.reboot(Reboot::PowerCut);
    // Settled without a hand, when the host's driver has come too, and told.
    lab.until_settled();
    lab.assert_settled(command);
    lab.assert_tells_settled(gpu);
    assert_eq!(lab.picture(), before, "{command}");
    // Nothing is in the way of the same change now.
    lab.sh(command).expect(0);
    assert_ne!(lab.picture(), before, "{command}");
}

#[test]
fn a_card_that_moved_is_reported_and_the_disk_in_its_place_is_left_alone() {
    let lab = Lab::fresh();
    let (gpu, disk) = (lab.devices.get("MULTI_GPU"), lab.devices.get("SRIOV_NVME"));
    let with_disk = lab.binding(disk);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    // What a firmware does when a card is added: the same card has another address, and a disk has its old one.
    lab.sh(&format!(
        "systemctl stop gpuvirtd && sed -i 's/{gpu}/{disk}/; s/{}/{}/' /var/lib/gpuvirt/state.json",
        lab.devices.get("MULTI_AUDIO"),
        disk.replace(".0", ".1"),
    ))
    .expect(0);
    lab.sh("systemctl start gpuvirtd && sync").expect(0);
    lab.sh("cat /etc/gpuvirt/claims").expect(0).says(disk);
    lab.reboot(Reboot::PowerCut);
    assert_eq!(lab.binding(disk), with_disk, "the disk has its driver, and no override");
    let shown = lab.status();
    let (outcome, what) = restored(&shown, disk);
    assert_eq!(outcome, "refused");
    assert!(what.contains("identity-changed") && what.contains("left alone"), "{what}");
    assert!(what.contains(&format!("gpuvirt gpu set {gpu} --type direct")), "{what}");
    lab.gpuvirt("status").says("was not restored");
}

#[test]
fn a_passthrough_gpu_is_claimed_before_its_driver_loads() {
    let lab = Lab::fresh();
    let (gpu, twin) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("TWIN_A"));
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0).says("initramfs-stale");
    lab.gpuvirt("status").says("update-initramfs -u");
    // An initramfs of Debian's tools that has the host's driver, and our hooks.
    lab.sh(
        "rm -rf /tmp/e2e-initramfs && cp -r /etc/initramfs-tools /tmp/e2e-initramfs && cd /tmp/e2e-initramfs &&
         printf 'MODULES=list\\nCOMPRESS=zstd\\nCOMPRESSLEVEL=1\\nRESUME=none\\n' >conf.d/lab &&
         printf '%s\\n' virtio_pci virtio_blk ext4 crc32c_generic bochs >>modules &&
         mkinitramfs -d /tmp/e2e-initramfs -o /boot/initrd.img-$(uname -r) &&
         cp /boot/initrd.img-$(uname -r) /tmp/e2e-initrd.img",
    )
    .expect(0);
    lab.gpuvirt("status").never_says("initramfs-stale");
    lab.sh(NETWORK_AT_BOOT).expect(0);
    let folder = std::env::temp_dir().join(format!("gpuvirt-e2e-{}", std::process::id()));
    let folder = folder.to_str().unwrap();
    lab.pull("/tmp/e2e-initrd.img", folder);
    let image = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    lab.reboot(Reboot::PowerCutInto(image.to_str().unwrap()));
    let log =
        "dmesg | grep -E 'bochs|vfio|gpuvirt|Freeing initrd'; journalctl -b -o cat -t gpuvirt-claim -t claim";
    let log = lab.sh(log).stdout;
    assert!(!log.contains(&format!("bochs-drm {gpu}")), "the host's driver had the card:\n{log}");
    assert!(log.contains(&format!("bochs-drm {twin}")), "the host's driver was not in the initramfs:\n{log}");
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    assert_eq!(lab.binding(twin), "bochs-drm/(null)");
    // Back to the lab's own initramfs, which has no such driver and no hook: the unit in the root claims it.
    lab.reboot(Reboot::PowerCut);
    let log = lab.sh("dmesg | grep bochs; journalctl -b -o cat -u gpuvirt-claim").stdout;
    assert!(log.contains(&format!("only vfio-pci may bind {gpu}")), "{log}");
    assert!(!log.contains(&format!("bochs-drm {gpu}")), "{log}");
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    std::fs::remove_dir_all(folder).unwrap();
    lab.sh(NOTHING_AT_BOOT).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    assert_eq!(lab.binding(gpu), "bochs-drm/(null)");
}

/// A disk of its own for what is stored, of that size.
fn store_on_a_disk_of(lab: &Lab, size: &str) {
    let mount = format!("mount -t tmpfs -o size={size},mode=755 tmpfs /var/lib/gpuvirt");
    lab.sh(&format!("systemctl stop gpuvirtd && {mount} && systemctl start gpuvirtd")).expect(0);
}

fn store_on_the_own_disk(lab: &Lab) {
    lab.sh("systemctl stop gpuvirtd && umount /var/lib/gpuvirt && systemctl start gpuvirtd").expect(0);
}

#[test]
fn on_a_full_disk_a_change_fails_and_what_was_stored_stands() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    store_on_a_disk_of(&lab, "64k");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared --label kept")).expect(0);
    let before = lab.picture();
    lab.sh("! cat /dev/zero >/var/lib/gpuvirt/fill").expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(1).says("No space left");
    assert_eq!(lab.picture(), before);
    lab.sh("systemctl restart gpuvirtd").expect(0);
    assert_eq!(lab.gpu("kept")["configured"], "shared");
    lab.sh("rm /var/lib/gpuvirt/fill").expect(0);
    lab.gpuvirt("gpu set kept --type direct").expect(0);
    lab.gpuvirt("gpu set kept --type shared").expect(0);
    store_on_the_own_disk(&lab);
    lab.assert_pristine();
}

/// With one page more each time, until the change passes: it gets full at the journal, and at the documents when the host has
/// been changed already.
#[test]
fn at_whichever_write_the_disk_gets_full_the_change_is_taken_back_and_passes_with_more_room() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    store_on_a_disk_of(&lab, "128k");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared --label kept")).expect(0);
    let (before, files) =
        (lab.picture(), "cd /var/lib/gpuvirt && rm fill && find . | sort && cat state.json");
    let leave = |pages: usize| {
        format!(
            "cd /var/lib/gpuvirt && {{ ! cat /dev/zero >fill; }} && truncate -s -$((4096 * {pages})) fill"
        )
    };
    lab.sh(&leave(0)).expect(0);
    let stored = lab.sh(files).expect(0).stdout;
    let mut failed_at = std::collections::BTreeSet::new();
    for pages in 0.. {
        assert!(pages < 16, "it never passes");
        lab.sh(&leave(pages)).expect(0);
        let answer = lab.gpuvirt("gpu set kept --type direct");
        if answer.code == 0 {
            break;
        }
        let said = answer.expect(1).says("No space left").to_string();
        let writes = ["the journal can't be opened", "the state can't be stored"];
        failed_at.extend(writes.into_iter().find(|write| said.contains(write)));
        assert_eq!(lab.picture(), before, "{pages} pages: {said}");
        assert_eq!(lab.sh(files).expect(0).stdout, stored, "{pages} pages: {said}");
    }
    assert_eq!(failed_at.len(), 2, "{failed_at:?}");
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    // A daemon that starts with a full disk knows it as well.
    lab.sh("! cat /dev/zero >>/var/lib/gpuvirt/fill; systemctl restart gpuvirtd").expect(0);
    assert_eq!(lab.gpu("kept")["configured"], "direct");
    lab.sh("rm /var/lib/gpuvirt/fill").expect(0);
    lab.gpuvirt("gpu set kept --type shared").expect(0);
    store_on_the_own_disk(&lab);
    lab.assert_pristine();
}

/// What takes more boots: `scripts/test --full`.
mod full {
    use super::*;

    #[test]
    fn a_power_cut_on_the_way_to_direct_leaves_what_was_asked_for_before() {
        let lab = Lab::fresh();
        lab.sh(MODULE_AT_BOOT).expect(0);
        let gpu = lab.devices.get("PLAIN_GPU");
        power_cut_during(&lab, "unbind_store", (gpu, &format!("gpuvirt gpu set {gpu} --type direct")));
        // And of what is done and stored nothing is lost: the way back is cut, and it is direct again.
        power_cut_during(&lab, "unbind_store", (gpu, &format!("gpuvirt gpu set {gpu} --type shared")));
        assert_eq!(lab.binding(gpu), "bochs-drm/(null)");
        lab.sh(NOTHING_AT_BOOT).expect(0);
    }

    #[test]
    fn a_power_cut_while_virtual_functions_or_a_vgpu_are_made_leaves_what_was_asked_for_before() {
        let lab = Lab::fresh();
        lab.sh(MODULE_AT_BOOT).expect(0);
        let card = lab.sriov_gpu();
        lab.gpuvirt(&format!("gpu set {card} --type shared")).expect(0);
        let enable = format!("gpuvirt gpu set {card} --type shared-direct");
        power_cut_during(&lab, "sriov_numvfs_store", (&card, &enable));
        let mdev = lab.devices.get("MDEV_GPU");
        lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
        let create = format!("gpuvirt vgpu create --gpu {mdev} --profile lab-1q");
        power_cut_during(&lab, "mdev_device_create", (mdev, &create));
        lab.sh(NOTHING_AT_BOOT).expect(0);
    }

    /// The first card's own driver does not let go of it. All others come after it.
    #[test]
    fn a_restore_that_hangs_holds_up_neither_readiness_nor_libvirt_nor_the_other_cards() {
        let lab = Lab::fresh();
        let stuck = lab.devices.get("PLAIN_GPU");
        let (other, mdev) = (lab.devices.get("TWIN_A"), lab.devices.get("MDEV_GPU"));
        assert!(stuck < other && other < mdev, "they are restored in the order of their addresses");
        let id = "00000000-0000-4000-8000-00000000000b";
        lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
        lab.gpuvirt(&format!("vgpu create --gpu {mdev} --profile lab-1q --uuid {id}")).expect(0);
        for gpu in [stuck, other] {
            lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
        }
        // As a boot leaves it: no vGPU, and the other cards with their host driver.
        let started = lab.sh(&format!(
            "systemctl stop gpuvirtd && echo 1 >/sys/bus/mdev/devices/{id}/remove || exit 1
             for gpu in {stuck} {other}; do
                 echo $gpu >/sys/bus/pci/drivers/vfio-pci/unbind; echo >/sys/bus/pci/devices/$gpu/driver_override
                 echo $gpu >/sys/bus/pci/drivers/bochs-drm/bind || exit 1
             done
             insmod /lab/modules/gpuvirt_fault.ko function=unbind_store errno=0 hold=Y || exit 1
             began=$(date +%s%3N); timeout 80 systemctl start gpuvirtd || exit 2
             echo ready $(($(date +%s%3N) - began))
             timeout 60 systemctl restart libvirtd && virsh -q list || exit 3"
        ));
        let ready = started.expect(0);
        let ready: u64 =
            ready.text().rsplit_once("ready ").unwrap().1.lines().next().unwrap().parse().unwrap();
        // It waited as long as it may, so the restore did hang, and no longer.
        assert!((20_000..45_000).contains(&ready), "ready after {ready} ms");
        assert_eq!(lab.binding(other), "vfio-pci/vfio-pci");
        lab.sh(&format!("test -e /sys/bus/mdev/devices/{id}")).expect(0);
        assert!(lab.binding(stuck).starts_with("bochs-drm/"));
        lab.gpuvirt("status").expect(0).says(stuck);
        lab.gpuvirt(&format!("gpu show {other}")).expect(0);
        // The driver lets go: nobody does anything.
        lab.sh(&format!(
            "echo N >/sys/module/gpuvirt_fault/parameters/hold
             timeout 60 bash -c 'until [ -e /sys/bus/pci/drivers/vfio-pci/{stuck} ] && [ -z \"$(ls /var/lib/gpuvirt/journal)\" ]; do read -rt 0.2 <> <(:) || :; done'
             rmmod gpuvirt_fault"
        ))
        .expect(0);
        lab.assert_settled("a restore that hung");
        lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    }
}
