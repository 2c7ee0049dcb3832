//! What a vSphere admin knows, on one libvirt host: two GPUs of one model in two modes with two VMs at once, every view
//! of them, every forbidden combination, and the policies. Guests are started paused: libvirt, QEMU and the kernel do
//! everything, and nothing has to boot.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Output};

/// Starts a domain without running it: all hooks, no guest.
fn start(lab: &Lab, name: &str) -> Output {
    lab.sh(&format!("virsh -q start --paused {name}"))
}

fn stop(lab: &Lab, name: &str) {
    lab.sh(&format!("virsh -q destroy {name}")).expect(0);
}

/// Waits, on the condition and no longer than half a minute, until a shell command succeeds.
fn until(lab: &Lab, condition: &str) {
    let wait = format!("for i in $(seq 150); do {condition} && exit 0; sleep 0.2; done; exit 1");
    let ended = lab.sh(&wait);
    assert_eq!(
        ended.code,
        0,
        "{ended}\n{}",
        lab.sh("gpuvirt gpu list; gpuvirt vgpu list; journalctl -u gpuvirtd -n 30")
    );
}

fn until_no_vgpu(lab: &Lab) {
    until(lab, "[ -z \"$(ls /sys/bus/mdev/devices)\" ]");
}

/// The block of a device in what esxcli lists.
fn block(lab: &Lab, command: &str, device: &str) -> String {
    let listed = lab.gpuvirt(&format!("esxcli graphics {command}")).expect(0).stdout;
    let found = listed.split("\n\n").find(|block| block.starts_with(device));
    found.unwrap_or_else(|| panic!("no {device} in\n{listed}")).to_owned()
}

/// A domain's definition by hand: libvirt's own tools, and hostdevs that somebody pasted.
fn paste(lab: &Lab, name: &str, source: &str, managed: &str) {
    lab.sh(&format!(
        "gpuvirt xml {source} > /tmp/e2e-pasted.xml && sed -i \"/<alias/d; s/managed='no'/managed='{managed}'/\" /tmp/e2e-pasted.xml &&
         virsh -q attach-device --config {name} /tmp/e2e-pasted.xml"
    ))
    .expect(0);
}

/// The same way back: gpuvirt takes out only what it put in.
fn unpaste(lab: &Lab, name: &str) {
    lab.sh(&format!(
        "virsh dumpxml --inactive {name} | sed '/<hostdev/,/<\\/hostdev>/d' > /tmp/e2e-bare.xml && virsh -q define /tmp/e2e-bare.xml"
    ))
    .expect(0);
}

/// Two GPUs of one model, one passed through whole and one shared; the first's address, and the second's.
fn both_modes(lab: &Lab) -> (String, String) {
    let (shared, whole) = lab.vgpu_twin();
    lab.gpuvirt(&format!("gpu set {whole} --type direct --label whole")).expect(0);
    lab.gpuvirt(&format!("gpu set {shared} --type shared-direct --label parts")).expect(0);
    (whole, shared)
}

