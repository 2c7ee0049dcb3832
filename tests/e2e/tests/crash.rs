//! gpuvirtd killed in the middle of a change, at every call of the kernel that the change makes: systemd starts the next
//! one, and the host is as it was before or as was asked for, never in between.
//!
//! The module gpuvirt_fault kills it: before the call does anything, while it runs, and while it waits in the kernel until
//! the next daemon has recovered as far as it can. Here at the first calls of each function; in `full` at every call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Moment, Point, RENAME, SET_OVERRIDE, UNLINK};

/// Most calls of one function in a change.
const CALLS: usize = 20;
/// Its call has taken its own file away already when it begins: no kernel leaves it behind undone.
const ALWAYS_BEGUN: &str = "mdev_device_remove";
/// A start with recovery on a busy lab, and systemd's own pause before it where nobody asks for the start.
const READY_MS: u64 = 20_000;

/// A change, and how the next attempt gets the host where it begins.
struct Change<'a> {
    command: &'a str,
    /// The calls at which the daemon is killed.
    functions: &'a [&'a str],
    /// Takes the change back where it was done all the same.
    back: &'a str,
}

/// At which calls the daemon is killed, and when seen from them.
#[derive(Clone, Copy)]
struct Kills {
    moments: &'static [Moment],
    /// At every call of a function, not only where it matters most.
    every: bool,
}

impl Kills {
    /// To which call of a function: the journal is renamed first, the list of claims next and the documents last, and to remove
    /// a file is the last act of all, and not the first one.
    fn calls_of(self, function: &str) -> usize {
        match function {
            _ if self.every => CALLS,
            RENAME => 3,
            UNLINK => 0,
            _ => 1,
        }
    }
}

const FIRST_CALLS: Kills = Kills { moments: &[Moment::Before, Moment::During], every: false };

/// What came of the kills of one change.
#[derive(Default)]
struct Ends {
    undone: u32,
    kept: u32,
}

/// Kills the daemon at the calls of every function.
fn killed_everywhere(lab: &Lab, change: &Change<'_>, kills: Kills) {
    let before = lab.picture();
    lab.sh(change.command).expect(0);
    let after = lab.picture();
    assert_ne!(before, after, "{} changes nothing: the test tests nothing", change.command);
    lab.sh(change.back).expect(0);
    assert_eq!(lab.picture(), before, "{} does not lead back", change.back);
    let pictures = (before.as_str(), after.as_str());
    let mut ends = Ends::default();
    for &moment in kills.moments {
        for function in change.functions.iter().filter(|function| can_be_killed_at(function, moment)) {
            for nth in 1..=kills.calls_of(function) {
                assert!(nth < CALLS, "{function} is called without end");
                if !killed_once(lab, change, Point { function, nth, moment }, pictures, &mut ends) {
                    break;
                }
            }
        }
    }
    println!("{}: {} taken back, {} done", change.command, ends.undone, ends.kept);
    // Both ends were seen: the kills reached from before the first write to after the documents were stored.
    let held = kills.moments == [Moment::Held];
    assert!(ends.undone > 0 && (held || ends.kept > 0), "{}", change.command);
}

fn can_be_killed_at(function: &str, moment: Moment) -> bool {
    match moment {
        Moment::Before => function != ALWAYS_BEGUN,
        Moment::During => true,
        // A writer waits, and no call of the daemon's own.
        Moment::Held => ![RENAME, UNLINK].contains(&function),
    }
}

/// One kill; whether the change makes that call at all, which it does once at least. The host is where the change begins
/// again afterwards.
fn killed_once(
    lab: &Lab,
    change: &Change<'_>,
    point: Point<'_>,
    (before, after): (&str, &str),
    ends: &mut Ends,
) -> bool {
    let killed = lab.killed_at(point, change.command);
    let now = lab.picture();
    if !killed.struck {
        assert!(point.nth > 1, "it never calls {}: {}", point.function, killed.output);
        killed.output.expect(0);
        lab.sh(change.back).expect(0);
        return false;
    }
    let said = killed.output.to_string();
    assert!(killed.ready_ms < READY_MS, "ready after {} ms\n{said}", killed.ready_ms);
    if point.moment == Moment::Held {
        assert!(said.contains("hands-off") && said.contains("still waits in the kernel"), "{said}");
    }
    assert!(now == before || now == after, "in between:\n{now}\nbefore:\n{before}\n{said}");
    lab.assert_settled(&said);
    // An answer that came all the same is true.
    assert!(killed.output.code != 0 || now == after, "answered as done\n{said}");
    if now == after {
        ends.kept += 1;
        lab.sh(change.back).expect(0);
        assert_eq!(lab.picture(), before, "after {said}");
    } else {
        ends.undone += 1;
    }
    true
}

