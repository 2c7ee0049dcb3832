//! vGPUs that others made, by plain writes and by mdevctl: shown as not ours, counted, and left alone by all we do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Form, Lab};

const BY_HAND: &str = "11111111-2222-4333-8444-000000000001";
const BY_MDEVCTL: &str = "11111111-2222-4333-8444-000000000002";

/// While others' vGPUs live the card goes nowhere; asking leaves them and the card as they are.
fn way_back_is_barred(lab: &Lab, gpu: &str) {
    let before = lab.picture();
    for to in ["direct", "shared", "shared-direct"] {
        let said = lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
        assert!(to == "shared-direct" || said.code == 3, "{said}");
        assert_eq!(lab.picture(), before);
    }
}

/// Two vGPUs that others make, one by plain writes and one by mdevctl, of which room for two of the form's remains.
fn made_by_others(form: &Form, parents: [&str; 2], small: &str) {
    let lab = Lab::fresh();
    let gpu = (form.dress)(&lab);
    let before = lab.picture();
    let [hand, mdevctl] = parents.map(|parent| format!("/sys/bus/pci/devices/{gpu}/{parent}"));
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    lab.sh(&format!(
        "cd {hand}/mdev_supported_types && echo {BY_HAND} > $(grep -lxi {small} */name | xargs dirname)/create"
    ))
    .expect(0);
    lab.sh(&format!(
        "cd {mdevctl}/mdev_supported_types && mdevctl start --uuid {BY_MDEVCTL} \\
         --parent $(basename $(readlink -f {mdevctl})) --type $(grep -lxi {small} */name | xargs dirname)"
    ))
    .expect(0);
    let theirs = || {
        let found = lab.vgpus();
        for uuid in [BY_HAND, BY_MDEVCTL] {
            let vgpu = found.iter().find(|vgpu| vgpu["uuid"] == uuid);
            assert_eq!(vgpu.unwrap_or_else(|| panic!("{uuid} in {found:?}"))["ours"], false);
        }
        found.len() - 2
    };
    assert_eq!(theirs(), 0);

    // They are counted: of two that fit on an empty card, one does.
    let ids = form.exhaust(&lab, &gpu, form.fits - 1);
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {}", form.profile)).expect(3).says(BY_HAND);
    assert_eq!(theirs(), 1);
    for uuid in [BY_HAND, BY_MDEVCTL] {
        lab.gpuvirt(&format!("vgpu remove {uuid}")).expect(3).says("[not-ours]");
        lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {small} --uuid {uuid}"))
            .expect(3)
            .says("[uuid-in-use]");
    }
    lab.sh("systemctl restart gpuvirtd").expect(0);
    lab.gpuvirt("recover").expect(0);
    lab.gpuvirt(&format!("vgpu remove {}", ids[0])).expect(0);
    way_back_is_barred(&lab, &gpu);
    assert_eq!(theirs(), 0);
    lab.sh(&format!("mdevctl stop --uuid {BY_MDEVCTL} && echo 1 > /sys/bus/mdev/devices/{BY_HAND}/remove"))
        .expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    assert_eq!(lab.picture(), before, "something is left behind");
}

#[test]
fn what_others_made_on_the_card_is_counted_and_survives() {
    made_by_others(&Form::MDEV_ON_THE_CARD, [".", "."], "lab-1q");
}

#[test]
fn what_others_made_on_virtual_functions_is_counted_and_survives() {
    made_by_others(&Form::MDEV_ON_EACH_VF, ["virtfn1", "virtfn4"], "lab-1q");
}

#[test]
fn a_type_set_by_hand_is_counted_and_survives() {
    let (lab, form) = (Lab::fresh(), &Form::VENDOR_VFIO);
    let gpu = (form.dress)(&lab);
    let before = lab.picture();
    let file = format!("/sys/bus/pci/devices/{gpu}/virtfn2/nvidia/current_vgpu_type");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    lab.sh(&format!("echo 601 > {file}")).expect(0);
    let theirs = lab.vgpus()[0].clone();
    let id = theirs["id"].as_str().unwrap();
    assert_eq!(theirs["ours"], false);
    let ids = form.exhaust(&lab, &gpu, form.fits - 1);
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {}", form.profile)).expect(3).says(id);
    lab.gpuvirt(&format!("vgpu remove {id}")).expect(3).says("[not-ours]");
    lab.sh("systemctl restart gpuvirtd").expect(0);
    lab.gpuvirt("recover").expect(0);
    lab.gpuvirt(&format!("vgpu remove {}", ids[0])).expect(0);
    way_back_is_barred(&lab, &gpu);
    lab.sh(&format!("test $(cat {file}) = 601 && echo 0 > {file}")).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    assert_eq!(lab.picture(), before, "something is left behind");
}
