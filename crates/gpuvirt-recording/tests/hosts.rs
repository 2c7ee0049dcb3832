//! The recordings in tests/hosts are what their makers write, and they read well.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::PathBuf;

use gpuvirt_host::Sysfs;
use gpuvirt_recording::{RecordedHost, made_catalog};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/hosts/{name}.umockdev"))
}

#[test]
fn the_files_are_what_the_makers_write() {
    for (name, dump) in made_catalog::all() {
        let stored = std::fs::read_to_string(file(name)).unwrap_or_default();
        assert!(
            stored == dump,
            "tests/hosts/{name}.umockdev differs: cargo run -p gpuvirt-recording --example make_host {name}"
        );
    }
}

#[test]
fn so_are_the_snapshots() {
    for (name, made) in made_catalog::snapshots() {
        let path = file(name).with_extension("tar");
        assert!(
            std::fs::read(&path).unwrap_or_default() == made.bytes().unwrap(),
            "tests/hosts/{name}.tar differs: cargo run -p gpuvirt-recording --example make_host {name}"
        );
        let host = RecordedHost::open(&path).unwrap();
        let functions = match name {
            "amd-two-gpus" => 8,
            "intel-secure-boot" => 7,
            _ => 3,
        };
        assert_eq!(host.list("/sys/bus/pci/devices").unwrap().len(), functions, "{name}");
        assert!(host.notes().is_empty(), "{name}: {:?}", host.notes());
    }
}

#[test]
fn they_read_without_a_note() {
    for (name, functions) in [
        ("emulated-card", 3),
        ("gvt-host", 2),
        ("sample-types-host", 2),
        ("muxed-laptop", 5),
        ("sriov-host", 3),
        ("two-gpus", 8),
        ("vgpu-host", 19),
        ("vgpu-types-host", 7),
    ] {
        let host = RecordedHost::open(&file(name)).unwrap();
        assert_eq!(host.list("/sys/bus/pci/devices").unwrap().len(), functions, "{name}");
        let notes = host.notes();
        if name == "emulated-card" {
            assert_eq!(notes, ["no IOMMU group is recorded"]);
        } else {
            assert!(notes.is_empty(), "{name}: {notes:?}");
        }
    }
    let host = RecordedHost::open(&file("vgpu-host")).unwrap();
    assert_eq!(host.list("/sys/class/mdev_bus").unwrap().len(), 16);
    assert_eq!(host.list("/sys/bus/mdev/devices").unwrap().len(), 3);
}
