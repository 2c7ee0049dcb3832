//! A start that libvirt calls off behind our hook's back: nothing of what the VM had got is left, and another VM gets it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// A second hook of the admin's, which comes after ours: it notes what libvirt tells, and ends what a file names with 1.
const SECOND_HOOK: &str = r#"cat >/etc/libvirt/hooks/qemu.d/90-e2e <<'HOOK'
#!/bin/bash
echo "$1 $2" >>/tmp/e2e-heard
[ ! -e "/tmp/e2e-refuses-$1-$2" ] || { echo 'not today' >&2; exit 1; }
[ ! -e "/tmp/e2e-holds-$1-$2" ] || { mkfifo /tmp/e2e-hold; read -r _ </tmp/e2e-hold; }
HOOK
chmod 755 /etc/libvirt/hooks/qemu.d/90-e2e"#;

/// Why libvirt calls the start of the VM `off` off.
struct Cause {
    /// What brings it about, as a shell script.
    spoil: &'static str,
    /// What virsh says.
    says: &'static str,
    /// The hooks that libvirt runs for it.
    hooks: &'static [&'static str],
}

const REFUSED_BESIDE_OURS: Cause = Cause {
    spoil: "touch /tmp/e2e-refuses-off-prepare",
    says: "not today",
    hooks: &["prepare", "stopped", "release"],
};
const REFUSED_LATER: Cause = Cause {
    spoil: "touch /tmp/e2e-refuses-off-start",
    says: "not today",
    hooks: &["prepare", "start", "stopped", "release"],
};
const REFUSED_WHEN_IT_RUNS: Cause = Cause {
    spoil: "touch /tmp/e2e-refuses-off-started",
    says: "not today",
    hooks: &["prepare", "start", "started", "stopped", "release"],
};
const NO_DISK: Cause = Cause {
    spoil: "virsh -q attach-disk --config off /var/lib/libvirt/images/e2e-none.img vda",
    says: "e2e-none.img",
    hooks: &["prepare", "stopped", "release"],
};
const QEMU_EXITS: Cause = Cause {
    spoil: r"virsh dumpxml --inactive off | sed -e '1s|>| xmlns:qemu=\x27http://libvirt.org/schemas/domain/qemu/1.0\x27>|' \
        -e 's|</domain>|<qemu:commandline><qemu:arg value=\x27-e2e-nonsense\x27/></qemu:commandline></domain>|' >/tmp/e2e-off.xml &&
        virsh -q define /tmp/e2e-off.xml",
    says: "e2e-nonsense",
    hooks: &["prepare", "start", "stopped", "release"],
};
/// libvirt finds that out before it runs any hook.
const NO_EMULATOR: Cause = Cause {
    spoil: "ln -s /usr/bin/qemu-system-x86_64 /usr/bin/e2e-qemu && virsh dumpxml --inactive off |
        sed 's|/usr/bin/qemu-system-x86_64|/usr/bin/e2e-qemu|' >/tmp/e2e-off.xml && virsh -q define /tmp/e2e-off.xml; rm /usr/bin/e2e-qemu",
    says: "e2e-qemu",
    hooks: &[],
};

/// A lab with two VMs that ask for the same: `off`, whose start is called off, and `next`.
fn with_two(gpu: &str, graphics_type: &str, wants: &str) -> Lab {
    let lab = Lab::fresh();
    let gpu = lab.devices.get(gpu).to_owned();
    lab.gpuvirt(&format!("gpu set {gpu} --type {graphics_type}")).expect(0);
    for name in ["off", "next"] {
        lab.guest(name, "--memory 16");
        lab.gpuvirt(&format!("vm add {name} {}", wants.replace("GPU", &gpu))).expect(0);
    }
    lab.sh(SECOND_HOOK).expect(0);
    lab
}

/// One vGPU takes the whole card.
fn with_room_for_one() -> Lab {
    with_two("MDEV_GPU", "shared-direct", "--profile lab-8q")
}

/// The hooks that libvirt has run for `off` since this was last asked.
fn heard(lab: &Lab) -> Vec<String> {
    let log = lab.sh("touch /tmp/e2e-heard; sed -n 's/^off //p' /tmp/e2e-heard; rm /tmp/e2e-heard").expect(0);
    log.stdout.lines().map(str::to_owned).collect()
}