#[test]
fn two_gpus_of_one_model_in_two_modes_are_shown_as_vsphere_shows_them() {
    let lab = Lab::fresh();
    let (shared, whole) = lab.vgpu_twin();
    let model = |gpu: &str| lab.gpu(gpu)["functionDetails"][0]["identity"].clone();
    assert_eq!(model(&shared), model(&whole));
    lab.gpuvirt("esxcli graphics host refresh").expect(0);
    // Configured and not active yet.
    lab.gpuvirt(&format!("gpu set {whole} --type direct --when boot")).expect(4).says("next boot");
    assert!(block(&lab, "device list", &whole).contains("Graphics Type: Shared\n"));
    assert!(block(&lab, "device list --configured-type", &whole).contains("Graphics Type: Direct\n"));
    let passthrough = lab.gpu(&whole)["passthrough"].clone();
    let told = ["enabled", "capable", "active"].map(|word| passthrough[word].as_bool().unwrap());
    assert_eq!(told, [true, true, false], "{passthrough}");
    let foreign = lab.gpu(lab.devices.get("DIRTY_GPU"))["passthrough"].clone();
    assert_eq!(
        (&foreign["capable"], &foreign["obstacles"][0]["code"]),
        (&false.into(), &"group-not-viable".into())
    );
    assert_eq!(
        lab.gpu(lab.devices.get("MULTI_GPU"))["passthrough"]["dependents"][0],
        lab.devices.get("MULTI_AUDIO")
    );
    // Both in force.
    lab.gpuvirt(&format!("gpu set {whole} --type direct --label whole")).expect(0);
    lab.gpuvirt(&format!("esxcli graphics device set -d {shared} -t SharedPassthru")).expect(0);
    for name in ["alice", "bob"] {
        lab.guest(name, "");
    }
    lab.gpuvirt("vm add alice --gpu whole").expect(0);
    lab.gpuvirt("vm add bob --profile lab-4q").expect(0);
    for name in ["alice", "bob"] {
        start(&lab, name).expect(0);
    }
    for (gpu, kind) in [(&whole, "Direct"), (&shared, "SharedPassthru")] {
        for command in ["device list", "device list --configured-type"] {
            let shown = block(&lab, command, gpu);
            assert!(
                shown.contains(&format!("Graphics Type: {kind}\n")) && shown.ends_with("Number of VMs: 1"),
                "{shown}"
            );
        }
    }
    let alice = block(&lab, "vm list", "alice");
    assert!(
        alice.contains(&format!("Graphics Device: {whole}")) && alice.contains("Type: Direct"),
        "{alice}"
    );
    let bob = block(&lab, "vm list", "bob");
    assert!(bob.contains(&format!("Graphics Device: {shared}")) && bob.contains("(lab-4q)"), "{bob}");
    lab.gpuvirt(&format!("gpu show {shared}")).expect(0).says("bob  running with vGPU");
    lab.gpuvirt("gpu show whole")
        .expect(0)
        .says("alice  running with it")
        .says("enabled yes, capable yes, active yes");
    lab.gpuvirt("vm show bob").expect(0).says("profile lab-4q").says("mdev ").says(&shared);
    lab.gpuvirt("esxcli graphics device stats list").expect(0).says("Number of vGPUs: 1");
    // What happened since the first refresh is told once.
    let again = "host refresh";
    lab.gpuvirt(again).expect(0).says(&format!("{whole}: running with it: alice")).says("new vGPUs:");
    lab.gpuvirt(again).expect(0).says("as at the last refresh");
    stop(&lab, "alice");
    stop(&lab, "bob");
    until_no_vgpu(&lab);
}

