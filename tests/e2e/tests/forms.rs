//! The four ways in which GPUs make vGPUs, each through the same journey on the real kernel: prepared, profiles listed,
//! vGPUs made until nothing is left, nested guests started on them, all taken back, nothing left behind. And vGPUs
//! that others made beside ours.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Guest, Lab, Output, VfForm};
use serde_json::Value;

/// One way.
struct Form {
    /// Makes the lab's card one of this way; its address.
    dress: fn(&Lab) -> String,
    /// The framework that is shown.
    framework: &'static str,
    /// A profile, and how many of it fit.
    profile: &'static str,
    fits: usize,
    /// What a guest finds on its PCI bus.
    sees: &'static str,
    /// The exit code of asking for the card back while guests run.
    early: i32,
    /// A profile that the card does not have.
    foreign: &'static str,
}

const MDEV_ON_THE_CARD: Form = Form {
    dress: |lab| lab.devices.get("MDEV_GPU").to_owned(),
    framework: "mdev",
    profile: "lab-4q",
    fits: 2,
    sees: "1234:1ab0 class=030200 subsystem=1234:0003",
    early: 4,
    foreign: "lab-3q",
};

const MDEV_ON_EACH_VF: Form = Form {
    dress: |lab| on_our_module(lab, VfForm::Mdev),
    framework: "mdev",
    profile: "lab-4q",
    fits: 2,
    sees: "1234:1ab1 class=030200 subsystem=1234:025c",
    early: 3,
    foreign: "lab-3q",
};

const VENDOR_VFIO: Form = Form {
    dress: |lab| on_our_module(lab, VfForm::VendorVfio),
    framework: "nvidia-vfio",
    profile: "lab-4q",
    fits: 2,
    sees: "8086:10ca class=020000",
    early: 3,
    foreign: "lab-3q",
};

const PLAIN_VFS: Form = Form {
    dress: Lab::sriov_gpu,
    framework: "sriov",
    profile: "vf",
    fits: 7,
    sees: "8086:10ca class=020000",
    early: 3,
    foreign: "lab-4q",
};

fn on_our_module(lab: &Lab, form: VfForm) -> String {
    let gpu = lab.sriov_gpu();
    lab.give_to_gpuvirt_vf(&gpu, form);
    gpu
}

fn items(output: &Output) -> Vec<Value> {
    output.json()["items"].as_array().unwrap().clone()
}

fn vgpus(lab: &Lab) -> Vec<Value> {
    items(&lab.gpuvirt("vgpu list -o json").expect(0))
}

/// The parents that could still make one of the form's profile: the card, or virtual functions.
fn able(lab: &Lab, gpu: &str, form: &Form) -> usize {
    let list = items(&lab.gpuvirt(&format!("profile list --gpu {gpu} -o json")).expect(0));
    let ours: Vec<&Value> = list.iter().filter(|item| item["name"] == form.profile).collect();
    assert!(ours.iter().all(|item| item["framework"] == form.framework), "{ours:?}");
    ours.iter().filter(|item| item["available"].as_u64().unwrap() > 0).count()
}

/// Asks for one vGPU; its id.
fn create(lab: &Lab, gpu: &str, profile: &str) -> String {
    let made = lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {profile} -o json")).expect(0).json();
    made["id"].as_str().unwrap().to_owned()
}

/// Makes this many; then nothing is left, and one more is refused.
fn exhaust(lab: &Lab, gpu: &str, form: &Form, room: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < room {
        assert!(able(lab, gpu, form) > 0, "{ids:?}");
        ids.push(create(lab, gpu, form.profile));
    }
    assert_eq!(able(lab, gpu, form), 0);
    let full = lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {}", form.profile));
    full.expect(3).says("[no-capacity]").says(&ids[0]);
    ids
}

