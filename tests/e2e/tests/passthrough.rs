//! Whole GPUs, to a VFIO driver and back, on the real kernel.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

#[test]
fn a_plain_gpu_becomes_direct_and_the_hosts_again() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    assert_eq!(lab.binding(gpu), "bochs-drm/(null)");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct --label lab-card")).expect(0).says("became direct");
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    let shown = lab.gpu("lab-card");
    assert_eq!((&shown["configured"], &shown["active"]), (&"direct".into(), &"direct".into()));
    lab.gpuvirt("gpu set lab-card --type shared").expect(0).says("became shared");
    lab.assert_pristine();
    assert_eq!(lab.gpu(gpu)["active"], "shared");
}

#[test]
fn a_card_of_two_functions_moves_whole() {
    let lab = Lab::fresh();
    let (gpu, audio) = (lab.devices.get("MULTI_GPU"), lab.devices.get("MULTI_AUDIO"));
    assert_eq!(lab.binding(audio), "snd_hda_intel/(null)");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    assert_eq!(lab.binding(audio), "vfio-pci/vfio-pci");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0).says("no-host-driver");
    lab.assert_pristine();
}

#[test]
fn of_two_identical_gpus_only_the_named_one_moves() {
    let lab = Lab::fresh();
    let (named, twin) = (lab.devices.get("TWIN_B"), lab.devices.get("TWIN_A"));
    assert_eq!(
        lab.gpu(named)["functionDetails"][0]["identity"],
        lab.gpu(twin)["functionDetails"][0]["identity"]
    );
    lab.gpuvirt(&format!("gpu set {named} --type direct")).expect(0);
    assert_eq!(lab.binding(named), "vfio-pci/vfio-pci");
    assert_eq!(lab.binding(twin), "bochs-drm/(null)");
    lab.gpuvirt(&format!("gpu set {named} --type shared")).expect(0);
    lab.assert_pristine();
}

#[test]
fn asking_twice_changes_nothing() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    for kind in ["direct", "shared"] {
        lab.gpuvirt(&format!("gpu set {gpu} --type {kind}")).expect(0).says("became");
        let once = lab.picture();
        lab.gpuvirt(&format!("gpu set {gpu} --type {kind}")).expect(0).says("nothing to do");
        assert_eq!(lab.picture(), once);
    }
    lab.assert_pristine();
}

#[test]
fn a_dry_run_says_everything_and_writes_nothing() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MULTI_GPU");
    let shown = lab.gpuvirt(&format!("gpu set {gpu} --type direct --dry-run")).expect(0);
    let shown = shown.says("unbind").says("driver_override").says("drivers_probe");
    shown.never_says("became");
    lab.assert_pristine();
    assert_eq!(lab.gpu(gpu)["managed"], false);
    // The printed commands are the plan: run by hand they lead to the same state.
    let json = lab.gpuvirt(&format!("gpu set {gpu} --type direct --dry-run -o json")).expect(0).json();
    let script: Vec<&str> =
        json["shell"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    lab.sh(&script.join("\n")).expect(0);
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
}

#[test]
fn an_unset_gpu_is_left_as_it_is() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    let shown = lab.gpu(gpu);
    assert_eq!((&shown["managed"], &shown["active"]), (&false.into(), &"direct".into()));
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.assert_pristine();
}

#[test]
fn the_configuration_outlives_the_daemon() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct --label survivor")).expect(0);
    lab.sh("systemctl restart gpuvirtd").expect(0);
    assert_eq!(lab.gpu("survivor")["configured"], "direct");
    lab.gpuvirt("gpu set survivor --type shared").expect(0);
    lab.assert_pristine();
}
