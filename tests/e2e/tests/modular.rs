//! libvirt's modular daemons: virtqemud in libvirtd's place, socket-activated, as distributions other than Debian ship it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

/// Its daemons are built from Debian's source of libvirt, once for a cache.
mod full {
    use gpuvirt_e2e::{Lab, MODULE_AT_BOOT, NOTHING_AT_BOOT, Reboot};

    /// libvirt's own daemons that run now.
    const RUNNING: &str =
        "systemctl list-units --state=running --plain --no-legend 'virt*.service' 'libvirtd.service'";

    /// Waits until this verb of ours says so, at most a minute: libvirt lists nothing while it starts a VM, and on a host that
    /// is busy with a guest's boot that takes longer than we wait for it.
    fn until(lab: &Lab, verb: &str, text: &str) {
        lab.sh(&format!(
            "timeout 60 bash -c 'until gpuvirt {verb} | grep -qF \"{text}\"; do read -rt 0.3 <> <(:) || :; done' || {{ gpuvirt {verb}; exit 1; }}"
        ))
        .expect(0);
    }

    #[test]
    fn the_rules_the_order_at_boot_and_the_events_hold_with_virtqemud() {
        let lab = Lab::fresh();
        let (gpu, mdev, shared) =
            (lab.devices.get("MULTI_GPU"), lab.devices.get("MDEV_GPU"), lab.devices.get("PLAIN_GPU"));
        lab.modular_daemons();
        lab.sh("/lab/e2e/libvirt-daemons modular").expect(0);
        lab.sh(MODULE_AT_BOOT).expect(0);
        lab.sh("systemctl restart gpuvirtd && virsh -q list").expect(0);
        lab.sh(RUNNING).expect(0).says("virtqemud.service").never_says("libvirtd.service");
        lab.gpuvirt("doctor").never_says("libvirt-missing").never_says("libvirt-unreachable");

        // A vGPU that is made when virsh starts the VM, by the hook that virtqemud runs, and goes with it.
        lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
        let late = lab.guest("late", "");
        lab.gpuvirt("vm add late --profile lab-2q").expect(0);
        lab.gpuvirt("vm list").expect(0).says("late");
        late.run().expect(0).says("class=0302");
        until(&lab, "events", "VM late started");
        until(&lab, "events", "VM late stopped");
        lab.sh("timeout 60 bash -c 'while [ -n \"$(ls /sys/bus/mdev/devices)\" ]; do read -rt 0.2 <> <(:) || :; done'")
            .expect(0);

        // A refusal is virsh's own error.
        lab.gpuvirt(&format!("gpu set {shared} --type shared")).expect(0);
        lab.guest("wrong", "");
        lab.sh(&format!(
            "gpuvirt xml --gpu {shared} >/tmp/e2e-hostdev.xml && virsh -q attach-device --config wrong /tmp/e2e-hostdev.xml"
        ))
        .expect(0);
        lab.sh("virsh -q start wrong").expect(1).says("[not-passthrough]").says(shared);

        // At boot we are ready before virtqemud, which starts the VM by itself.
        let boots = lab.guest("boots", "--hold");
        lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
        lab.gpuvirt(&format!("vm add boots --gpu {gpu}")).expect(0);
        lab.sh("virsh -q autostart boots && sync").expect(0);
        lab.reboot(Reboot::Orderly);
        let console = format!("/var/log/libvirt/qemu/{}-console.log", boots.name);
        lab.sh(&format!(
            "timeout 240 bash -c 'until grep -aqs L2-READY {console}; do read -rt 0.5 <> <(:) || :; done'; cat {console}"
        ))
        .expect(0)
        .says("L2-READY")
        .says("1002:");
        lab.sh("[ $(systemctl show -P ActiveEnterTimestampMonotonic gpuvirtd) -le \
                  $(systemctl show -P ExecMainStartTimestampMonotonic virtqemud) ]")
            .expect(0);
        lab.sh(RUNNING).expect(0).says("virtqemud.service").never_says("libvirtd.service");
        until(&lab, "vm list", "boots");
        lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(3).says("boots");

        // One that was stopped with its sockets is not woken; one that comes back is heard again, its guests among it.
        let sockets = "virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket";
        lab.sh(&format!("systemctl stop {sockets} virtqemud.service")).expect(0);
        lab.gpuvirt("gpu list").expect(0);
        lab.gpuvirt("vm list");
        lab.sh("systemctl is-active virtqemud.service").says("inactive");
        lab.sh(&format!("systemctl start {sockets} && virsh -q domstate boots")).expect(0).says("running");
        until(&lab, "vm list", "boots");
        boots.destroy();
        until(&lab, "events", "VM boots stopped");
        lab.sh(NOTHING_AT_BOOT).expect(0);
        lab.sh("/lab/e2e/libvirt-daemons monolithic").expect(0);
    }
}
