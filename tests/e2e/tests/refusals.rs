//! What is refused, on the real kernel: by name, with the culprit named, and with nothing written.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// Expects one refusal and an untouched host.
#[track_caller]
fn refused(lab: &Lab, command: &str, code: &str, named: &[&str]) {
    let output = lab.gpuvirt(command).expect(3).says(&format!("[{code}]")).says("because").says("try");
    let output = named.iter().fold(output, |output, text| output.says(text));
    assert!(output.stdout.is_empty(), "a refusal belongs on stderr\n{output}");
    let json = lab.gpuvirt(&format!("{command} -o json")).expect(3).json();
    let codes: Vec<&str> =
        json["refusals"].as_array().unwrap().iter().map(|r| r["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&code), "{json}");
}

#[test]
fn a_foreign_device_in_the_group_is_named() {
    let lab = Lab::fresh();
    let (gpu, nic) = (lab.devices.get("DIRTY_GPU"), lab.devices.get("DIRTY_NIC"));
    refused(&lab, &format!("gpu set {gpu} --type direct"), "group-not-viable", &[nic, "e1000"]);
    lab.assert_pristine();
    assert_eq!(lab.gpu(gpu)["managed"], false, "a refused request configures nothing");
}

#[test]
fn a_process_with_the_card_open_is_named_with_its_pid() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    let holder = "node=/dev/dri/by-path/pci-{gpu}-card
        setsid bash -c \"exec -a e2e-holder sleep 600 9<>$(readlink -f $node)\" >/dev/null 2>&1 </dev/null &
        for try in {1..200}; do pid=$(pgrep -f '^e2e-holder') && break; done; echo $pid";
    let pid = lab.sh(&holder.replace("{gpu}", gpu)).expect(0);
    let command = format!("gpu set {gpu} --type direct");
    refused(&lab, &command, "gpu-in-use", &[&format!("process {}", pid.text()), "fd 9", "/dev/dri/card"]);
    lab.assert_pristine();
    lab.sh("pkill -f '^e2e-holder'; while pgrep -f '^e2e-holder' >/dev/null; do :; done").expect(0);
    lab.gpuvirt(&command).expect(0);
}

#[test]
fn a_mapping_without_a_descriptor_is_found() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    // The frame buffer: the kernel lets nobody map a BAR that a driver has.
    let script = "rm -f /tmp/e2e-mapped; mkfifo /tmp/e2e-mapped
        frame_buffer=/dev/$(ls /sys/bus/pci/devices/{gpu}/graphics)
        setsid bash -c \"exec -a e2e-holder /lab/e2e/e2e-hold $frame_buffer\" >/tmp/e2e-mapped 2>&1 </dev/null &
        head -n 1 /tmp/e2e-mapped";
    lab.sh(&script.replace("{gpu}", gpu)).expect(0).says("mapped");
    refused(&lab, &format!("gpu set {gpu} --type direct"), "gpu-in-use", &["maps", "/dev/fb"]);
    lab.assert_pristine();
}

#[test]
fn a_running_vm_keeps_its_card() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    let guest = lab.guest("holding-vm", "--hold");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.gpuvirt(&format!("vm add {} --gpu {gpu}", guest.name)).expect(0);
    guest.run().expect(0).says("L2-READY");
    let during = lab.picture();
    refused(&lab, &format!("gpu set {gpu} --type shared"), "domain-running", &["holding-vm"]);
    let shown = lab.gpu(gpu);
    assert_eq!(shown["vms"]["known"][0]["name"], "holding-vm", "{shown}");
    assert_eq!(shown["vms"]["known"][0]["running"], true);
    // Without libvirt the kernel's own evidence is enough.
    lab.sh("systemctl stop libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket")
        .expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(3).says("qemu-system");
    // libvirtd finds its running guests again in the background.
    let back = "systemctl start libvirtd.socket libvirtd-ro.socket
        for try in {1..100}; do [ \"$(virsh domstate holding-vm)\" = running ] && break; done";
    lab.sh(back).expect(0);
    assert_eq!(lab.picture(), during);
    guest.destroy();
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
}

