//! A failure at every step of a plan, given by the real kernel: the host is left as it was.
//!
//! The module gpuvirt_fault makes the nth call of one kernel function fail with an errno, once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// What a write to `driver_override` calls.
const SET_OVERRIDE: &str = "__device_set_driver_override driver_set_override";

/// Makes call `nth` of a kernel function fail once, runs the command, takes the fault away; whether it had struck.
fn with_fault(lab: &Lab, function: &str, nth: usize, command: &str) -> (bool, gpuvirt_e2e::Output) {
    // A function may be in a module, and has had other names in other kernels: the first that is there is meant.
    let load = format!(
        "modprobe -a vfio-pci mdev; for name in {function}; do
            grep -q \" $name\\b\" /proc/kallsyms && break; done
         insmod /lab/modules/gpuvirt_fault.ko function=$name nth={nth} errno=5"
    );
    lab.sh(&load).expect(0);
    let output = lab.gpuvirt(command);
    let struck = lab.sh("cat /sys/module/gpuvirt_fault/parameters/struck; rmmod gpuvirt_fault").expect(0);
    (struck.text().starts_with('Y'), output)
}

/// Fails every call of every function that the command's plan makes the kernel call, one after the other.
fn fails_everywhere(lab: &Lab, functions: &[&str], command: &str) {
    let before = lab.picture();
    for function in functions {
        let mut strikes = 0;
        loop {
            let (struck, output) = with_fault(lab, function, strikes + 1, command);
            if !struck {
                break;
            }
            strikes += 1;
            output.expect(1).says("everything is as it was before");
            assert_eq!(lab.picture(), before, "{function}, call {strikes}");
            assert!(strikes < 20, "{function} is called without end");
        }
        assert!(strikes > 0, "{command} never calls {function}: the test tests nothing");
        // Past its last call the fault never struck: the command succeeded, and is taken back by hand.
        lab.sh("/lab/e2e/reset").expect(0);
    }
}

#[test]
fn a_failure_at_every_step_of_the_way_to_direct_leaves_the_host_as_it_was() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MULTI_GPU");
    let functions = [SET_OVERRIDE, "unbind_store", "drivers_probe_store", "vfio_pci_core_register_device"];
    fails_everywhere(&lab, &functions, &format!("gpu set {gpu} --type direct"));
    lab.assert_pristine();
}

#[test]
fn a_failure_at_every_step_of_a_vgpus_creation_leaves_the_host_as_it_was() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    let create = format!("vgpu create --gpu {gpu} --profile lab-1q");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let (struck, output) = with_fault(&lab, "mdev_device_create", 1, &create);
    assert!(struck);
    output.expect(1).says("everything is as it was before");
    lab.assert_pristine();
    lab.gpuvirt(&create).expect(0);
}

#[test]
fn a_write_that_the_kernel_refuses_on_the_way_back_leaves_the_card_direct() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    let direct = lab.picture();
    let (struck, output) = with_fault(&lab, SET_OVERRIDE, 1, &format!("gpu set {gpu} --type shared"));
    assert!(struck);
    output.expect(1).says("everything is as it was before");
    assert_eq!(lab.picture(), direct);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.assert_pristine();
}
