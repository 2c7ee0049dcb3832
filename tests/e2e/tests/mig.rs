//! GPU instances on the real kernel: QEMU's igb card under the module gpuvirt_vf, whose profiles are an A100's made small,
//! and a stand-in of the vendor's command (tests/lab/guest/nvidia-smi).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// The card counts as a GPU and is the module's, without virtual functions; raw writes to `sriov_numvfs` are refused. `fresh`
/// takes it back.
fn vendors_card(lab: &Lab) -> String {
    let gpu = lab.devices.get("SRIOV_PF").to_owned();
    let device = format!("/sys/bus/pci/devices/{gpu}");
    lab.sh(&format!(
        "sed -i 's/^#sriov-stand-in //' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd &&
         modprobe -a mdev vfio-pci && insmod /lab/modules/gpuvirt_vf.ko same_size=1 numvfs_errno=1 &&
         echo gpuvirt_vf > {device}/driver_override &&
         echo {gpu} > {device}/driver/unbind && echo {gpu} > /sys/bus/pci/drivers_probe"
    ))
    .expect(0);
    gpu
}

/// What `mig list` says of the card.
fn card(lab: &Lab, gpu: &str) -> serde_json::Value {
    let list = lab.gpuvirt(&format!("mig list {gpu} -o json")).expect(0).json();
    list.pointer("/items/0").cloned().unwrap_or_else(|| panic!("no card in {list}"))
}

/// Its GPU instances: number, profile, whose.
fn instances(lab: &Lab, gpu: &str) -> Vec<(u64, String, bool)> {
    let card = card(lab, gpu);
    let one = |one: &serde_json::Value| {
        let profile = one["profile"].as_str().unwrap().to_owned();
        (one["id"].as_u64().unwrap(), profile, one["ours"].as_bool().unwrap())
    };
    card["instances"].as_array().unwrap().iter().map(one).collect()
}

fn number_of(lab: &Lab, gpu: &str, profile: &str) -> u64 {
    instances(lab, gpu).into_iter().find(|(_, name, _)| name == profile).unwrap().0
}

#[test]
fn instances_are_made_until_the_card_is_full_and_vgpus_live_on_them() {
    let lab = Lab::fresh();
    let gpu = vendors_card(&lab);
    let before = lab.picture();
    let set = |to: &str| lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
    lab.gpuvirt(&format!("mig create {gpu} 1g.1gb")).expect(3).says("[unmanaged]");
    set("shared-direct --vgpu-mode mig --dry-run").expect(0).says("-mig 1").says("sriov-manage -e");
    assert_eq!(lab.picture(), before);
    set("shared-direct --vgpu-mode mig").expect(0);
    assert_eq!(card(&lab, &gpu)["enabled"], true);
    set("shared-direct").expect(0).says("nothing to do");
    // Without a GPU instance the driver offers nothing.
    let vgpu = |profile: &str| lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {profile} -o json"));
    vgpu("lab-3-4q").expect(3);

    lab.gpuvirt(&format!("mig create {gpu} 3g.4gb")).expect(0);
    lab.gpuvirt(&format!("mig create {gpu} 1g.1gb --count 3")).expect(0);
    lab.gpuvirt(&format!("mig create {gpu} 3g.4gb")).expect(3).says("[no-capacity]");
    lab.gpuvirt(&format!("mig create {gpu} 3g.4g")).expect(3).says("[profile-not-offered]").says("3g.4gb");
    assert_eq!(instances(&lab, &gpu).len(), 4);
    lab.gpuvirt(&format!("mig list {gpu}")).expect(0).says("1g.1gb");

    let made = vgpu("lab-3-4q").expect(0).json();
    let id = made["id"].as_str().or_else(|| made.pointer("/ids/0").and_then(serde_json::Value::as_str));
    let id = id.unwrap_or_else(|| panic!("no id in {made}")).to_owned();
    vgpu("lab-3-4q").expect(3);
    let half = number_of(&lab, &gpu, "3g.4gb");
    let remove = |which: &str| lab.gpuvirt(&format!("mig remove {gpu} {which}"));
    remove(&half.to_string()).expect(3).says("[gpu-instance-in-use]").says(&id);
    set("shared").expect(3).says("[vgpus-alive]");
    let guest = lab.guest("mig-guest", "--hold");
    lab.gpuvirt(&format!("vm add mig-guest --vgpu {id}")).expect(0);
    guest.run().expect(0).says("8086:10ca").says("L2-READY");
    guest.destroy();
    lab.sh("virsh -q undefine mig-guest").expect(0);

    lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    remove(&half.to_string()).expect(0);
    remove("--all").expect(0);
    assert_eq!(instances(&lab, &gpu), []);
    set("shared").expect(0);
    assert_eq!(lab.picture(), before);
    lab.sh(&format!("test $(cat /proc/driver/gpuvirt_vf/gpus/{gpu}/mig_mode) = 0")).expect(0);
}

#[test]
fn what_others_made_stays_and_keeps_the_card_as_it_is() {
    let lab = Lab::fresh();
    let gpu = vendors_card(&lab);
    let before = lab.picture();
    let set = |to: &str| lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
    set("shared-direct --vgpu-mode mig").expect(0);
    lab.gpuvirt(&format!("mig create {gpu} 2g.2gb")).expect(0);
    lab.sh(&format!("/lab/e2e/nvidia-smi mig -i {gpu} -cgi 1g.1gb -C")).expect(0);
    let theirs = number_of(&lab, &gpu, "1g.1gb");
    lab.gpuvirt(&format!("mig remove {gpu} {theirs}")).expect(3).says("[not-ours]");
    lab.gpuvirt(&format!("mig remove {gpu} --all")).expect(0);
    assert_eq!(instances(&lab, &gpu), [(theirs, "1g.1gb".to_owned(), false)]);
    set("shared").expect(3).says("[not-ours]");
    let smi = format!("/lab/e2e/nvidia-smi mig -i {gpu}");
    lab.sh(&format!("{smi} -dci -gi {theirs} && {smi} -dgi -gi {theirs}")).expect(0);
    set("shared").expect(0);
    assert_eq!(lab.picture(), before);
}

#[test]
fn instances_that_went_with_the_virtual_functions_are_made_again() {
    let lab = Lab::fresh();
    let gpu = vendors_card(&lab);
    let before = lab.picture();
    let set = |to: &str| lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
    set("shared-direct --vgpu-mode mig").expect(0);
    lab.gpuvirt(&format!("mig create {gpu} 1g.1gb --count 2")).expect(0);
    lab.gpuvirt(&format!("mig create {gpu} 3g.4gb")).expect(0);
    lab.sh(&format!("/lab/e2e/sriov-manage -d {gpu}")).expect(0);
    assert_eq!(instances(&lab, &gpu), []);
    set("shared-direct").expect(0);
    let mut names: Vec<String> = instances(&lab, &gpu).into_iter().map(|(_, name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["1g.1gb", "1g.1gb", "3g.4gb"]);
    assert!(instances(&lab, &gpu).iter().all(|(.., ours)| *ours));
    set("shared").expect(0);
    assert_eq!(lab.picture(), before);
}
