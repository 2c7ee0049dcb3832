//! Domains: their definitions edited, and what nested guests see.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

#[test]
fn two_gpus_of_one_host_serve_two_guests_in_two_modes() {
    let lab = Lab::fresh();
    let (whole, shared) = (lab.devices.get("MULTI_GPU"), lab.devices.get("MDEV_GPU"));
    let (alice, bob) = (lab.guest("alice", "--hold"), lab.guest("bob", "--hold"));
    lab.gpuvirt(&format!("gpu set {whole} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
    let made = lab.gpuvirt(&format!("vgpu create --gpu {shared} --profile lab-2q -o json")).expect(0).json();
    lab.gpuvirt(&format!("vm add alice --gpu {whole}")).expect(0);
    lab.gpuvirt(&format!("vm add bob --vgpu {}", made["uuid"].as_str().unwrap())).expect(0);
    let seen = alice.run().expect(0).says("1002:5046").says("class=0403");
    let gpu_line = seen.stdout.lines().find(|line| line.contains("1002:5046")).unwrap().to_owned();
    let audio_line = seen.stdout.lines().find(|line| line.contains("class=0403")).unwrap().to_owned();
    let slot = |line: &str| line.split_whitespace().nth(1).unwrap().rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(slot(&gpu_line), slot(&audio_line), "both functions sit in one slot of the guest\n{seen}");
    bob.run().expect(0).says("class=0302");
    lab.gpuvirt("vm list").expect(0).says("alice").says("bob");
    let list = lab.gpuvirt("gpu list -o json").expect(0).json();
    let active = |address: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["address"] == address).unwrap()["active"].as_str().unwrap().to_owned()
    };
    assert_eq!((active(whole), active(shared)), ("direct".to_owned(), "shared-direct".to_owned()));
    alice.destroy();
    bob.destroy();
}

#[test]
fn an_edit_leaves_every_other_byte_and_the_password() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MULTI_GPU");
    let guest = lab.guest("secretive", "--vnc-password hunter2");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    let before = guest.xml();
    assert!(before.contains("hunter2"));
    lab.gpuvirt(&format!("vm add secretive --gpu {gpu} --dry-run"))
        .expect(0)
        .says("<hostdev")
        .never_says("hunter2");
    assert_eq!(guest.xml(), before);
    lab.gpuvirt(&format!("vm add secretive --gpu {gpu}")).expect(0).never_says("hunter2");
    let with = guest.xml();
    assert!(with.contains("hunter2") && with.contains("ua-gpuvirt") && with.contains("managed='no'"));
    assert!(with.contains("multifunction='on'"), "{with}");
    let kept = before.lines().filter(|line| !with.contains(*line)).collect::<Vec<_>>();
    assert_eq!(kept, Vec::<&str>::new(), "lines of the definition that the edit lost");
    lab.gpuvirt(&format!("vm add secretive --gpu {gpu}")).expect(0).says("nothing to do");
    assert_eq!(guest.xml(), with);
    lab.sh("virsh dumpxml --inactive secretive > /tmp/e2e-with.xml && virt-xml-validate /tmp/e2e-with.xml domain")
        .expect(0);
    lab.gpuvirt(&format!("vm remove secretive {gpu}")).expect(0);
    assert_eq!(guest.xml(), before, "adding and removing leaves what libvirt stored first");
    lab.sh("! grep -r hunter2 /var/lib/gpuvirt /run/gpuvirt && ! journalctl -u gpuvirtd | grep hunter2")
        .expect(0);
}

