//! vGPUs as mediated devices, on the real kernel's mdev core.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

const GIVEN: &str = "11111111-2222-4333-8444-555555555555";

fn shared_direct(lab: &Lab) -> String {
    let gpu = lab.devices.get("MDEV_GPU").to_owned();
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    gpu
}

fn available(lab: &Lab, profile: &str) -> u64 {
    let list = lab.gpuvirt("profile list -o json").expect(0).json();
    let items = list["items"].as_array().unwrap();
    let found = items.iter().find(|item| item["name"] == profile);
    found.unwrap_or_else(|| panic!("{profile} in {list}"))["available"].as_u64().unwrap()
}

#[test]
fn a_vgpu_is_made_with_a_given_and_with_a_chosen_uuid() {
    let lab = Lab::fresh();
    let gpu = shared_direct(&lab);
    let create = format!("vgpu create --gpu {gpu} --profile lab-2q");
    lab.gpuvirt(&format!("{create} --uuid {GIVEN}")).expect(0).says(GIVEN);
    lab.gpuvirt(&format!("{create} --uuid {GIVEN}")).expect(0).says("nothing to do");
    let made = lab.gpuvirt(&format!("{create} -o json")).expect(0).json();
    let chosen = made["uuid"].as_str().unwrap().to_owned();
    let list = lab.gpuvirt("vgpu list -o json").expect(0).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list}");
    assert_eq!(lab.gpu(&gpu)["active"], "shared-direct");
    lab.sh(&format!("test -e /sys/bus/mdev/devices/{chosen} -a -e /sys/bus/mdev/devices/{GIVEN}")).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(3).says("[vgpus-alive]").says(GIVEN);
    for uuid in [GIVEN, &chosen] {
        lab.gpuvirt(&format!("vgpu remove {uuid}")).expect(0);
    }
    lab.gpuvirt(&format!("vgpu remove {GIVEN}")).expect(3).says("[vgpu-not-found]");
    lab.assert_pristine();
}

