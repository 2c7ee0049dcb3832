//! libvirt's hook on a host that makes it hard: the admin's own hook beside ours, a libvirtd that is restarted while gpuvirtd
//! is stopped or does not answer, a program that crashes, VMs that are called like options, stored files that can't be understood.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Output};

/// The admin's own hook: it notes what it is called with, and refuses starts while a file says so.
const OWN_HOOK: &str = r#"cat >/etc/libvirt/hooks/qemu <<'HOOK'
#!/bin/sh
# the admin's own
cat >/dev/null
echo "$1 $2 $3" >>/tmp/e2e-own-hook
[ "$2" != prepare ] || [ ! -e /tmp/e2e-own-refuses ] || { echo 'not today' >&2; exit 1; }
HOOK
chmod 755 /etc/libvirt/hooks/qemu"#;
/// Its content, mode, owner and times.
const OF_OWN_HOOK: &str = "stat -c '%a %u:%g %y %z %i' /etc/libvirt/hooks/qemu; cat /etc/libvirt/hooks/qemu";
/// In gpuvirtd's place somebody who lets everyone in and answers nobody.
const DEAD_SOCKET: &str = r#"mkdir -p /run/gpuvirt; rm -f /tmp/e2e-asked
systemd-run -q --collect --unit e2e-dead-socket python3 -c 'import socket
s = socket.socket(socket.AF_UNIX); s.bind("/run/gpuvirt/gpuvirt.sock"); s.listen(8); kept = []
while True:
    kept.append(s.accept()); open("/tmp/e2e-asked", "a").write("asked\n")'
timeout 30 bash -c 'until [ -S /run/gpuvirt/gpuvirt.sock ]; do read -rt 0.1 <> <(:) || :; done'"#;
const STATE: &str = "/var/lib/gpuvirt/state.json";

/// A lab whose mediated-device GPU makes vGPUs, and a VM that asks for one.
fn with_vm(name: &str, options: &str) -> Lab {
    let lab = Lab::fresh();
    let shared = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
    lab.guest(name, options);
    lab.gpuvirt(&format!("vm add {name} --profile lab-1q")).expect(0);
    lab
}

/// Starts a domain without running it: all hooks, no guest.
fn start(lab: &Lab, name: &str) -> Output {
    lab.sh(&format!("virsh -q start --paused {name}"))
}

fn stop(lab: &Lab, name: &str) {
    lab.sh(&format!("virsh -q destroy {name}")).expect(0);
}

fn vgpus(lab: &Lab) -> Vec<String> {
    lab.sh("ls /sys/bus/mdev/devices").expect(0).stdout.lines().map(str::to_owned).collect()
}