#[test]
fn every_forbidden_combination_is_refused_by_gpuvirt_and_at_virshs_start() {
    let lab = Lab::fresh();
    let (whole, shared) = both_modes(&lab);
    for name in ["alice", "bob", "carol"] {
        lab.guest(name, "");
    }
    lab.gpuvirt("vm add alice --gpu whole").expect(0);
    lab.gpuvirt("vm add bob --profile lab-4q").expect(0);
    start(&lab, "alice").expect(0);
    start(&lab, "bob").expect(0);
    let vgpu = lab.vgpus()[0]["id"].as_str().unwrap().to_owned();
    let during = lab.picture();
    for (command, code) in [
        // One GPU has one mode.
        (format!("vgpu create --gpu {whole} --profile lab-1q"), "not-shared-direct"),
        ("vm add carol --gpu parts".to_owned(), "not-passthrough"),
        ("gpu set parts --type direct".to_owned(), "vgpus-alive"),
        ("gpu set whole --type shared".to_owned(), "domain-running"),
        ("gpu set whole --type shared-direct".to_owned(), "domain-running"),
        // Nothing of a VM that runs.
        ("vm add alice --profile lab-1q".to_owned(), "domain-running"),
        ("vm remove bob request-1".to_owned(), "domain-running"),
        (format!("vgpu remove {vgpu}"), "vgpu-in-use"),
        // Too many, and what is no GPU for it.
        ("vm add carol --profile lab-1q --count 17".to_owned(), "too-many-devices"),
        ("vm add carol --match ffff:0001".to_owned(), "no-suitable-gpu"),
    ] {
        lab.gpuvirt(&command).expect(3).says(&format!("[{code}]"));
    }
    // Only what a GPU of this host offers.
    lab.gpuvirt("vm add carol --profile lab-3q").expect(3).says("offer");
    // Both modes in one VM, either first.
    lab.gpuvirt("vm add carol --profile lab-1q").expect(0);
    lab.gpuvirt("vm add carol --gpu whole").expect(3).says("[mixed-modes]");
    // The same by hand, and started with virsh.
    paste(&lab, "carol", "--gpu whole", "no");
    start(&lab, "carol").expect(1).says("[mixed-modes]").says("[gpu-in-use]");
    lab.gpuvirt("vm remove carol request-1").expect(0);
    start(&lab, "carol").expect(1).says("[gpu-in-use]").says("VM alice");
    lab.gpuvirt("vm remove carol whole").expect(3).says("[not-ours]");
    unpaste(&lab, "carol");
    paste(&lab, "carol", &format!("--vgpu {vgpu}"), "no");
    start(&lab, "carol").expect(1).says("[vgpu-in-use]").says("VM bob");
    unpaste(&lab, "carol");
    for managed in ["no", "yes"] {
        paste(&lab, "carol", "--gpu parts", managed);
        start(&lab, "carol").expect(1).says("[not-passthrough]");
        unpaste(&lab, "carol");
    }
    // Nobody lost anything by all that.
    let bindings =
        |picture: &str| picture.lines().filter(|l| !l.starts_with("domain ")).collect::<Vec<_>>().join("\n");
    assert_eq!(bindings(&lab.picture()), bindings(&during));
    // Switching carol from one mode to the other: off, remove, add, on.
    lab.gpuvirt("vm add carol --profile lab-1q").expect(0);
    start(&lab, "carol").expect(0);
    stop(&lab, "carol");
    stop(&lab, "alice");
    lab.gpuvirt("vm remove carol request-1").expect(0);
    lab.gpuvirt("vm add carol --gpu whole").expect(0);
    start(&lab, "carol").expect(0);
    assert!(block(&lab, "vm list", "carol").contains(&format!("Graphics Device: {whole}")));
    stop(&lab, "carol");
    stop(&lab, "bob");
    until_no_vgpu(&lab);
    assert_eq!(lab.gpu(&shared)["active"], "shared-direct");
}

#[test]
fn two_small_vgpus_spread_leave_no_room_for_a_large_one_and_grouped_they_do() {
    let lab = Lab::fresh();
    let (shared, _) = lab.vgpu_twin();
    let other = lab.devices.get("MDEV_GPU").to_owned();
    // The card takes vGPUs of one size only, until the last is gone.
    lab.sh("echo Y > /sys/module/gpuvirt_mdev/parameters/same_size").expect(0);
    for gpu in [&shared, &other] {
        lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    }
    let place = |profile: &str| lab.gpuvirt(&format!("vgpu create --profile {profile} -o json"));
    let place_two = || -> Vec<(String, String)> {
        let made: Vec<_> = (0..2).map(|_| place("lab-4q").expect(0).json()).collect();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        made.iter().map(|made| (text(&made["id"]), text(&made["placement"]["gpu"]))).collect()
    };
    let remove = |made: &[(String, String)]| {
        made.iter().for_each(|(id, _)| drop(lab.gpuvirt(&format!("vgpu remove {id}")).expect(0)));
    };
    let spread = place_two();
    assert_ne!(spread[0].1, spread[1].1, "performance: one on each");
    place("lab-8q").expect(3);
    // Same size: what is free on a card is free for its size alone.
    lab.gpuvirt(&format!("vgpu create --gpu {shared} --profile lab-2q"))
        .expect(3)
        .says("[no-capacity]")
        .says("lab-4q");
    remove(&spread);
    lab.gpuvirt("esxcli graphics host set --shared-passthru-assignment-policy Consolidation").expect(0);
    lab.gpuvirt("esxcli graphics host get")
        .expect(0)
        .says("   Shared Passthru Assignment Policy: Consolidation\n");
    let grouped = place_two();
    assert_eq!(grouped[0].1, grouped[1].1, "consolidation: both on one");
    let large = place("lab-8q").expect(0).json();
    assert_ne!(large["placement"]["gpu"].as_str().unwrap(), grouped[0].1);
    remove(&grouped);
    // The last one is gone: the lock is too.
    let small =
        lab.gpuvirt(&format!("vgpu create --gpu {} --profile lab-2q -o json", grouped[0].1)).expect(0).json();
    for id in [&large["id"], &small["id"]] {
        lab.gpuvirt(&format!("vgpu remove {}", id.as_str().unwrap())).expect(0);
    }
}

