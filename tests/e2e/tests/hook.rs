//! libvirt's hook: the rules at every start, whoever starts the VM, with the real libvirt and virsh.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Output};

/// A lab whose mediated-device GPU makes vGPUs.
fn with_vgpus() -> Lab {
    let lab = Lab::fresh();
    let shared = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
    lab
}

/// Starts a domain without running it: all hooks, no guest.
fn start(lab: &Lab, name: &str) -> Output {
    lab.sh(&format!("virsh -q start --paused {name}"))
}

fn stop(lab: &Lab, name: &str) {
    lab.sh(&format!("virsh -q destroy {name}")).expect(0);
}

/// Waits, on the condition and no longer than two minutes, until no mediated device is left.
fn until_no_vgpu(lab: &Lab) {
    lab.sh("for i in $(seq 600); do [ -n \"$(ls /sys/bus/mdev/devices)\" ] || exit 0; sleep 0.2; done; \
            ls /sys/bus/mdev/devices; gpuvirt vgpu list; journalctl -u gpuvirtd -n 30; exit 1")
        .expect(0);
}

fn vgpus(lab: &Lab) -> Vec<String> {
    lab.sh("ls /sys/bus/mdev/devices").expect(0).stdout.lines().map(str::to_owned).collect()
}

/// A domain's definition with a hostdev that somebody wrote by hand.
fn attach_by_hand(lab: &Lab, name: &str, source: &str) {
    lab.sh(&format!("gpuvirt xml {source} > /tmp/e2e-hostdev.xml")).expect(0);
    let one = format!(
        "python3 - <<'P'\nimport re\nt=open('/tmp/e2e-hostdev.xml').read()\nfor i,h in enumerate(re.findall(r'<hostdev.*?</hostdev>',t,re.S)):\n  h=re.sub(r\"<alias[^>]*/>\",'',h)\n  open(f'/tmp/e2e-hostdev-{{i}}.xml','w').write(h)\nP\nfor f in /tmp/e2e-hostdev-[0-9].xml; do virsh -q attach-device --config {name} $f || exit 1; rm $f; done"
    );
    lab.sh(&one).expect(0);
}

#[test]
fn a_vgpu_of_a_profile_is_made_when_virsh_starts_the_vm_and_goes_with_it() {
    let lab = with_vgpus();
    let guest = lab.guest("late", "--hold --vnc-password hunter2");
    let before = guest.xml();
    lab.gpuvirt("vm add late --profile lab-2q").expect(0).never_says("hunter2");
    lab.gpuvirt("vm show late").expect(0).says("profile lab-2q").says("request-1");
    assert!(guest.xml().contains("hunter2"));
    assert_eq!(vgpus(&lab), Vec::<String>::new());
    guest.run().expect(0).says("class=0302");
    assert_eq!(vgpus(&lab).len(), 1);
    lab.gpuvirt("vgpu list").expect(0).says("late");
    guest.destroy();
    until_no_vgpu(&lab);
    lab.gpuvirt("vm remove late request-1").expect(0);
    // libvirt keeps the root ports that it made itself for the device; of ours nothing is left.
    let after = guest.xml();
    assert!(!after.contains("gpuvirt") && !after.contains("<hostdev"), "{after}");
    let lost: Vec<&str> = before.lines().filter(|line| !after.contains(*line)).collect();
    assert_eq!(lost, Vec::<&str>::new());
    lab.sh("! grep -r hunter2 /var/lib/gpuvirt /run/gpuvirt && ! journalctl -u gpuvirtd | grep hunter2")
        .expect(0);
}

