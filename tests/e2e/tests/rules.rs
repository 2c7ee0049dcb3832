//! The rules of what a VM may have, for every client of libvirt's: at edit, at start, and for what was attached meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Output};

/// A lab whose mediated-device GPU makes vGPUs, and whose plain GPU is direct.
fn with_both() -> Lab {
    let lab = Lab::fresh();
    lab.gpuvirt(&format!("gpu set {} --type shared-direct", lab.devices.get("MDEV_GPU"))).expect(0);
    lab.gpuvirt(&format!("gpu set {} --type direct", lab.devices.get("PLAIN_GPU"))).expect(0);
    lab
}

/// Starts a domain without running it: all hooks, no guest.
fn start(lab: &Lab, name: &str) -> Output {
    lab.sh(&format!("virsh -q start --paused {name}"))
}

fn stop(lab: &Lab, name: &str) {
    lab.sh(&format!("virsh -q destroy {name}")).expect(0);
}

/// Edits a domain's stored definition as virsh edit does, with a sed script.
fn edit(lab: &Lab, name: &str, script: &str) {
    let file = format!("/tmp/e2e-{name}.xml");
    lab.sh(&format!(
        "virsh dumpxml --inactive --security-info {name} | sed \"{script}\" > {file} && virsh -q define {file}"
    ))
    .expect(0);
}

/// Gives a domain a device as others do: by its bare element, without our alias.
fn attach(lab: &Lab, name: &str, source: &str, how: &str) {
    lab.sh(&format!(
        "gpuvirt xml {source} | sed '/<alias/d' > /tmp/e2e-attach.xml && virsh -q attach-device {name} /tmp/e2e-attach.xml {how}"
    ))
    .expect(0);
}

/// Waits for the condition, no longer than two minutes; then shows what is the matter.
fn until(lab: &Lab, condition: &str) {
    lab.sh(&format!(
        "for i in $(seq 600); do {condition} && exit 0; sleep 0.2; done; gpuvirt status; journalctl -u gpuvirtd -n 40; exit 1"
    ))
    .expect(0);
}

#[test]
fn memory_that_cannot_be_locked_is_refused_and_an_ordinary_domain_is_not() {
    let lab = with_both();
    let whole = lab.devices.get("PLAIN_GPU");
    lab.guest("limited", "");
    lab.sh("virsh -q memtune --config --hard-limit 131072 --domain limited").expect(0);
    lab.gpuvirt(&format!("vm add limited --gpu {whole}"))
        .expect(3)
        .says("[memory-not-lockable]")
        .says("virsh memtune --config --hard-limit -1 --domain limited");
    attach(&lab, "limited", &format!("--gpu {whole}"), "--config");
    start(&lab, "limited").expect(1).says("[memory-not-lockable]").says("224 MiB").says("128 MiB");
    // What was said to help does.
    lab.sh("virsh -q memtune --config --hard-limit -1 --domain limited").expect(0);
    start(&lab, "limited").expect(0);
    stop(&lab, "limited");
}

/// `virsh edit` itself, with an editor that runs a sed script.
fn virsh_edit(lab: &Lab, name: &str, script: &str) {
    lab.sh(&format!(
        "printf '#!/bin/sh\\nexec sed -i -f /tmp/e2e-edit.sed \"$1\"\\n' > /tmp/e2e-editor && chmod +x /tmp/e2e-editor
         cat > /tmp/e2e-edit.sed <<'EOF'\n{script}\nEOF
         EDITOR=/tmp/e2e-editor virsh edit {name} </dev/null"
    ))
    .expect(0)
    .says("XML configuration edited");
}

/// A PCI function as an admin writes it into a definition.
fn pci(function: &str, managed: &str) -> String {
    let [domain, bus, rest]: [&str; 3] = function.split(':').collect::<Vec<_>>().try_into().unwrap();
    let (slot, function) = rest.split_once('.').unwrap();
    format!(
        "<hostdev mode='subsystem' type='pci' managed='{managed}'><source><address domain='0x{domain}' bus='0x{bus}' \
         slot='0x{slot}' function='0x{function}'/></source></hostdev>"
    )
}

