//! Everything that we write, against libvirt's own RELAX NG schema.
//!
//! Needs `xmllint` (Debian: libxml2-utils) and `domain.rng` (Debian: libvirt0). Without them these tests fail: a
//! check that did not run has not passed.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use gpuvirt_domain::{Added, GpuForGuest, Placement, add, gpu_fragment, mdev_fragment};

use crate::case::Case;

const SCHEMA: &str = "/usr/share/libvirt/schemas/domain.rng";

/// Validates documents, all in one run of the validator.
fn validate(documents: &[(String, String)]) {
    assert!(Path::new(SCHEMA).exists(), "{SCHEMA} is missing: install libvirt0");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--relaxng", SCHEMA]).current_dir(folder.path());
    for (name, xml) in documents {
        std::fs::File::create(folder.path().join(name)).unwrap().write_all(xml.as_bytes()).unwrap();
        command.arg(name);
    }
    let output = command.output().expect("xmllint does not start: install libxml2-utils");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for (name, _) in documents {
        assert!(said.contains(&format!("{name} validates")), "{name} was not validated: {said}");
    }
}

#[test]
fn edited_documents_validate() {
    let documents: Vec<(String, String)> = Case::all()
        .into_iter()
        .filter_map(|case| match add(&case.before, &case.device) {
            Ok(Added::Changed { xml, .. }) => Some((case.name, xml)),
            _ => None,
        })
        .collect();
    assert!(documents.len() > 10);
    validate(&documents);
}

#[test]
fn fragments_validate_in_a_minimal_domain() {
    let functions = |numbers: &[u8]| {
        let address = |n: &u8| format!("10000:41:00.{n}").parse().unwrap();
        GpuForGuest::new(numbers.iter().map(address)).unwrap()
    };
    let fragments = [
        ("alone", gpu_fragment(&functions(&[0]), Placement::LibvirtChooses)),
        ("several", gpu_fragment(&functions(&[0, 1, 2, 3]), Placement::LibvirtChooses)),
        ("placed", gpu_fragment(&functions(&[1, 7]), Placement::Slot { bus: 0xff, slot: 0x1f })),
        ("mdev", mdev_fragment("c7a5fdbd-edaf-9455-926a-d65c16db1809".parse().unwrap())),
    ];
    let documents: Vec<(String, String)> = fragments
        .into_iter()
        .map(|(name, fragment)| {
            let xml = format!(
                "<domain type='kvm'><name>x</name><memory>1</memory><os><type>hvm</type></os>\
                 <devices>{fragment}</devices></domain>"
            );
            (name.to_owned(), xml)
        })
        .collect();
    validate(&documents);
}