/// Waits, on the condition and no longer than a minute, until no mediated device is left.
#[track_caller]
fn until_no_vgpu(lab: &Lab) {
    lab.sh("timeout 60 bash -c 'until [ -z \"$(ls /sys/bus/mdev/devices)\" ]; do read -rt 0.1 <> <(:) || :; done' ||
            { ls /sys/bus/mdev/devices; journalctl -u gpuvirtd -n 30; exit 1; }")
        .expect(0);
}

/// What the admin's hook was called with since it was last asked.
fn called(lab: &Lab) -> Vec<String> {
    let log = lab.sh("cat /tmp/e2e-own-hook && rm /tmp/e2e-own-hook").expect(0).stdout;
    log.lines().map(str::to_owned).collect()
}

#[test]
fn the_admins_own_hook_runs_beside_ours_and_is_left_as_it_is() {
    let lab = with_vm("ours", "");
    lab.sh(OWN_HOOK).expect(0);
    let own = lab.sh(OF_OWN_HOOK).expect(0).stdout;
    lab.sh("systemctl restart libvirtd").expect(0);
    start(&lab, "ours").expect(0);
    assert_eq!(vgpus(&lab).len(), 1, "ours ran");
    assert_eq!(called(&lab), ["ours prepare begin", "ours start begin", "ours started begin"]);
    stop(&lab, "ours");
    assert_eq!(called(&lab), ["ours stopped end", "ours release end"]);
    until_no_vgpu(&lab);
    // What the admin's refuses is refused, in their words, and nothing of ours is left of it.
    lab.sh("touch /tmp/e2e-own-refuses").expect(0);
    start(&lab, "ours").expect(1).says("not today").never_says("gpuvirt:");
    until_no_vgpu(&lab);
    assert_eq!(lab.sh(OF_OWN_HOOK).expect(0).stdout, own);
    lab.sh("rm /etc/libvirt/hooks/qemu").expect(0);
}

/// libvirtd is restarted, and finds the VM by its hooks again: the same process.
#[track_caller]
fn libvirtd_finds_it_again(lab: &Lab, name: &str, pid: &str) {
    lab.sh("rm -f /tmp/e2e-own-hook; systemctl restart libvirtd").expect(0);
    lab.sh(&format!(
        "timeout 60 bash -c 'until grep -qs \"^{name} reconnect begin\" /tmp/e2e-own-hook; do read -rt 0.1 <> <(:) || :; done'"
    ))
    .expect(0);
    // libvirt answers for a domain when its hooks have ended.
    lab.sh(&format!("virsh -q domstate {name} && cat /run/libvirt/qemu/{name}.pid && kill -0 {pid}"))
        .expect(0)
        .says("running\n")
        .says(pid);
}

#[test]
fn libvirtd_is_restarted_while_gpuvirtd_is_stopped_and_a_vm_of_ours_runs_on() {
    libvirtd_is_restarted_without_gpuvirtd("true", "! test -e /run/gpuvirt/gpuvirt.sock");
}

/// libvirtd is restarted with something else in gpuvirtd's place, which then did what it is there for.
fn libvirtd_is_restarted_without_gpuvirtd(in_its_place: &str, as_meant: &str) {
    let lab = with_vm("kept", "--hold");
    lab.sh(OWN_HOOK).expect(0);
    lab.sh("virsh -q start kept").expect(0);
    let pid = lab.sh("cat /run/libvirt/qemu/kept.pid").expect(0).text().to_owned();
    let made = vgpus(&lab);
    lab.sh("systemctl stop gpuvirtd gpuvirtd.socket").expect(0);
    lab.sh(in_its_place).expect(0);
    libvirtd_finds_it_again(&lab, "kept", &pid);
    lab.sh("systemctl is-active gpuvirtd").expect(3);
    lab.sh(as_meant).expect(0);
    lab.sh("systemctl stop e2e-dead-socket 2>/dev/null; rm -f /run/gpuvirt/gpuvirt.sock; systemctl start gpuvirtd")
        .expect(0);
    // Whoever was away when it was said knows it all the same.
    assert_eq!(vgpus(&lab), made);
    lab.gpuvirt(&format!("vgpu remove {}", made[0])).expect(3).says("[vgpu-in-use]").says("kept");
    stop(&lab, "kept");
    until_no_vgpu(&lab);
    lab.sh("rm /etc/libvirt/hooks/qemu").expect(0);
}

/// In our program's place one that prints half a document and crashes.
const CRASHING: &str = r#"mv /usr/bin/gpuvirt /usr/bin/gpuvirt-whole
printf '#!/bin/sh\necho "$5" >>/tmp/e2e-crashed\nprintf "<domain><na"\nkill -SEGV $$\n' >/usr/bin/gpuvirt
chmod 755 /usr/bin/gpuvirt; rm -f /tmp/e2e-crashed"#;
const WHOLE: &str = "mv /usr/bin/gpuvirt-whole /usr/bin/gpuvirt";

#[test]
fn a_program_that_crashes_ends_no_vm_and_changes_no_document() {
    let lab = with_vm("kept", "--hold");
    lab.sh(OWN_HOOK).expect(0);
    lab.guest("saved", "--type qemu --memory 32");
    lab.sh("virsh -q start kept && virsh -q start --paused saved").expect(0);
    let pid = lab.sh("cat /run/libvirt/qemu/kept.pid").expect(0).text().to_owned();
    let made = vgpus(&lab);
    let document = "virsh dumpxml saved | sed \"s/ id='[0-9]*'//\"";
    let before = lab.sh(document).expect(0).stdout;
    lab.sh(CRASHING).expect(0);
    libvirtd_finds_it_again(&lab, "kept", &pid);
    lab.sh("grep -qx reconnect /tmp/e2e-crashed").expect(0);
    lab.sh("virsh -q save saved /var/lib/libvirt/images/e2e-saved").expect(0);
    // A start, and with it a restored VM's, is refused by what can't judge it.
    start(&lab, "saved").expect(1);
    let restored = lab.sh("virsh -q restore --paused /var/lib/libvirt/images/e2e-saved");
    restored.expect(1).never_says("XML").never_says("document");
    lab.sh(WHOLE).expect(0);
    lab.sh("virsh -q restore --paused /var/lib/libvirt/images/e2e-saved; code=$?; rm -f /var/lib/libvirt/images/e2e-saved; exit $code")
        .expect(0);
    assert_eq!(lab.sh(document).expect(0).stdout, before);
    stop(&lab, "saved");
    assert_eq!(vgpus(&lab), made);
    stop(&lab, "kept");
    until_no_vgpu(&lab);
    lab.sh("rm /etc/libvirt/hooks/qemu").expect(0);
}

#[test]
fn a_vm_that_is_called_like_an_option_is_judged_and_runs_on() {
    let lab = with_vm("named", "--hold");
    for name in ["--help", "-o"] {
        lab.sh(&format!("virsh -q domrename --domain=named --new-name={name}")).expect(0);
        lab.sh("systemctl stop gpuvirtd gpuvirtd.socket").expect(0);
        let start = format!("virsh -q start --domain={name}");
        lab.sh(&start).expect(1).says("gpuvirt: VM ").says("gpuvirtd does not answer");
        lab.sh("systemctl start gpuvirtd.socket gpuvirtd").expect(0);
        lab.sh(&start).expect(0);
        assert_eq!(vgpus(&lab).len(), 1, "{name}: its vGPU was made");
        lab.sh(&format!("systemctl restart libvirtd && virsh -q domstate --domain={name}"))
            .expect(0)
            .says("running");
        lab.sh(&format!("virsh -q destroy --domain={name}")).expect(0);
        until_no_vgpu(&lab);
        lab.sh(&format!("virsh -q domrename --domain={name} --new-name=named")).expect(0);
    }
}

/// Two hundred and more nested elements in a VM's metadata, which libvirt takes, and the hostdevs of this file.
const DEEPENED: &str = r#"virsh -q dumpxml --inactive deep >/tmp/e2e-deep.xml && python3 - <<'P' && virsh -q define /tmp/e2e-deep.xml
import os, re
text = re.sub('<metadata>.*?</metadata>', '', open('/tmp/e2e-deep.xml').read(), flags=re.S)
deep = "<metadata><x:a xmlns:x='urn:e2e'>" + '<x:a>' * 210 + '</x:a>' * 210 + '</x:a></metadata>'
devices = open('/tmp/e2e-hostdev.xml').read() if os.path.exists('/tmp/e2e-hostdev.xml') else ''
text = text.replace('</uuid>', '</uuid>' + deep, 1).replace('</devices>', devices + '</devices>', 1)
open('/tmp/e2e-deep.xml', 'w').write(text)
P"#;

#[test]
fn a_definition_that_is_too_deep_to_be_read_starts_without_devices_alone() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.guest("deep", "");
    lab.sh("rm -f /tmp/e2e-hostdev.xml").expect(0);
    lab.sh(DEEPENED).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    start(&lab, "deep").expect(0);
    stop(&lab, "deep");
    lab.sh(&format!(
        "gpuvirt xml --gpu {gpu} | sed \"s/managed='no'/managed='yes'/; /<alias/d\" >/tmp/e2e-hostdev.xml"
    ))
    .expect(0);
    lab.sh(DEEPENED).expect(0);
    let before = lab.binding(gpu);
    start(&lab, "deep")
        .expect(1)
        .says("gpuvirt: VM deep has devices of the host")
        .says("200 levels of elements");
    assert_eq!(lab.binding(gpu), before, "libvirt did not take it");
    lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
    start(&lab, "deep").never_says("gpuvirt:");
}

