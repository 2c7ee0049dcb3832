//! A card whose driver stalls, on the real kernel: it costs that card alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Output};

/// By how much a start may be slower than one just before it on this host, which emulates its guests. One that waited for
/// the stalled card would be refused after ten seconds.
const LATER_MS: u64 = 8_000;

/// Runs a command and tells how many milliseconds it took.
fn timed(lab: &Lab, command: &str) -> (Output, u64) {
    let output = lab.sh(&format!(
        "s=$EPOCHREALTIME; {command} >&2; code=$?; echo $(( (${{EPOCHREALTIME/./}} - ${{s/./}}) / 1000 )); exit $code"
    ));
    let took = output.stdout.trim().parse().unwrap_or_else(|_| panic!("{output}"));
    println!("{command}: {took} ms");
    (output, took)
}

fn until_no_vgpu(lab: &Lab) {
    lab.sh("timeout 60 bash -c 'while [ -n \"$(ls /sys/bus/mdev/devices)\" ]; do read -rt 0.1 <> <(:) || :; done'")
        .expect(0);
}

fn a_stalled_card() {
    let lab = Lab::fresh();
    let role = |name| lab.devices.get(name);
    let (stalled, mdev, third) = (role("PLAIN_GPU"), role("MDEV_GPU"), role("MULTI_GPU"));
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    lab.guest("web", "");
    lab.gpuvirt("vm add web --profile lab-1q").expect(0);
    let (started, usual) = timed(&lab, "virsh -q start --paused web");
    started.expect(0);
    lab.sh("virsh -q destroy web").expect(0);
    until_no_vgpu(&lab);
    // The first unbinding of any driver waits.
    lab.sh(&format!(
        "insmod /lab/modules/gpuvirt_fault.ko function=unbind_store errno=0 hold=Y || exit 1
         rm -f /tmp/e2e-stalled-rc
         (gpuvirt gpu set {stalled} --type direct >/tmp/e2e-stalled 2>&1; echo $? >/tmp/e2e-stalled-rc) </dev/null >/dev/null 2>&1 &
         timeout 60 bash -c 'until [ $(cat /sys/module/gpuvirt_fault/parameters/struck) = Y ]; do read -rt 0.1 <> <(:) || :; done'"
    ))
    .expect(0);
    let (started, took) = timed(&lab, "virsh -q start --paused web");
    started.expect(0);
    assert!(took < usual + LATER_MS, "{took} ms, without a stalled card {usual} ms");
    lab.gpuvirt("vgpu list").expect(0).says("web");
    timed(&lab, &format!("gpuvirt gpu set {third} --type direct")).0.expect(0);
    timed(&lab, "virsh -q destroy web").0.expect(0);
    until_no_vgpu(&lab);
    // By now it has taken longer than a change of the same card waits.
    timed(&lab, &format!("gpuvirt gpu set {stalled} --type shared"))
        .0
        .expect(3)
        .says("[busy]")
        .says("unbind");
    lab.gpuvirt("status").expect(0).says("working: ").says(stalled);
    lab.sh("test ! -e /tmp/e2e-stalled-rc").expect(0);
    // The driver goes on: what was asked for is done.
    lab.sh("echo N >/sys/module/gpuvirt_fault/parameters/hold
         timeout 60 bash -c 'until [ -e /tmp/e2e-stalled-rc ]; do read -rt 0.1 <> <(:) || :; done'
         rmmod gpuvirt_fault; cat /tmp/e2e-stalled; exit $(cat /tmp/e2e-stalled-rc)")
        .expect(0);
    assert_eq!(lab.binding(stalled), "vfio-pci/vfio-pci");
    lab.assert_settled("a driver that stalled");
    for gpu in [stalled, third] {
        assert_eq!(lab.gpu(gpu)["active"], "direct");
        lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    }
    lab.assert_pristine();
}

/// It takes long on this slow host: `scripts/test --full`.
mod full {
    #[test]
    fn every_other_card_serves_as_before_and_the_stalled_one_says_what_it_waits_for() {
        super::a_stalled_card();
    }
}