/// Starts both guests at once, and waits for what they say.
fn run_both(guests: [&Guest<'_>; 2]) -> [Output; 2] {
    std::thread::scope(|scope| {
        guests.map(|guest| scope.spawn(move || guest.run())).map(|run| run.join().unwrap())
    })
}

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

    let ids = exhaust(&lab, &gpu, form, form.fits);
    assert!(vgpus(&lab).iter().all(|vgpu| vgpu["ours"] == true));

    for (guest, id) in guests.iter().zip(&ids) {
        lab.gpuvirt(&format!("vm add {} --vgpu {id}", guest.name)).expect(0);
    }
    for said in run_both([&guests[0], &guests[1]]) {
        said.expect(0).says(form.sees).says("L2-READY");
    }
    lab.gpuvirt(&format!("vgpu remove {}", ids[0])).expect(3).says("[vgpu-in-use]").says("form-one");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(form.early).says("vGPU");

    for (guest, id) in guests.iter().zip(&ids) {
        guest.destroy();
        lab.gpuvirt(&format!("vm remove {} {id}", guest.name)).expect(0);
        lab.sh(&format!("virsh -q undefine {}", guest.name)).expect(0);
    }
    for id in &ids {
        lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    }
    assert_eq!(vgpus(&lab), Vec::<Value>::new());
    assert!(able(&lab, &gpu, form) > 0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    assert_eq!(lab.gpu(&gpu)["active"], "shared");
    assert_eq!(lab.picture(), before, "something is left behind");
}

const BY_HAND: &str = "11111111-2222-4333-8444-000000000001";
const BY_MDEVCTL: &str = "11111111-2222-4333-8444-000000000002";

/// While others' vGPUs live the card goes nowhere; asking leaves them and the card as they are.
fn way_back_is_barred(lab: &Lab, gpu: &str) {
    let before = lab.picture();
    for to in ["direct", "shared", "shared-direct"] {
        let said = lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
        assert!(to == "shared-direct" || [3, 4].contains(&said.code), "{said}");
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
        let found = vgpus(&lab);
        for uuid in [BY_HAND, BY_MDEVCTL] {
            let vgpu = found.iter().find(|vgpu| vgpu["uuid"] == uuid);
            assert_eq!(vgpu.unwrap_or_else(|| panic!("{uuid} in {found:?}"))["ours"], false);
        }
        found.len() - 2
    };
    assert_eq!(theirs(), 0);

    // They are counted: of two that fit on an empty card, one does.
    let ids = exhaust(&lab, &gpu, form, form.fits - 1);
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
    made_by_others(&MDEV_ON_THE_CARD, [".", "."], "lab-1q");
}

#[test]
fn what_others_made_on_virtual_functions_is_counted_and_survives() {
    made_by_others(&MDEV_ON_EACH_VF, ["virtfn1", "virtfn4"], "lab-1q");
}

#[test]
fn a_type_set_by_hand_is_counted_and_survives() {
    let (lab, form) = (Lab::fresh(), &VENDOR_VFIO);
    let gpu = (form.dress)(&lab);
    let before = lab.picture();
    let file = format!("/sys/bus/pci/devices/{gpu}/virtfn2/nvidia/current_vgpu_type");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    lab.sh(&format!("echo 601 > {file}")).expect(0);
    let theirs = vgpus(&lab)[0].clone();
    let id = theirs["id"].as_str().unwrap();
    assert_eq!(theirs["ours"], false);
    let ids = exhaust(&lab, &gpu, form, form.fits - 1);
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

#[test]
fn mediated_devices_on_the_card() {
    journey(&MDEV_ON_THE_CARD);
}

#[test]
fn a_mediated_device_on_each_virtual_function() {
    journey(&MDEV_ON_EACH_VF);
}

#[test]
fn vendor_specific_vfio_on_virtual_functions() {
    journey(&VENDOR_VFIO);
}

#[test]
fn plain_virtual_functions() {
    journey(&PLAIN_VFS);
}
