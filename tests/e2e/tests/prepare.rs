//! Cards that their vendor's programs prepare, on the real kernel: QEMU's igb card under the module gpuvirt_vf, which makes
//! virtual functions for its tool alone, and a service that has the card open as vendors' services do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

const SERVICE: &str = "gpuvirt-test-client.service";

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

/// A service that has the card open while it runs.
fn service(lab: &Lab, gpu: &str) {
    lab.sh(&format!(
        "printf '[Service]\\nExecStart=/bin/sh -c \"exec sleep infinity </dev/gpuvirt_vf-{gpu}\"\\n' \
         > /run/systemd/system/{SERVICE} && systemctl daemon-reload && systemctl start {SERVICE}"
    ))
    .expect(0);
}

fn create(lab: &Lab, gpu: &str, profile: &str) -> String {
    let made = lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {profile} -o json")).expect(0).json();
    let id = made["id"].as_str().or_else(|| made.pointer("/ids/0").and_then(serde_json::Value::as_str));
    id.unwrap_or_else(|| panic!("no id in {made}")).to_owned()
}

#[test]
fn the_vendors_programs_prepare_a_card_while_its_service_lets_go() {
    let lab = Lab::fresh();
    let gpu = vendors_card(&lab);
    service(&lab, &gpu);
    let before = lab.picture();
    let set = |to: &str| lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
    set("shared-direct --vgpu-mode mixed-size --dry-run")
        .expect(0)
        .says("stop the service")
        .says("sriov-manage");
    assert_eq!(lab.picture(), before);

    set("shared-direct --vgpu-mode mixed-size").expect(0);
    let shown = lab.gpu(&gpu);
    assert_eq!(shown["active"], "shared-direct");
    assert_eq!(shown["vgpuMode"]["active"], "mixed-size", "{shown}");
    assert_eq!(shown["pending"], serde_json::Value::Null);
    lab.sh(&format!("systemctl is-active {SERVICE}")).expect(0);
    lab.sh(&format!("test $(cat /sys/bus/pci/devices/{gpu}/sriov_numvfs) = 8")).expect(0);
    set("shared-direct").expect(0).says("nothing to do");
    // Two sizes side by side, which the module allows in this mode only.
    let made = [create(&lab, &gpu, "lab-4q"), create(&lab, &gpu, "lab-1q")];
    set("shared").expect(3).says("[vgpus-alive]");
    set("shared-direct --vgpu-mode same-size").expect(3).says("[vgpus-alive]");
    set("shared-direct --vfs 4").expect(3).says("[vf-count-fixed]");
    for id in &made {
        lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    }
    set("shared").expect(0);
    lab.sh(&format!("systemctl is-active {SERVICE}")).expect(0);
    assert_eq!(lab.picture(), before);
}

#[test]
fn a_card_goes_from_passthrough_to_vgpus_in_one_go_and_back() {
    let lab = Lab::fresh();
    let gpu = vendors_card(&lab);
    let before = lab.picture();
    service(&lab, &gpu);
    let set = |to: &str| lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
    // The driver's lock is taken, which nobody gets while the service has the card: it is stopped for that.
    set("direct").expect(0);
    assert_eq!(lab.binding(&gpu), "vfio-pci/vfio-pci");
    lab.sh(&format!("systemctl stop {SERVICE}")).expect(0);
    set("shared-direct --vgpu-mode mixed-size").expect(0);
    assert_eq!(lab.gpu(&gpu)["vgpuMode"]["active"], "mixed-size");
    let id = create(&lab, &gpu, "lab-2q");
    lab.gpuvirt(&format!("vgpu remove {id}")).expect(0);
    // The virtual functions are ours: they go first.
    set("direct").expect(0);
    assert_eq!(lab.binding(&gpu), "vfio-pci/vfio-pci");
    set("shared").expect(0);
    assert_eq!(lab.picture(), before);
}

#[test]
fn a_client_that_no_rule_names_keeps_the_card() {
    let lab = Lab::fresh();
    let gpu = vendors_card(&lab);
    let before = lab.picture();
    lab.sh(&format!(
        "setsid bash -c \"exec -a e2e-holder sleep 600 9</dev/gpuvirt_vf-{gpu}\" >/dev/null 2>&1 </dev/null &
        for try in {{1..200}}; do pid=$(pgrep -f '^e2e-holder') && break; done; echo $pid"
    ))
    .expect(0);
    let set = |to: &str| lab.gpuvirt(&format!("gpu set {gpu} --type {to}"));
    set("shared-direct").expect(3).says("[gpu-in-use]").says("sleep");
    set("direct").expect(3).says("[gpu-in-use]").says("sleep");
    lab.sh("pkill -f '^e2e-holder'; while pgrep -f '^e2e-holder' >/dev/null; do :; done").expect(0);
    assert_eq!(lab.picture(), before);
}

#[test]
fn a_tool_that_fails_and_says_nothing_is_undone() {
    let lab = Lab::fresh();
    let gpu = vendors_card(&lab);
    service(&lab, &gpu);
    let before = lab.picture();
    lab.sh(
        "printf '#!/bin/sh\\necho all is well\\n' > /run/e2e-test-tool && chmod 755 /run/e2e-test-tool &&
         sed -i 's|^vf_tool = .*|vf_tool = \"/run/e2e-test-tool\"|' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd",
    )
    .expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct"))
        .expect(1)
        .says("sriov_numvfs is 0")
        .says("everything is as it was before");
    lab.sh(&format!("systemctl is-active {SERVICE}")).expect(0);
    assert_eq!(lab.picture(), before);
}
