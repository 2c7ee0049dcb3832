//! The doctor on the real kernel and libvirt: silent where nothing is wrong, and the same on a snapshot. Its findings: findings.rs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;
use serde_json::Value;

fn findings(lab: &Lab, gpu: &str) -> Vec<Value> {
    let said = lab.gpuvirt(&format!("doctor {gpu} -o json"));
    said.json()["findings"].as_array().unwrap().clone()
}

/// The codes of what is found of a severity.
fn codes(found: &[Value], severity: &str) -> Vec<String> {
    let of = found.iter().filter(|finding| finding["severity"] == severity);
    of.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_healthy_host_is_let_go() {
    let lab = Lab::fresh();
    let found = findings(&lab, "");
    let all = [codes(&found, "error"), codes(&found, "warning")].concat();
    assert!(all.is_empty(), "{found:#?}");
    // The card behind the conventional bridge shares its group: worth a note while it is nobody's.
    let dirty = lab.devices.get("DIRTY_GPU");
    let noted = found
        .iter()
        .any(|finding| finding["code"] == "group-not-viable" && finding["subject"]["name"] == dirty);
    assert!(noted, "{found:#?}");
    lab.gpuvirt("doctor").expect(0);
    // As a user, and without the daemon: less is seen, and what is not seen is no finding.
    lab.sh("setpriv --reuid nobody --clear-groups gpuvirt doctor >/dev/null 2>/tmp/doctor.err; [ $? = 0 ]")
        .expect(0);
    lab.sh("gpuvirt doctor --socket /run/nobody.sock").expect(4).says("daemon-unreachable").says("VMs");
}

/// What the host itself says, with the one word that must differ put in its place: where it comes from. What is known of offers
/// is read from the host, all else told by the daemon; JSON and YAML spell it in their ways.
fn live(lab: &Lab, args: &str) -> String {
    let said = lab.gpuvirt(args).stdout;
    let spelled = |name: &str| [format!("\"source\": \"{name}\""), format!("source: \"{name}\"")];
    let sources = ["daemon", "host"]
        .into_iter()
        .flat_map(|source| spelled(source).into_iter().zip(spelled("recording")));
    let (said, blanked) = sources.fold((said, 0), |(said, blanked), (source, recorded)| {
        (said.replace(&source, &recorded), blanked + said.matches(&source).count())
    });
    assert!(blanked <= 1, "{args} names {blanked} sources: {said}");
    said
}

/// The lines that differ, few enough to be read.
fn difference(live: &str, recorded: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut a, mut b) = (live.lines(), recorded.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return lines,
            (x, y) if x == y => {}
            (x, y) if lines.len() < 12 => lines.push(format!("{x:?} became {y:?}")),
            _ => return lines,
        }
    }
}

/// The host with everything that a listing can show: a card for passthrough, vGPUs, a holder, VMs with and without requests
/// and with a fault. Nothing is running, so that nothing changes between two looks.
#[test]
fn a_snapshot_shows_byte_for_byte_what_the_host_showed() {
    let lab = Lab::fresh();
    let plain = lab.devices.get("PLAIN_GPU").to_owned();
    let dirty = lab.devices.get("DIRTY_GPU").to_owned();
    let vgpu = lab.devices.get("MDEV_GPU").to_owned();
    lab.gpuvirt(&format!("gpu set {plain} --type direct --label render")).expect(0);
    lab.gpuvirt(&format!("gpu set {vgpu} --type shared-direct")).expect(0);
    lab.gpuvirt(&format!("vgpu create --gpu {vgpu} --profile lab-1q")).expect(0);
    let _guest = lab.guest("recorded", "");
    lab.gpuvirt(&format!("vm add recorded --gpu {plain}")).expect(0);
    lab.sh("virsh memtune recorded --config --hard-limit 1024").expect(0);
    let multi = lab.devices.get("TWIN_A").to_owned();
    let holder = format!(
        "node=/dev/dri/by-path/pci-{multi}-card
        setsid bash -c \"exec -a e2e-holder sleep 600 9<>$(readlink -f $node)\" >/dev/null 2>&1 </dev/null &
        for try in {{1..200}}; do pgrep -f '^e2e-holder' && break; done"
    );
    lab.sh(&holder).expect(0);
    let shown = lab.gpuvirt(&format!("doctor {plain}"));
    assert!(shown.stdout.contains("memory-not-lockable"), "{}", shown.stdout);

    lab.sh("rm -f /tmp/e2e-bytes.tar").expect(0);
    lab.gpuvirt("snapshot --file /tmp/e2e-bytes.tar").expect(0);
    let mut wrong: Vec<String> = Vec::new();
    let one = ["gpu list", "profile list", "vgpu list", "vm list", "doctor", "capacity", "host show"];
    let of_one =
        ["gpu show", "doctor"].map(|verb| [&plain, &dirty, &vgpu, &multi].map(|gpu| format!("{verb} {gpu}")));
    let verbs = one.map(str::to_owned).into_iter().chain(of_one.into_iter().flatten());
    for verb in verbs.chain(["vm show recorded".to_owned()]) {
        for format in ["table", "json", "yaml"] {
            let live = live(&lab, &format!("{verb} -o {format}"));
            let recorded = lab.gpuvirt(&format!("--host /tmp/e2e-bytes.tar {verb} -o {format}")).stdout;
            assert!(!live.is_empty(), "{verb} says nothing");
            if live != recorded {
                wrong.push(format!("{verb} -o {format}: {:#?}", difference(&live, &recorded)));
            }
        }
    }
    assert!(lab.gpuvirt(&format!("gpu show {multi}")).stdout.contains("fd 9"), "nobody was seen to hold it");
    lab.sh("pkill -f '^e2e-holder'; virsh undefine recorded; rm /tmp/e2e-bytes.tar").expect(0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

mod full {
    use gpuvirt_e2e::{Lab, Reboot};

    use super::findings;

    /// What the doctor shows of a bridge above the card whose group is shared.
    fn shown(lab: &Lab, bridge: &str) -> String {
        let found = findings(lab, lab.devices.get("DIRTY_GPU"));
        let shared = found.iter().find(|finding| finding["code"] == "group-not-viable").unwrap();
        let seen = shared["evidence"].as_array().unwrap();
        let of_bridge = seen.iter().find(|seen| seen["source"].as_str().unwrap().contains(bridge)).unwrap();
        format!("{} {}", of_bridge["value"].as_str().unwrap(), shared["remedy"])
    }

    #[test]
    fn a_bridge_that_was_told_to_isolate_nothing_is_told_from_one_that_does() {
        let lab = Lab::fresh();
        let card = lab.devices.get("DIRTY_GPU");
        let up = lab.sh(&format!("readlink /sys/bus/pci/devices/{card} | grep -o '0000:00:[^/]*'")).expect(0);
        let root_port = up.stdout.trim();
        assert!(shown(&lab, root_port).starts_with("upstream bridge, has Access Control Services"));
        lab.reboot(Reboot::Told(&format!("pci=disable_acs_redir={root_port}")));
        lab.sh("systemctl start gpuvirtd").expect(0);
        let told = shown(&lab, root_port);
        assert!(told.starts_with("upstream bridge whose Access Control Services are not all ON"), "{told}");
        let remedy =
            format!("take {root_port} out of disable_acs_redir= in pci=disable_acs_redir={root_port}");
        assert!(told.contains(&remedy), "{told}");
        lab.reboot(Reboot::PowerCut);
    }
}