#[test]
fn whatever_virsh_edit_wrote_is_judged_when_virsh_starts_it() {
    let lab = with_both();
    let (whole, parts) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
    let mdev = |uuid: &str| {
        format!(
            "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{uuid}'/></source></hostdev>"
        )
    };
    let made = lab.gpuvirt("vgpu create --profile lab-1q -o json").expect(0).json();
    let vgpu = made["id"].as_str().unwrap();
    let add = |what: String| format!("s|</devices>|{what}</devices>|");
    lab.guest("edited", "");
    for (script, code, says) in [
        (add(mdev(vgpu) + &pci(whole, "no")), "mixed-modes", whole),
        (add(mdev(vgpu) + &pci(whole, "yes")), "mixed-modes", whole),
        (add(pci(parts, "no")), "not-passthrough", parts),
        (add(pci(parts, "yes")), "not-passthrough", parts),
        (add(mdev(vgpu) + "<iommu model='intel'/>"), "viommu-with-vgpu", "IOMMU"),
        (
            "s|</vcpu>|</vcpu><memtune><hard_limit unit='MiB'>64</hard_limit></memtune>|\n".to_owned()
                + &add(pci(whole, "no")),
            "memory-not-lockable",
            "64 MiB",
        ),
    ] {
        lab.sh("virsh dumpxml --inactive edited > /tmp/e2e-clean.xml").expect(0);
        virsh_edit(&lab, "edited", &script);
        let before = lab.picture();
        start(&lab, "edited").expect(1).says(&format!("[{code}]")).says(says);
        assert_eq!(lab.picture(), before, "{script}");
        lab.sh("virsh domstate edited").expect(0).says("shut off");
        lab.sh("virsh -q define /tmp/e2e-clean.xml").expect(0);
    }
    // Sixteen that were asked for, and one more by hand.
    lab.gpuvirt("vm add edited --profile lab-1q --count 16").expect(0);
    virsh_edit(&lab, "edited", &add(mdev(vgpu)));
    start(&lab, "edited").expect(1).says("[too-many-devices]").says("17");
    lab.sh("virsh -q define /tmp/e2e-clean.xml").expect(0);
    // A request rewritten by hand: to a profile that nobody offers, and to another card than the one at the address.
    lab.gpuvirt("vm add edited --profile lab-1q").expect(0);
    virsh_edit(&lab, "edited", "s|lab-1q|lab-9q|");
    start(&lab, "edited").expect(1).says("lab-9q").says("[profile-not-offered]");
    lab.gpuvirt("vm remove edited request-1").expect(0);
    lab.gpuvirt(&format!("vm add edited --gpu {whole}")).expect(0);
    virsh_edit(&lab, "edited", "s|1234:1111|1234:2222|");
    start(&lab, "edited").expect(1).says("[identity-changed]").says("1234:2222");
}

#[test]
fn an_iommu_of_the_guests_own_goes_with_no_vgpu() {
    let lab = with_both();
    lab.guest("nested", "");
    lab.gpuvirt("vm add nested --profile lab-1q").expect(0);
    edit(&lab, "nested", "s|</devices>|<iommu model='intel'/></devices>|");
    start(&lab, "nested").expect(1).says("[viommu-with-vgpu]").says("gpuvirt vm remove nested");
    assert_eq!(lab.sh("ls /sys/bus/mdev/devices").expect(0).text(), "", "nothing was made for it");
    lab.gpuvirt("vm remove nested request-1").expect(0);
    lab.gpuvirt("vm add nested --profile lab-1q").expect(3).says("[viommu-with-vgpu]");
}

