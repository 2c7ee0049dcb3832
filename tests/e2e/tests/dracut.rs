//! Cards that are claimed in an initramfs of dracut's, booted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

/// dracut takes minutes under emulation.
mod full {
    use gpuvirt_e2e::{Lab, NETWORK_AT_BOOT, NOTHING_AT_BOOT, Reboot};

    /// initramfs-tools' command, hidden: as on a host that has dracut instead.
    const DRACUT_ALONE: &str = "mv /usr/sbin/update-initramfs /usr/sbin/update-initramfs.e2e";
    const BOTH: &str = "mv /usr/sbin/update-initramfs.e2e /usr/sbin/update-initramfs";

    /// An image with the drivers of the root disk and of the host's cards, and dracut's own choice of modules.
    const IMAGE: &str = "dracut --force --hostonly --no-hostonly-cmdline --no-early-microcode --compress 'zstd -1' \
        --add-drivers 'virtio_pci virtio_blk ext4 crc32c_generic bochs nvme' \
        /boot/initrd.img-$(uname -r) $(uname -r) && cp /boot/initrd.img-$(uname -r) /tmp/e2e-initrd.img";

    #[test]
    fn cards_are_claimed_by_address_and_identity_before_their_drivers_load() {
        let lab = Lab::fresh();
        let (gpu, twin) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("TWIN_A"));
        let (moved, disk) = (lab.devices.get("TWIN_B"), lab.devices.get("SRIOV_NVME"));
        let with_disk = lab.binding(disk);
        lab.install(&["dracut-core"]);
        lab.sh(DRACUT_ALONE).expect(0);
        lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0).says("initramfs-stale");
        lab.gpuvirt("status").says("dracut -f");
        // Another card was moved by the firmware, and a disk has its address.
        lab.gpuvirt(&format!("gpu set {moved} --type direct")).expect(0);
        lab.sh(&format!(
            "systemctl stop gpuvirtd && sed -i 's/{moved}/{disk}/' /var/lib/gpuvirt/state.json &&
             systemctl start gpuvirtd && cat /etc/gpuvirt/claims"
        ))
        .expect(0)
        .says(gpu)
        .says(disk);
        lab.sh(IMAGE).expect(0);
        lab.gpuvirt("status").never_says("initramfs-stale");
        lab.sh(NETWORK_AT_BOOT).expect(0);

        let folder = std::env::temp_dir().join(format!("gpuvirt-dracut-{}", std::process::id()));
        lab.pull("/tmp/e2e-initrd.img", folder.to_str().unwrap());
        let image = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        lab.reboot(Reboot::PowerCutInto(image.to_str().unwrap()));
        // The drivers were in the image: the card's twin had its own before the real root was entered.
        lab.sh(&format!(
            "entered=$(systemctl show -P UserspaceTimestampMonotonic) image=$(systemctl show -P InitRDTimestampMonotonic)
             dmesg; echo image $image root $entered; [ $image -gt 0 ] && [ -d /run/initramfs ] || exit 1
             dmesg | awk -v entered=$entered -F '[][ ]+' '/bochs-drm {twin}/ && $2 * 1000000 < entered {{ found = 1 }} END {{ exit !found }}'"
        ))
        .expect(0)
        .never_says(&format!("bochs-drm {gpu}"));
        // Nothing was left for the unit in the root to claim, and no card is without its claim.
        lab.sh("journalctl -b -o cat -u gpuvirt-claim").expect(0).never_says("may bind");
        assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
        assert_eq!(lab.binding(twin), "bochs-drm/(null)");
        assert_eq!(lab.binding(disk), with_disk, "the disk has its driver, and no override");
        lab.gpuvirt("status -o json").expect(0).says("identity-changed");

        lab.reboot(Reboot::PowerCut);
        std::fs::remove_dir_all(folder).unwrap();
        lab.sh(BOTH).expect(0);
        lab.sh(NOTHING_AT_BOOT).expect(0);
        lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
        assert_eq!(lab.binding(gpu), "bochs-drm/(null)");
    }
}