fn kill_on_the_way_to_direct(kills: Kills) {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MULTI_GPU");
    // No host driver of the lab claims the display function, so `shared` would stay pending; unmanaged it was before.
    killed_everywhere(
        &lab,
        &Change {
            command: &format!("gpuvirt gpu set {gpu} --type direct"),
            functions: &[RENAME, SET_OVERRIDE, "unbind_store", "drivers_probe_store", UNLINK],
            back: &format!("gpuvirt gpu set {gpu} --type shared; gpuvirt gpu unset {gpu}"),
        },
        kills,
    );
    lab.assert_pristine();
}

fn kill_on_the_way_back_to_shared(kills: Kills) {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    killed_everywhere(
        &lab,
        &Change {
            command: &format!("gpuvirt gpu set {gpu} --type shared"),
            functions: &[RENAME, SET_OVERRIDE, "unbind_store", "drivers_probe_store", UNLINK],
            back: &format!("gpuvirt gpu set {gpu} --type direct"),
        },
        kills,
    );
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.assert_pristine();
}

fn kill_while_virtual_functions_are_enabled_and_taken_away(kills: Kills) {
    let lab = Lab::fresh();
    let gpu = lab.sriov_gpu();
    let (shared, direct) = (
        format!("gpuvirt gpu set {gpu} --type shared"),
        format!("gpuvirt gpu set {gpu} --type shared-direct"),
    );
    lab.sh(&shared).expect(0);
    // The daemon writes autoprobe itself: it waits for nobody.
    let own = if kills.moments == [Moment::Held] { vec![] } else { vec!["sriov_drivers_autoprobe_store"] };
    let enable = [vec![RENAME, "sriov_numvfs_store", UNLINK], own].concat();
    killed_everywhere(&lab, &Change { command: &direct, functions: &enable, back: &shared }, kills);
    lab.sh(&direct).expect(0);
    let disable = [RENAME, "sriov_numvfs_store", UNLINK];
    killed_everywhere(&lab, &Change { command: &shared, functions: &disable, back: &direct }, kills);
    lab.sh(&shared).expect(0);
    lab.assert_pristine();
}

fn kill_while_vgpus_are_made_and_removed(kills: Kills) {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let uuid = |n: u32| format!("00000000-0000-4000-8000-00000000000{n}");
    let create = format!("gpuvirt vgpu create --gpu {gpu} --profile lab-1q --uuid {}", uuid(1));
    let remove = format!("gpuvirt vgpu remove {}", uuid(1));
    let making = [RENAME, "mdev_device_create", UNLINK];
    killed_everywhere(&lab, &Change { command: &create, functions: &making, back: &remove }, kills);
    // Another one stands beside, ours too: it is left alone.
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {}", uuid(2))).expect(0);
    lab.sh(&create).expect(0);
    let removal = [RENAME, ALWAYS_BEGUN, UNLINK];
    killed_everywhere(&lab, &Change { command: &remove, functions: &removal, back: &create }, kills);
    for n in [1, 2] {
        lab.gpuvirt(&format!("vgpu remove {}", uuid(n))).expect(0);
    }
    lab.assert_pristine();
}

