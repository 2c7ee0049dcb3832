//! The state folder from outside: what is written is read, and nothing that is broken is taken for absent.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic, and writes broken files

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gpuvirt_model::{
    ClassCode, ConfiguredType, Desired, DesiredGpu, DriverBinding, DriverName, Framework, HostBinding,
    PciAddress, PciIdentity, PowerControl, ProfileName, Records, RefusalCode, VfsRecord, VgpuId, VgpuRecord,
};
use gpuvirt_plan::{Marks, MdevPlace, Plan, Promise, Snapshot, Step, VfAutoprobe, VfSetting};
use gpuvirt_state::{State, StateDir, StateError, read_state};
use proptest::prelude::*;
use uuid::Uuid;

const GPU: PciAddress = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 };

fn nouveau() -> DriverName {
    DriverName::parse("nouveau").unwrap()
}

fn identity() -> PciIdentity {
    let class = ClassCode(0x03_00_00);
    PciIdentity { vendor: 0x10de, device: 0x2235, subsystem_vendor: 0x10de, subsystem_device: 0x145a, class }
}

fn desired() -> Desired {
    Desired::default().with_gpu(DesiredGpu {
        label: Some("left \"card\"".to_owned()),
        accepted: vec![RefusalCode::BootDisplay],
        ..DesiredGpu::new(GPU, identity(), ConfiguredType::Direct)
    })
}

fn records() -> Records {
    let mut records = Records { version: 1, ..Records::default() };
    records.host_bindings.insert(GPU, HostBinding { driver: Some(nouveau()), ..HostBinding::default() });
    let profile = ProfileName("nvidia_a40-24c".to_owned());
    let record = VgpuRecord {
        parent: GPU,
        type_id: "nvidia-231".to_owned(),
        profile,
        framework: Framework::Mdev,
        boot: None,
        domain: None,
        asked_as: None,
    };
    records.vgpus.insert(Uuid::from_u128(0x1234).into(), record);
    records
}

fn plan() -> Plan {
    let mut before = Snapshot::default();
    before.bindings.insert(GPU, DriverBinding { driver: Some(nouveau()), driver_override: None });
    let profile = ProfileName("nvidia_a40-24c".to_owned());
    let place = MdevPlace { parent: GPU, type_id: "nvidia-231".to_owned(), profile };
    before.mdevs.extend([(Uuid::from_u128(1), Some(place)), (Uuid::from_u128(2), None)]);
    Plan {
        gpu: GPU,
        purpose: format!("{GPU} becomes direct"),
        steps: vec![Step::Unbind { function: GPU, driver: nouveau() }],
        before,
        promises: vec![Promise::WithHost { function: GPU, driver_override: None }],
        marks: Marks::default(),
    }
}

/// A folder with one state and one intent in it.
fn written() -> (tempfile::TempDir, StateDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    state.commit(&desired(), &records()).unwrap();
    state.open_journal(&plan()).unwrap();
    (dir, state)
}

fn put(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn journal_file(dir: &Path) -> PathBuf {
    dir.join("journal/0000:41:00.0.json")
}

#[test]
fn an_empty_folder_is_the_default_state() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read_state(dir.path()).unwrap(), State::default());
    let state = StateDir::open(&dir.path().join("new")).unwrap();
    assert_eq!(state.load().unwrap(), State::default());
    assert!(state.open_intents().unwrap().is_empty());
}

#[test]
fn what_is_committed_is_read_again() {
    let (dir, state) = written();
    let read = read_state(dir.path()).unwrap();
    assert_eq!((read.desired, read.records), (desired(), records()));
    assert_eq!(state.open_intents().unwrap(), [plan()]);

    drop(state);
    let again = StateDir::open(dir.path()).unwrap();
    assert_eq!(again.open_intents().unwrap(), [plan()]);
    again.close_journal(&plan()).unwrap();
    again.close_journal(&plan()).unwrap();
    assert!(again.open_intents().unwrap().is_empty());
}

