//! The four ways in which GPUs make vGPUs, each through the same journey on the real kernel: prepared, profiles listed,
//! vGPUs made until nothing is left, nested guests started on them, all taken back, nothing left behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

use gpuvirt_e2e::{Form, Lab};
use serde_json::Value;

fn journey(form: &Form) {
    let lab = Lab::fresh();
    let gpu = (form.dress)(&lab);
    let before = lab.picture();
    let guests = [lab.guest("form-one", "--hold"), lab.guest("form-two", "--hold")];

    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    assert_eq!(lab.gpu(&gpu)["active"], "shared-direct");
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {}", form.foreign))
        .expect(3)
        .says("[profile-not-offered]");

    let ids = form.exhaust(&lab, &gpu, form.fits);
    assert!(lab.vgpus().iter().all(|vgpu| vgpu["ours"] == true));

    // One after the other: the second boots beside the first.
    for (guest, id) in guests.iter().zip(&ids) {
        lab.gpuvirt(&format!("vm add {} --vgpu {id}", guest.name)).expect(0);
        guest.run().expect(0).says(form.sees).says("L2-READY");
    }
    lab.gpuvirt(&format!("vgpu remove {}", ids[0])).expect(3).says("[vgpu-in-use]").says("form-one");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(3).says("[vgpus-alive]").says("VM form-one");

    for (guest, id) in guests.iter().zip(&ids) {
        guest.destroy();
        lab.gpuvirt(&format!("vm remove {} {id}", guest.name)).expect(0);
        lab.sh(&format!("virsh -q undefine {}", guest.name)).expect(0);
    }
    for id in &ids {
        lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    }
    assert_eq!(lab.vgpus(), Vec::<Value>::new());
    assert!(form.able(&lab, &gpu) > 0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    assert_eq!(lab.gpu(&gpu)["active"], "shared");
    assert_eq!(lab.picture(), before, "something is left behind");
}

#[test]
fn mediated_devices_on_the_card() {
    journey(&Form::MDEV_ON_THE_CARD);
}

#[test]
fn a_mediated_device_on_each_virtual_function() {
    journey(&Form::MDEV_ON_EACH_VF);
}

#[test]
fn vendor_specific_vfio_on_virtual_functions() {
    journey(&Form::VENDOR_VFIO);
}

#[test]
fn plain_virtual_functions() {
    journey(&Form::PLAIN_VFS);
}