fn kill_while_several_vgpus_are_made_at_once(calls: &[usize]) {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let before = lab.picture();
    let create = format!("gpuvirt vgpu create --gpu {gpu} --profile lab-1q --count 4");
    let mut ends = Vec::new();
    let points = calls.iter().flat_map(|nth| [Moment::Before, Moment::During].map(|moment| (*nth, moment)));
    for (nth, moment) in points {
        let killed = lab.killed_at(Point { function: "mdev_device_create", nth, moment }, &create);
        assert!(killed.struck, "{}", killed.output);
        lab.assert_settled(&killed.output.to_string());
        let made = lab.vgpus();
        assert!(made.is_empty() || made.len() == 4, "{made:?}\n{}", killed.output);
        ends.push(made.len());
        for vgpu in made {
            lab.gpuvirt(&format!("vgpu remove {}", vgpu["uuid"].as_str().unwrap())).expect(0);
        }
        assert_eq!(lab.picture(), before);
    }
    assert!(ends.contains(&0), "{ends:?}");
    lab.assert_pristine();
}

#[test]
fn killed_while_a_write_blocks_it_finishes_without_a_hand_when_the_write_ends() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    let uuid = "00000000-0000-4000-8000-000000000001";
    let hold = "/sys/module/gpuvirt_mdev/parameters/hold_remove";
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let without = lab.picture();
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {uuid}")).expect(0);
    let with = lab.picture();
    // The removal has begun when the device is no longer on its bus.
    let killed = lab.sh(&format!(
        "echo Y > {hold}; pid=$(systemctl show -P MainPID gpuvirtd)
        gpuvirt vgpu remove {uuid} & client=$!
        for try in {{1..200}}; do [ -e /sys/bus/mdev/devices/{uuid} ] || break; read -rt 0.1 <> <(:); done
        [ ! -e /sys/bus/mdev/devices/{uuid} ] || exit 90
        kill -9 $pid; began=$(date +%s%3N); wait $client; echo client $?
        until new=$(systemctl show -P MainPID gpuvirtd); [ $new != $pid ] && [ $new != 0 ] && systemctl -q is-active gpuvirtd; do
            [ $(date +%s%3N) -lt $((began + 60000)) ] || exit 92; read -rt 0.1 <> <(:); done
        echo ready $(($(date +%s%3N) - began))"
    ));
    let killed = killed.expect(0).says("client 1");
    let ready: u64 = killed.text().rsplit_once("ready ").unwrap().1.parse().unwrap();
    assert!(ready < READY_MS, "ready after {ready} ms");
    // It says what it waits for, and answers everything else.
    lab.gpuvirt("status").expect(0).says("hands-off").says("still waits in the kernel");
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q")).expect(3).says("[hands-off]");
    let other = lab.devices.get("PLAIN_GPU");
    lab.gpuvirt(&format!("gpu set {other} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {other} --type shared")).expect(0);
    // The write ends: nobody does anything.
    lab.sh(&format!(
        "echo N > {hold}; end=$(($(date +%s) + 40))
        until [ -z \"$(ls /var/lib/gpuvirt/journal/)\" ]; do [ $(date +%s) -lt $end ] || exit 90; read -rt 0.2 <> <(:); done; true"
    ))
    .expect(0);
    lab.assert_settled("a removal that ended after the daemon was killed");
    lab.gpuvirt("status").expect(0).says("settled: ").says(uuid);
    let now = lab.picture();
    assert!(now == with || now == without, "{now}");
    if now == with {
        lab.gpuvirt(&format!("vgpu remove {uuid}")).expect(0);
    }
    lab.assert_pristine();
}

#[test]
fn killed_on_the_way_to_direct() {
    kill_on_the_way_to_direct(FIRST_CALLS);
}

#[test]
fn killed_on_the_way_back_to_shared() {
    kill_on_the_way_back_to_shared(FIRST_CALLS);
}

#[test]
fn killed_while_virtual_functions_are_enabled_and_taken_away() {
    kill_while_virtual_functions_are_enabled_and_taken_away(FIRST_CALLS);
}

#[test]
fn killed_while_vgpus_are_made_and_removed() {
    kill_while_vgpus_are_made_and_removed(FIRST_CALLS);
}

#[test]
fn killed_while_several_vgpus_are_made_at_once() {
    kill_while_several_vgpus_are_made_at_once(&[2]);
}

/// Long enough for the hook's ten seconds, and the rest of a start on this slow host.
const START_MS: u64 = 15_000;