#[test]
fn a_password_outlives_every_edit_and_is_written_nowhere() {
    let lab = Lab::fresh();
    let (mdev, card) = (lab.devices.get("MDEV_GPU"), lab.devices.get("TWIN_A"));
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {card} --type direct")).expect(0);
    let guest = lab.guest("secretive", "--hold --vnc-password hunter2");
    let identity = &lab.gpu(card)["functionDetails"][0]["identity"];
    let kind = format!("{}:{}", identity["vendor"].as_str().unwrap(), identity["device"].as_str().unwrap());
    let edits = [
        ("vm add secretive --profile lab-1q --count 2", 0),
        ("vm start secretive --explain", 0),
        ("vm start secretive", 0),
        ("vm remove secretive request-1", 3),
        ("vm xml secretive", 0),
    ];
    let edit = |command: &str, code: i32| {
        lab.gpuvirt(command).expect(code).never_says("hunter2");
        assert!(guest.xml().contains("passwd='hunter2'"), "{command}\n{}", guest.xml());
    };
    edits.iter().for_each(|(command, code)| edit(command, *code));
    guest.destroy();
    for request in ["request-1", "request-2"] {
        edit(&format!("vm remove secretive {request}"), 0);
    }
    edit(&format!("vm add secretive --match {kind}"), 0);
    edit("vm start secretive", 0);
    guest.destroy();
    edit("vm remove secretive request-1", 0);
    // What somebody wrote by hand is adopted, and what libvirt refuses is told without it.
    lab.sh(&format!(
        "gpuvirt xml --gpu {card} | sed '/<alias/d' >/tmp/e2e-hand.xml && virsh -q attach-device --config secretive /tmp/e2e-hand.xml"
    ))
    .expect(0);
    edit("vm adopt secretive", 0);
    edit("vm add secretive --profile lab-1q", 3);
    edit("snapshot --file /tmp/e2e-snapshot.tar", 0);
    lab.sh("! grep -r hunter2 /var/lib/gpuvirt /run/gpuvirt /etc/gpuvirt /tmp/e2e-snapshot.tar &&
         ! journalctl -b -u 'gpuvirt*' | grep hunter2 && ! journalctl -b -t gpuvirt | grep hunter2")
        .expect(0);
}

#[test]
fn one_vm_never_gets_both_modes() {
    let lab = Lab::fresh();
    let (whole, shared) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
    lab.guest("greedy", "");
    lab.gpuvirt(&format!("gpu set {whole} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
    let made = lab.gpuvirt(&format!("vgpu create --gpu {shared} --profile lab-1q -o json")).expect(0).json();
    let vgpu = made["uuid"].as_str().unwrap().to_owned();
    lab.gpuvirt(&format!("vm add greedy --gpu {whole}")).expect(0);
    lab.gpuvirt(&format!("vm add greedy --vgpu {vgpu}")).expect(3).says("[mixed-modes]").says(whole);
    lab.gpuvirt(&format!("vm remove greedy {whole}")).expect(0);
    lab.gpuvirt(&format!("vm add greedy --vgpu {vgpu}")).expect(0);
    lab.gpuvirt(&format!("vm add greedy --gpu {whole}")).expect(3).says("[mixed-modes]").says(&vgpu);
}

#[test]
fn a_running_or_absent_vm_is_not_edited() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.gpuvirt(&format!("vm add nobody --gpu {gpu}")).expect(3).says("[domain-not-found]");
    let guest = lab.guest("busy", "--hold");
    guest.run().expect(0).says("L2-READY");
    let before = guest.xml();
    lab.gpuvirt(&format!("vm add busy --gpu {gpu}"))
        .expect(3)
        .says("[domain-running]")
        .says("virsh shutdown");
    assert_eq!(guest.xml(), before);
    guest.destroy();
    lab.gpuvirt(&format!("vm add busy --gpu {}", lab.devices.get("TWIN_A")))
        .expect(3)
        .says("[not-passthrough]");
}

#[test]
fn a_concurrent_edit_is_not_lost() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    let guest = lab.guest("contended", "");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    // While `virsh edit` has its editor open, we edit too: ours goes through, virsh sees it and asks to begin anew.
    let editor = format!(
        "#!/bin/sh\ngpuvirt vm add contended --gpu {gpu} >/dev/null\nsed -i 's/Test guest/Edited guest/' \"$1\"\n"
    );
    lab.sh(&format!("cat > /tmp/e2e-editor <<'X'\n{editor}X\nchmod +x /tmp/e2e-editor")).expect(0);
    let edit = "EDITOR=/tmp/e2e-editor virsh edit contended </dev/null";
    lab.sh(edit).says("changed by another user"); // its exit code says nothing
    assert!(guest.xml().contains("ua-gpuvirt"));
    lab.sh(edit).expect(0);
    let xml = guest.xml();
    assert!(xml.contains("Edited guest") && xml.contains("ua-gpuvirt"), "{xml}");
    // And the other way round: what was edited before ours stays.
    lab.gpuvirt(&format!("vm remove contended {gpu}")).expect(0);
    assert!(guest.xml().contains("Edited guest"));
}

#[test]
fn fragments_are_accepted_by_libvirt() {
    let lab = Lab::fresh();
    let (plain, shared) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
    lab.guest("attached", "");
    lab.gpuvirt(&format!("gpu set {plain} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
    let made = lab.gpuvirt(&format!("vgpu create --gpu {shared} --profile lab-1q -o json")).expect(0).json();
    let vgpu = made["uuid"].as_str().unwrap();
    for source in [format!("--gpu {plain}"), format!("--vgpu {vgpu}")] {
        lab.sh(&format!(
            "gpuvirt xml {source} > /tmp/e2e-fragment.xml && virsh -q attach-device --config attached /tmp/e2e-fragment.xml"
        ))
        .expect(0);
    }
}
