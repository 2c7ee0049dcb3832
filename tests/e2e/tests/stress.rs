//! Many clients at once, and the daemon killed meanwhile: nothing is lost, nothing doubled, and every answer is true afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use std::collections::BTreeSet;

use gpuvirt_e2e::Lab;
use serde_json::Value;

/// Clients at once.
const CLIENTS: u32 = 32;

/// Runs the clients, and kills the daemon that many times meanwhile, each time when it has been ready and at work.
fn clients(lab: &Lab, requests: u32, kills: u32) -> Value {
    let [mdev, own, shared] =
        ["MDEV_GPU", "PLAIN_GPU", "TWIN_A"].map(|role| lab.devices.get(role).to_owned());
    for (gpu, to) in [(&mdev, "shared-direct"), (&own, "shared"), (&shared, "shared")] {
        lab.gpuvirt(&format!("gpu set {gpu} --type {to}")).expect(0);
    }
    // A kill waits for an open journal: there is a change to be killed in.
    let ran = lab.sh(&format!(
        "/lab/e2e/e2e-clients {CLIENTS} {requests} {mdev} {own} {shared} >/tmp/e2e-clients & clients=$!
        kills=0
        while kill -0 $clients 2>/dev/null && [ $kills -lt {kills} ]; do
            read -rt 2.$((kills * 137 % 1000)) <> <(:)
            pid=$(systemctl show -P MainPID gpuvirtd)
            systemctl -q is-active gpuvirtd || continue
            for try in {{1..500}}; do [ -n \"$(ls /var/lib/gpuvirt/journal)\" ] && break; done
            kill -9 $pid && kills=$((kills + 1))
        done
        wait $clients; code=$?
        for try in {{1..200}}; do systemctl -q is-active gpuvirtd && break; read -rt 0.1 <> <(:); done
        echo \"killed $kills times\" >&2; cat /tmp/e2e-clients; exit $code"
    ));
    println!("{ran}");
    let ran = ran.expect(0).says(&format!("killed {kills} times"));
    ran.json()
}

/// What the last answers said is what the host, the records and the listing say.
fn assert_true(lab: &Lab, told: &Value, requests: u32) {
    lab.assert_settled("after the clients");
    let uuids = |key: &str| -> BTreeSet<String> {
        told[key].as_array().unwrap().iter().map(|uuid| uuid.as_str().unwrap().to_owned()).collect()
    };
    let on_bus: Vec<String> =
        lab.sh("ls /sys/bus/mdev/devices").expect(0).stdout.lines().map(str::to_owned).collect();
    let listed: Vec<Value> = lab.vgpus();
    let names: BTreeSet<String> =
        listed.iter().map(|vgpu| vgpu["uuid"].as_str().unwrap().to_owned()).collect();
    assert!(listed.iter().all(|vgpu| vgpu["ours"] == true), "{listed:?}");
    assert_eq!(names, on_bus.iter().cloned().collect(), "listing and kernel");
    assert!(uuids("alive").is_subset(&names), "lost: {told}\n{names:?}");
    assert!(uuids("gone").is_disjoint(&names), "came back: {told}\n{names:?}");
    let recorded = lab.sh("cat /var/lib/gpuvirt/state.json").expect(0).stdout;
    for uuid in &names {
        assert!(recorded.contains(uuid.as_str()), "{uuid} is not in {recorded}");
    }
    for uuid in uuids("gone") {
        assert!(!recorded.contains(&uuid), "{uuid} is in {recorded}");
    }
    for role in ["PLAIN_GPU", "TWIN_A"] {
        let gpu = lab.gpu(lab.devices.get(role));
        assert_eq!(gpu["configured"], gpu["active"], "{gpu}");
    }
    let own = lab.gpu(lab.devices.get("PLAIN_GPU"));
    assert!(told["ownType"].as_array().unwrap().contains(&own["active"]), "{told}\n{own}");
    let answers: u64 =
        told["answers"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(answers, u64::from(requests), "{told}");
    // All of it can be taken away: nothing is held by what is no longer there.
    for uuid in &names {
        lab.gpuvirt(&format!("vgpu remove {uuid}")).expect(0);
    }
    for role in ["PLAIN_GPU", "TWIN_A"] {
        lab.gpuvirt(&format!("gpu set {} --type shared", lab.devices.get(role))).expect(0);
    }
    lab.assert_pristine();
}

#[test]
fn requests_of_many_clients_while_the_daemon_is_killed() {
    let lab = Lab::fresh();
    let told = clients(&lab, 160, 2);
    assert_true(&lab, &told, 160);
}

mod full {
    use super::*;

    #[test]
    fn a_thousand_requests_of_32_clients_while_the_daemon_is_killed() {
        let lab = Lab::fresh();
        let told = clients(&lab, 1000, 8);
        assert_true(&lab, &told, 1000);
    }
}