#[test]
fn each_rule_is_said_in_virshs_own_error() {
    let lab = with_vgpus();
    let (whole, other) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MULTI_GPU"));
    for name in ["both", "full", "second", "late", "holder"] {
        lab.guest(name, "");
    }
    // Both modes.
    lab.gpuvirt(&format!("gpu set {whole} --type direct")).expect(0);
    lab.gpuvirt("vm add both --profile lab-1q").expect(0);
    attach_by_hand(&lab, "both", &format!("--gpu {whole}"));
    start(&lab, "both").expect(1).says("[mixed-modes]").says(whole);
    assert_eq!(vgpus(&lab), Vec::<String>::new(), "nothing was made for it");
    // A profile that no longer fits.
    lab.gpuvirt("vm add full --profile lab-8q").expect(0);
    lab.gpuvirt("vm add late --profile lab-1q").expect(0);
    start(&lab, "late").expect(0);
    start(&lab, "full").expect(1).says("[no-capacity]").says("lab-8q");
    stop(&lab, "late");
    until_no_vgpu(&lab);
    // A card that another VM holds.
    for name in ["holder", "second"] {
        lab.gpuvirt(&format!("vm add {name} --gpu {whole}")).expect(0);
    }
    start(&lab, "holder").expect(0);
    start(&lab, "second").expect(1).says("[gpu-in-use]").says("VM holder");
    stop(&lab, "holder");
    start(&lab, "second").expect(0);
    stop(&lab, "second");
    // A card that is not direct, whatever managed= says.
    lab.gpuvirt(&format!("gpu set {whole} --type shared")).expect(0);
    start(&lab, "second").expect(1).says("[not-passthrough]").says("gpuvirt gpu set");
    lab.sh("virsh dumpxml --inactive second | sed \"s/managed='no'/managed='yes'/\" > /tmp/e2e-m.xml && virsh -q define /tmp/e2e-m.xml")
        .expect(0);
    start(&lab, "second").expect(1).says("[not-passthrough]");
    assert_ne!(lab.binding(whole).split('/').next(), Some("vfio-pci"), "libvirt did not take it");
    // Nobody configured this one: libvirt's affair.
    attach_by_hand(&lab, "late", &format!("--gpu {other}"));
    lab.gpuvirt("vm remove late request-1").expect(0);
    start(&lab, "late").never_says("gpuvirt:");
}

#[test]
fn another_card_at_the_address_and_a_clone_are_refused() {
    let lab = with_vgpus();
    let whole = lab.devices.get("PLAIN_GPU");
    lab.guest("games", "--hold");
    lab.gpuvirt(&format!("gpu set {whole} --type direct")).expect(0);
    lab.gpuvirt(&format!("vm add games --gpu {whole}")).expect(0);
    // The configuration is another card's.
    lab.sh("systemctl stop gpuvirtd && sed -i '0,/\"device\": *\"[0-9a-f]*\"/s//\"device\": \"9999\"/' /var/lib/gpuvirt/state.json && systemctl start gpuvirtd")
        .expect(0);
    lab.sh("grep 9999 /var/lib/gpuvirt/state.json").expect(0);
    let refused = start(&lab, "games").expect(1).says("[identity-changed]");
    assert!(refused.stderr.contains("9999"), "{refused}");
    // A clone, as virt-clone and virsh leave it: another name, another uuid, the same metadata.
    lab.guest("first", "");
    lab.gpuvirt("vm add first --profile lab-1q").expect(0);
    lab.sh("virsh dumpxml --inactive first | sed -e 's|<name>first|<name>copy|' -e \"s|<uuid>.*</uuid>|<uuid>$(cat /proc/sys/kernel/random/uuid)</uuid>|\" > /tmp/e2e-copy.xml && virsh -q define /tmp/e2e-copy.xml")
        .expect(0);
    start(&lab, "copy").expect(1).says("[cloned-request]");
    lab.gpuvirt("vm show copy").expect(0).says("[copied-request]");
    start(&lab, "first").expect(0);
    stop(&lab, "first");
}

