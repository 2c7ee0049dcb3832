//! Both modes are told step by step for each vendor, from the firmware to the check in the guest, and none is left out.
#![allow(clippy::indexing_slicing)] // a failed expectation is a failed test

use gpuvirt_documents::{blocks, read};

const VENDORS: [&str; 3] = ["NVIDIA", "AMD", "Intel"];
/// The modes, and what a GPU's type is then.
const MODES: [(&str, &str); 2] = [("passthrough", "direct"), ("vGPU", "shared-direct")];
const STEPS: [&str; 6] = ["Firmware", "Kernel", "Host driver", "gpuvirt", "Guest driver", "Check"];

/// What stands below a heading, up to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let begin = format!("\n## {heading}\n");
    let (_, below) = text.split_once(&begin).unwrap_or_else(|| panic!("no section {heading}"));
    below.split("\n## ").next().unwrap_or(below)
}

#[test]
fn each_vendor_and_mode_is_told_from_firmware_to_guest() {
    let text = read("docs/vendors.md");
    for vendor in VENDORS {
        for (mode, kind) in MODES {
            let heading = format!("{vendor}, {mode}");
            let told = section(&text, &heading);
            let mut rest = told;
            for (number, step) in (1..).zip(STEPS) {
                let item = format!("\n{number}. **{step}**: ");
                let item = item.strip_suffix(' ').filter(|_| step == "gpuvirt").unwrap_or(&item);
                let Some((_, after)) = rest.split_once(item) else { panic!("{heading}: no step {step}") };
                rest = after;
            }
            let typed: Vec<String> = blocks(told)
                .iter()
                .flat_map(|block| block.typed().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
                .collect();
            for wanted in [&*format!("--type {kind}"), "gpuvirt vm add vm1 ", "start vm1"] {
                assert!(typed.iter().any(|line| line.contains(wanted)), "{heading}: {wanted}: {typed:?}");
            }
        }
    }
}

/// Nothing is claimed of hardware that nobody had.
#[test]
fn recipes_for_cards_that_nobody_had_say_so() {
    for recipe in ["nvidia-vgpu", "amd-sriov", "intel-sriov"] {
        let text = read(&format!("docs/recipes/{recipe}.md"));
        assert!(text.contains("**Nobody has run it on such a "), "{recipe}");
    }
    assert!(read("docs/vendors.md").contains("**Passthrough was tried with emulated cards only"));
}