#[test]
fn what_somebody_does_to_the_file_is_seen_at_the_next_question() {
    let (dir, state) = written();
    let path = dir.path().join("state.json");
    let text = fs::read(&path).unwrap();
    assert_eq!(state.load().unwrap(), state.load().unwrap());

    let as_long = String::from_utf8(text.clone()).unwrap().replace("nouveau", "nvidia1");
    put(&path, as_long.as_bytes());
    assert_ne!(state.load().unwrap().records, records(), "written into, and as long as before");
    put(&dir.path().join("other"), &text);
    fs::rename(dir.path().join("other"), &path).unwrap();
    assert_eq!(state.load().unwrap().records, records(), "another file of this name");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(state.load(), Err(StateError::Untrusted { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    put(&path, b"{");
    assert!(matches!(state.load(), Err(StateError::Corrupt { .. })));
    fs::remove_file(&path).unwrap();
    assert_eq!(state.load().unwrap(), gpuvirt_state::State::default());
}

#[test]
fn documents_that_settle_a_plan_close_its_intent_and_no_other() {
    let (dir, state) = written();
    let gpu = PciAddress { bus: 0x42, ..GPU };
    let other = Plan { gpu, ..plan() };
    state.open_journal(&other).unwrap();
    state.commit_settling(&plan(), &Desired::default(), &records()).unwrap();
    assert_eq!(read_state(dir.path()).unwrap().desired, Desired::default());
    assert_eq!(state.open_intents().unwrap(), [other]);
    state.close_journal(&plan()).unwrap();
}

#[test]
fn an_intent_stays_open_where_the_documents_say_the_same_already_or_are_not_stored() {
    let (dir, state) = written();
    state.commit_settling(&plan(), &desired(), &records()).unwrap();
    assert_eq!(state.open_intents().unwrap(), [plan()]);
    // In the way of the new content.
    fs::create_dir(dir.path().join(".state.json.new")).unwrap();
    assert!(state.commit_settling(&plan(), &Desired::default(), &records()).is_err());
    assert_eq!(state.open_intents().unwrap(), [plan()]);
    assert_eq!(read_state(dir.path()).unwrap().desired, desired());
}

/// What only whoever writes here knows of.
fn staged(dir: &Path) -> PathBuf {
    dir.join(".state.json.staged")
}

/// Whoever writes next waits for what follows an intent: here somebody who has nothing new to say.
fn followed(state: &StateDir) {
    let now = state.load().unwrap();
    state.commit(&now.desired, &now.records).unwrap();
}

#[test]
fn documents_that_came_true_are_there_already_and_only_get_their_name() {
    let (dir, state) = written();
    let gpu = PciAddress { bus: 0x42, ..GPU };
    let other = Plan { gpu, ..plan() };
    state.open_journal_expecting(&other, &Desired::default(), &records()).unwrap();
    followed(&state);
    assert_eq!(state.open_intents().unwrap(), [plan(), other.clone()]);
    assert_eq!(read_state(dir.path()).unwrap().desired, desired(), "nothing has come true");
    let inode = |path: PathBuf| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(staged(dir.path()));

    state.commit_settling(&other, &Desired::default(), &records()).unwrap();
    assert_eq!(inode(dir.path().join("state.json")), before);
    assert_eq!(read_state(dir.path()).unwrap().desired, Desired::default());
    assert_eq!(state.open_intents().unwrap(), [plan()]);
    assert!(!staged(dir.path()).exists());
}

#[test]
fn documents_that_came_out_otherwise_are_written_as_they_are() {
    let (dir, state) = written();
    state.open_journal_expecting(&plan(), &Desired::default(), &Records::default()).unwrap();
    followed(&state);
    state.commit_settling(&plan(), &Desired::default(), &records()).unwrap();
    let read = read_state(dir.path()).unwrap();
    assert_eq!((read.desired, read.records), (Desired::default(), records()));

    assert!(staged(dir.path()).exists(), "until the change is closed, as each is");
    state.close_journal(&plan()).unwrap();
    assert!(!staged(dir.path()).exists());

    // What others store in between neither gets the name nor takes it from what is expected still.
    state.open_journal_expecting(&plan(), &desired(), &records()).unwrap();
    followed(&state);
    state.commit(&Desired::default(), &Records::default()).unwrap();
    assert_eq!(read_state(dir.path()).unwrap().desired, Desired::default());
    state.commit_settling(&plan(), &desired(), &records()).unwrap();
    let read = read_state(dir.path()).unwrap();
    assert_eq!((read.desired, read.records), (desired(), records()));
}

#[test]
fn what_a_crash_left_of_documents_that_were_expected_is_removed() {
    let (dir, state) = written();
    state.open_journal_expecting(&plan(), &Desired::default(), &records()).unwrap();
    followed(&state);
    drop(state);
    let again = StateDir::open(dir.path()).unwrap();
    assert!(!staged(dir.path()).exists());
    assert_eq!(again.open_intents().unwrap(), [plan()]);
    assert_eq!(again.load().unwrap().desired, desired());
}

/// A settled change as the disk has it right after the answer, when no name has reached it: the intent with its mark, and the
/// documents where they were.
fn settled_and_cut_off() -> tempfile::TempDir {
    let (dir, state) = written();
    let [kept, stored, journal] =
        ["kept", "state.json", "journal/0000:41:00.0.json"].map(|f| dir.path().join(f));
    state.close_journal(&plan()).unwrap();
    let before = fs::read(&stored).unwrap();
    state.open_journal_expecting(&plan(), &Desired::default(), &records()).unwrap();
    followed(&state);
    // What is written over its content is in this name's too.
    fs::hard_link(&journal, &kept).unwrap();
    state.commit_settling(&plan(), &Desired::default(), &records()).unwrap();
    assert!(!journal.exists() && !staged(dir.path()).exists());
    drop(state);
    fs::rename(&stored, staged(dir.path())).unwrap();
    put(&stored, &before);
    fs::rename(kept, journal).unwrap();
    dir
}

#[test]
fn a_power_cut_right_after_the_answer_loses_nothing() {
    let dir = settled_and_cut_off();
    assert_eq!(read_state(dir.path()).unwrap().desired, desired(), "as the disk has it");
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.load().unwrap().desired, Desired::default());
    assert!(state.open_intents().unwrap().is_empty() && !staged(dir.path()).exists());
    drop(state);
    // The documents' name had reached the disk, and the intent's end had not.
    let dir = settled_and_cut_off();
    fs::rename(staged(dir.path()), dir.path().join("state.json")).unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.load().unwrap().desired, Desired::default());
    assert!(state.open_intents().unwrap().is_empty());
}

#[test]
fn a_mark_of_documents_that_are_nowhere_settles_nothing() {
    for elsewhere in [None, Some("{ torn"), Some("")] {
        let dir = settled_and_cut_off();
        match elsewhere {
            None => fs::remove_file(staged(dir.path())).unwrap(),
            Some(text) => put(&staged(dir.path()), text.as_bytes()),
        }
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(state.load().unwrap().desired, desired(), "{elsewhere:?}");
        assert_eq!(state.open_intents().unwrap(), [plan()], "{elsewhere:?}");
    }
}

#[test]
fn what_a_mark_may_mean_is_kept_until_it_can_be_read() {
    for unread in [".state.json.staged", "journal/0000:41:00.0.json"] {
        let dir = settled_and_cut_off();
        let mode =
            |mode| fs::set_permissions(dir.path().join(unread), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o666);
        let opened = StateDir::open(dir.path()).and_then(|state| state.open_intents().map(drop));
        assert!(matches!(opened, Err(StateError::Untrusted { .. })), "{unread}");
        mode(0o644);
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(state.load().unwrap().desired, Desired::default(), "{unread}");
        assert!(state.open_intents().unwrap().is_empty());
    }
}

#[test]
fn an_intent_with_room_for_a_mark_is_an_addition_to_version_1() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    state.commit(&desired(), &records()).unwrap();
    state.open_journal_expecting(&plan(), &Desired::default(), &records()).unwrap();
    followed(&state);
    is_golden("v1-settled", dir.path());
    assert_eq!(state.open_intents().unwrap(), [plan()]);
}