#[test]
fn profiles_share_one_pool_exhaust_and_recover() {
    let lab = Lab::fresh();
    let gpu = shared_direct(&lab);
    let (ones, fours) = (available(&lab, "lab-1q"), available(&lab, "lab-4q"));
    assert_eq!((ones, fours), (8, 2));
    let uuids: Vec<String> = (0..2)
        .map(|_| {
            let made =
                lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-4q -o json")).expect(0).json();
            made["uuid"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!((available(&lab, "lab-1q"), available(&lab, "lab-4q")), (0, 0));
    let full =
        lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q")).expect(3).says("[no-capacity]");
    full.says(&uuids[0]);
    lab.gpuvirt(&format!("vgpu remove {}", uuids[0])).expect(0);
    assert_eq!((available(&lab, "lab-1q"), available(&lab, "lab-4q")), (4, 1));
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-8q"))
        .expect(3)
        .says("[no-capacity]")
        .says("lab-4q");
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-3q")).expect(3).says("[profile-not-offered]");
    lab.gpuvirt(&format!("vgpu remove {}", uuids[1])).expect(0);
    assert_eq!(available(&lab, "lab-1q"), 8);
    lab.assert_pristine();
}

#[test]
fn what_others_made_is_shown_and_left_alone() {
    let lab = Lab::fresh();
    let gpu = shared_direct(&lab);
    let types = format!("/sys/bus/pci/devices/{gpu}/mdev_supported_types");
    lab.sh(&format!("echo {GIVEN} > $(grep -lx LAB-1Q {types}/*/name | xargs dirname)/create")).expect(0);
    let list = lab.gpuvirt("vgpu list -o json").expect(0).json();
    assert_eq!((&list["items"][0]["uuid"], &list["items"][0]["ours"]), (&GIVEN.into(), &false.into()));
    lab.gpuvirt(&format!("vgpu remove {GIVEN}")).expect(3).says("[not-ours]");
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {GIVEN}"))
        .expect(3)
        .says("[uuid-in-use]");
    lab.sh(&format!("echo 1 > /sys/bus/mdev/devices/{GIVEN}/remove")).expect(0);
    lab.assert_pristine();
}

#[test]
fn ownership_outlives_the_daemon() {
    let lab = Lab::fresh();
    let gpu = shared_direct(&lab);
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {GIVEN}")).expect(0);
    lab.sh("systemctl restart gpuvirtd").expect(0);
    lab.gpuvirt(&format!("vgpu remove {GIVEN}")).expect(0);
    lab.assert_pristine();
}

#[test]
fn a_vgpu_that_a_vm_holds_is_not_removed() {
    let lab = Lab::fresh();
    let gpu = shared_direct(&lab);
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {GIVEN}")).expect(0);
    let guest = lab.guest("vgpu-holder", "--hold");
    lab.gpuvirt(&format!("vm add {} --vgpu {GIVEN}", guest.name)).expect(0);
    guest.run().expect(0).says("L2-READY");
    lab.gpuvirt(&format!("vgpu remove {GIVEN}")).expect(3).says("[vgpu-in-use]").says("vgpu-holder");
    lab.sh(&format!("test -e /sys/bus/mdev/devices/{GIVEN}")).expect(0);
    guest.destroy();
    lab.gpuvirt(&format!("vgpu remove {GIVEN}")).expect(0);
}

/// The test module's parameter that keeps removals waiting.
const HOLD: &str = "/sys/module/gpuvirt_mdev/parameters/hold_remove";

/// One vGPU, whose removal will wait for longer than the daemon does.
fn with_removals_held(lab: &Lab, gpu: &str) {
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {GIVEN}")).expect(0);
    lab.sh(&format!(
        "sed -i 's/^#short-deadline //' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd && echo Y > {HOLD}"
    ))
    .expect(0);
}

#[test]
fn a_removal_that_ends_right_after_it_was_given_up_is_settled_without_a_hand() {
    let lab = Lab::fresh();
    let gpu = shared_direct(&lab);
    with_removals_held(&lab, &gpu);
    // Before anybody looks whether it still waits.
    lab.sh(&format!("gpuvirt vgpu remove {GIVEN}; code=$?; echo N > {HOLD}; exit $code"))
        .expect(1)
        .says("still waits in the kernel");
    let settled = "until [ -z \"$(ls /var/lib/gpuvirt/journal)\" ]; do read -rt 0.2 <> <(:) || :; done";
    lab.sh(&format!("timeout 40 bash -c '{settled}'")).expect(0);
    lab.assert_settled("a removal that ended right after it was given up");
    // Taken back or done: either is whole.
    lab.sh(&format!("[ ! -e /sys/bus/mdev/devices/{GIVEN} ] || gpuvirt vgpu remove {GIVEN}")).expect(0);
    lab.assert_pristine();
}

#[test]
fn a_removal_that_the_kernel_holds_back_is_left_alone_and_settled_later() {
    let lab = Lab::fresh();
    let gpu = shared_direct(&lab);
    with_removals_held(&lab, &gpu);
    lab.gpuvirt(&format!("vgpu remove {GIVEN}"))
        .expect(1)
        .says("still waits in the kernel")
        .says("hands-off");
    // Nothing else waits: listings, other GPUs, and the daemon's own end.
    let other = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt("gpu list").expect(0);
    lab.gpuvirt(&format!("gpu set {other} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {other} --type shared")).expect(0);
    let create = format!("vgpu create --gpu {gpu} --profile lab-1q");
    lab.gpuvirt(&create).expect(3).says("[hands-off]").says("gpuvirt recover");
    lab.sh("timeout 20 systemctl restart gpuvirtd").expect(0);
    lab.gpuvirt(&create).expect(3).says("[hands-off]");
    lab.gpuvirt("recover").expect(1).says("hands-off");
    lab.sh(&format!("test -d /sys/bus/pci/devices/{gpu}/{GIVEN}")).expect(0);
    // Once the kernel has let go, the change is taken back as any other that failed.
    let gone = format!(
        "echo N > {HOLD}; for try in {{1..200}}; do pgrep -f 'gpuvirtd|gpuvirt-writer' | xargs -I P \\
        grep -l '^State:.D' /proc/P/status 2>/dev/null | grep -q . || break; done"
    );
    lab.sh(&gone).expect(0);
    lab.gpuvirt("recover").expect(0);
    lab.sh(&format!("test -e /sys/bus/mdev/devices/{GIVEN}")).expect(0);
    lab.gpuvirt(&format!("vgpu remove {GIVEN}")).expect(0);
    lab.assert_pristine();
}
