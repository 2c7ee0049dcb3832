//! A daemon that dies, anywhere in any kind of change: the next one leads the host back, or on, and never leaves it between.
//!
//! Each kind of change ([`world::changes`]) is killed before each step, after each write, behind its last step with nothing
//! stored, behind the commit with the journal open, while a write waits in the kernel, and at each step of its way back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gpuvirt_engine::EngineError;
use gpuvirt_engine::ports::WaitingWrite;
use gpuvirt_fakekernel::{Fault, On, Written};
use gpuvirt_model::VgpuId;
use gpuvirt_plan::{Plan, Step};
use world::changes::{ACTS, Change, Done, Finally, act_of, assert_same, done, done_in, each, state};
use world::{Files, Picture, World};

const DEADLINE: Duration = Duration::from_secs(1);

/// Carries a change out in a daemon that dies before the step with this number, from 0.
fn dies_before(world: &World, step: usize, act: impl FnOnce(&World) -> bool) {
    *world.dies_before.lock().unwrap() = Some(step);
    let died = catch_unwind(AssertUnwindSafe(|| act(world)));
    *world.dies_before.lock().unwrap() = None;
    assert!(died.is_err(), "there is no step {step}");
}

/// The same behind the write with this number, from 1.
fn dies_after_write(world: &World, nth: usize, act: impl FnOnce(&World) -> bool) {
    world.kernel.die_after_write(nth);
    let died = catch_unwind(AssertUnwindSafe(|| act(world)));
    world.kernel.clear_faults();
    assert!(died.is_err(), "there is no write {nth}");
}

fn recover(world: &World) -> bool {
    world.engine().recover(DEADLINE).is_ok()
}

/// What a daemon does by itself when it has started: it recovers, and gives back what VMs had that ended unseen.
fn restarted(world: &World) {
    let engine = world.engine();
    engine.recover(DEADLINE).unwrap();
    assert!(engine.remove_forgotten(DEADLINE).unwrap(), "libvirt tells who runs");
}

/// The next daemon takes the change back, and ends where such a change is to end.
fn settles(world: &World, before: &(Picture, Files), (change, done): (Change, &Done), told: &str) {
    world.engine().recover(DEADLINE).unwrap();
    let now = state(world);
    // What gives back stores nothing new: at its end it is done.
    let is_done = change.finally == Finally::Done && now.0 == done.host;
    assert_same(&now, if is_done { &now } else { before }, &format!("{}, {told}", change.name));
    ends(world, before, (change, done), told);
}

fn ends(world: &World, before: &(Picture, Files), (change, done): (Change, &Done), told: &str) {
    restarted(world);
    let (host, files) = state(world);
    let expected = match change.finally {
        Finally::TakenBack => &before.0,
        Finally::Done => &done.host,
    };
    assert_same(&host, expected, &format!("{}, {told}, at the end", change.name));
    assert!(files.intents.is_empty(), "{}, {told}", change.name);
    assert_same(&files.desired, &before.1.desired, &format!("{}, {told}", change.name));
}

/// And together they do everything that steps can do: where an act is missing, so is a change in [`world::changes`].
#[test]
fn before_any_step() {
    let made = Mutex::new(BTreeSet::new());
    each(|change| {
        let done = done(change);
        let note =
            |world: &World| made.lock().unwrap().extend(world.begun.lock().unwrap().iter().map(act_of));
        note(&done.world);
        for step in 0..done.steps() {
            let world = (change.world)();
            let before = state(&world);
            dies_before(&world, step, |world| (change.act)(world).is_ok());
            settles(&world, &before, (change, &done), &format!("dead before step {step}"));
            note(&world);
        }
    });
    assert_eq!(made.into_inner().unwrap(), ACTS.iter().copied().collect());
}

/// The numbers of those writes, from 1, that are no mere questions to a program: behind those the host is as before them.
fn acts_of(writes: &[Written]) -> Vec<usize> {
    let asks = ["-lgi", "-lci", "-lgip", "-lgipp", "-ghm", "--query-gpu"];
    let is_question = |write: &Written| {
        let is_program = write.path.starts_with("/usr/");
        is_program && write.data.split(' ').any(|arg| asks.iter().any(|ask| arg.starts_with(ask)))
    };
    (1..).zip(writes).filter(|(_, write)| !is_question(write)).map(|(nth, _)| nth).collect()
}

/// Between a write and its reading back, wherever in the change that is.
#[test]
fn after_any_write() {
    each(|change| {
        let done = done(change);
        for nth in acts_of(&done.writes) {
            let world = (change.world)();
            let before = state(&world);
            dies_after_write(&world, nth, |world| (change.act)(world).is_ok());
            settles(&world, &before, (change, &done), &format!("dead after write {nth}"));
        }
    });
}

/// All its steps are done and nothing is stored: as after a death between the last write and its verification.
#[test]
fn before_it_is_stored() {
    each(|change| {
        let world = (change.world)();
        let (before, files) = (state(&world), world.files());
        let done = done_in(world.clone(), change);
        *world.files.lock().unwrap() = Files { intents: vec![only_plan(change, &done)], ..files };
        ends(&world, &before, (change, &done), "nothing stored");
        let expected = after_it(change, &before.1, &done.files);
        assert_same(&state(&world).1.records, &expected.records, change.name);
    });
}