#[test]
fn a_state_that_cant_be_understood_is_said_in_virshs_own_error_and_other_vms_start() {
    let lab = with_vm("ours", "");
    lab.guest("plain", "");
    lab.sh(&format!("cp -p {STATE} /tmp/e2e-state && truncate -s 100 {STATE} && cp {STATE} /tmp/e2e-torn"))
        .expect(0);
    // Under the daemon that knew better, and by one that never did.
    for daemon in ["true", "systemctl restart gpuvirtd"] {
        lab.sh(daemon).expect(0);
        let refused = start(&lab, "ours").expect(1).says("[state-unreadable]").says(STATE);
        assert_eq!(refused.stderr.matches("gpuvirt: ").count(), 1, "one sentence of ours: {refused}");
        assert_eq!(vgpus(&lab), Vec::<String>::new());
    }
    start(&lab, "plain").expect(0);
    stop(&lab, "plain");
    lab.gpuvirt("status").says(STATE);
    // Nobody wrote over it; the good one in its place is enough.
    lab.sh(&format!("cmp {STATE} /tmp/e2e-torn && cp -p /tmp/e2e-state {STATE}")).expect(0);
    start(&lab, "ours").expect(0);
    assert_eq!(vgpus(&lab).len(), 1);
    stop(&lab, "ours");
    until_no_vgpu(&lab);
}

#[test]
fn a_state_folder_that_others_can_write_to_is_said_in_virshs_own_error_and_other_vms_start() {
    const JOURNAL: &str = "/var/lib/gpuvirt/journal";
    let lab = with_vm("ours", "");
    lab.guest("plain", "");
    lab.sh(&format!("chmod g+w {JOURNAL} && systemctl restart gpuvirtd && systemctl is-active gpuvirtd"))
        .expect(0);
    start(&lab, "ours").expect(1).says("[state-unreadable]").says(JOURNAL).says("chmod go-w");
    start(&lab, "plain").expect(0);
    stop(&lab, "plain");
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(3).says("[state-unreadable]").says(JOURNAL);
    lab.gpuvirt("status").says(JOURNAL).says("systemctl restart gpuvirtd");
    lab.sh(&format!("chmod go-w {JOURNAL} && systemctl restart gpuvirtd")).expect(0);
    start(&lab, "ours").expect(0);
    stop(&lab, "ours");
    until_no_vgpu(&lab);
}

/// `scripts/test --full`.
mod full {
    #[test]
    fn libvirtd_is_restarted_while_gpuvirtd_does_not_answer_and_a_vm_of_ours_runs_on() {
        super::libvirtd_is_restarted_without_gpuvirtd(super::DEAD_SOCKET, "grep -q asked /tmp/e2e-asked");
    }
}
