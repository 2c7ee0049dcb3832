//! Placement and capacity beside vGPUs that others made, on the real kernel and the real libvirt.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

const OTHERS: &str = "11111111-2222-4333-8444-555555555555";
const OURS: &str = "22222222-2222-4333-8444-555555555555";

/// The GPU that makes vGPUs, with one that somebody made through sysfs.
fn with_a_vgpu_of_others(lab: &Lab) -> String {
    let gpu = lab.devices.get("MDEV_GPU").to_owned();
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let types = format!("/sys/bus/pci/devices/{gpu}/mdev_supported_types");
    lab.sh(&format!("echo {OTHERS} > $(grep -lx LAB-1Q {types}/*/name | xargs dirname)/create")).expect(0);
    gpu
}

fn numbers(lab: &Lab, profile: &str) -> [u64; 3] {
    let list = lab.gpuvirt(&format!("capacity --profile {profile} -o json")).expect(0).json();
    ["consumed", "remaining", "reserved"].map(|number| list["items"][0][number].as_u64().unwrap())
}

fn without_others(lab: &Lab) {
    lab.sh(&format!("echo 1 > /sys/bus/mdev/devices/{OTHERS}/remove")).expect(0);
}

#[test]
fn a_vgpu_is_placed_beside_what_others_made() {
    let lab = Lab::fresh();
    let gpu = with_a_vgpu_of_others(&lab);
    assert_eq!(numbers(&lab, "lab-1q"), [1, 7, 0]);
    let dry = lab.gpuvirt("vgpu create --profile lab-1q --explain --dry-run").expect(0);
    dry.says(&format!("placed on {gpu}")).says("unmanaged");
    lab.gpuvirt(&format!("vgpu create --profile lab-1q --uuid {OURS}")).expect(0).says(&gpu);
    lab.gpuvirt(&format!("vgpu create --profile lab-1q --uuid {OURS}")).expect(0).says("nothing to do");
    assert_eq!(numbers(&lab, "lab-1q"), [2, 6, 0]);
    lab.gpuvirt("vgpu create --profile lab-8q").expect(3).says("[no-suitable-gpu]").says(OTHERS);
    lab.gpuvirt("vgpu create --profile lab-3q").expect(3).says("[profile-not-offered]").says("lab-1q");
    lab.gpuvirt(&format!("vgpu remove {OURS}")).expect(0);
    without_others(&lab);
    lab.assert_pristine();
}

#[test]
fn what_is_reserved_cordoned_or_in_maintenance_is_not_taken() {
    let lab = Lab::fresh();
    let gpu = with_a_vgpu_of_others(&lab);
    lab.gpuvirt("host reserve lab-1q 9").expect(3).says("[no-capacity]");
    lab.gpuvirt("host reserve lab-1q 8").expect(0);
    assert_eq!(numbers(&lab, "lab-1q"), [1, 0, 7], "the one of others counts");
    for create in ["vgpu create --profile lab-2q", &format!("vgpu create --gpu {gpu} --profile lab-2q")] {
        lab.gpuvirt(create).expect(3).says("[capacity-reserved]");
    }
    lab.gpuvirt(&format!("vgpu create --profile lab-1q --uuid {OURS}")).expect(0);
    lab.gpuvirt("host reserve lab-1q 0").expect(0);
    lab.gpuvirt(&format!("gpu cordon {gpu}")).expect(0);
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q")).expect(3).says("[cordoned]");
    lab.gpuvirt("gpu list").expect(0).says("cordoned");
    lab.gpuvirt(&format!("vgpu remove {OURS}")).expect(0);
    lab.gpuvirt(&format!("gpu uncordon {gpu}")).expect(0);
    lab.gpuvirt("host maintenance on").expect(0);
    lab.gpuvirt("vgpu create --profile lab-1q").expect(3).says("[maintenance]");
    lab.gpuvirt("host maintenance off").expect(0);
    without_others(&lab);
    lab.assert_pristine();
}

#[test]
fn room_is_kept_for_a_vm_that_starts_with_the_host() {
    let lab = Lab::fresh();
    with_a_vgpu_of_others(&lab);
    without_others(&lab);
    let guest = lab.guest("early", "--hold");
    lab.gpuvirt(&format!("vgpu create --profile lab-8q --uuid {OURS}")).expect(0);
    lab.gpuvirt(&format!("vm add early --vgpu {OURS}")).expect(0);
    lab.sh("virsh autostart early").expect(0);
    // As after a boot: the device is gone, and nobody told gpuvirt.
    lab.sh(&format!("echo 1 > /sys/bus/mdev/devices/{OURS}/remove")).expect(0);
    assert_eq!(numbers(&lab, "lab-8q"), [0, 0, 1]);
    lab.gpuvirt("vgpu create --profile lab-1q").expect(3).says("[capacity-reserved]").says("early");
    lab.gpuvirt(&format!("vgpu create --profile lab-8q --uuid {OURS}")).expect(0);
    guest.run().expect(0).says("class=0302");
    guest.destroy();
    lab.gpuvirt(&format!("vgpu remove {OURS}")).expect(0);
    lab.sh("virsh autostart --disable early; virsh undefine early").expect(0);
    lab.assert_pristine();
}
