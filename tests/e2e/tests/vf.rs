//! vGPUs that are virtual functions, on the real kernel: plain ones of QEMU's igb card under its own driver, and ones
//! with the vendor-specific files that the module gpuvirt_vf shows. The card is a network card that the configuration
//! declares a GPU.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Form, Lab, VfForm};

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

/// A VM whose request is for a profile, on a card whose vGPUs are virtual functions: its last one is taken by another VM.
fn placed_at_start(form: &Form) {
    let lab = Lab::fresh();
    let gpu = (form.dress)(&lab);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let before = lab.picture();
    let (late, other) = (lab.guest("late", "--hold"), lab.guest("other", ""));
    for name in ["late", "other"] {
        lab.gpuvirt(&format!("vm add {name} --profile {}", form.profile)).expect(0);
    }
    let (last, others) = (assigned(&lab, "late"), assigned(&lab, "other"));
    assert_ne!(last, others, "each has one of its own while there are enough");
    assert_eq!(vgpu_ids(&lab), Vec::<String>::new(), "nothing is made before a start");
    // The other VM's definition names the same one, and it starts first: virsh start makes the vGPU where that says.
    let (from, to) = (xml_address(&others), xml_address(&last));
    lab.sh(&format!(
        "virsh dumpxml --inactive other | sed \"s/{from}/{to}/\" >/tmp/e2e-other.xml && virsh -q define /tmp/e2e-other.xml &&
         virsh -q start --paused other"
    ))
    .expect(0);
    let made = vgpu_ids(&lab);
    assert_eq!(made, std::slice::from_ref(&last));
    let (stored, host) = (late.xml(), lab.picture());
    // virsh has only the definition's address: refused, with who can choose.
    lab.sh("virsh -q start late").expect(1).says("[vgpu-in-use]").says("gpuvirt vm start late");
    lab.gpuvirt("vm start late --explain").expect(0).says("would start");
    assert_eq!((late.xml(), lab.picture()), (stored, host), "refused and asked, and nothing changed");
    lab.gpuvirt("vm start late").expect(0).says("was started");
    let now = assigned(&lab, "late");
    assert_ne!(now, last);
    assert!(!made.contains(&now) && vgpu_ids(&lab).contains(&now), "{now} was made for it");
    let driver = if form.framework == "sriov" { "vfio-pci/" } else { "gpuvirt_vf/" };
    assert!(lab.binding(&now).starts_with(driver), "{}", lab.binding(&now));
    // The guest has it, and only it.
    let console = "/var/log/libvirt/qemu/late-console.log";
    lab.sh(&format!(
        "timeout 240 bash -c 'until grep -aqs L2-READY {console}; do read -rt 0.5 <> <(:) || :; done'; cat {console}"
    ))
    .expect(0)
    .says(form.sees)
    .says("L2-READY");
    late.destroy();
    // The other VM's stays; this one's goes, and the address stays in the definition, which is now enough for virsh.
    let gone = format!("until ! gpuvirt vgpu list | grep -q {now}; do read -rt 0.2 <> <(:) || :; done");
    lab.sh(&format!("timeout 60 bash -c '{gone}'")).expect(0);
    assert_eq!(vgpu_ids(&lab), made);
    assert_eq!(assigned(&lab, "late"), now);
    lab.sh("virsh -q start --paused late").expect(0);
    assert!(vgpu_ids(&lab).contains(&now));
    for guest in [late, other] {
        guest.destroy();
    }
    let none = "until gpuvirt vgpu list -o json | jq -e \".items == []\" >/dev/null; do read -rt 0.2 <> <(:) || :; done";
    lab.sh(&format!("timeout 60 bash -c '{none}'")).expect(0);
    lab.sh("virsh -q undefine late && virsh -q undefine other").expect(0);
    assert_eq!(lab.picture(), before);
}

/// How libvirt writes an address into a definition.
fn xml_address(function: &str) -> String {
    let [domain, bus, rest]: [&str; 3] = function.split(':').collect::<Vec<_>>().try_into().unwrap();
    let (slot, function) = rest.split_once('.').unwrap();
    format!("domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'")
}

/// The virtual function in a stored definition.
#[track_caller]
fn assigned(lab: &Lab, name: &str) -> String {
    let address = "s/.*domain='0x(.*)' bus='0x(.*)' slot='0x(.*)' function='0x(.*)'.*/\\1:\\2:\\3.\\4/p";
    let found = lab.sh(&format!(
        "virsh dumpxml --inactive {name} | sed -n '/<hostdev/,/<\\/source>/p' | sed -En \"{address}\""
    ));
    found.expect(0).text().to_owned()
}

/// Where a nested guest boots besides.
mod full {
    use super::*;

    #[test]
    fn a_plain_virtual_function_is_chosen_and_defined_when_gpuvirt_starts_the_vm() {
        placed_at_start(&Form::PLAIN_VFS);
    }

    #[test]
    fn a_typed_virtual_function_is_chosen_and_defined_when_gpuvirt_starts_the_vm() {
        placed_at_start(&Form::VENDOR_VFIO);
    }
}
