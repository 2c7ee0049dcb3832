//! The suite on the fake kernel, with the bus of the lab.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;

use gpuvirt_conformance::{Outcome, Testbed, all, run};
use gpuvirt_fakekernel::{FakeKernel, SizeRule};
use gpuvirt_host::Sysfs;
use gpuvirt_model::PciAddress;
use gpuvirt_recording::RecordedHost;
use gpuvirt_recording::made::{MadeDevice, MadeFunction, MadeHost, MadeIdentity};

const TESTBED: &str = "PLAIN_GPU=0000:01:00.0\nMULTI_GPU=0000:02:00.0\nMULTI_AUDIO=0000:02:00.1\n\
                       TWIN_A=0000:03:00.0\nTWIN_B=0000:04:00.0\nSRIOV_PF=0000:05:00.0\n\
                       DIRTY_GPU=0000:08:01.0\nDIRTY_NIC=0000:08:02.0\nMDEV_GPU=0000:09:00.0\nTYPED_PF=0000:0a:00.0\n";

fn address(text: &str) -> PciAddress {
    text.parse().unwrap()
}

fn function(place: &str, ids: (u16, u16), class: u32, group: u32) -> MadeFunction {
    let port = format!("/devices/pci0000:00/0000:00:1c.{}", group % 8);
    let identity = MadeIdentity { vendor: ids.0, device: ids.1, subsystem: (0x1af4, 0x1100), class };
    MadeFunction::new(&port, address(place), identity).group(group)
}

/// A card whose virtual functions take vGPU types, and these.
fn typed_card(host: MadeHost) -> MadeHost {
    let ids = (0x10de, 0x26b9);
    let vfs: Vec<MadeFunction> =
        (4..8).map(|n| function(&format!("0a:00.{n}"), ids, 0x03_0200, 20 + n).driver("nvidia")).collect();
    let paths: Vec<String> = vfs.iter().map(|vf| format!("/sys{}", vf.path())).collect();
    let pf = function("0a:00.0", ids, 0x03_0200, 18).driver("nvidia").sriov(4, &paths);
    let physfn = format!("/sys{}", pf.path());
    let types =
        "ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n1153  : NVIDIA L40S-12Q\n1156  : NVIDIA L40S-48Q\n";
    vfs.into_iter().fold(host.function(&pf), |host, vf| {
        let vf = vf.link("physfn", &physfn).attribute("nvidia/current_vgpu_type", "0\n");
        host.function(&vf.attribute("nvidia/creatable_vgpu_types", types))
    })
}

/// The lab's bus as its kernel shows it.
fn lab() -> FakeKernel {
    let bochs = (0x1234, 0x1111);
    let pf = function("05:00.0", (0x8086, 0x10c9), 0x02_0000, 15).driver("igb").sriov(7, &[]);
    let pf = pf
        .attribute("sriov_offset", "128\n")
        .attribute("sriov_stride", "2\n")
        .attribute("sriov_vf_device", "10ca\n");
    let plain = function("01:00.0", bochs, 0x03_8000, 11).driver("bochs-drm").drm("card1", 1);
    let screen = MadeDevice::new(&format!("{}/graphics/fb1", plain.path()), "graphics").node("fb1", 29, 1);
    let screen = screen.text_attribute("name", "bochs-drmdrmfb\n");
    let audio = function("02:00.1", (0x8086, 0x2668), 0x04_0300, 12).driver("snd_hda_intel");
    let card = MadeDevice::new(&format!("{}/sound/card0", audio.path()), "sound");
    let host = MadeHost::new()
        .device(&MadeDevice::new("/devices/virtual/iommu/dmar0", "iommu"))
        .function(&plain.child(screen))
        .function(&function("02:00.0", (0x1002, 0x5046), 0x03_0000, 12))
        .function(&audio.child(card))
        .function(&function("03:00.0", bochs, 0x03_8000, 13).driver("bochs-drm").drm("card2", 2))
        .function(&function("04:00.0", bochs, 0x03_8000, 14).driver("bochs-drm").drm("card3", 3))
        .function(&pf)
        .function(&function("08:01.0", bochs, 0x03_8000, 16).driver("bochs-drm").drm("card4", 4))
        .function(&function("08:02.0", (0x8086, 0x100e), 0x02_0000, 16).driver("e1000"))
        .function(&function("09:00.0", (0x1234, 0x11e8), 0x00_ff00, 17).driver("gpuvirt_mdev"));
    let kernel = FakeKernel::from_dump(&typed_card(host).dump()).unwrap().with_proc().strict();
    let types = [("lab-1q", 1024), ("lab-2q", 2048), ("lab-4q", 4096), ("lab-8q", 8192)];
    let types: Vec<(String, String, u64)> =
        types.iter().map(|(id, mib)| (format!("gpuvirt_mdev-{id}"), id.to_uppercase(), *mib)).collect();
    let types: Vec<(&str, &str, u64)> =
        types.iter().map(|(id, name, mib)| (id.as_str(), name.as_str(), *mib)).collect();
    kernel.offer_mdev(address("09:00.0"), 8192, SizeRule::Mixed, &types);
    kernel.load_module("vfio-pci").unwrap();
    kernel
}

