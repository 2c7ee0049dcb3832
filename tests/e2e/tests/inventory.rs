//! The inventory of a live host: complete, quiet, and the same when it is recorded and read elsewhere.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

#[test]
fn a_card_is_shown_with_everything_that_sysfs_says() {
    let lab = Lab::fresh();
    let (gpu, audio) = (lab.devices.get("MULTI_GPU"), lab.devices.get("MULTI_AUDIO"));
    let shown = lab.gpu(gpu);
    let sysfs =
        |path: &str| lab.sh(&format!("cat /sys/bus/pci/devices/{gpu}/{path}")).expect(0).text().to_owned();
    let primary = &shown["functionDetails"][0];
    assert_eq!(format!("0x{}", primary["identity"]["vendor"].as_str().unwrap()), sysfs("vendor"));
    assert_eq!(format!("0x{}", primary["identity"]["class"].as_str().unwrap()), sysfs("class"));
    assert_eq!(primary["vendorName"], "Advanced Micro Devices, Inc. [AMD/ATI]");
    assert_eq!(shown["functionDetails"][1]["address"], audio);
    assert_eq!(shown["functionDetails"][1]["binding"]["driver"], "snd_hda_intel");
    let group = lab.sh(&format!("basename $(readlink /sys/bus/pci/devices/{gpu}/iommu_group)")).expect(0);
    assert_eq!(primary["iommuGroup"].to_string(), group.text());
    assert!(shown["barBytes"].as_u64().unwrap() > 0);
    let roles = shown["iommuGroups"][0]["roles"].as_array().unwrap();
    assert_eq!(roles.len(), 2, "{shown}");
    lab.gpuvirt(&format!("gpu show {gpu}")).expect(0).says("snd_hda_intel").says("MiB");
}

#[test]
fn a_live_inventory_starts_no_process_and_makes_few_system_calls() {
    let lab = Lab::fresh();
    lab.sh("strace -f -qq -o /tmp/e2e-trace gpuvirt --socket /nowhere gpu list >/dev/null").expect(0);
    let count = |pattern: &str| -> usize {
        let counted = lab.sh(&format!("grep -cE '{pattern}' /tmp/e2e-trace || true")).expect(0);
        counted.text().parse().unwrap()
    };
    assert_eq!(count(" (fork|vfork|clone|clone3|execve)\\("), 1, "only strace's own execve");
    let opened = count(" openat\\([^)]*\"/?(sys|proc)");
    // Processes' descriptors are links, which are read without being opened.
    let links = count(" readlink(at)?\\(");
    let all = count(".");
    assert!(opened > 20, "{opened} kernel files opened: the trace is not what it should be");
    let asked = opened + links;
    assert!(all < asked * 4, "{all} system calls for {opened} kernel files and {links} links");
}

#[test]
fn a_snapshot_shows_elsewhere_what_the_host_showed() {
    let lab = Lab::fresh();
    let live = lab.gpuvirt("--socket /nowhere gpu list -o json").expect(0).json();
    lab.gpuvirt("snapshot --file /tmp/e2e-snapshot.tar").expect(0);
    let recorded = lab.gpuvirt("--host /tmp/e2e-snapshot.tar gpu list -o json").expect(0).json();
    let facts = |list: &serde_json::Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        let keys = ["address", "active", "functionDetails", "frameworks", "profiles", "barBytes"];
        items.map(|item| keys.map(|key| item[key].to_string()).join(" ")).collect()
    };
    assert_eq!(facts(&recorded), facts(&live));
    lab.gpuvirt("--host /tmp/e2e-snapshot.tar gpu set 0000:01:00.0 --type direct").expect(2);
    lab.assert_pristine();
}
