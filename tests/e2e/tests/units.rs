//! The packaged units: what each process may do, where writes happen, who may ask for one, and what the journal keeps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;
use serde_json::Value;

/// systemd-analyze's exposure, in tenths, that the unit may not go beyond: docs/security.md has what is left and why.
const EXPOSURE: u32 = 33;

/// A user without any right.
const USER: &str = "e2e-user";
const AS_USER: &str = "setpriv --reuid e2e-user --regid e2e-user --init-groups";

/// Takes away what these tests add to the lab's host.
const CLEAN: &str = "rm -f /etc/polkit-1/rules.d/50-e2e.rules
systemctl -q unmask polkit 2>/dev/null; systemctl restart polkit
userdel e2e-user 2>/dev/null; groupdel e2e-writers 2>/dev/null
cp /lab/gpuvirtd.toml /etc/gpuvirt/ && systemctl restart gpuvirtd; true";

#[test]
fn the_unit_is_as_tight_as_it_is_said_to_be() {
    let lab = Lab::fresh();
    let report =
        lab.sh(&format!("systemd-analyze security --no-pager --threshold={EXPOSURE} gpuvirtd.service"));
    println!("{report}");
    report.expect(0).says("Overall exposure level");
    // What its mount namespace lets nobody write, root of the host neither.
    lab.sh(
        "root=/proc/$(systemctl show -P MainPID gpuvirtd)/root
         for file in /usr/bin/gpuvirt /usr/lib/gpuvirt/gpuvirt-writer /etc/hostname /etc/gpuvirt/gpuvirtd.toml; do
             test -e $root$file || exit 9
             (: >>$root$file) 2>/dev/null && echo \"$file can be written to\"
         done; (: >>${root}/var/lib/gpuvirt/e2e) && rm /var/lib/gpuvirt/e2e",
    )
    .expect(0)
    .never_says("can be written to");
    // A vendor's tool may open a card, and no disk.
    let script = "echo $$ >/sys/fs/cgroup/system.slice/gpuvirtd.service/cgroup.procs || exit 9
        for node in /dev/null /dev/vfio/vfio /dev/kvm /dev/vda; do
            test -e $node || exit 9; (: <$node) 2>/dev/null && echo $node; done; true";
    let opened = lab.sh(&format!("modprobe vfio; bash -c '{script}'")).expect(0);
    assert_eq!(opened.text().lines().collect::<Vec<_>>(), ["/dev/null", "/dev/vfio/vfio", "/dev/kvm"]);
    lab.assert_pristine();
}

#[test]
fn who_may_change_something_is_asked_of_groups_and_of_polkit_and_nobody_else() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.sh(&format!(
        "groupadd -f e2e-writers && useradd --user-group {USER} 2>/dev/null; systemctl restart polkit"
    ))
    .expect(0);
    let cordon = format!("{AS_USER} gpuvirt gpu set {gpu} --type shared");
    let denied = |lab: &Lab| drop(lab.sh(&cordon).expect(1).says("may not change anything"));
    // Reading is for all, changing is not.
    lab.sh(&format!("{AS_USER} gpuvirt gpu list")).expect(0).says(gpu);
    denied(&lab);
    // polkit lets this user through, by a rule that sees who asks.
    lab.sh(&format!(
        "cat >/etc/polkit-1/rules.d/50-e2e.rules <<'RULE'
polkit.addRule(function(action, subject) {{
    if (action.id == 'org.gpuvirt.manage' && subject.user == '{USER}') return polkit.Result.YES;
}});
RULE
         systemctl restart polkit"
    ))
    .expect(0);
    lab.sh(&cordon).expect(0);
    lab.sh(&cordon.replace(USER, "nobody").replace("--regid nobody", "--regid nogroup"))
        .expect(1)
        .says("may not change");
    // Without polkit nobody is let through by it.
    lab.sh("systemctl stop polkit && systemctl -q mask --runtime polkit").expect(0);
    denied(&lab);
    lab.sh("systemctl -q unmask --runtime polkit; rm /etc/polkit-1/rules.d/50-e2e.rules; systemctl restart polkit")
        .expect(0);
    denied(&lab);
    // A group counts when it is a supplementary one, and from the next login on.
    lab.sh(
        "sed -i '1i write_group = \"e2e-writers\"' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd",
    )
    .expect(0);
    denied(&lab);
    lab.sh(&format!("usermod -a -G e2e-writers {USER}")).expect(0);
    lab.sh(&cordon).expect(0);
    lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
    lab.sh(CLEAN).expect(0);
    lab.assert_pristine();
}

