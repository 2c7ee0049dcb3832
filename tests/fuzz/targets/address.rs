//! PCI addresses, driver names, types, refusal names: what reads back is the same value and one part of a path.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use gpuvirt_api::{GpuSelector, route};
use gpuvirt_model::{ConfiguredType, DriverName, GraphicsType, PciAddress, RefusalCode, WarningCode};
use libfuzzer_sys::fuzz_target;

/// What was accepted is written in one form, which is accepted again as the same value.
fn reads_back<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let written = value.to_string();
        assert!(written.parse::<T>().is_ok_and(|again| again == value), "{text:?} became {written:?}");
        one_path_part(text, &written);
    }
}

/// Names and addresses become parts of kernel paths: never a separator, never a step up.
fn one_path_part(text: &str, part: &str) {
    let escapes = part.is_empty() || part == "." || part == ".." || part.contains(['/', '\0', '\n', ' ']);
    assert!(!escapes, "{text:?} became {part:?}");
}

fuzz_target!(|text: &str| {
    reads_back::<PciAddress>(text);
    reads_back::<GraphicsType>(text);
    reads_back::<ConfiguredType>(text);
    reads_back::<RefusalCode>(text);
    reads_back::<WarningCode>(text);
    if let Ok(gpu) = text.parse::<GpuSelector>() {
        let path = route::gpu(&gpu);
        assert_eq!(path.matches('/').count(), 3, "{text:?} became {path}");
        assert!(path.is_ascii() && !path.contains(['?', '#', ' ', '\r', '\n']), "{text:?} became {path}");
    }
    if let Ok(name) = DriverName::parse(text) {
        one_path_part(text, name.as_str());
    }
});