#[test]
fn documents_that_did_not_come_true_are_gone_with_the_intent_and_leave_those_of_others() {
    let (dir, state) = written();
    let other = Plan { gpu: PciAddress { bus: 0x42, ..GPU }, ..plan() };
    state.open_journal_expecting(&other, &Desired::default(), &records()).unwrap();
    followed(&state);
    state.close_journal(&plan()).unwrap();
    assert!(staged(dir.path()).exists(), "another's");
    state.close_journal(&other).unwrap();
    assert!(!staged(dir.path()).exists());
    assert_eq!(read_state(dir.path()).unwrap().desired, desired());
}

#[test]
fn documents_that_can_not_be_brought_there_before_are_stored_after_all() {
    let (dir, state) = written();
    // In its way; and what is there is no longer what was staged.
    fs::create_dir(staged(dir.path())).unwrap();
    state.open_journal_expecting(&plan(), &Desired::default(), &records()).unwrap();
    followed(&state);
    state.commit_settling(&plan(), &Desired::default(), &records()).unwrap();
    assert_eq!(read_state(dir.path()).unwrap().desired, Desired::default());

    fs::remove_dir(staged(dir.path())).unwrap();
    state.open_journal_expecting(&plan(), &desired(), &records()).unwrap();
    followed(&state);
    fs::remove_file(staged(dir.path())).unwrap();
    state.commit_settling(&plan(), &desired(), &records()).unwrap();
    assert_eq!(read_state(dir.path()).unwrap().desired, desired());
    assert!(state.open_intents().unwrap().is_empty());
}

