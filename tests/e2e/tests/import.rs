//! What driverctl and mdevctl have on a host becomes gpuvirt's, without anything running being touched.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

use gpuvirt_e2e::{Form, Lab};

const BY_HAND: &str = "11111111-2222-4333-8444-000000000001";
const WITH_THE_HOST: &str = "11111111-2222-4333-8444-000000000002";

/// The type of that name on the card, as its driver calls it.
fn mdev_type(lab: &Lab, gpu: &str, name: &str) -> String {
    let types = format!("/sys/bus/pci/devices/{gpu}/mdev_supported_types");
    lab.sh(&format!("cd {types} && grep -lxi {name} */name | xargs dirname")).expect(0).text().to_owned()
}

#[test]
fn a_host_of_driverctl_and_mdevctl_is_taken_over_as_it_runs() {
    let lab = Lab::fresh();
    let (card, shared) = (lab.devices.get("PLAIN_GPU").to_owned(), (Form::MDEV_ON_THE_CARD.dress)(&lab));
    let kind = mdev_type(&lab, &shared, "lab-1q");
    lab.sh(&format!(
        "driverctl set-override {card} vfio-pci
         mdevctl define --auto --uuid {WITH_THE_HOST} --parent {shared} --type {kind}
         mdevctl define --uuid {BY_HAND} --parent {shared} --type {kind}
         mdevctl start --uuid {WITH_THE_HOST}"
    ))
    .expect(0);
    let (whole, part) = (lab.guest("whole", ""), lab.guest("part", ""));
    for (guest, device) in [("whole", format!("--gpu {card}")), ("part", format!("--vgpu {WITH_THE_HOST}"))] {
        lab.sh(&format!(
            "gpuvirt xml {device} > /tmp/e2e-{guest}.xml && virsh -q attach-device --config {guest} /tmp/e2e-{guest}.xml"
        ))
        .expect(0);
    }
    let before = lab.picture();

    let shown = lab.gpuvirt("import").expect(0);
    for want in [
        &*format!("address: \"{card}\""),
        &*format!("address: \"{shared}\""),
        WITH_THE_HOST,
        "mdevctl undefine",
    ] {
        assert!(shown.stdout.contains(want), "{want}: {shown}");
    }
    // It is a document, and shown is all that it is.
    lab.sh("gpuvirt import | gpuvirt config diff -f -").expect(4);
    assert_eq!(lab.picture(), before);
    lab.sh("gpuvirt import | gpuvirt config apply --dry-run -f -").expect(3).says("[uuid-in-use]");

    lab.gpuvirt("import --apply").expect(0).says("rm /etc/driverctl.d/").says("1234 1111 > ");
    assert_eq!(lab.picture(), before, "the host was as it is to be");
    for (gpu, active) in [(&card, "direct"), (&shared, "shared-direct")] {
        let gpu = lab.gpu(gpu);
        assert_eq!(
            (gpu["configured"].as_str(), gpu["active"].as_str()),
            (Some(active), Some(active)),
            "{gpu}"
        );
    }
    let ours = lab.vgpus().into_iter().find(|vgpu| vgpu["uuid"] == WITH_THE_HOST).unwrap();
    assert_eq!(ours["ours"], true);
    lab.gpuvirt("import --apply").expect(0);
    for (guest, sees) in [(&whole, "1234:1111"), (&part, "class=0302")] {
        lab.gpuvirt(&format!("vm adopt {}", guest.name)).expect(0);
        guest.run().expect(0).says(sees);
    }

    // The other tools out of the way, everything goes gpuvirt's own ways.
    lab.sh(&format!(
        "rm /etc/driverctl.d/pci-{card}; echo 1234 1111 > /sys/bus/pci/drivers/vfio-pci/remove_id
         mdevctl undefine --uuid {WITH_THE_HOST}; mdevctl undefine --uuid {BY_HAND}"
    ))
    .expect(0);
    lab.gpuvirt(&format!("vgpu remove {WITH_THE_HOST}")).expect(0);
    lab.gpuvirt(&format!("gpu set {shared} --type shared")).expect(0);
    lab.gpuvirt(&format!("gpu set {card} --type shared")).expect(0);
    // What the host had set before driverctl's time is known to nobody; this is how VFIO leaves it.
    let control = format!("/sys/bus/pci/devices/{card}/power/control");
    lab.sh(&format!("grep -x on {control} && echo auto > {control}")).expect(0);
    lab.assert_pristine();
}

#[test]
fn what_contradicts_is_named_and_nothing_is_applied() {
    let lab = Lab::fresh();
    let shared = (Form::MDEV_ON_THE_CARD.dress)(&lab);
    let kind = mdev_type(&lab, &shared, "lab-1q");
    lab.sh(&format!(
        "mkdir -p /etc/driverctl.d && echo vfio-pci > /etc/driverctl.d/pci-{shared}
         mdevctl define --auto --uuid {WITH_THE_HOST} --parent {shared} --type {kind}"
    ))
    .expect(0);
    lab.gpuvirt("import").expect(0).says("contradiction");
    lab.gpuvirt("import --apply").expect(3).says("[import-contradiction]");
    lab.sh(&format!("rm /etc/driverctl.d/pci-{shared}; mdevctl undefine --uuid {WITH_THE_HOST}")).expect(0);
    lab.assert_pristine();
}