#[test]
fn a_vm_that_asks_for_a_kind_of_card_finds_it_at_another_address() {
    let lab = Lab::fresh();
    let (here, there) = (lab.devices.get("TWIN_A"), lab.devices.get("TWIN_B"));
    lab.gpuvirt(&format!("gpu set {here} --type direct --label fast")).expect(0);
    lab.guest("worker", "");
    for bad in ["vm add worker --match 1234", "vm add worker --label fast"] {
        lab.gpuvirt(bad).expect(2);
    }
    lab.gpuvirt("vm add worker --match 1234:1111 --label slow").expect(3).says("another label");
    lab.gpuvirt("vm add worker --match 1234:1111 --label fast").expect(0);
    lab.gpuvirt("vm show worker").expect(0).says(here);
    // Fixed requests do not follow; this one does.
    lab.sh(&format!("echo 1 > /sys/bus/pci/devices/{here}/remove")).expect(0);
    lab.gpuvirt(&format!("gpu unset {here}")).expect(0);
    lab.gpuvirt(&format!("gpu set {there} --type direct --label fast")).expect(0);
    start(&lab, "worker").expect(1).says("gpuvirt vm start worker");
    lab.gpuvirt("vm start worker --explain").expect(0).says(there);
    lab.gpuvirt("vm start worker").expect(0).says(there);
    let shown = lab.gpuvirt("vm show worker").expect(0).says("labelled fast");
    assert!(shown.stdout.contains(there) && !shown.stdout.contains(here), "{shown}");
    stop(&lab, "worker");
    lab.sh("echo 1 > /sys/bus/pci/rescan").expect(0);
    until(&lab, &format!("[ -e /sys/bus/pci/devices/{here}/driver ]"));
}

#[test]
fn cards_with_one_label_serve_whichever_vm_starts() {
    let lab = Lab::fresh();
    let (here, there) = (lab.devices.get("TWIN_A"), lab.devices.get("TWIN_B"));
    for twin in [here, there] {
        lab.gpuvirt(&format!("gpu set {twin} --type direct --label farm")).expect(0);
    }
    // A label of two names neither of them.
    for command in ["gpu show farm", "gpu set farm --type shared", "gpu unset farm", "xml --gpu farm"] {
        lab.gpuvirt(command).expect(3).says("[label-ambiguous]").says(here).says(there);
    }
    for name in ["first", "second", "third"] {
        lab.guest(name, "--hold");
        lab.gpuvirt(&format!("vm add {name} --match 1234:1111 --label farm")).expect(0);
        lab.gpuvirt(&format!("vm show {name}")).expect(0).says("labelled farm");
        if name != "third" {
            lab.gpuvirt(&format!("vm start {name}")).expect(0);
        }
    }
    let on = |name: &str| {
        let shown = lab.gpuvirt(&format!("vm show {name}")).expect(0).stdout;
        [here, there].map(|twin| shown.contains(twin))
    };
    assert_ne!(on("first"), on("second"), "each has its own");
    // A third one is defined, and starts when one of them has ended.
    lab.gpuvirt("vm start third").expect(3).says("[no-suitable-gpu]").says("another VM runs with it");
    start(&lab, "third").expect(1).says("[gpu-in-use]");
    let of_second = on("second");
    stop(&lab, "second");
    lab.gpuvirt("vm start third").expect(0);
    assert_eq!(on("third"), of_second);
    stop(&lab, "third");
    stop(&lab, "first");
    // A card that lost the label is none of them, for virsh either.
    let lost = if of_second[0] { here } else { there };
    lab.gpuvirt(&format!("gpu set {lost} --type direct --label ''")).expect(0);
    start(&lab, "third")
        .expect(1)
        .says("[request-unmet]")
        .says("labelled farm")
        .says("gpuvirt vm start third");
    lab.gpuvirt("vm start third").expect(0);
    assert_ne!(on("third"), of_second);
    stop(&lab, "third");
}

