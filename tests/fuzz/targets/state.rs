//! The durable files: a state file that was accepted means the same after it was written; a journal file of any content
//! is an intent that can be explained and undone, or an error.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use gpuvirt_model::{HostFacts, ModulePresence, Observed, Reading};
use gpuvirt_plan::{explain, undo};
use gpuvirt_state::{State, StateError, parse_intent};
use libfuzzer_sys::fuzz_target;

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
    let Ok(plan) = parse_intent(Path::new("/journal.json"), text) else { return };
    let _ = (explain::sentences(&plan), explain::sentences(&undo::plan(&plan, &nothing())));
}

/// A host on which everything that the plan names is gone.
fn nothing() -> Observed {
    Observed {
        host: HostFacts {
            iommu: true,
            interrupt_remapping: Reading::Known(true),
            unsafe_interrupts_allowed: false,
            vfio_pci: ModulePresence::Ready,
            pci_drivers: Default::default(),
            function_count: 0,
            kernel_release: None,
            boot_id: None,
            vfio_migration: Reading::Unknown(gpuvirt_model::Unknown::NotRecorded),
            driver_rules: gpuvirt_model::DriverRules::default(),
            running_services: std::collections::BTreeMap::new(),
            oddities: Vec::new(),
        },
        mig: BTreeMap::new(),
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
