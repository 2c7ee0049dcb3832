//! A host that goes down in the middle of something, and cards that are elsewhere when it comes back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

/// Each takes boots of its own: `scripts/test --full`.
mod full {
    use gpuvirt_e2e::{Lab, MODULE_AT_BOOT, NOTHING_AT_BOOT, Reboot, restored};

    /// How long the driver takes: a reboot that is asked for meanwhile does not wait for it.
    const SLOW_MS: u32 = 20_000;

    /// Asks for a change and comes back when it is in the journal.
    fn begin(lab: &Lab, command: &str) {
        lab.sh(&format!(
            "sync; setsid {command} >/dev/null 2>&1 </dev/null &
             timeout 60 bash -c 'until [ -n \"$(ls /var/lib/gpuvirt/journal)\" ]; do read -rt 0.1 <> <(:) || :; done'"
        ))
        .expect(0);
    }

    /// Which end it came to is told: before, and the change is settled; or after, and what was stored is restored.
    fn assert_one_end(lab: &Lab, (gpu, command): (&str, &str), (before, after): (&str, &str)) {
        lab.until_settled();
        lab.assert_settled(command);
        let now = lab.picture();
        assert!(now == before || now == after, "{command}\nnow:\n{now}\nbefore:\n{before}\nafter:\n{after}");
        let settled = lab.status()["restore"]["settled"].as_array().is_some_and(|all| !all.is_empty());
        println!(
            "{command}: {}, settled at the start: {settled}",
            if now == before { "undone" } else { "done" }
        );
        if settled {
            lab.assert_tells_settled(gpu);
        } else {
            assert_eq!(now, after, "nothing was open, so it was done and stored");
        }
    }

    #[test]
    fn a_reboot_while_a_slow_driver_makes_or_removes_a_vgpu_ends_one_way_or_the_other() {
        let lab = Lab::fresh();
        let mdev = lab.devices.get("MDEV_GPU");
        let uuid = "00000000-0000-4000-8000-00000000000d";
        let delay =
            |which: &str| format!("echo {SLOW_MS} >/sys/module/gpuvirt_mdev/parameters/{which}_delay_ms");
        lab.sh(MODULE_AT_BOOT).expect(0);
        lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
        let create = format!("gpuvirt vgpu create --gpu {mdev} --profile lab-1q --uuid {uuid}");
        let remove = format!("gpuvirt vgpu remove {uuid}");
        let without = lab.picture();
        lab.sh(&create).expect(0);
        let with = lab.picture();
        lab.sh(&remove).expect(0);

        lab.sh(&delay("create")).expect(0);
        begin(&lab, &create);
        lab.reboot(Reboot::Orderly);
        assert_one_end(&lab, (mdev, &create), (&without, &with));
        lab.sh(&format!("{create}; test -e /sys/bus/mdev/devices/{uuid}")).expect(0);

        lab.sh(&delay("remove")).expect(0);
        begin(&lab, &remove);
        lab.reboot(Reboot::Orderly);
        assert_one_end(&lab, (mdev, &remove), (&with, &without));
        lab.sh(&format!("{remove}; test ! -e /sys/bus/mdev/devices/{uuid}")).expect(0);
        lab.sh(NOTHING_AT_BOOT).expect(0);
    }

    /// The host is rebooted while that call of the command's takes as long as a slow driver does. Asked for again afterwards,
    /// the command leads to what it leads to.
    fn reboot_during(lab: &Lab, function: &str, (gpu, command, back): (&str, &str, &str)) {
        let before = lab.picture();
        lab.sh(command).expect(0);
        let after = lab.picture();
        assert_ne!(before, after, "{command}");
        lab.sh(back).expect(0);
        assert_eq!(lab.picture(), before, "{back}");
        insert_fault(lab, &format!("{function} hold_ms={SLOW_MS}"));
        begin(lab, command);
        until_struck(lab);
        lab.reboot(Reboot::Orderly);
        assert_one_end(lab, (gpu, command), (&before, &after));
        lab.sh(command).expect(0);
        assert_eq!(lab.picture(), after, "{command}");
    }

    /// The next call of a function waits.
    fn insert_fault(lab: &Lab, function: &str) {
        let fault = format!("insmod /lab/modules/gpuvirt_fault.ko errno=0 hold=Y function={function}");
        lab.sh(&format!("modprobe -a vfio-pci mdev; sync; {fault}")).expect(0);
    }