#[test]
fn with_its_socket_systemd_starts_the_daemon_when_somebody_asks() {
    let lab = Lab::fresh();
    lab.sh("systemctl stop gpuvirtd && systemctl start gpuvirtd.socket").expect(0);
    lab.sh("systemctl is-active gpuvirtd").expect(3);
    lab.gpuvirt("status").expect(0).says("runs as process");
    lab.sh("systemctl is-active gpuvirtd").expect(0);
    // Who asks while it is restarted waits for the new one, and is not turned away.
    let asked = "systemctl kill -s KILL gpuvirtd
        for i in 1 2 3 4 5; do gpuvirt gpu list >/dev/null || exit 9; done";
    lab.sh(asked).expect(0).never_says("read directly");
    lab.sh("systemctl stop gpuvirtd.socket gpuvirtd && systemctl reset-failed gpuvirtd 2>/dev/null; systemctl start gpuvirtd")
        .expect(0);
    lab.gpuvirt("status").expect(0).says("runs as process");
    lab.assert_pristine();
}

#[test]
fn the_journal_finds_what_happened_to_a_card_and_each_refusal() {
    let lab = Lab::fresh();
    let (gpu, dirty) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("DIRTY_GPU"));
    lab.gpuvirt(&format!("gpu set {gpu} --type direct --label shown")).expect(0);
    lab.gpuvirt("gpu set shown --type shared").expect(0);
    lab.gpuvirt(&format!("gpu set {dirty} --type direct")).expect(3);
    let lines = |filter: &str| -> Vec<Value> {
        let found = lab.sh(&format!("journalctl -b -u gpuvirtd -o json {filter}")).expect(0).stdout;
        found.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of_card = lines(&format!("GPUVIRT_GPU={gpu}"));
    let says = |text: &str| {
        let line =
            of_card.iter().find(|line| line["MESSAGE"].as_str().is_some_and(|said| said.starts_with(text)));
        line.unwrap_or_else(|| panic!("no line says {text:?} of {} lines", of_card.len()))
    };
    assert_eq!(says("done")["GPUVIRT_UID"], "0");
    let refused = lines("GPUVIRT_CODE=group-not-viable");
    let refused = refused.last().unwrap();
    assert_eq!((&refused["PRIORITY"], &refused["GPUVIRT_GPU"]), (&"4".into(), &dirty.into()), "{refused}");
    lab.gpuvirt("gpu unset shown").expect(0);
}

#[test]
fn an_order_whose_answer_was_lost_is_given_again_and_carried_out_once() {
    let lab = Lab::fresh();
    let mdev = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    let key = "c73f1fa6-489e-4834-9476-d70dabd98c40";
    let order = format!("--key {key} vgpu create --gpu {mdev} --profile lab-1q -o json");
    let first = lab.gpuvirt(&order).expect(0).json();
    assert_eq!(first["outcome"]["outcome"], "changed", "{first}");
    assert_eq!(lab.gpuvirt(&order).expect(0).json(), first, "the first answer");
    // The next daemon does not know the answer, and finds the vGPU made.
    lab.sh("systemctl kill -s KILL gpuvirtd; systemctl restart gpuvirtd").expect(0);
    let again = lab.gpuvirt(&order).expect(0).json();
    assert_eq!((&again["outcome"]["outcome"], &again["id"]), (&"unchanged".into(), &first["id"]), "{again}");
    assert_eq!(lab.vgpus().len(), 1);
    // Another order under the same key is a mistake of whoever gives it.
    lab.gpuvirt(&order.replace("lab-1q", "lab-2q")).expect(2).says("Idempotency-Key");
    lab.gpuvirt(&format!("vgpu remove {}", first["id"].as_str().unwrap())).expect(0);
}