/// Kills the daemon while libvirt starts a VM whose vGPU is made at its start: at these calls.
fn kill_while_virsh_starts(points: &[(&str, usize, Moment)]) {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    lab.guest("late", "--memory 32");
    lab.gpuvirt("vm add late --profile lab-1q").expect(0);
    let before = lab.picture();
    let start = "s=$EPOCHREALTIME; virsh -q start --paused late; code=$?
        echo took $(( (${EPOCHREALTIME/./} - ${s/./}) / 1000 )) ms; exit $code";
    let none_left = "timeout 60 bash -c 'while [ -n \"$(ls /sys/bus/mdev/devices)\" ]; do read -rt 0.1 <> <(:) || :; done'";
    let mut made = std::collections::BTreeSet::new();
    for &(function, nth, moment) in points {
        let killed = lab.killed_at(Point { function, nth, moment }, start);
        assert!(killed.struck, "{}", killed.output);
        let said = killed.output.to_string();
        let took =
            killed.output.stdout.split("took ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(took.parse::<u64>().unwrap() < START_MS, "{said}");
        // It runs with its vGPU, or was refused and nothing of it stays; then it starts.
        if killed.output.code != 0 {
            assert!(killed.output.stderr.contains("gpuvirt: "), "{said}");
            lab.sh(none_left).expect(0);
            assert_eq!(lab.picture(), before, "{said}");
            lab.sh("virsh -q start --paused late").expect(0);
        }
        lab.assert_settled(&said);
        let vgpus = lab.vgpus();
        assert_eq!(vgpus.len(), 1, "{vgpus:?}\n{said}");
        lab.gpuvirt("vgpu list").expect(0).says("late");
        made.insert(vgpus[0]["uuid"].as_str().unwrap().to_owned());
        lab.sh(&format!("virsh -q destroy late && {none_left}")).expect(0);
        println!("{function} {nth} {moment:?}: start ended with {} in {took} ms", killed.output.code);
    }
    assert_eq!(made.len(), 1, "always the same: {made:?}");
    assert_eq!(lab.picture(), before);
}

#[test]
fn killed_while_virsh_starts_a_vm_whose_vgpu_is_made_late() {
    kill_while_virsh_starts(&[("mdev_device_create", 1, Moment::Before)]);
}

/// At every call: `scripts/test --full`.
mod full {
    use super::{Kills, Moment, RENAME, UNLINK};

    const BEFORE: Kills = Kills { moments: &[Moment::Before], every: true };
    const DURING: Kills = Kills { moments: &[Moment::During], every: true };
    const HELD: Kills = Kills { moments: &[Moment::Held], every: true };

    /// A test of the way for each moment.
    macro_rules! at_every_call {
        ($($way:ident: $before:ident, $during:ident, $held:ident;)*) => {$(
            #[test]
            fn $before() {
                super::$way(BEFORE);
            }

            #[test]
            fn $during() {
                super::$way(DURING);
            }

            #[test]
            fn $held() {
                super::$way(HELD);
            }
        )*};
    }

    at_every_call! {
        kill_on_the_way_to_direct: to_direct_before, to_direct_during, to_direct_held;
        kill_on_the_way_back_to_shared: to_shared_before, to_shared_during, to_shared_held;
        kill_while_virtual_functions_are_enabled_and_taken_away: vfs_before, vfs_during, vfs_held;
        kill_while_vgpus_are_made_and_removed: vgpus_before, vgpus_during, vgpus_held;
    }

    #[test]
    fn killed_while_virsh_starts_a_vm_at_each() {
        let calls = [(RENAME, 1), (RENAME, 2), ("mdev_device_create", 1), (UNLINK, 1)];
        let moments = [Moment::Before, Moment::During, Moment::Held];
        let all = calls.iter().flat_map(|(function, nth)| moments.map(|moment| (*function, *nth, moment)));
        let points: Vec<_> =
            all.filter(|(function, _, moment)| super::can_be_killed_at(function, *moment)).collect();
        super::kill_while_virsh_starts(&points);
    }

    #[test]
    fn several_vgpus_at_each() {
        super::kill_while_several_vgpus_are_made_at_once(&[1, 2, 3, 4]);
    }
}
