//! Domain XML, read and edited: what we add reads back as ours, is added once, and taken out leaves what was there.
#![no_main]

use gpuvirt_domain::{Added, Device, GpuForGuest, Removed, add, read, remove};
use gpuvirt_model::{Hostdev, PciAddress};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

/// Of this document nothing can have been ours, so that taking out must restore it to the byte.
fn untouched(xml: &str) -> bool {
    !xml.contains("ua-gpuvirt") && !xml.contains("&#")
}

/// The host devices that it consists of.
fn parts(device: &Device) -> Vec<Hostdev> {
    match device {
        Device::Mdev(uuid) => vec![Hostdev::Mdev { uuid: *uuid }],
        Device::Gpu(gpu) => {
            let part = |address: &PciAddress| Hostdev::Pci { address: *address, managed: false };
            gpu.functions().iter().map(part).collect()
        }
    }
}

fn there_and_back(xml: &str, device: &Device) {
    let before = read(xml);
    // A document that can be read may lack `<devices>`, PCI or room; one that can't be read is never edited.
    let Ok(added) = add(xml, device) else { return };
    assert!(before.is_ok(), "edited what can't be read");
    let Added::Changed { xml: with, fragment } = added else { return };
    assert!(!fragment.is_empty());
    let after = read(&with).expect("what we wrote can be read");
    let before = before.expect("checked above");
    let has = |wanted: &Hostdev| after.hostdevs.iter().any(|present| present.same_device(wanted));
    assert!(parts(device).iter().all(has), "not all of it was added");
    assert_eq!((after.name, after.uuid), (before.name, before.uuid));
    match add(&with, device) {
        Ok(Added::AlreadyPresent { ours: true, managed: false }) => {}
        other => panic!("adding twice: {other:?}"),
    }
    match remove(&with, device) {
        Ok(Removed::Changed { xml: without, .. }) if untouched(xml) => assert_eq!(without, xml),
        Ok(Removed::Changed { xml: without, .. }) => assert!(read(&without).is_ok()),
        other => panic!("taking out what is ours: {other:?}"),
    }
}

fuzz_target!(|xml: &str| {
    let functions = [0, 1].map(|function| PciAddress { domain: 0, bus: 0x41, slot: 0, function });
    let gpu = GpuForGuest::new(functions).expect("two functions of one slot");
    let mdev = Uuid::from_u128(0x5f8a_6d6e_0c2c_4a53_9d3c_0c1c_2b6f_3a11);
    for device in [Device::Gpu(gpu), Device::Mdev(mdev)] {
        there_and_back(xml, &device);
        if let Ok(Removed::Changed { xml: without, .. }) = remove(xml, &device) {
            assert_eq!(remove(&without, &device), Ok(Removed::NotPresent));
        }
    }
});
