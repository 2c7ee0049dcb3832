//! The packaged units: what each process may do, where writes happen, who may ask for one, and what the journal keeps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, VfForm};
use serde_json::Value;

/// systemd-analyze's exposure, in tenths, that the units may not go beyond: docs/security.md has what is left and why.
const EXPOSURES: [(&str, u32); 3] =
    [("gpuvirtd.service", 24), ("gpuvirt-writer.service", 42), ("gpuvirt-metrics.service", 13)];
/// What gpuvirtd may have: CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE.
const CAPABILITIES: &str = "CapBnd:\t0000010000080004";

/// A user without any right.
const USER: &str = "e2e-user";
const AS_USER: &str = "setpriv --reuid e2e-user --regid e2e-user --init-groups";

/// Takes away what these tests add to the lab's host.
const CLEAN: &str = "rm -f /etc/polkit-1/rules.d/50-e2e.rules
systemctl -q unmask polkit 2>/dev/null; systemctl restart polkit
userdel e2e-user 2>/dev/null; groupdel e2e-writers 2>/dev/null
cp /lab/gpuvirtd.toml /etc/gpuvirt/ && systemctl restart gpuvirtd; true";

#[test]
fn the_units_are_as_tight_as_they_are_said_to_be() {
    let lab = Lab::fresh();
    for (unit, exposure) in EXPOSURES {
        let report = lab.sh(&format!("systemd-analyze security --no-pager --threshold={exposure} {unit}"));
        println!("{report}");
        report.expect(0).says("Overall exposure level");
    }
    // Who accepts connections is a program that does nothing else.
    let memory = lab.sh("grep RssAnon /proc/$(systemctl show -P MainPID gpuvirt-writer)/status | tr -dc 0-9");
    let kib: u32 = memory.expect(0).text().parse().unwrap();
    println!("gpuvirt-writer.service: {kib} KiB of its own");
    assert!(kib < 1024, "{kib} KiB");
}

#[test]
fn the_daemon_itself_can_write_to_nothing_of_the_host_and_sees_all_that_it_must() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    // What its mount namespace lets anybody write, root of the host too.
    let writable = |unit: &str| {
        lab.sh(&format!(
            "root=/proc/$(systemctl show -P MainPID {unit})/root
             for file in /sys/bus/pci/devices/{gpu}/driver_override /sys/bus/pci/drivers_probe /sys/bus/pci/rescan \
                 /sys/class/drm/../../module/kernel/parameters/panic /sys/module/kernel/parameters/panic \
                 /proc/sys/kernel/panic /usr/bin/gpuvirt /etc/hostname /etc/gpuvirt/gpuvirtd.toml; do
                 test -e $root$file || exit 9
                 (: >>$root$file) 2>/dev/null && echo \"$file\"
             done; true"
        ))
        .expect(0)
        .text()
        .to_owned()
    };
    assert_eq!(writable("gpuvirtd"), "");
    let of_writers = writable("gpuvirt-writer");
    assert!(of_writers.contains("driver_override") && !of_writers.contains("/usr/"), "{of_writers}");
    assert!(!of_writers.contains("/etc/"), "{of_writers}");
    let status = "status=/proc/$(systemctl show -P MainPID gpuvirtd)/status; cat $status";
    lab.sh(status).expect(0).says(CAPABILITIES).says("NoNewPrivs:\t1").says("Seccomp:\t2");
    lab.sh("pgrep -P $(systemctl show -P MainPID gpuvirtd)").expect(1);
    // Of devices a vendor's tool may open a card, and no disk; the daemon neither.
    let opened = |unit: &str| {
        let script = "echo $$ >/sys/fs/cgroup/system.slice/$0/cgroup.procs || exit 9
            for node in /dev/null /dev/vfio/vfio /dev/kvm /dev/vda; do
                test -e $node || exit 9; (: <$node) 2>/dev/null && echo $node; done; true";
        let opened = lab.sh(&format!("modprobe vfio; bash -c '{script}' {unit}.service")).expect(0);
        opened.text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(opened("gpuvirtd"), ["/dev/null"]);
    assert_eq!(opened("gpuvirt-writer"), ["/dev/null", "/dev/vfio/vfio", "/dev/kvm"]);
    // It needs none of that: the doctor has everything that root may read, a bridge's whole config space too.
    // libvirt's first answer is longer in coming than the doctor waits: it tries each emulator.
    lab.sh("virsh -q version").expect(0);
    let by_daemon = examined(&lab);
    lab.sh("systemctl stop gpuvirtd").expect(0);
    let by_root = examined(&lab);
    lab.sh("systemctl start gpuvirtd").expect(0);
    let unchecked = |report: &Value| report["unchecked"].as_array().unwrap().clone();
    let more: Vec<Value> =
        unchecked(&by_daemon).into_iter().filter(|what| !unchecked(&by_root).contains(what)).collect();
    assert!(more.is_empty(), "the daemon is kept from {more:?}");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0).never_says("holders-unseen");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.assert_pristine();
}

