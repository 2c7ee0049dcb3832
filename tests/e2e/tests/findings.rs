//! Each finding of the doctor provoked on the real kernel, libvirt and systemd, and gone when that is undone: the table is
//! `tests/e2e/findings/provocations.toml`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Provocations, Set};

/// Nothing is configured: what is wrong with the host, its cards, and VMs whose definitions people write.
#[test]
fn what_befalls_a_host_without_our_help_is_found_and_gone_again() {
    let (lab, table) = (Lab::fresh(), Provocations::read());
    let wrong = table.on_stage(&lab, "bare", Set::Essential);
    lab.assert_pristine();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A card and a VM are gpuvirt's: what is wrong with what it was told.
#[test]
fn what_befalls_what_was_configured_is_found_and_gone_again() {
    let (lab, table) = (Lab::fresh(), Provocations::read());
    let wrong = table.on_stage(&lab, "configured", Set::Essential);
    lab.assert_pristine();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// libvirtd that stands still answers nobody. The doctor says so, and tells what it sees of the host all the same, within a
/// second more than it needs anyway.
#[test]
fn the_rest_is_told_while_libvirt_hangs() {
    let lab = Lab::fresh();
    let dirty = lab.devices.get("DIRTY_GPU");
    let timed = |what: &str| -> f64 {
        let took =
            lab.sh(&format!("TIMEFORMAT=%R; time gpuvirt doctor -o json >/tmp/e2e-{what}.json 2>/dev/null"));
        took.stderr.trim().parse().unwrap_or_else(|_| panic!("{took}"))
    };
    // It answered before: it runs, and how long it takes is known.
    lab.sh("virsh -q list && gpuvirt vm list").expect(0);
    let awake = timed("awake");
    lab.sh("pkill -STOP -x libvirtd").expect(0);
    let (first, again) = (timed("hung"), timed("again"));
    lab.sh("pkill -CONT -x libvirtd").expect(0);
    println!("the doctor took {awake} s, with a libvirt that hangs {first} s and {again} s");
    let found = lab.sh("cat /tmp/e2e-hung.json").expect(0);
    for part in ["libvirt-unreachable", "has not answered yet", "group-not-viable", dirty] {
        assert!(found.stdout.contains(part), "no {part}: {found}");
    }
    // Where a listing takes long anyway, it is waited for longer: four times the last.
    let most = awake.mul_add(4.0, 1.0);
    assert!(first < most && again < most, "{awake} s, then {first} s and {again} s");
    lab.sh("timeout 60 bash -c 'until gpuvirt doctor >/dev/null; do read -rt 0.2 <> <(:) || :; done'")
        .expect(0);
}

/// `scripts/test --full`.
mod full {
    use gpuvirt_e2e::{Bench, Lab, Provocations, Reboot, Set};

    #[test]
    fn what_takes_restarts_to_provoke_is_found_and_gone_again() {
        let (lab, table) = (Lab::fresh(), Provocations::read());
        let mut wrong = table.on_stage(&lab, "bare", Set::Long);
        wrong.extend(table.on_stage(&lab, "configured", Set::Long));
        lab.assert_pristine();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn what_the_kernel_is_told_at_boot_is_found() {
        let (lab, table) = (Lab::fresh(), Provocations::read());
        let (mut wrong, mut told) = (Vec::new(), Vec::new());
        for (words, provocations) in table.boots() {
            lab.reboot(Reboot::Told(words));
            let bench = Bench::new(&lab);
            let found = bench.examine();
            for one in &provocations {
                let problems = bench.check(one, &found);
                wrong.extend(problems.into_iter().map(|why| format!("{words}: {}: {why}", one.finding)));
            }
            told.push((words, provocations, found));
        }
        // As it is booted ever else; the modules that the tests load are not loaded yet.
        lab.reboot(Reboot::PowerCut);
        let healthy = Bench::new(&lab).examine();
        for (words, provocations, found) in told {
            let together = || healthy.keys().chain(provocations.iter().map(|one| &one.finding));
            for one in &provocations {
                if healthy.contains_key(&one.finding) {
                    wrong.push(format!("{} is found after an ordinary boot", one.finding));
                }
            }
            // What goes with one of them, all may have.
            let unexpected: Vec<_> =
                provocations.iter().map(|one| one.unexpected(&found, together())).collect();
            let of_none = |why: &&String| unexpected.iter().all(|list| list.contains(*why));
            let of_none = unexpected.first().into_iter().flatten().filter(of_none);
            wrong.extend(of_none.map(|why| format!("{words}: {why}")));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