#[test]
fn an_intent_that_appears_in_an_empty_journal_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    // Longer than a clock's tick: what was seen is known.
    let is_seen_empty = || {
        let changed = fs::metadata(dir.path().join("journal")).unwrap().modified().unwrap();
        while changed.elapsed().unwrap() < std::time::Duration::from_millis(50) {
            std::thread::yield_now();
        }
        assert!(state.open_intents().unwrap().is_empty());
        assert!(state.open_intents().unwrap().is_empty());
    };
    is_seen_empty();
    state.open_journal(&plan()).unwrap();
    assert_eq!(state.open_intents().unwrap(), [plan()]);
    state.close_journal(&plan()).unwrap();
    is_seen_empty();
    state.open_journal_expecting(&plan(), &desired(), &records()).unwrap();
    followed(&state);
    assert_eq!(state.open_intents().unwrap(), [plan()]);
    // One that an admin puts back.
    let kept = dir.path().join("kept");
    fs::rename(journal_file(dir.path()), &kept).unwrap();
    is_seen_empty();
    fs::rename(&kept, journal_file(dir.path())).unwrap();
    assert_eq!(state.open_intents().unwrap(), [plan()]);
}

#[test]
fn an_open_intent_is_not_overwritten() {
    let (_dir, state) = written();
    state.open_journal(&plan()).unwrap();
    let other = Plan { purpose: "another".to_owned(), before: Snapshot::default(), ..plan() };
    assert!(matches!(state.open_journal(&other), Err(StateError::IntentOpen { .. })));
    assert_eq!(state.open_intents().unwrap(), [plan()]);
}

#[test]
fn a_second_daemon_is_refused() {
    let (dir, state) = written();
    let error = StateDir::open(dir.path()).unwrap_err();
    assert!(matches!(error, StateError::Locked { .. }), "{error}");
    drop(state);
    StateDir::open(dir.path()).unwrap();
}