/// The doctor's report, whatever its findings: 3 is an error, 4 a warning.
fn examined(lab: &Lab) -> Value {
    let report = lab.gpuvirt("doctor -o json");
    assert!([0, 3, 4].contains(&report.code), "{report}");
    report.json()
}

/// What somebody who connects to the writers' socket is answered.
fn asked_of_writers(lab: &Lab, who: &str, lines: &[&str]) -> gpuvirt_e2e::Output {
    let quoted: Vec<String> = lines.iter().map(|line| format!("'{line}'")).collect();
    let lines = quoted.join(" ");
    lab.sh(&format!(
        "printf '%s\\n' {lines} | {who} timeout 20 socat -t 10 - UNIX-CONNECT:/run/gpuvirt/writer.sock"
    ))
}

#[test]
fn writers_serve_root_alone_and_nobody_with_more_than_their_list() {
    let lab = Lab::fresh();
    lab.sh(&format!("useradd --user-group {USER} 2>/dev/null; rm -f /tmp/e2e-touched")).expect(0);
    let hello = r#""introduce""#;
    asked_of_writers(&lab, AS_USER, &[hello]).expect(1).says("Permission denied");
    // Whatever becomes of the socket's mode.
    lab.sh("chmod 666 /run/gpuvirt/writer.sock").expect(0);
    asked_of_writers(&lab, AS_USER, &[hello]).never_says("introduced");
    lab.sh("journalctl -b -o cat -u gpuvirt-writer").expect(0).says("may not ask for writes");
    lab.sh("chmod 600 /run/gpuvirt/writer.sock").expect(0);
    let gpu = lab.devices.get("PLAIN_GPU");
    let requests = [
        hello,
        r#"{"write":{"path":"/etc/hostname","data":"x"}}"#,
        r#"{"write":{"path":"/sys/bus/pci/devices/../../../module/kernel/parameters/panic","data":"1"}}"#,
        r#"{"write":{"path":"/sys/bus/pci/rescan","data":"1"}}"#,
        r#"{"read":"/etc/shadow"}"#,
        r#"{"run":{"program":"/usr/bin/touch","args":["/tmp/e2e-touched"],"function":null}}"#,
        r#"{"run":{"program":"/usr/bin/systemctl","args":["--no-block","stop","libvirtd.service"],"function":null}}"#,
        r#"{"run":{"program":"/lab/e2e/nvidia-smi","args":["-f","/tmp/e2e-touched"],"function":null}}"#,
        r#"{"load":"../../x"}"#,
        "nonsense",
    ];
    let answers = asked_of_writers(&lab, "", &requests).expect(0).says("introduced").stdout;
    assert_eq!(answers.lines().count(), requests.len(), "{answers}");
    assert!(answers.lines().skip(1).all(|line| line.starts_with(r#"{"rejected":"#)), "{answers}");
    // What is on the list is done.
    let read = format!(r#"{{"read":"/sys/bus/pci/devices/{gpu}/config"}}"#);
    let config = asked_of_writers(&lab, "", &[&read]).expect(0).says("content").stdout;
    assert!(config.split(',').count() > 64, "more than the kernel shows others: {config}");
    lab.sh("test ! -e /tmp/e2e-touched && systemctl is-active libvirtd").expect(0);
    lab.sh(CLEAN).expect(0);
    lab.assert_pristine();
}

#[test]
fn a_write_that_waits_outlives_the_restart_of_both_units_and_holds_up_no_other() {
    let lab = Lab::fresh();
    let (mdev, other) = (lab.devices.get("MDEV_GPU"), lab.devices.get("PLAIN_GPU"));
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    let made = lab.gpuvirt(&format!("vgpu create --gpu {mdev} --profile lab-1q -o json")).expect(0).json();
    let id = made["id"].as_str().unwrap();
    let waits = lab.sh(&format!(
        "at_work() {{ for pid in $(pgrep -x gpuvirt-writer); do
            ! ls -l /proc/$pid/fd 2>/dev/null | grep -q memfd:gpuvirt-writer || echo $pid; done; }}
         echo Y >/sys/module/gpuvirt_mdev/parameters/hold_remove
         setsid gpuvirt vgpu remove {id} >/tmp/e2e-removal 2>&1 </dev/null &
         for try in {{1..600}}; do [ -e /sys/bus/mdev/devices/{id} ] || break; read -rt 0.1 <> <(:); done; at_work"
    ));
    let waits = waits.expect(0).text().to_owned();
    let still = |lab: &Lab, after: &str| {
        let state = lab.sh(&format!("ls -l /proc/{waits}/fd; cat /proc/{waits}/cgroup"));
        state.expect(0).says("memfd:gpuvirt-writer").says("/gpuvirt-writer.service");
        lab.gpuvirt("status").expect(0).says("still waits in the kernel");
        lab.gpuvirt(&format!("gpu set {other} --type direct")).expect(0);
        lab.gpuvirt(&format!("gpu set {other} --type shared")).expect(0);
        println!("after {after}: process {waits} waits on, another GPU was switched");
    };
    for action in [
        "restart gpuvirtd",
        "restart gpuvirt-writer",
        "restart gpuvirtd gpuvirt-writer",
        "kill --kill-whom=main -s KILL gpuvirt-writer",
    ] {
        lab.sh(&format!("timeout 60 systemctl {action}")).expect(0);
        still(&lab, action);
    }
    lab.sh(&format!(
        "echo N >/sys/module/gpuvirt_mdev/parameters/hold_remove
         for try in {{1..600}}; do [ -d /proc/{waits} ] || break; read -rt 0.1 <> <(:); done
         for try in {{1..600}}; do ls /var/lib/gpuvirt/journal/*.json >/dev/null 2>&1 || break; read -rt 0.1 <> <(:); done
         ! test -d /proc/{waits}"
    ))
    .expect(0);
    lab.assert_settled("a write that outlived both units");
    lab.sh("[ $(pgrep -cx gpuvirt-writer) -le 3 ] && systemctl --failed --no-legend")
        .expect(0)
        .never_says("gpuvirt");
    lab.sh(&format!("[ ! -e /sys/bus/mdev/devices/{id} ] || gpuvirt vgpu remove {id}")).expect(0);
    lab.assert_pristine();
}

#[test]
fn without_writers_the_daemon_answers_and_changes_nothing() {
    let lab = Lab::fresh();
    let (gpu, mdev) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    let before = lab.picture();
    let gone = "systemctl -q mask --runtime gpuvirt-writer.socket gpuvirt-writer.service
        systemctl stop gpuvirt-writer.socket gpuvirt-writer.service";
    lab.sh(&format!("{gone}; timeout 60 systemctl restart gpuvirtd; ! pgrep -x gpuvirt-writer")).expect(0);
    lab.gpuvirt("gpu list").expect(0).says(gpu);
    for change in [
        format!("gpu set {gpu} --type direct"),
        format!("gpu set {gpu} --type direct --dry-run"),
        format!("vgpu create --gpu {mdev} --profile lab-1q"),
    ] {
        let refused = lab.gpuvirt(&change);
        println!("{refused}");
        refused.expect(3).says("[no-writer]").says("systemctl start gpuvirt-writer.socket");
    }
    lab.gpuvirt("status").expect(0).says("[no-writer]").says("systemctl start gpuvirt-writer.socket");
    lab.gpuvirt("doctor").expect(3).says("no-writer");
    assert_eq!(lab.picture(), before);
    // VMs without our devices are no matter of it.
    let guest = lab.guest("plain", "");
    guest.run().expect(0).says("L2-DONE");
    // The daemon goes on where the socket comes back: it is asked for each writer.
    lab.sh("systemctl -q unmask --runtime gpuvirt-writer.socket gpuvirt-writer.service; systemctl start gpuvirt-writer.socket")
        .expect(0);
    lab.gpuvirt("status").expect(0).never_says("no-writer");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.gpuvirt(&format!("gpu set {mdev} --type shared")).expect(0);
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

/// The answer to the order, and to the same one by the next daemon, which does not know that answer.
fn ordered_twice(lab: &Lab, order: &str) -> [serde_json::Value; 2] {
    let first = lab.gpuvirt(order).expect(0).json();
    assert_eq!(first["outcome"]["outcome"], "changed", "{first}");
    lab.sh("systemctl kill -s KILL gpuvirtd; systemctl restart gpuvirtd").expect(0);
    let again = lab.gpuvirt(order).expect(0).json();
    assert_eq!(again["outcome"]["outcome"], "unchanged", "{again}");
    [first, again]
}

#[test]
fn what_has_no_name_before_it_is_made_is_made_once_for_its_key() {
    let lab = Lab::fresh();
    let key = |first: char| format!("--key {first}73f1fa6-489e-4834-9476-d70dabd98c40");
    let gpu = lab.sriov_gpu();
    lab.give_to_gpuvirt_vf(&gpu, VfForm::VendorVfio);
    lab.enable_vfs(&gpu);
    let create = format!("{} vgpu create --gpu {gpu} --profile lab-1q -o json", key('c'));
    let [first, again] = ordered_twice(&lab, &create);
    assert_eq!(again["id"], first["id"]);
    assert_eq!(lab.vgpus().len(), 1);
    let _defined = lab.guest("keyed", "");
    let definition = || lab.sh("virsh dumpxml --inactive keyed").expect(0).text().to_owned();
    ordered_twice(&lab, &format!("{} vm add keyed --profile lab-1q -o json", key('d')));
    assert_eq!(definition().matches("<hostdev ").count(), 1, "{}", definition());
    lab.gpuvirt(&format!("vgpu remove {}", first["id"].as_str().unwrap())).expect(0);
    lab.sh("virsh -q undefine keyed").expect(0);
}

/// `scripts/test --full`.
mod full {
    use super::*;

    /// What node_exporter would refuse, or promtool warn of, in its text format.
    fn lint(text: &str) -> Vec<String> {
        let (mut wrong, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        let (mut helped, mut typed) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                helped = rest.split(' ').next().unwrap().to_owned();
                if rest.len() <= helped.len() + 1 || !seen.insert(format!("help of {helped}")) {
                    wrong.push(format!("no help, or a second one: {line}"));
                }
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                typed = rest.strip_suffix(" gauge").unwrap_or_default().to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap_or_default();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
                let right = name.starts_with("gpuvirt_")
                    && name.chars().all(is_name)
                    && labels.ends_with('}')
                    && value.parse::<f64>().is_ok();
                if !right || name != helped || name != typed || !seen.insert(series.to_owned()) {
                    wrong.push(line.to_owned());
                }
            }
        }
        wrong
    }

    #[test]
    fn the_timer_that_nobody_enabled_puts_numbers_where_node_exporter_reads_them() {
        let lab = Lab::fresh();
        let (folder, file) =
            ("/var/lib/prometheus/node-exporter", "/var/lib/prometheus/node-exporter/gpuvirt.prom");
        lab.sh("systemctl is-enabled gpuvirt-metrics.timer").says("disabled");
        lab.sh("systemctl is-active gpuvirt-metrics.timer").says("inactive");
        lab.sh(&format!("rm -rf {folder}; systemctl start gpuvirt-metrics.service")).expect(1);
        lab.sh("journalctl -b -o cat -u gpuvirt-metrics").says("writing").says("No such file or directory");
        // As Debian's package makes it, for a user of its own; and a link by the file's name, which is not to be followed.
        lab.sh(&format!(
            "install -d -o nobody {folder}; echo untouched >/tmp/e2e-victim; ln -s /tmp/e2e-victim {file}
         systemctl -q enable --now gpuvirt-metrics.timer
         timeout 60 bash -c 'until grep -q ^gpuvirt_up {file}; do read -rt 0.1 <> <(:) || :; done'"
        ))
        .expect(0);
        let text = lab.sh(&format!("cat {file}")).expect(0).stdout;
        let gpu = lab.devices.get("PLAIN_GPU");
        assert!(
            text.contains("gpuvirt_up 1\n") && text.contains(&format!("gpuvirt_gpu{{gpu=\"{gpu}\"")),
            "{text}"
        );
        assert_eq!(lint(&text), Vec::<String>::new(), "{text}");
        lab.sh(&format!("cat /tmp/e2e-victim; stat -c '%a %F' {file}; ls -A {folder}"))
            .expect(0)
            .says("untouched\n644 regular file\ngpuvirt.prom");
        // A daemon that does not answer is a number too, and no failed unit.
        lab.sh("systemctl stop gpuvirtd; systemctl start gpuvirt-metrics.service").expect(0);
        assert_eq!(
            lint(&lab.sh(&format!("cat {file}")).expect(0).says("gpuvirt_up 0").stdout),
            Vec::<String>::new()
        );
        lab.sh(&format!(
        "systemctl -q disable --now gpuvirt-metrics.timer; systemctl start gpuvirtd
         systemctl reset-failed gpuvirt-metrics.service; rm -rf /var/lib/prometheus /tmp/e2e-victim; test ! -e {file}"
    ))
    .expect(0);
    }
}
