//! Room that is kept for VMs that start with the host, at starts that somebody asks libvirt for: docs/hook.md, docs/vgpu.md.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// A card with room for two large vGPUs, which are made when their VMs start. `early1` and `early2` start with the host and
/// ask for one each; `late` asks for a small one, and somebody starts it.
fn with_three() -> Lab {
    let lab = Lab::fresh();
    lab.gpuvirt(&format!("gpu set {} --type shared-direct", lab.devices.get("MDEV_GPU"))).expect(0);
    for (name, profile) in [("early1", "lab-4q"), ("early2", "lab-4q"), ("late", "lab-1q")] {
        lab.guest(name, "--memory 16");
        lab.gpuvirt(&format!("vm add {name} --profile {profile}")).expect(0);
    }
    lab.sh("virsh -q autostart early1 && virsh -q autostart early2").expect(0);
    lab
}

/// `late` is refused in virsh's own error, for the sake of this VM.
#[track_caller]
fn assert_is_kept_for(lab: &Lab, name: &str) {
    let before = lab.mediated_devices();
    let refused = lab.virsh_start("late").expect(1).says("gpuvirt: VM late cannot start");
    refused
        .says("[capacity-reserved]")
        .says(&format!("its room is kept for VM {name}, which starts with the host"));
    assert_eq!(lab.mediated_devices(), before, "nothing was made for it");
}

#[test]
fn a_start_by_virsh_leaves_vms_that_start_with_the_host_their_room() {
    let lab = with_three();
    // Nobody has asked libvirt for anything since but the daemon itself.
    lab.sh("systemctl restart gpuvirtd").expect(0);
    assert_is_kept_for(&lab, "early1");
    for name in ["early1", "early2"] {
        lab.virsh_start(name).expect(0);
    }
    lab.virsh_start("late").expect(1).says("[no-capacity]");
    // Seen to run, one of them has stopped: it starts with the host as before, and its room is nobody else's.
    lab.gpuvirt("vm list").expect(0);
    lab.virsh_destroy("early1");
    assert_is_kept_for(&lab, "early1");
    // No event tells of this; a listing does.
    lab.sh("virsh -q autostart --disable early1 && gpuvirt vm list").expect(0);
    lab.virsh_start("late").expect(0);
    lab.virsh_start("early1").expect(1).says("[no-capacity]");
    lab.virsh_destroy("late");
    lab.virsh_destroy("early2");
    lab.until_no_mediated_device();
}

/// A libvirtd without a VM ends by itself when nobody asks it for anything, and whoever starts a VM starts it: that VM's
/// hook comes before anybody could have listed the others.
#[test]
fn the_room_is_kept_where_libvirt_sleeps_when_the_daemon_starts() {
    let lab = with_three();
    let asleep =
        "[ \"$(systemctl is-active libvirtd.service libvirtd.socket | xargs)\" = 'inactive active' ]";
    lab.sh(&format!("systemctl stop libvirtd.service && systemctl restart gpuvirtd && {asleep}")).expect(0);
    assert_is_kept_for(&lab, "early1");
    for name in ["early1", "early2"] {
        lab.virsh_start(name).expect(0);
        lab.virsh_destroy(name);
    }
    lab.until_no_mediated_device();
}