/// What the journal of a change held.
fn only_plan(change: Change, done: &Done) -> Plan {
    match done.intended.as_slice() {
        [intent] => intent.clone(),
        several => panic!("{}: {} plans", change.name, several.len()),
    }
}

fn after_it<'a>(change: Change, before: &'a Files, done: &'a Files) -> &'a Files {
    match change.finally {
        Finally::TakenBack => before,
        Finally::Done => done,
    }
}

/// The journal of a change is back after it, as if closing it had not come about.
#[test]
fn before_its_journal_is_closed() {
    each(|change| {
        let done = done(change);
        let world = done.world.clone();
        world.files.lock().unwrap().intents.push(only_plan(change, &done));
        world.engine().recover(DEADLINE).unwrap();
        assert_same(&state(&world), &(done.host.clone(), done.files.clone()), change.name);
    });
}

#[test]
fn a_change_whose_result_cannot_be_stored_is_taken_back() {
    each(|change| {
        let world = (change.world)();
        let host = world.picture();
        world.files.lock().unwrap().commit_fails = true;
        let Err(EngineError::Failed { now, .. }) = (change.act)(&world) else { panic!("{}", change.name) };
        if world.can_be_cut.load(Ordering::Relaxed) && now.contains("hands-off") {
            // The numbers of instances that were made again can't be stored either.
            world.files.lock().unwrap().commit_fails = false;
            assert!(recover(&world), "{}", change.name);
        } else {
            assert_eq!(now, "everything is as it was before", "{}", change.name);
        }
        assert_same(&world.picture(), &host, change.name);
    });
}

/// The kernel answers these at once, and the daemon writes them itself.
fn never_waits(path: &str) -> bool {
    ["/sriov_drivers_autoprobe", "/unbindLock"].iter().any(|file| path.ends_with(file))
}

/// What the writer of a step announces while it waits.
fn announced(step: &Step) -> WaitingWrite {
    let vgpu = match step {
        Step::RemoveMdev { uuid, .. } | Step::SetVgpuParams { vgpu: VgpuId::Mdev(uuid), .. } => Some(*uuid),
        _ => None,
    };
    WaitingWrite { writer: 4711, function: step.function().filter(|_| vgpu.is_none()), vgpu }
}

/// The write waits when the daemon gives up on it and dies; it ends when the next one has recovered as far as it can.
#[test]
fn while_a_write_waits() {
    each(|change| {
        let done = done(change);
        let mut blocked = 0;
        for (index, written) in done.writes.iter().enumerate().filter(|(_, w)| !never_waits(&w.path)) {
            let world = (change.world)();
            let before = state(&world);
            world.kernel.inject_once(On::NthWrite { nth: index + 1 }, Fault::Block);
            let told = format!("{}, blocked at {}", change.name, written.path);
            let ended = (change.act)(&world);
            if world.files().intents.is_empty() {
                // A question to a program: the answer is not waited for, and what was begun is taken back.
                world.kernel.release();
                if ended.is_err() || world.picture() != done.host {
                    assert_same(&state(&world), &before, &told);
                }
                continue;
            }
            if let Err(EngineError::Failed { what, now }) = ended {
                assert!(what.contains("still waits") && now.contains("hands-off"), "{told}: {what}; {now}");
            }
            blocked += 1;
            let last = world.begun.lock().unwrap().last().cloned().unwrap();
            *world.waiting.lock().unwrap() = vec![announced(&last)];
            // Nothing more is written while the kernel has it, whoever asks, and whoever starts.
            let writes = world.kernel.writes().len();
            let _refused = (change.act)(&world);
            assert!(!recover(&world), "{told}");
            assert_eq!(world.kernel.writes().len(), writes, "{told}");
            world.kernel.release();
            world.waiting.lock().unwrap().clear();
            settles(&world, &before, (change, &done), "released after recovery began");
        }
        assert!(blocked > 0, "{} never waits: the test tests nothing", change.name);
    });
}

/// A change whose daemon died behind its last write, with nothing stored.
fn halfway(change: Change, done: &Done) -> (World, (Picture, Files)) {
    let world = (change.world)();
    let before = state(&world);
    dies_after_write(&world, done.writes.len(), |world| (change.act)(world).is_ok());
    world.kernel.forget_writes();
    world.forget_intentions();
    (world, before)
}

/// The same, and its way back.
fn way_back(change: Change, done: &Done) -> World {
    let (world, _) = halfway(change, done);
    assert!(recover(&world), "{}", change.name);
    let steps = world.begun.lock().unwrap().len();
    assert!(steps > 0 || change.finally == Finally::Done, "{} has no way back", change.name);
    world
}

#[test]
fn before_any_step_of_the_way_back() {
    each(|change| {
        let done = done(change);
        let steps = way_back(change, &done).begun.lock().unwrap().len();
        for step in 0..steps {
            let (world, before) = halfway(change, &done);
            dies_before(&world, step, recover);
            settles(&world, &before, (change, &done), &format!("dead before step {step} of the way back"));
        }
    });
}

#[test]
fn after_any_write_of_the_way_back() {
    each(|change| {
        let done = done(change);
        for nth in acts_of(&way_back(change, &done).kernel.writes()) {
            let (world, before) = halfway(change, &done);
            dies_after_write(&world, nth, recover);
            settles(&world, &before, (change, &done), &format!("dead after write {nth} of the way back"));
        }
    });
}
