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
    let threads = count(" clone3?\\(.*CLONE_THREAD");
    let begun = count(" (fork|vfork|clone|clone3|execve)\\(");
    assert_eq!(begun - threads, 1, "only strace's own execve");
    let opened = count(" openat\\([^)]*\"/?(sys|proc)");
    // Processes' descriptors are links, which are read without being opened.
    let links = count(" readlink(at)?\\(");
    // A call that another thread's comes between has a second line.
    let all = count(".") - count("<\\.\\.\\. .* resumed>");
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

/// What is asked of the host and of its snapshot: each as a table and as JSON. docs/doctor.md says what no snapshot can tell.
const LISTINGS: &[&str] = &[
    "gpu list",
    "gpu show {whole}",
    "gpu show {shared}",
    "gpu show {twin}",
    "profile list",
    "profile list --gpu {shared}",
    "vgpu list",
    "vgpu show {vgpu}",
    "vm list",
    "vm show snapped",
    "xml --gpu {whole}",
    "capacity",
    "host show",
    "config export",
    "doctor",
    "doctor {whole}",
];

/// Who read the host is told in every document, and is another one.
fn without_source(text: &str) -> String {
    let sources = ["daemon", "host", "recording"].map(|source| format!("\"source\": \"{source}\""));
    sources.iter().fold(text.to_owned(), |text, source| text.replace(source, "\"source\": \"-\""))
}

fn first_difference(live: &str, recorded: &str) -> String {
    let differ = live.lines().zip(recorded.lines()).filter(|(a, b)| a != b).take(3);
    let lines: Vec<String> = differ.map(|(a, b)| format!("  live      {a}\n  recorded  {b}")).collect();
    format!("{}\n  {} and {} lines", lines.join("\n"), live.lines().count(), recorded.lines().count())
}

/// A folder of this machine.
fn tempfile() -> String {
    let run =
        std::process::Command::new("mktemp").args(["-d", "-t", "e2e-snapshot.XXXXXX"]).output().unwrap();
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

/// `scripts/test --full`.
mod full {
    use super::*;

    /// This machine has another kernel, another libvirt or none, and another bus.
    #[test]
    fn a_snapshot_shows_elsewhere_what_the_host_showed_byte_for_byte() {
        let lab = Lab::fresh();
        let (whole, shared) = (lab.devices.get("MULTI_GPU"), lab.devices.get("MDEV_GPU"));
        lab.gpuvirt(&format!("gpu set {whole} --type direct --label lent")).expect(0);
        lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
        let made =
            lab.gpuvirt(&format!("vgpu create --gpu {shared} --profile lab-2q -o json")).expect(0).json();
        lab.guest("snapped", "");
        lab.gpuvirt("vm add snapped --gpu lent").expect(0);
        lab.gpuvirt("host reserve lab-1q 1").expect(0);
        let words = [("{whole}", whole), ("{shared}", shared), ("{twin}", lab.devices.get("TWIN_A"))];
        let vgpu = made["uuid"].as_str().unwrap();
        let filled = |listing: &str| {
            words.iter().fold(listing.replace("{vgpu}", vgpu), |text, (a, b)| text.replace(a, b))
        };
        let listings: Vec<String> = LISTINGS.iter().map(|listing| filled(listing)).collect();
        let ask = |command: &str, folder: &str| {
            let asked = listings.iter().enumerate().flat_map(|(at, listing)| {
                ["table", "json"].map(|form| format!("{command} {listing} -o {form} >{folder}/{at}.{form} 2>/dev/null; echo $? >>{folder}/{at}.{form}"))
            });
            asked.collect::<Vec<_>>().join("\n")
        };
        // A libvirt that is slow to answer is in the snapshot as one that did not.
        lab.sh("mkdir /tmp/e2e-shown && cd /tmp/e2e-shown && cp /usr/bin/gpuvirt .; for try in {1..10}; do
                rm -f tar; gpuvirt snapshot --file tar >/dev/null || exit
                gpuvirt --host tar doctor -o json >found || :; grep -q '\"unchecked\": \\[\\]' found && exit 0
             done; gpuvirt --host tar doctor; exit 1")
            .expect(0);
        lab.sh(&ask("gpuvirt", "/tmp/e2e-shown")).expect(0);
        let here = tempfile();
        lab.pull("/tmp/e2e-shown", &here);
        let recorded = format!("{here}/recorded");
        let script = format!(
            "mkdir {recorded}; {}",
            ask(&format!("{here}/e2e-shown/gpuvirt --host {here}/e2e-shown/tar"), &recorded)
        );
        let run = std::process::Command::new("bash").args(["-c", &script]).status().unwrap();
        assert!(run.success());
        let mut wrong = Vec::new();
        for (at, listing) in listings.iter().enumerate() {
            for form in ["table", "json"] {
                let read = |folder: &str| std::fs::read_to_string(format!("{folder}/{at}.{form}")).unwrap();
                let live = read(&format!("{here}/e2e-shown"));
                let (live, recorded) = (without_source(&live), without_source(&read(&recorded)));
                if live != recorded {
                    wrong.push(format!("{listing} -o {form}\n{}", first_difference(&live, &recorded)));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        std::fs::remove_dir_all(&here).unwrap();
        lab.gpuvirt("--host /tmp/e2e-shown/tar gpu set 0000:01:00.0 --type direct").expect(2);
    }
}