    /// It waits.
    fn until_struck(lab: &Lab) {
        let struck = "[ $(cat /sys/module/gpuvirt_fault/parameters/struck) = Y ]";
        let waits = format!("timeout 60 bash -c 'until {struck}; do read -rt 0.1 <> <(:) || :; done'");
        lab.sh(&waits).expect(0);
    }

    #[test]
    fn a_reboot_on_the_way_to_direct_or_back_ends_one_way_or_the_other() {
        let lab = Lab::fresh();
        lab.sh(MODULE_AT_BOOT).expect(0);
        let gpu = lab.devices.get("PLAIN_GPU");
        let set = |to: &str| format!("gpuvirt gpu set {gpu} --type {to}");
        let (direct, shared) = (set("direct"), set("shared"));
        lab.sh(&shared).expect(0);
        reboot_during(&lab, "unbind_store", (gpu, &direct, &shared));
        reboot_during(&lab, "unbind_store", (gpu, &shared, &direct));
        assert_eq!(lab.binding(gpu), "bochs-drm/(null)");
        lab.sh(NOTHING_AT_BOOT).expect(0);
    }

    #[test]
    fn a_reboot_while_virtual_functions_are_enabled_ends_one_way_or_the_other() {
        let lab = Lab::fresh();
        lab.sh(MODULE_AT_BOOT).expect(0);
        let card = lab.sriov_gpu();
        let set = |to: &str| format!("gpuvirt gpu set {card} --type {to}");
        let (enable, disable) = (set("shared-direct"), set("shared"));
        lab.sh(&disable).expect(0);
        reboot_during(&lab, "sriov_numvfs_store", (&card, &enable, &disable));
        lab.sh(&disable).expect(0);
        lab.sh(NOTHING_AT_BOOT).expect(0);
    }

    /// The power goes while `virsh start` waits in that function of the kernel.
    fn power_cut_in_a_start(lab: &Lab, vm: &str, function: &str) {
        insert_fault(lab, function);
        lab.sh(&format!("setsid virsh -q start {vm} >/dev/null 2>&1 </dev/null &")).expect(0);
        until_struck(lab);
    }

    #[test]
    fn after_a_power_cut_in_its_start_an_autostarted_vm_runs_with_its_whole_card() {
        let lab = Lab::fresh();
        let gpu = lab.devices.get("MULTI_GPU");
        lab.sh(MODULE_AT_BOOT).expect(0);
        let guest = lab.guest("whole", "--hold");
        lab.gpuvirt(&format!("gpu set {gpu} --type direct --when vm")).expect(0);
        lab.gpuvirt(&format!("vm add whole --gpu {gpu}")).expect(0);
        lab.sh("virsh -q autostart whole").expect(0);
        let host = lab.picture();
        let console = format!("/var/log/libvirt/qemu/{}-console.log", guest.name);
        let runs = || {
            let ready = format!("until grep -aqs L2-READY {console}; do sleep 0.5; done");
            let waits = format!("timeout 300 sh -c '{ready}'; cat {console}; rm {console}; sync");
            lab.sh(&waits).expect(0).says("L2-READY").says("1002:");
            assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
            lab.until_settled();
            lab.assert_settled("a power cut in a start");
        };
        let ends = || {
            guest.destroy();
            let lent = format!("while [ -e /sys/bus/pci/drivers/vfio-pci/{gpu} ]");
            lab.sh(&format!("timeout 60 bash -c '{lent}; do read -rt 0.2 <> <(:) || :; done'")).expect(0);
        };
        // While the card is taken from the host for it: that is taken back, and done again when libvirt starts it.
        power_cut_in_a_start(&lab, &guest.name, "unbind_store");
        lab.sh("ls /var/lib/gpuvirt/journal").expect(0).says(".json");
        lab.reboot(Reboot::PowerCut);
        runs();
        lab.assert_tells_settled(gpu);
        ends();
        // While QEMU opens it: no change is open, and the boot has given the card to the host.
        power_cut_in_a_start(&lab, &guest.name, "vfio_pci_core_enable");
        lab.sh("ls -A /var/lib/gpuvirt/journal | wc -l").expect(0).says("0");
        lab.reboot(Reboot::PowerCut);
        runs();
        ends();
        assert_eq!(lab.picture(), host);
        lab.sh(NOTHING_AT_BOOT).expect(0);
    }