/// Nothing is left of the start of `off`: what it had is `next`'s at once, and then the host is as it was before.
#[track_caller]
fn assert_nothing_is_left(lab: &Lab, after: &str) {
    let next = lab.virsh_start("next");
    assert_eq!(next.code, 0, "{after}: what it had is not free: {next}");
    assert!(lab.mediated_devices().len() <= 1, "{after}: what it had is there still");
    lab.gpuvirt("vm show off").expect(0).says("shut off");
    lab.virsh_destroy("next");
    lab.until("/lab/e2e/picture | cmp -s - /tmp/e2e-before");
    lab.until_settled();
    lab.assert_settled(after);
    assert_eq!(lab.vgpus().len(), 0, "{after}");
    lab.sh("grep typeId /var/lib/gpuvirt/state.json").expect(1);
}

/// By virsh and by our own command: what is left is nothing, whichever hooks libvirt ran.
#[track_caller]
fn called_off(lab: &Lab, cause: &Cause) {
    lab.sh(&format!("{} && /lab/e2e/picture >/tmp/e2e-before", cause.spoil)).expect(0);
    for by in ["virsh -q start --paused off", "gpuvirt vm start off"] {
        lab.sh(by).expect(1).says(cause.says).never_says("gpuvirt: VM off cannot start");
        assert_eq!(heard(lab), cause.hooks, "{by}");
        assert_nothing_is_left(lab, by);
    }
}

#[test]
fn what_a_start_had_that_a_hook_beside_ours_refused_is_free_again() {
    called_off(&with_room_for_one(), &REFUSED_BESIDE_OURS);
}

#[test]
fn what_a_start_had_whose_qemu_exits_is_free_again() {
    called_off(&with_room_for_one(), &QEMU_EXITS);
}

/// Every other moment, and every other kind of device: `scripts/test --full`.
mod full {
    use super::*;

    #[test]
    fn what_a_start_had_that_was_refused_later_is_free_again() {
        let lab = with_room_for_one();
        for cause in [REFUSED_LATER, REFUSED_WHEN_IT_RUNS] {
            called_off(&lab, &cause);
            lab.sh("rm /tmp/e2e-refuses-*").expect(0);
        }
    }

    #[test]
    fn what_a_start_had_whose_disk_is_gone_is_free_again() {
        called_off(&with_room_for_one(), &NO_DISK);
    }

    /// libvirt runs no hook at all: of what our own command has made, only it knows.
    #[test]
    fn what_our_own_start_had_where_libvirt_began_none_is_free_again() {
        called_off(&with_room_for_one(), &NO_EMULATOR);
    }

    #[test]
    fn a_card_of_a_start_that_was_called_off_is_free_again() {
        for graphics_type in ["direct", "direct --when vm"] {
            called_off(&with_two("PLAIN_GPU", graphics_type, "--gpu GPU"), &REFUSED_BESIDE_OURS);
        }
    }

    /// Nobody tells us that such a start has ended.
    #[test]
    fn what_a_start_had_whose_libvirtd_was_killed_is_free_again() {
        let lab = with_room_for_one();
        lab.sh("/lab/e2e/picture >/tmp/e2e-before; touch /tmp/e2e-holds-off-start
            setsid virsh -q start --paused off >/tmp/e2e-said 2>&1 </dev/null &")
            .expect(0);
        lab.until("[ -p /tmp/e2e-hold ]");
        assert_eq!(lab.mediated_devices().len(), 1, "it is past our hook");
        lab.sh("kill -9 $(cat /run/libvirtd.pid) && rm /tmp/e2e-holds-off-start && timeout 20 bash -c 'echo >/tmp/e2e-hold'")
            .expect(0);
        lab.until("virsh -q domstate off");
        assert_eq!(heard(&lab), ["prepare", "start"], "no release");
        // Who comes next is refused for its sake, and has gpuvirtd ask the libvirtd that runs now. Where that has answered
        // already, what is in the way is a vGPU that nobody has, and about to go.
        lab.virsh_start("next").expect(1).says("[no-capacity]");
        lab.until_no_mediated_device();
        assert_nothing_is_left(&lab, "kill -9 of libvirtd");
    }
}