#[test]
fn a_vm_without_our_devices_starts_whatever_became_of_us() {
    let lab = with_vgpus();
    lab.guest("plain", "");
    lab.guest("ours", "");
    lab.gpuvirt("vm add ours --profile lab-1q").expect(0);
    lab.sh("systemctl stop gpuvirtd").expect(0);
    start(&lab, "plain").expect(0);
    stop(&lab, "plain");
    start(&lab, "ours").expect(1).says("gpuvirtd does not answer").says("systemctl start gpuvirtd");
    // A socket behind which nobody answers.
    lab.sh("mkdir -p /run/gpuvirt; systemd-run -q --unit e2e-dead-socket python3 -c 'import socket,time
s=socket.socket(socket.AF_UNIX); s.bind(\"/run/gpuvirt/gpuvirt.sock\"); s.listen(1); time.sleep(600)'; for i in $(seq 50); do [ -S /run/gpuvirt/gpuvirt.sock ] && break; sleep 0.1; done")
        .expect(0);
    start(&lab, "plain").expect(0);
    stop(&lab, "plain");
    lab.sh("systemctl stop e2e-dead-socket; rm -f /run/gpuvirt/gpuvirt.sock; mv /usr/bin/gpuvirt /usr/bin/gpuvirt.away").expect(0);
    let gone = start(&lab, "plain");
    lab.sh("virsh -q destroy plain; mv /usr/bin/gpuvirt.away /usr/bin/gpuvirt; systemctl start gpuvirtd")
        .expect(0);
    gone.expect(0);
    start(&lab, "ours").expect(0);
    stop(&lab, "ours");
    until_no_vgpu(&lab);
}

#[test]
fn a_hook_for_others_is_done_at_once() {
    let lab = with_vgpus();
    lab.guest("plain", "");
    // Beside a shell that starts a program which does nothing: a machine that is busy is slow with both.
    let measured = lab
        .sh(r#"virsh dumpxml plain > /tmp/e2e-plain.xml; rm -f /tmp/e2e-took-*
            took() { s=$EPOCHREALTIME; "${@:2}" < /tmp/e2e-plain.xml || exit 1; e=$EPOCHREALTIME; echo $(( ${e/./} - ${s/./} )) >>/tmp/e2e-took-$1; }
            for i in $(seq 21); do
                took hook /etc/libvirt/hooks/qemu.d/50-gpuvirt plain prepare begin -
                took nothing /bin/sh -c 'exec /bin/true'
            done
            for what in hook nothing; do sort -n /tmp/e2e-took-$what | sed -n 11p; done"#)
        .expect(0);
    let micros: Vec<u64> = measured.text().lines().map(|line| line.parse().unwrap()).collect();
    println!("hook for a VM without our devices, a program that does nothing: {micros:?} microseconds");
    assert!(micros[0] < micros[1] * 5, "{micros:?} us");
    // Filters leave the document unchanged by saying nothing; a running VM is never harmed.
    for operation in
        ["migrate begin", "restore begin", "reconnect begin", "started begin", "attach begin", "nonsense"]
    {
        let output =
            lab.sh(&format!("/etc/libvirt/hooks/qemu.d/50-gpuvirt plain {operation} - < /tmp/e2e-plain.xml"));
        assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{operation}");
    }
    lab.sh("echo '<domain' | /etc/libvirt/hooks/qemu.d/50-gpuvirt plain reconnect begin -").expect(0);
    // Nor is anything said of a document that has our devices: a filter's output would take its place.
    lab.guest("ours", "");
    lab.gpuvirt("vm add ours --profile lab-1q").expect(0);
    lab.sh("virsh dumpxml ours >/tmp/e2e-ours.xml").expect(0);
    for operation in ["migrate begin", "restore begin"] {
        let filter = format!("/etc/libvirt/hooks/qemu.d/50-gpuvirt ours {operation} - < /tmp/e2e-ours.xml");
        let output = lab.sh(&filter);
        assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{operation}");
    }
    // By libvirt itself, with nobody there to ask: what is restored is what was saved. The other guests' CPU can't be.
    lab.guest("saved", "--type qemu --memory 32");
    let state = "virsh dumpxml saved | sed \"s/ id='[0-9]*'//\"";
    lab.sh("systemctl stop gpuvirtd && virsh -q start --paused saved").expect(0);
    let before = lab.sh(state).expect(0).stdout;
    lab.sh("virsh -q save saved /var/lib/libvirt/images/e2e-saved && virsh -q restore --paused /var/lib/libvirt/images/e2e-saved; code=$?; rm -f /var/lib/libvirt/images/e2e-saved; exit $code").expect(0);
    assert_eq!(lab.sh(state).expect(0).stdout, before);
    lab.sh("virsh -q destroy saved; systemctl start gpuvirtd").expect(0);
}

#[test]
fn vm_start_chooses_and_libvirtd_may_go_and_come_back() {
    let lab = with_vgpus();
    lab.guest("late", "--hold");
    lab.gpuvirt("vm add late --profile lab-1q --count 2").expect(0);
    lab.gpuvirt("vm start late --explain").expect(0).says("would start").says(lab.devices.get("MDEV_GPU"));
    assert_eq!(vgpus(&lab), Vec::<String>::new());
    lab.gpuvirt("vm start late").expect(0).says("was started");
    assert_eq!(vgpus(&lab).len(), 2);
    lab.gpuvirt("vm start late").expect(0).says("runs already");
    lab.sh("systemctl restart gpuvirtd && systemctl restart libvirtd && virsh -q domstate late")
        .expect(0)
        .says("running");
    assert_eq!(vgpus(&lab).len(), 2);
    for id in vgpus(&lab) {
        lab.gpuvirt(&format!("vgpu remove {id}")).expect(3).says("[vgpu-in-use]");
    }
    stop(&lab, "late");
    until_no_vgpu(&lab);
}

#[test]
fn a_card_is_lent_to_a_vm_for_as_long_as_it_runs() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    let host = lab.binding(gpu);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct --when vm")).expect(0);
    assert_eq!(lab.binding(gpu), host, "nothing is done before a VM asks for it");
    lab.guest("games", "--hold");
    lab.gpuvirt(&format!("vm add games --gpu {gpu}")).expect(0);
    for _ in 0..2 {
        start(&lab, "games").expect(0);
        assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
        stop(&lab, "games");
        lab.sh(&format!(
            "for try in $(seq 300); do [ $(basename $(readlink /sys/bus/pci/devices/{gpu}/driver)) != vfio-pci ] && exit 0; \
             sleep 0.2; done; gpuvirt status; exit 1"
        ))
        .expect(0);
    }
    // What holds it on the host is named to who starts the VM, and the card stays where it is.
    let holder = "udevadm settle; setsid bash -c \"exec -a e2e-holder sleep 600 9<>$(readlink -f /dev/dri/by-path/pci-GPU-card)\" >/dev/null 2>&1 </dev/null &
        for try in {1..200}; do pgrep -f '^e2e-holder' >/dev/null && exit 0; done; exit 1";
    lab.sh(&holder.replace("GPU", gpu)).expect(0);
    start(&lab, "games").expect(1).says("[gpu-in-use]").says("sleep");
    lab.sh("pkill -f '^e2e-holder'; while pgrep -f '^e2e-holder' >/dev/null; do :; done").expect(0);
    lab.gpuvirt("vm remove games request-1").expect(0);
    lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
    lab.sh("virsh -q undefine games").expect(0);
    lab.assert_pristine();
}

#[test]
fn destroy_and_start_in_a_loop_loses_and_doubles_nothing() {
    destroy_and_start(4, 0);
}

/// That many rounds, where each removal takes the driver so long.
fn destroy_and_start(rounds: usize, remove_delay_ms: u32) {
    let lab = with_vgpus();
    lab.sh(&format!("echo {remove_delay_ms} > /sys/module/gpuvirt_mdev/parameters/remove_delay_ms"))
        .expect(0);
    lab.guest("loop", "");
    lab.gpuvirt("vm add loop --profile lab-4q").expect(0);
    start(&lab, "loop").expect(0);
    let first = vgpus(&lab);
    // Up to ten rounds at a time: what a test waits for is the lab, not the way there.
    for round in (0..rounds).step_by(10) {
        let now = rounds.min(round + 10) - round;
        lab.sh(&format!(
            "for round in $(seq {now}); do
                virsh -q destroy loop && virsh -q start --paused loop || exit 1
                [ \"$(ls /sys/bus/mdev/devices | xargs)\" = '{}' ] || {{ ls /sys/bus/mdev/devices; exit 2; }}
            done",
            first.join(" ")
        ))
        .expect(0);
    }
    stop(&lab, "loop");
    until_no_vgpu(&lab);
}

/// A VM starts while the driver does not let its vGPU go: it is refused in time, and starts when the driver has. What is
/// done before, and what tells besides that the removal is as far as is meant.
fn start_while_the_removal_waits(before: &str, waits: &str) {
    let hold = "/sys/module/gpuvirt_mdev/parameters/hold_remove";
    let lab = with_vgpus();
    lab.guest("again", "");
    lab.gpuvirt("vm add again --profile lab-4q").expect(0);
    lab.sh(before).expect(0);
    start(&lab, "again").expect(0);
    let first = vgpus(&lab);
    lab.sh(&format!("echo Y > {hold}")).expect(0);
    stop(&lab, "again");
    lab.sh(&format!(
        "timeout 60 bash -c 'while [ -e /sys/bus/mdev/devices/{} ] || ! {waits}; do read -rt 0.1 <> <(:) || :; done'",
        first[0]
    ))
    .expect(0);
    let answered = lab
        .sh("s=$EPOCHREALTIME; virsh -q start --paused again; code=$?
            echo $(( (${EPOCHREALTIME/./} - ${s/./}) / 1000 )); exit $code")
        .expect(1);
    println!("{answered}");
    // Under way still, or given up in that moment.
    assert!(answered.stderr.contains("[busy]") || answered.stderr.contains("[hands-off]"), "{answered}");
    assert_eq!(answered.stderr.matches("gpuvirt: ").count(), 1, "one sentence of ours: {answered}");
    // 10 s are the hook's; the rest is virsh and this slow host.
    assert!(answered.text().parse::<u64>().unwrap() < 15_000, "{answered}");
    // Where the wait was given up, the card is hands-off until the write has ended, and somebody may ask for its recovery.
    lab.sh(&format!(
        "echo N > {hold}
         timeout 60 bash -c 'until gpuvirt recover 2>/tmp/e2e-why; do read -rt 0.1 <> <(:) || :; done' || {{ cat /tmp/e2e-why; exit 1; }}"
    ))
    .expect(0);
    start(&lab, "again").expect(0);
    assert_eq!(vgpus(&lab), first);
    assert_eq!(lab.vgpus().len(), 1);
    stop(&lab, "again");
    until_no_vgpu(&lab);
    lab.assert_settled("a removal that the driver held back");
}

/// The same, for long: `scripts/test --full`.
mod full {
    #[test]
    fn destroy_and_start_a_hundred_times() {
        super::destroy_and_start(100, 0);
    }

    #[test]
    fn destroy_and_start_where_removals_are_slow() {
        super::destroy_and_start(4, 500);
    }

    #[test]
    fn a_start_is_answered_while_its_vgpu_is_being_removed() {
        super::start_while_the_removal_waits("true", "true");
    }

    #[test]
    fn a_start_is_answered_when_the_wait_for_the_removal_is_over() {
        super::start_while_the_removal_waits(
            "sed -i 's/^#short-deadline //' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd",
            "gpuvirt status | grep -q \"still waits in the kernel\"",
        );
    }
}
