//! vGPUs that are virtual functions, on the real kernel: plain ones of QEMU's igb card under its own driver, and ones
//! with the vendor-specific files that the module gpuvirt_vf shows. The card is a network card that the configuration
//! declares a GPU.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, VfForm};

/// The card on our module, with its virtual functions.
fn typed_gpu(lab: &Lab) -> String {
    let gpu = lab.sriov_gpu();
    lab.give_to_gpuvirt_vf(&gpu, VfForm::VendorVfio);
    lab.enable_vfs(&gpu);
    gpu
}

fn vgpu_ids(lab: &Lab) -> Vec<String> {
    let list = lab.gpuvirt("vgpu list -o json").expect(0).json();
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn plain_virtual_functions_are_enabled_given_and_taken_back() {
    let lab = Lab::fresh();
    let gpu = lab.sriov_gpu();
    let guest = lab.guest("plain-vf", "--hold");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    assert_eq!(lab.gpu(&gpu)["active"], "shared-direct");
    let made = lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile vf -o json")).expect(0).json();
    let vf = made["id"].as_str().unwrap().to_owned();
    assert_eq!(lab.binding(&vf), "vfio-pci/vfio-pci");
    lab.gpuvirt(&format!("vm add plain-vf --vgpu {vf}")).expect(0);
    guest.run().expect(0).says("8086:10ca").says("L2-READY");
    lab.gpuvirt(&format!("vgpu remove {vf}")).expect(3).says("[vgpu-in-use]").says("plain-vf");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(3).says("[vgpus-alive]");
    guest.destroy();
    lab.gpuvirt(&format!("vm remove plain-vf {vf}")).expect(0);
    lab.gpuvirt(&format!("vgpu remove {vf}")).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.sh("virsh -q undefine plain-vf").expect(0);
    lab.assert_pristine();
}

#[test]
fn typed_virtual_functions_are_vgpus_by_profile() {
    let lab = Lab::fresh();
    let gpu = typed_gpu(&lab);
    let before = lab.picture();
    let guest = lab.guest("typed-vf", "--hold");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let create = |profile: &str| lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {profile}"));
    create("lab-4q").expect(0);
    create("lab-4q").expect(0);
    create("lab-4q").expect(3).says("[no-capacity]");
    let ids = vgpu_ids(&lab);
    assert_eq!(ids.len(), 2, "{ids:?}");
    lab.gpuvirt(&format!("vm add typed-vf --vgpu {}", ids[0])).expect(0);
    guest.run().expect(0).says("8086:10ca").says("L2-READY");
    lab.gpuvirt(&format!("vgpu remove {}", ids[0])).expect(3).says("[vgpu-in-use]");
    guest.destroy();
    for id in &ids {
        assert!(lab.binding(id).starts_with("gpuvirt_vf/"), "it stays with the vendor's driver");
        lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    }
    assert_eq!(vgpu_ids(&lab), Vec::<String>::new());
    lab.sh("virsh -q undefine typed-vf").expect(0);
    assert_eq!(lab.picture(), before);
}

#[test]
fn what_others_made_of_a_virtual_function_is_left_alone() {
    let lab = Lab::fresh();
    let gpu = typed_gpu(&lab);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let file = format!("/sys/bus/pci/devices/{gpu}/virtfn0/nvidia/current_vgpu_type");
    lab.sh(&format!(
        "awk '/LAB-1Q/ {{print $1}}' {}/creatable_vgpu_types | head -n 1 > {file}",
        file.rsplit_once('/').unwrap().0
    ))
    .expect(0);
    let ids = vgpu_ids(&lab);
    assert_eq!(ids.len(), 1, "{ids:?}");
    lab.gpuvirt(&format!("vgpu remove {}", ids[0])).expect(3).says("[not-ours]");
    lab.sh(&format!("echo 0 > {file}")).expect(0);
}
