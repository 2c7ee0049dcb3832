//! Cards that are claimed in an initramfs of dracut's, booted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

/// An image is made by a program that takes minutes under emulation.
mod full {
    use gpuvirt_e2e::{Lab, NETWORK_AT_BOOT, NOTHING_AT_BOOT, Reboot};

    /// initramfs-tools' command, hidden: as on a host that has dracut instead.
    const DRACUT_ALONE: &str = "mv /usr/sbin/update-initramfs /usr/sbin/update-initramfs.e2e";
    const BOTH: &str = "mv /usr/sbin/update-initramfs.e2e /usr/sbin/update-initramfs";

    /// An image with the drivers of the root disk and of the host's cards, dracut's own choice of modules otherwise.
    const IMAGE: &str = "dracut --force --no-hostonly-cmdline --no-early-microcode --compress 'zstd -1' \
        --omit-drivers 'virtio_gpu' --add-drivers 'virtio_pci virtio_blk ext4 crc32c_generic bochs nvme' \
        /boot/initrd.img-$(uname -r) $(uname -r) && cp /boot/initrd.img-$(uname -r) /tmp/e2e-initrd.img";

    #[test]
    fn cards_are_claimed_by_address_and_identity_before_their_drivers_load() {
        let lab = Lab::fresh();
        let (gpu, twin) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("TWIN_A"));
        let (moved, disk) = (lab.devices.get("TWIN_B"), lab.devices.get("SRIOV_NVME"));
        let with_disk = lab.binding(disk);
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
        // The initramfs' own journal is the first part of the boot's.
        let log = lab
            .sh("dmesg | grep -E 'bochs|vfio|nvme'; journalctl -b -o cat | grep -E 'dracut|gpuvirt'")
            .stdout;
        assert!(log.contains("dracut"), "dracut's image was not booted:\n{log}");
        assert!(log.contains(&format!("only vfio-pci may bind {gpu}")), "nothing was claimed in it:\n{log}");
        assert!(!log.contains(&format!("bochs-drm {gpu}")), "the host's driver had the card:\n{log}");
        assert!(log.contains(&format!("bochs-drm {twin}")), "{log}");
        let first = |text: &str| log.lines().position(|line| line.contains(text));
        assert!(
            first(&format!("bochs-drm {twin}")).is_some(),
            "the host's driver was not in the image:\n{log}"
        );
        assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
        assert_eq!(lab.binding(twin), "bochs-drm/(null)");
        assert_eq!(lab.binding(disk), with_disk, "the disk has its driver, and no override");
        lab.gpuvirt("status").says("identity-changed");

        lab.reboot(Reboot::PowerCut);
        std::fs::remove_dir_all(folder).unwrap();
        lab.sh(BOTH).expect(0);
        lab.sh(NOTHING_AT_BOOT).expect(0);
        lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
        assert_eq!(lab.binding(gpu), "bochs-drm/(null)");
    }
}
