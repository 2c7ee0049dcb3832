//! The durable files: a state file that was accepted means the same after it was written; a journal file of any content
//! is an intent that can be explained and undone, or an error.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use gpuvirt_model::{HostFacts, ModulePresence, Observed, Reading};
use gpuvirt_plan::{explain, undo};
use gpuvirt_state::{State, StateDir, StateError};
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder can be made"));
static STATE_DIR: LazyLock<StateDir> =
    LazyLock::new(|| StateDir::open(FOLDER.path()).expect("it can be opened"));

fn state(text: &str) {
    match State::parse(Path::new("/state.json"), text) {
        Ok(state) => {
            let written = state.to_text().expect("what was read can be written");
            let again =
                State::parse(Path::new("/state.json"), &written).expect("what was written can be read");
            assert_eq!(state, again);
        }
        Err(StateError::Corrupt { line, .. }) => {
            assert!(line >= 1 && line <= text.split('\n').count(), "line {line}")
        }
        Err(StateError::Version { .. }) => {}
        Err(other) => panic!("parsing did I/O: {other}"),
    }
}

fn journal(text: &str) {
    let folder = STATE_DIR.path().join("journal");
    fs::write(folder.join("0000:41:00.0.json"), text).expect("the file can be written");
    for plan in STATE_DIR.open_intents().unwrap_or_default() {
        let _ = explain::sentences(&plan);
        let _ = explain::sentences(&undo::plan(&plan, &nothing()));
    }
}

/// A host on which everything that the plan names is gone.
fn nothing() -> Observed {
    Observed {
        host: HostFacts {
            iommu: true,
            interrupt_remapping: Reading::Known(true),
            unsafe_interrupts_allowed: false,
            vfio_pci: ModulePresence::Ready,
            function_count: 0,
            kernel_release: None,
            oddities: Vec::new(),
        },
        gpus: BTreeMap::new(),
        functions: BTreeMap::new(),
        groups: BTreeMap::new(),
        vgpus: BTreeMap::new(),
        domains: Reading::Known(Vec::new()),
    }
}

fuzz_target!(|text: &str| {
    state(text);
    journal(text);
});