#[test]
fn the_boot_display_is_given_away_only_by_name() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("BOOT_GPU");
    let command = format!("gpu set {gpu} --type direct");
    refused(&lab, &command, "boot-display", &["firmware", "fb0", "--accept boot-display"]);
    lab.assert_pristine();
    lab.gpuvirt(&format!("{command} --accept group-not-viable")).expect(2);
    lab.gpuvirt(&format!("{command} --accept boot-display")).expect(0).says("boot-display was accepted");
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    assert_eq!(lab.gpu(gpu)["accepted"][0], "boot-display", "what was accepted is stored and shown");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.assert_pristine();
}

#[test]
fn another_card_at_the_stored_address_is_refused() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    let swap = "systemctl stop gpuvirtd
        sed -i 's/\"device\": \"1111\"/\"device\": \"2222\"/' /var/lib/gpuvirt/*.json
        grep -q 2222 /var/lib/gpuvirt/*.json && systemctl start gpuvirtd";
    lab.sh(swap).expect(0);
    refused(&lab, &format!("gpu set {gpu} --type direct"), "identity-changed", &["1234:2222", "1234:1111"]);
    lab.assert_pristine();
    lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
}

#[test]
fn live_vfs_keep_their_card_from_passthrough() {
    let lab = Lab::fresh();
    let pf = lab.devices.get("SRIOV_PF");
    // The stand-in is a network card; the configuration lets this test treat it as a GPU. `fresh` takes it back.
    lab.sh("sed -i 's/^#sriov-stand-in //' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd")
        .expect(0);
    lab.sh(&format!("echo 2 > /sys/bus/pci/devices/{pf}/sriov_numvfs")).expect(0);
    let before = lab.picture();
    let output = lab.gpuvirt(&format!("gpu set {pf} --type direct"));
    lab.sh(&format!("echo 0 > /sys/bus/pci/devices/{pf}/sriov_numvfs")).expect(0);
    output.expect(3).says("[vfs-alive]").says(&pf.replace(":00.0", ":10."));
    assert!(before.contains("vfs=21"), "two VFs, autoprobe on\n{before}");
    lab.assert_pristine();
}

#[test]
fn unmanaged_gpus_and_strange_arguments_change_nothing() {
    let lab = Lab::fresh();
    let (mdev, nic) = (lab.devices.get("MDEV_GPU"), lab.devices.get("PLAIN_NIC"));
    refused(&lab, &format!("vgpu create --gpu {mdev} --profile lab-1q"), "unmanaged", &["gpu set"]);
    refused(&lab, "gpu set 0000:77:00.0 --type direct", "gpu-not-found", &[mdev]);
    refused(&lab, &format!("gpu set {nic} --type direct"), "gpu-not-found", &["no GPU"]);
    let plain = lab.devices.get("PLAIN_GPU");
    refused(&lab, &format!("gpu set {plain} --type shared-direct"), "no-vgpu-support", &["bochs-drm"]);
    for usage in [
        "gpu set 41:00 --type direct",
        "gpu set ../../etc --type direct",
        "gpu set 0000:01:00.0 --type basic",
        "gpu set 0000:01:00.0",
        "vgpu create --gpu 0000:09:00.0 --profile lab-1q --uuid nonsense",
        "vgpu remove nonsense",
        "gpu set 0000:01:00.0 --type direct --accept no-such-name",
    ] {
        lab.gpuvirt(usage).expect(2);
    }
    lab.assert_pristine();
}

#[test]
fn without_the_daemon_reading_works_and_writing_says_so() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.sh("systemctl stop gpuvirtd").expect(0);
    lab.gpuvirt("gpu list").expect(0).says(gpu).says("gpuvirtd");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(5).says("systemctl");
    lab.assert_pristine();
}

#[test]
fn ordinary_users_may_look_but_not_touch() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    let nobody = |command: &str| {
        lab.sh(&format!("setpriv --reuid=65534 --regid=65534 --clear-groups gpuvirt {command}"))
    };
    nobody("gpu list").expect(0).says(gpu);
    nobody(&format!("gpu show {gpu}")).expect(0);
    nobody(&format!("gpu set {gpu} --type direct")).expect(1).says("root");
    nobody("--socket /nowhere gpu list").expect(0).says(gpu);
    nobody(&format!("--socket /nowhere gpu show {gpu}")).expect(0).says("root");
    lab.assert_pristine();
}