#[test]
fn vms_are_spread_or_grouped_when_virsh_starts_them() {
    let lab = Lab::fresh();
    let (shared, _) = lab.vgpu_twin();
    lab.sh("echo Y > /sys/module/gpuvirt_mdev/parameters/same_size").expect(0);
    for gpu in [&shared, lab.devices.get("MDEV_GPU")] {
        lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    }
    for (name, profile) in
        [("small", "lab-4q"), ("little", "lab-4q"), ("large", "lab-8q"), ("tiny", "lab-2q")]
    {
        lab.guest(name, "");
        lab.gpuvirt(&format!("vm add {name} --profile {profile}")).expect(0);
    }
    let gpu_of = |name: &str| {
        let shown = block(&lab, "vm list", name);
        shown.lines().find_map(|line| line.strip_prefix("   Graphics Device: ")).unwrap().to_owned()
    };
    // Spread: each of the two small ones locks a card to its size, and no card is left for the large one.
    for name in ["small", "little"] {
        start(&lab, name).expect(0);
    }
    assert_ne!(gpu_of("small"), gpu_of("little"), "performance: one on each");
    for name in ["large", "tiny"] {
        start(&lab, name).expect(1).says("[no-capacity]").says("gpuvirt:");
        lab.gpuvirt(&format!("vm start {name}")).expect(3).says("VM small").says("VM little");
    }
    for name in ["small", "little"] {
        stop(&lab, name);
    }
    until_no_vgpu(&lab);
    // Grouped: the large one has a card.
    lab.gpuvirt("host set --assignment-policy consolidation").expect(0);
    for name in ["small", "little", "large"] {
        start(&lab, name).expect(0);
    }
    assert_eq!(gpu_of("small"), gpu_of("little"), "consolidation: both on one");
    assert_ne!(gpu_of("large"), gpu_of("small"));
    start(&lab, "tiny").expect(1).says("[no-capacity]");
    // The last one of its size is gone: the card is for any size again.
    let freed = gpu_of("large");
    stop(&lab, "large");
    until(&lab, "[ $(ls /sys/bus/mdev/devices | wc -l) = 2 ]");
    start(&lab, "tiny").expect(0);
    assert_eq!(gpu_of("tiny"), freed);
    for name in ["small", "little", "tiny"] {
        stop(&lab, name);
    }
    until_no_vgpu(&lab);
}

#[test]
fn a_new_default_type_waits_for_the_vm_that_runs_and_is_applied_after_it() {
    let lab = Lab::fresh();
    let (shared, _) = lab.vgpu_twin();
    lab.gpuvirt("esxcli graphics host set --default-type SharedPassthru").expect(0);
    lab.gpuvirt(&format!("gpu set {shared} --type default")).expect(0);
    lab.guest("bob", "");
    lab.gpuvirt("vm add bob --profile lab-4q").expect(0);
    start(&lab, "bob").expect(0);
    let before = lab.picture();
    lab.gpuvirt("host set --default-type shared").expect(3).says("[affects-others]").says(&shared);
    lab.gpuvirt("esxcli graphics host set --default-type Shared --yes")
        .expect(4)
        .says("pending")
        .says(&shared);
    assert_eq!(lab.picture(), before, "the VM keeps what it has");
    lab.gpuvirt("esxcli graphics host get").expect(0).says("   Default Graphics Type: Shared\n");
    assert!(block(&lab, "device list", &shared).contains("Graphics Type: SharedPassthru\n"));
    assert!(block(&lab, "device list --configured-type", &shared).contains("Graphics Type: Shared\n"));
    lab.gpuvirt("gpu list").expect(0).says(&format!("pending: {shared}"));
    stop(&lab, "bob");
    until_no_vgpu(&lab);
    until(
        &lab,
        &format!(
            "gpuvirt esxcli graphics device list | grep -A4 ^{shared} | grep -q 'Graphics Type: Shared$'"
        ),
    );
    lab.gpuvirt("gpu list").expect(0).never_says("pending:");
    start(&lab, "bob").expect(1).says("gpuvirt:");
}