#[test]
fn every_partial_write_is_an_error_and_never_absence() {
    let (dir, state) = written();
    for path in [dir.path().join("state.json"), journal_file(dir.path())] {
        let whole = fs::read(&path).unwrap();
        let read = || match path.ends_with("state.json") {
            true => state.load().map(|_| ()),
            false => state.open_intents().map(|_| ()),
        };
        // The last byte is the newline behind the document.
        for length in 0..whole.len() - 1 {
            put(&path, &whole[..length]);
            let error = read().unwrap_err();
            assert!(matches!(error, StateError::Corrupt { .. }), "{length} bytes: {error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            // A file system may also keep the length and lose the tail.
            let mut zeroed = whole.clone();
            zeroed[length..].fill(0);
            put(&path, &zeroed);
            assert!(matches!(read().unwrap_err(), StateError::Corrupt { .. }), "{length} bytes, then zeros");
        }
        put(&path, &whole);
        read().unwrap();
    }
}

#[test]
fn a_write_that_was_cut_off_is_no_part_of_the_state() {
    let (dir, state) = written();
    let (intended, journal) = (Plan { purpose: "another".to_owned(), ..plan() }, dir.path().join("journal"));
    state.close_journal(&plan()).unwrap();
    let files = [(dir.path(), "state.json"), (journal.as_path(), "0000:41:00.0.json")];
    let whole = fs::read(dir.path().join("state.json")).unwrap();
    for (folder, name) in files {
        let half = folder.join(format!(".{name}.new"));
        // The power went at any byte of the file that was to take the other's place.
        for length in 0..=whole.len() {
            put(&half, &whole[..length]);
            let read = state.load().unwrap();
            assert_eq!((read.desired, read.records), (desired(), records()), "{name}, {length} bytes");
            assert!(state.open_intents().unwrap().is_empty(), "{name}, {length} bytes");
        }
    }
    // The next daemon begins where the last durable write ended, and its own writes take the halves' place.
    drop(state);
    let next = StateDir::open(dir.path()).unwrap();
    next.open_journal(&intended).unwrap();
    next.commit(&Desired::default(), &records()).unwrap();
    assert_eq!(next.open_intents().unwrap(), [intended]);
    assert_eq!(next.load().unwrap().desired, Desired::default());
    for (folder, name) in files {
        assert!(!folder.join(format!(".{name}.new")).exists());
    }
}

#[test]
fn a_corrupt_file_is_not_overwritten() {
    let (dir, state) = written();
    let path = dir.path().join("state.json");
    put(&path, b"{\n  oops");
    assert!(matches!(state.commit(&desired(), &records()), Err(StateError::Corrupt { line: 2, .. })));
    assert_eq!(fs::read(&path).unwrap(), b"{\n  oops");
    put(&journal_file(dir.path()), b"");
    assert!(state.open_journal(&plan()).is_err());
}

#[test]
fn what_makes_no_sense_is_named_with_its_line() {
    let (dir, state) = written();
    let path = dir.path().join("state.json");
    let good = fs::read_to_string(&path).unwrap();
    let twice = {
        let mut desired = desired();
        desired.gpus.push(desired.gpus[0].clone());
        State::new(desired, records()).to_text().unwrap()
    };
    for (bad, want) in [
        (good.replace("\"label\"", "\"lable\""), "line 20: unknown field `lable`"),
        (
            good.replace("\"vendor\"", "\"vendor\": \"10de\", \"wendor\""),
            "line 13: key \"wendor\" is unknown",
        ),
        (good.replace("0000:41:00.0", "0000:41:00.9"), "is not a PCI address"),
        (good.replace("\"direct\"", "\"passthrough\""), "line 19: unknown variant"),
        (twice, "GPU 0000:41:00.0 is there twice"),
        ("[]".to_owned(), "line 1"),
        ("null".to_owned(), "line 1"),
        ("{}".to_owned(), "missing field `version`"),
        (format!("{{\"a\": {}", "[".repeat(1 << 16)), "EOF while parsing"),
    ] {
        put(&path, bad.as_bytes());
        let error = state.load().unwrap_err();
        assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(want), "{error}\nlacks: {want}\n{bad:.600}");
    }
}

#[test]
fn another_version_is_refused_with_the_path() {
    let (dir, state) = written();
    let path = dir.path().join("state.json");
    let good = fs::read_to_string(&path).unwrap();
    for bad in [
        // Whatever else a newer file holds.
        "{\"version\": 2, \"gpus\": {}}".to_owned(),
        "{\"version\": 0}".to_owned(),
        good.replace("\"desired\": {\n    \"version\": 1", "\"desired\": {\n    \"version\": 2"),
        good.replace("\"records\": {\n    \"version\": 1", "\"records\": {\n    \"version\": 7"),
    ] {
        put(&path, bad.as_bytes());
        let error = state.load().unwrap_err();
        assert!(matches!(error, StateError::Version { .. }), "{error}");
        assert!(error.to_string().contains("state.json has format version"), "{error}");
    }
}

#[test]
fn files_of_others_in_the_journal_are_no_intents() {
    let (dir, state) = written();
    put(&dir.path().join("journal/.0000:41:00.0.json.new"), b"{ torn");
    put(&dir.path().join("journal/0000:41:00.0.json.bak"), b"moved aside");
    assert_eq!(state.open_intents().unwrap(), [plan()]);
    fs::copy(journal_file(dir.path()), dir.path().join("journal/0000:42:00.0.json")).unwrap();
    let error = state.open_intents().unwrap_err();
    assert!(error.to_string().contains("named after another GPU"), "{error}");
}