#[test]
fn the_fake_kernel_does_as_the_real_one() {
    let testbed = Testbed::parse(TESTBED).unwrap();
    let kernel = lab();
    let mut wrong = Vec::new();
    let report = run(&kernel, &testbed, "", |behaviour, outcome| {
        if *outcome != Outcome::Passed {
            wrong.push(format!("{}: {outcome:?}", behaviour.id));
        }
    });
    assert!(wrong.is_empty(), "{}:\n{}", report.summary(), wrong.join("\n"));
    assert!(kernel.unmodelled().is_empty(), "{:?}", kernel.unmodelled());
}

/// The lab as it was recorded, brought to life.
fn recorded_lab() -> FakeKernel {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hosts/lab.umockdev");
    let kernel = FakeKernel::copy_of(&RecordedHost::open(&file).unwrap()).with_proc().strict();
    kernel.load_module("vfio-pci").unwrap();
    kernel
}

#[test]
fn a_recorded_host_comes_to_life_and_does_the_same() {
    let testbed = Testbed::parse(TESTBED).unwrap();
    let mut wrong = Vec::new();
    let report = run(&recorded_lab(), &testbed, "", |behaviour, outcome| {
        // The lab was recorded without such a card.
        let absent = behaviour.id.starts_with("vgpu-") && matches!(outcome, Outcome::NotRun(_));
        if *outcome != Outcome::Passed && !absent {
            wrong.push(format!("{}: {outcome:?}", behaviour.id));
        }
    });
    assert!(wrong.is_empty(), "{}:\n{}", report.summary(), wrong.join("\n"));
}

#[test]
fn behaviours_have_names_sentences_and_sources_of_their_own() {
    let all = all();
    assert!(all.len() >= 60, "{}", all.len());
    let ids: BTreeSet<&str> = all.iter().map(|behaviour| behaviour.id).collect();
    assert_eq!(ids.len(), all.len(), "an id is used twice");
    for behaviour in all {
        assert!(behaviour.source.contains(".c") || behaviour.source.contains(".h"), "{behaviour:?}");
        assert!(!behaviour.sentence.ends_with('.') && !behaviour.sentence.contains('|'), "{behaviour:?}");
        assert!(behaviour.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{behaviour:?}");
    }
}

#[test]
fn a_kernel_that_does_otherwise_is_found_out() {
    let testbed = Testbed::parse(TESTBED).unwrap();
    let kernel = lab();
    let function = address("01:00.0");
    kernel.fail(gpuvirt_fakekernel::On::Override { function }, gpuvirt_fakekernel::Errno::EIO);
    let report = run(&kernel, &testbed, "override-reads-back", |_, _| ());
    assert!(matches!(report.outcomes.as_slice(), [(_, Outcome::Failed(_))]), "{report:?}");
}

#[test]
fn without_its_devices_nothing_is_run_and_nothing_passes() {
    let report = run(&lab(), &Testbed::default(), "mdev", |_, _| ());
    assert!(!report.outcomes.is_empty());
    assert!(report.outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::NotRun(_))), "{report:?}");
}

#[test]
fn the_documents_list_is_the_suites() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/testing/conformance.md");
    let document = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        document.contains(&gpuvirt_conformance::table()),
        "docs/testing/conformance.md: put the output of `cargo run -p gpuvirt-conformance -- --list` at its end"
    );
}