    #[test]
    fn after_a_power_cut_in_its_start_an_autostarted_vm_runs_with_the_vgpu_that_is_made_for_it() {
        let lab = Lab::fresh();
        let mdev = lab.devices.get("MDEV_GPU");
        lab.sh(MODULE_AT_BOOT).expect(0);
        lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
        let guest = lab.guest("late", "--hold");
        lab.gpuvirt("vm add late --profile lab-2q").expect(0);
        lab.sh("virsh -q autostart late").expect(0);
        let console = format!("/var/log/libvirt/qemu/{}-console.log", guest.name);
        let runs = |lab: &Lab| {
            let waits = format!(
                "timeout 300 sh -c 'until grep -aqs L2-READY {console}; do sleep 0.5; done'; cat {console}"
            );
            lab.sh(&waits).expect(0).says("L2-READY").says("class=0302");
            let vgpus = lab.vgpus();
            assert!(vgpus.len() == 1 && vgpus[0]["profile"] == "lab-2q", "{vgpus:?}");
            lab.gpuvirt("vgpu list").expect(0).says("late");
            lab.sh("ls /sys/bus/mdev/devices | wc -l").expect(0).says("1");
            lab.sh("journalctl -b -o cat -u gpuvirtd").expect(0).says("made for a start");
        };
        // The power goes while the driver makes it.
        lab.sh(
            "modprobe -a mdev; sync; insmod /lab/modules/gpuvirt_fault.ko function=mdev_device_create errno=0 hold=Y || exit 1
             setsid virsh -q start late >/dev/null 2>&1 </dev/null &
             timeout 60 bash -c 'until [ $(cat /sys/module/gpuvirt_fault/parameters/struck) = Y ]; do read -rt 0.1 <> <(:) || :; done'",
        )
        .expect(0);
        lab.sh("ls /var/lib/gpuvirt/journal").expect(0).says(".json");
        lab.reboot(Reboot::PowerCut);
        runs(&lab);
        lab.until_settled();
        lab.assert_settled("a power cut in a start");
        lab.assert_tells_settled(mdev);
        // And while it runs: what was made for it then is gone, and is made again.
        lab.sh(&format!("sync; rm {console}; sync")).expect(0);
        lab.reboot(Reboot::PowerCut);
        runs(&lab);
        lab.assert_settled("a power cut while it runs");
        guest.destroy();
        lab.sh(NOTHING_AT_BOOT).expect(0);
    }

    /// Root ports are numbered as the buses behind them.
    fn port(address: &str) -> String {
        address.split(':').nth(1).unwrap().trim_start_matches('0').to_owned()
    }

    #[test]
    fn a_card_that_was_moved_is_reported_and_the_disk_that_took_its_place_is_left_alone() {
        let lab = Lab::fresh();
        let (gpu, disk) = (lab.devices.get("MULTI_GPU"), lab.devices.get("SRIOV_NVME"));
        let (with_gpu, with_disk) = (lab.binding(gpu), lab.binding(disk));
        lab.gpuvirt(&format!("gpu set {gpu} --type direct --label first")).expect(0);
        lab.sh("sync; cat /etc/gpuvirt/claims").expect(0).says(gpu);

        lab.reboot(Reboot::CardsSwapped(&port(gpu), &port(disk)));
        // Seen by their new addresses: what is at the card's is the disk.
        let (disks, cards) = (lab.binding(gpu), lab.binding(disk));
        let status = lab.status();
        let shown = lab.gpuvirt("status");
        let claims = lab.sh("journalctl -b -o cat -u gpuvirt-claim");
        // As advised.
        let followed = lab.gpuvirt(&format!("gpu unset {gpu}"));
        let set = lab.gpuvirt(&format!("gpu set {disk} --type direct --label first"));
        let moved = lab.binding(disk);
        lab.sh("sync").expect(0);

        lab.reboot(Reboot::PowerCut);
        // Back in their slots: now the card's entry names the disk's address.
        let (back, again) = (lab.binding(disk), lab.status());
        assert_eq!(disks, with_disk, "the disk has its driver and no override\n{claims}");
        assert_eq!(cards, with_gpu, "nothing is done to the card where nobody asked for it");
        let (outcome, what) = restored(&status, gpu);
        assert_eq!(outcome, "refused", "{status}");
        assert!(what.contains("identity-changed") && what.contains("left alone"), "{what}");
        assert!(what.contains(&format!("gpuvirt gpu set {disk} --type direct --label \"first\"")), "{what}");
        shown.says("was not restored").says(gpu);
        followed.expect(0);
        set.expect(0);
        assert_eq!(moved, "vfio-pci/vfio-pci");
        assert_eq!(back, with_disk, "{again}");
        assert_eq!(restored(&again, disk).0, "refused", "{again}");
        lab.gpuvirt(&format!("gpu unset {disk}")).expect(0);
    }
}