#[test]
fn a_folder_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = StateDir::open(dir.path()).unwrap_err();
    assert!(matches!(error, StateError::Untrusted { .. }), "{error}");
    put(&dir.path().join("file"), b"");
    assert!(StateDir::open(&dir.path().join("file")).is_err());
}

/// One folder for each released format: what an earlier version wrote, today's code reads.
#[test]
fn every_released_format_is_read() {
    let (dir, _state) = written();
    is_golden("v1", dir.path());
}

/// A virtual function of GPU.
const VF: PciAddress = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 4 };

#[test]
fn vgpus_that_are_virtual_functions_are_an_addition_to_version_1() {
    let profile = ProfileName("nvidia_l40s-1b".to_owned());
    let mut records = records();
    let record = VgpuRecord {
        parent: VF,
        type_id: "1145".to_owned(),
        profile: profile.clone(),
        framework: Framework::NvidiaVfio,
        boot: Some(Uuid::from_u128(0xb007)),
        domain: None,
        asked_as: None,
    };
    records.vgpus.insert(VgpuId::Vf(VF), record);
    let enabled = VfsRecord { count: 4, autoprobe_before: true, boot: Some(Uuid::from_u128(0xb007)) };
    records.vfs.insert(GPU, enabled);
    let setting = VfSetting { count: 4, autoprobe: VfAutoprobe::Off };
    let plan = Plan {
        gpu: GPU,
        purpose: format!("{GPU} gets vGPU {VF} of profile {profile}"),
        steps: vec![
            Step::SetVgpuType { vf: VF, from: 0, to: 1145, profile },
            Step::SetVfAutoprobe { function: GPU, on: VfAutoprobe::Off },
            Step::SetVfCount { function: GPU, from: 0, to: 4 },
        ],
        before: Snapshot {
            vgpu_types: [(VF, 0)].into(),
            vfs: [(GPU, VfSetting { count: 0, autoprobe: VfAutoprobe::On })].into(),
            ..Snapshot::default()
        },
        promises: vec![Promise::VgpuType { vf: VF, type_id: 1145 }, Promise::Vfs { function: GPU, setting }],
        marks: Marks::default(),
    };
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    state.commit(&desired(), &records).unwrap();
    state.open_journal(&plan).unwrap();
    is_golden("v1-virtual-function", dir.path());
    assert_eq!(read_state(dir.path()).unwrap().records, records);
    assert_eq!(state.open_intents().unwrap(), [plan]);
}

#[test]
fn power_control_is_an_addition_to_version_1() {
    let mut records = records();
    records.host_bindings.get_mut(&GPU).unwrap().power_control = Some(PowerControl::Auto);
    let mut plan = plan();
    plan.before.power_control.insert(GPU, PowerControl::On);
    plan.steps.push(Step::SetPowerControl { function: GPU, to: PowerControl::Auto });
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    state.commit(&desired(), &records).unwrap();
    state.open_journal(&plan).unwrap();
    is_golden("v1-power-control", dir.path());
    assert_eq!(read_state(dir.path()).unwrap().records, records);
    assert_eq!(state.open_intents().unwrap(), [plan]);
}

fn is_golden(folder: &str, dir: &Path) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/state").join(folder);
    let journal = "journal/0000:41:00.0.json";
    for name in ["state.json", journal] {
        let (want, now) = (golden.join(name), fs::read_to_string(dir.join(name)).unwrap());
        if std::env::var_os("GPUVIRT_BLESS").is_some() {
            fs::create_dir_all(want.parent().unwrap()).unwrap();
            put(&want, now.as_bytes());
        }
        let want = fs::read_to_string(&want).unwrap();
        assert_eq!(
            want, now,
            "version 1 must stay as released: a changed format is a new version (or GPUVIRT_BLESS=1)"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_written_ahead_panic_or_are_an_intent(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join(".ahead"), &bytes);
        let state = StateDir::open(dir.path()).unwrap();
        prop_assert!(state.open_intents().unwrap().is_empty());
    }

    #[test]
    fn no_bytes_are_read_as_absent_and_none_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("state.json"), &bytes);
        prop_assert!(read_state(dir.path()).is_err());
    }

    #[test]
    fn a_flipped_byte_never_panics(at: prop::sample::Index, to: u8) {
        let text = State::new(desired(), records()).to_text().unwrap();
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = State::parse(Path::new("state.json"), &text);
        }
    }
}