#[test]
fn what_is_attached_to_a_running_vm_is_shown_and_refused_at_its_next_start() {
    let lab = with_both();
    let whole = lab.devices.get("PLAIN_GPU");
    lab.guest("live", "");
    let port = "<controller type='pci' model='pcie-root-port'/>";
    edit(&lab, "live", &format!("s|</devices>|{port}{port}{port}</devices>|"));
    let made = lab.gpuvirt("vgpu create --profile lab-1q -o json").expect(0).json();
    let vgpu = made["id"].as_str().unwrap().to_owned();
    start(&lab, "live").expect(0);
    attach(&lab, "live", &format!("--vgpu {vgpu}"), "--live");
    until(&lab, "gpuvirt vm show live | grep -q live-violation");
    lab.gpuvirt("status").expect(0).says("which its definition does not name");
    attach(&lab, "live", &format!("--gpu {whole}"), "--live --config");
    until(&lab, "gpuvirt events | grep -q 'VM live breaks a rule while it runs: it has the whole GPU'");
    lab.gpuvirt("vm show live").expect(0).says("the whole GPU").says("[live-violation]");
    lab.metrics().says("gpuvirt_live_violations{vm=\"live\"}");
    stop(&lab, "live");
    // What is only live goes with it; what is in the definition too is judged.
    attach(&lab, "live", &format!("--vgpu {vgpu}"), "--config");
    start(&lab, "live").expect(1).says("[mixed-modes]");
}

#[test]
fn a_domain_written_by_hand_is_adopted_and_stays_what_it_was() {
    let lab = with_both();
    let whole = lab.devices.get("PLAIN_GPU");
    let guest = lab.guest("byhand", "--vnc-password hunter2");
    attach(&lab, "byhand", &format!("--gpu {whole}"), "--config");
    lab.gpuvirt("vm show byhand").expect(0).says("[device-without-request]").says("gpuvirt vm adopt byhand");
    let devices = || lab.sh("virsh dumpxml --inactive byhand | sed -n '/<devices>/,$p'").expect(0).stdout;
    let before = devices();
    lab.gpuvirt("vm adopt byhand --dry-run").expect(0).says("request-1").says(whole);
    lab.gpuvirt("vm show byhand").expect(0).says("[device-without-request]");
    lab.gpuvirt("vm adopt byhand").expect(0).says("request-1").never_says("hunter2");
    assert_eq!(devices(), before);
    assert!(guest.xml().contains("hunter2"));
    lab.gpuvirt("vm show byhand").expect(0).says("request-1").never_says("device-without-request");
    lab.gpuvirt("vm adopt byhand").expect(0).says("nothing to do");
    start(&lab, "byhand").expect(0);
    stop(&lab, "byhand");
}

#[test]
fn a_vm_changes_its_mode_powered_off_and_by_no_other_way() {
    let lab = with_both();
    let whole = lab.devices.get("PLAIN_GPU");
    lab.guest("modes", "");
    lab.gpuvirt("vm add modes --profile lab-1q").expect(0);
    start(&lab, "modes").expect(0);
    lab.gpuvirt(&format!("vm add modes --gpu {whole}"))
        .expect(3)
        .says("[domain-running]")
        .says("[mixed-modes]")
        .says("virsh shutdown -- modes");
    lab.gpuvirt("vm remove modes request-1").expect(3).says("[domain-running]");
    stop(&lab, "modes");
    lab.gpuvirt("vm remove modes request-1").expect(0);
    lab.gpuvirt(&format!("vm add modes --gpu {whole}")).expect(0);
    start(&lab, "modes").expect(0);
    stop(&lab, "modes");
}

#[test]
fn a_vm_that_starts_with_the_host_is_started_again_where_its_card_no_longer_fits() {
    let lab = Lab::fresh();
    let (first, second) = (lab.devices.get("TWIN_A"), lab.devices.get("TWIN_B"));
    for twin in [first, second] {
        lab.gpuvirt(&format!("gpu set {twin} --type direct")).expect(0);
    }
    let identity = &lab.gpu(first)["functionDetails"][0]["identity"];
    let ids = format!("{}:{}", identity["vendor"].as_str().unwrap(), identity["device"].as_str().unwrap());
    lab.guest("boots", "--hold");
    lab.gpuvirt(&format!("vm add boots --match {ids} -o json")).expect(0);
    let hint = if lab.gpuvirt("vm show boots").expect(0).stdout.contains(first) { first } else { second };
    let other = if hint == first { second } else { first };
    lab.gpuvirt(&format!("gpu set {hint} --type shared")).expect(0);
    // Started by hand it is refused, with what to do.
    start(&lab, "boots").expect(1).says("[not-passthrough]").says("gpuvirt vm start boots");
    // As libvirt does once after a boot: it remembers that in a file.
    lab.sh("virsh -q autostart boots && systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd; rm -f /run/libvirt/qemu/autostarted; systemctl start libvirtd")
        .expect(0);
    until(&lab, "[ \"$(virsh -q domstate boots)\" = running ]");
    lab.gpuvirt("vm show boots").expect(0).says(other);
    lab.gpuvirt("events").expect(0).says("on a second try");
    lab.sh("virsh -q destroy boots; virsh -q autostart --disable boots").expect(0);
}

