//! The durable files: what is accepted means the same after it was written and read again, and nothing panics.
#![no_main]

use std::path::Path;

use gpuvirt_state::{State, parse_intent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("state.json");
    if let Ok(state) = State::parse(path, text) {
        let written = state.to_text().expect("what was read can be written");
        assert_eq!(State::parse(path, &written).expect("what was written can be read"), state);
    }
    let _ = parse_intent(path, text);
});
