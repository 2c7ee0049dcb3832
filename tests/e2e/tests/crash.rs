//! gpuvirtd killed in the middle of a change, at every call of the kernel that the change makes: systemd starts the next
//! one, and the host is as it was before or as was asked for, never in between.
//!
//! The module gpuvirt_fault kills it: before the call does anything, and while it runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Moment, Point, RENAME, SET_OVERRIDE, UNLINK};

/// Most calls of one function in a change.
const CALLS: usize = 20;
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

/// Kills the daemon at every call of every function.
fn killed_everywhere(lab: &Lab, change: &Change<'_>, moment: Moment) {
    let before = lab.picture();
    lab.sh(change.command).expect(0);
    let after = lab.picture();
    assert_ne!(before, after, "{} changes nothing: the test tests nothing", change.command);
    lab.sh(change.back).expect(0);
    assert_eq!(lab.picture(), before, "{} does not lead back", change.back);
    let (mut undone, mut kept) = (0, 0);
    for function in change.functions {
        let mut nth = 1;
        while killed_once(
            lab,
            change,
            Point { function, nth, moment },
            (&before, &after),
            &mut (&mut undone, &mut kept),
        ) {
            nth += 1;
            assert!(nth < CALLS, "{function} is called without end");
        }
        assert!(nth > 1, "{} never calls {function}: the test tests nothing", change.command);
    }
    // Both ends were seen: the kills reached from before the first write to after the documents were stored.
    assert!(undone > 0 && kept > 0, "{}: {undone} taken back, {kept} done", change.command);
    println!("{}: killed {} times, {undone} taken back, {kept} done", change.command, undone + kept);
}

/// One kill; whether the change makes that call at all. The host is where the change begins again afterwards.
fn killed_once(
    lab: &Lab,
    change: &Change<'_>,
    point: Point<'_>,
    (before, after): (&str, &str),
    (undone, kept): &mut (&mut u32, &mut u32),
) -> bool {
    let killed = lab.killed_at(point, change.command);
    let now = lab.picture();
    if !killed.struck {
        killed.output.expect(0);
        lab.sh(change.back).expect(0);
        return false;
    }
    let said = killed.output.to_string();
    assert!(killed.ready_ms < READY_MS, "ready after {} ms\n{said}", killed.ready_ms);
    assert!(now == before || now == after, "in between:\n{now}\nbefore:\n{before}\n{said}");
    lab.assert_settled(&said);
    // An answer that came all the same is true.
    assert!(killed.output.code != 0 || now == after, "answered as done\n{said}");
    if now == after {
        **kept += 1;
        lab.sh(change.back).expect(0);
        assert_eq!(lab.picture(), before, "after {said}");
    } else {
        **undone += 1;
    }
    true
}

fn kill_on_the_way_to_direct(moment: Moment) {
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
        moment,
    );
    lab.assert_pristine();
}

fn kill_on_the_way_back_to_shared(moment: Moment) {
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
        moment,
    );
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    lab.assert_pristine();
}

fn kill_while_virtual_functions_are_enabled_and_taken_away(moment: Moment) {
    let lab = Lab::fresh();
    let gpu = lab.sriov_gpu();
    let (shared, direct) = (
        format!("gpuvirt gpu set {gpu} --type shared"),
        format!("gpuvirt gpu set {gpu} --type shared-direct"),
    );
    lab.sh(&shared).expect(0);
    let functions = [RENAME, "sriov_drivers_autoprobe_store", "sriov_numvfs_store", UNLINK];
    killed_everywhere(&lab, &Change { command: &direct, functions: &functions, back: &shared }, moment);
    lab.sh(&direct).expect(0);
    killed_everywhere(
        &lab,
        &Change { command: &shared, functions: &["sriov_numvfs_store", UNLINK], back: &direct },
        moment,
    );
    lab.sh(&shared).expect(0);
    lab.assert_pristine();
}

fn kill_while_vgpus_are_made_and_removed(moment: Moment) {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let uuid = |n: u32| format!("00000000-0000-4000-8000-00000000000{n}");
    let create = format!("gpuvirt vgpu create --gpu {gpu} --profile lab-1q --uuid {}", uuid(1));
    let remove = format!("gpuvirt vgpu remove {}", uuid(1));
    killed_everywhere(
        &lab,
        &Change { command: &create, functions: &[RENAME, "mdev_device_create", UNLINK], back: &remove },
        moment,
    );
    // Another one stands beside, ours too: it is left alone.
    lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {}", uuid(2))).expect(0);
    lab.sh(&create).expect(0);
    // A removal that is kept from running has taken its own file away already: no kernel leaves that behind.
    let removal: &[&str] = match moment {
        Moment::Before => &[RENAME, UNLINK],
        Moment::During => &[RENAME, "mdev_device_remove", UNLINK],
    };
    killed_everywhere(&lab, &Change { command: &remove, functions: removal, back: &create }, moment);
    for n in [1, 2] {
        lab.gpuvirt(&format!("vgpu remove {}", uuid(n))).expect(0);
    }
    lab.assert_pristine();
}

fn kill_while_several_vgpus_are_made_at_once(moment: Moment) {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    let before = lab.picture();
    let create = format!("gpuvirt vgpu create --gpu {gpu} --profile lab-1q --count 4");
    let mut ends = Vec::new();
    for nth in 1..=4 {
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
    kill_on_the_way_to_direct(Moment::During);
}

#[test]
fn killed_on_the_way_back_to_shared() {
    kill_on_the_way_back_to_shared(Moment::During);
}

#[test]
fn killed_while_virtual_functions_are_enabled_and_taken_away() {
    kill_while_virtual_functions_are_enabled_and_taken_away(Moment::During);
}

#[test]
fn killed_while_vgpus_are_made_and_removed() {
    kill_while_vgpus_are_made_and_removed(Moment::During);
}

#[test]
fn killed_while_several_vgpus_are_made_at_once() {
    kill_while_several_vgpus_are_made_at_once(Moment::During);
}

mod full {
    use super::Moment;

    #[test]
    fn killed_on_the_way_to_direct_before_each_write() {
        super::kill_on_the_way_to_direct(Moment::Before);
    }

    #[test]
    fn killed_on_the_way_back_to_shared_before_each_write() {
        super::kill_on_the_way_back_to_shared(Moment::Before);
    }

    #[test]
    fn killed_while_virtual_functions_are_enabled_and_taken_away_before_each_write() {
        super::kill_while_virtual_functions_are_enabled_and_taken_away(Moment::Before);
    }

    #[test]
    fn killed_while_vgpus_are_made_and_removed_before_each_write() {
        super::kill_while_vgpus_are_made_and_removed(Moment::Before);
    }

    #[test]
    fn killed_while_several_vgpus_are_made_at_once_before_each_write() {
        super::kill_while_several_vgpus_are_made_at_once(Moment::Before);
    }
}