/// As a boot goes on where a card's driver takes longer than READY waits for it.
#[test]
fn a_vm_that_starts_with_the_host_while_its_card_is_restored_is_started_when_that_has_ended() {
    let lab = Lab::fresh();
    let (gpu, vgpu) = (lab.devices.get("MDEV_GPU"), "00000000-0000-4000-8000-000000000001");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {vgpu}")).expect(0);
    lab.guest("soon", "--hold");
    lab.gpuvirt("vm add soon --profile lab-1q").expect(0);
    lab.sh(&format!(
        "virsh -q autostart soon
         systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd gpuvirtd
         echo 1 > /sys/bus/mdev/devices/{vgpu}/remove
         insmod /lab/modules/gpuvirt_fault.ko function=mdev_device_create errno=0 hold=Y || exit 1
         rm -f /run/libvirt/qemu/autostarted
         systemctl start gpuvirtd && systemctl start libvirtd"
    ))
    .expect(0);
    until(&lab, "gpuvirt status | grep -q 'VM soon was not started with the host'");
    lab.gpuvirt("status").says("tried once more");
    lab.sh("virsh -q domstate soon").expect(0).says("shut off");
    lab.sh("echo N >/sys/module/gpuvirt_fault/parameters/hold").expect(0);
    until(&lab, "[ \"$(virsh -q domstate soon)\" = running ]");
    lab.gpuvirt("status").never_says("VM soon");
    assert_eq!(lab.vgpus().len(), 2, "the configured one, and its own");
    lab.sh("rmmod gpuvirt_fault; virsh -q destroy soon; virsh -q autostart --disable soon").expect(0);
    lab.gpuvirt(&format!("vgpu remove {vgpu}")).expect(0);
}

/// Several starts each: the rules themselves are held without a lab too.
mod full {
    use super::*;

    #[test]
    fn two_vms_may_be_defined_with_one_card_and_one_runs_at_a_time() {
        let lab = with_both();
        let whole = lab.devices.get("PLAIN_GPU");
        for name in ["work", "play"] {
            lab.guest(name, "");
        }
        let add = |name: &str| lab.gpuvirt(&format!("vm add {name} --gpu {whole}")).expect(0);
        add("work").never_says("[also-defined-in]");
        add("play").says("[also-defined-in]").says("work has the same device");
        start(&lab, "work").expect(0);
        start(&lab, "play").expect(1).says("[gpu-in-use]").says("VM work runs with its");
        stop(&lab, "work");
        start(&lab, "play").expect(0);
        start(&lab, "work").expect(1).says("[gpu-in-use]").says("VM play runs with its");
        stop(&lab, "play");
    }

    #[test]
    fn a_network_card_beside_a_gpu_or_a_vgpu_is_libvirts_affair() {
        let lab = with_both();
        let (whole, nic) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("SRIOV_PF"));
        let own = lab.binding(nic);
        for (name, ours) in [("whole", format!("--gpu {whole}")), ("shared", "--profile lab-1q".to_owned())] {
            lab.guest(name, "");
            lab.gpuvirt(&format!("vm add {name} {ours}")).expect(0);
            virsh_edit(&lab, name, &format!("s|</devices>|{}</devices>|", pci(nic, "yes")));
            start(&lab, name).expect(0);
            assert_eq!(lab.binding(nic), "vfio-pci/vfio-pci", "{name}: libvirt took it");
            lab.gpuvirt(&format!("vm show {name}")).expect(0).never_says("live-violation").never_says(nic);
            stop(&lab, name);
            assert_eq!(lab.binding(nic), own, "{name}: libvirt gave it back");
        }
    }
}
