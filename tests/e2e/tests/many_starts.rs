//! Many VMs that start at once, each with a vGPU of its own, while somebody lists VMs all the time and the driver is slow.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// Longest that our hook may keep libvirt waiting, in milliseconds: 10 s are gpuvirtd's; the rest is what it takes to start three
/// programs for each of these VMs on two emulated processors. That gpuvirtd was not waited for in vain is told by what it said.
const HOOK_AT_MOST: u64 = 30_000;
/// Hooks of the admin's before ours and behind it, which note when they were called: between them is ours alone.
const CLOCKS: &str = r#"for when in 00 90; do cat >/etc/libvirt/hooks/qemu.d/$when-e2e <<HOOK
#!/bin/bash
[ "\$2" != prepare ] || echo "\${EPOCHREALTIME/./}" >/tmp/e2e-clock-$when-\$1
HOOK
chmod 755 /etc/libvirt/hooks/qemu.d/$when-e2e; done"#;

/// What became of one of the starts.
#[derive(Debug)]
struct Start {
    vm: String,
    /// virsh's exit code.
    code: i32,
    /// What virsh said.
    said: String,
    /// Milliseconds that our hook took.
    hook: u64,
}

/// A lab with that many VMs, whose driver takes so long for each vGPU.
fn with_vms(vms: usize, delay_ms: u32) -> Lab {
    let lab = Lab::fresh();
    lab.gpuvirt(&format!("gpu set {} --type shared-direct", lab.devices.get("MDEV_GPU"))).expect(0);
    lab.sh(CLOCKS).expect(0);
    lab.sh(&format!(
        "cd /sys/module/gpuvirt_mdev/parameters; echo {delay_ms} >create_delay_ms; echo 64 >pool_gib
        for i in $(seq {vms}); do
            /lab/guest-domain vm$i --memory 16 >/tmp/e2e-vm.xml && virsh -q define /tmp/e2e-vm.xml &&
            gpuvirt vm add vm$i --profile lab-1q || exit 1
        done"
    ))
    .expect(0);
    lab
}

/// Starts all of them at once while `virsh list` loops, which must not stop either.
fn start_all(lab: &Lab, vms: usize) -> Vec<Start> {
    let script = format!(
        "( while [ ! -e /tmp/e2e-stop ]; do timeout 300 virsh -q list --all >/dev/null || touch /tmp/e2e-list-hangs; done ) & list=$!
         for i in $(seq {vms}); do (
            s=$EPOCHREALTIME; virsh -q start --paused vm$i >/tmp/e2e-out-vm$i 2>&1
            echo \"vm$i $? $(( (${{EPOCHREALTIME/./}} - ${{s/./}}) / 1000 ))\" >/tmp/e2e-rc-vm$i
         ) & pids=\"${{pids:-}} $!\"; done
         wait $pids; touch /tmp/e2e-stop; wait $list; [ ! -e /tmp/e2e-list-hangs ] || exit 1
         for i in $(seq {vms}); do
            hook=$(( ($(cat /tmp/e2e-clock-90-vm$i) - $(cat /tmp/e2e-clock-00-vm$i)) / 1000 ))
            echo \"$(cat /tmp/e2e-rc-vm$i) $hook $(cat /tmp/e2e-out-vm$i | tr '\\n' ' ')\"
         done"
    );
    let output = lab.sh(&script).expect(0);
    println!("VM, exit code, milliseconds of virsh and of the hook, what virsh said:\n{}", output.stdout);
    output.stdout.lines().map(parsed).collect()
}

fn parsed(line: &str) -> Start {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    Start {
        vm: words[0].to_owned(),
        code: words[1].parse().unwrap(),
        hook: words[3].parse().unwrap(),
        said: words[4].to_owned(),
    }
}

/// All that were started have a vGPU each, and nobody else has; then all of it goes.
fn assert_each_has_its_own(lab: &Lab, started: &[&Start]) {
    assert_eq!(lab.mediated_devices().len(), started.len(), "a vGPU for each that was started");
    let running = lab.sh("virsh -q list --name | sed '/^$/d' | sort").expect(0).stdout;
    let mut names: Vec<&str> = started.iter().map(|start| start.vm.as_str()).collect();
    names.sort_unstable();
    assert_eq!(running.lines().collect::<Vec<_>>(), names);
    lab.sh(&format!("for vm in {}; do virsh -q destroy $vm & done; wait", names.join(" "))).expect(0);
    lab.until_no_mediated_device();
    lab.until_settled();
    lab.assert_settled("after many starts");
}

/// A driver that makes all of them in time: none is refused, and none waits longer than its hook may.
fn all_start(vms: usize, delay_ms: u32) {
    let lab = with_vms(vms, delay_ms);
    let starts = start_all(&lab, vms);
    let refused: Vec<&Start> = starts.iter().filter(|start| start.code != 0).collect();
    assert!(refused.is_empty(), "{refused:#?}\n{}", lab.sh("journalctl -u gpuvirtd -n 60"));
    assert!(starts.iter().all(|start| start.hook < HOOK_AT_MOST), "{starts:#?}");
    assert_each_has_its_own(&lab, &starts.iter().collect::<Vec<_>>());
}

#[test]
fn many_starts_at_once_while_virsh_lists_and_creation_is_slow() {
    all_start(8, 200);
}

/// For long: `scripts/test --full`.
mod full {
    use super::*;

    #[test]
    fn thirty_two_starts_at_once() {
        all_start(32, 100);
    }

    #[test]
    fn twelve_starts_at_once_with_a_driver_that_is_three_times_as_slow() {
        all_start(12, 300);
    }

    #[test]
    fn five_starts_at_once_with_a_driver_that_takes_a_second_for_each() {
        all_start(5, 1000);
    }

    /// It can't make all of them in the time that a hook has: those that it can't are refused in that time, in one sentence,
    /// and nothing is left of them.
    #[test]
    fn more_starts_at_once_than_the_driver_makes_in_time() {
        let lab = with_vms(16, 1000);
        let starts = start_all(&lab, 16);
        let (started, refused): (Vec<&Start>, Vec<&Start>) = starts.iter().partition(|start| start.code == 0);
        assert!(!started.is_empty() && !refused.is_empty(), "{starts:#?}");
        for start in &starts {
            assert!(start.hook < HOOK_AT_MOST, "{start:#?}");
        }
        for start in &refused {
            let ours = format!("gpuvirt: VM {} cannot start", start.vm);
            assert!(start.said.contains(&ours) && start.said.contains("[busy]"), "{start:#?}");
            assert_eq!(start.said.matches("gpuvirt: ").count(), 1, "one sentence of ours: {start:#?}");
        }
        lab.until(&format!("[ $(ls /sys/bus/mdev/devices | wc -l) = {} ]", started.len()));
        // Started again, as it says, when the others have theirs.
        lab.until_settled();
        lab.virsh_start(&refused[0].vm).expect(0);
        assert_each_has_its_own(&lab, &started.into_iter().chain([refused[0]]).collect::<Vec<_>>());
    }
}
