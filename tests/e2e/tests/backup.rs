//! What the document says of backup, rollback and restore, typed in the lab to the letter.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Reader};

const DOCUMENT: &str = "docs/operations.md";
const STATE: &str = "/var/lib/gpuvirt/state.json";
/// The same package as of a later version, whose state file has a format that today's does not know.
const NEWER: &str = r"
set -e
rm -rf /tmp/e2e-newer && dpkg-deb -R /lab/gpuvirt.deb /tmp/e2e-newer && cd /tmp/e2e-newer
sed -i 's/^Version: .*/Version: 9.9.9/' DEBIAN/control
dpkg-deb --root-owner-group -Znone -b . /tmp/e2e-newer.deb >/dev/null
DEBIAN_FRONTEND=noninteractive dpkg -i --force-confold /tmp/e2e-newer.deb 2>&1
systemctl stop gpuvirtd
sed -i 's/^\( *.version.:\) 1,/\1 999,/' /var/lib/gpuvirt/state.json
grep -q 999 /var/lib/gpuvirt/state.json && cp /var/lib/gpuvirt/state.json /tmp/e2e-later-state";

fn host(lab: &Lab) -> Vec<String> {
    lab.picture().lines().filter(|line| !line.starts_with("domain")).map(str::to_owned).collect()
}

/// `scripts/test --full`.
mod full {
    use super::*;

    #[test]
    fn a_backup_serves_a_rollback_a_new_installation_and_another_host() {
        let lab = Lab::fresh();
        let (whole, shared) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
        lab.gpuvirt(&format!("gpu set {whole} --type direct --label kept")).expect(0);
        lab.gpuvirt(&format!("gpu set {shared} --type shared-direct")).expect(0);
        lab.gpuvirt(&format!("vgpu create --gpu {shared} --profile lab-1q")).expect(0);
        let configured = host(&lab);
        let mut reader = Reader::new(
            &lab,
            "backup and restore",
            &[
                ("./gpuvirt_OLD.deb", "./target/gpuvirt_0.1.0_amd64.deb"),
                (" gpus.yaml", " /root/backup/gpus.yaml"),
            ],
        );
        reader.follow_below(DOCUMENT, "Backup and restore");

        // An upgrade whose state file the old version does not know: nothing is touched until the backup is back.
        lab.sh(NEWER).expect(0);
        reader.follow_below(DOCUMENT, "Rollback");
        lab.gpuvirt("status").expect(0).says(STATE).says("version 999");
        let refused = lab.gpuvirt(&format!("gpu set {whole} --type shared")).expect(3);
        refused
            .says("[state-unreadable]")
            .says("install the gpuvirt that wrote it, or restore an earlier file");
        lab.gpuvirt("gpu list").expect(0).says(whole);
        assert_eq!(host(&lab), configured, "nothing is touched");
        lab.sh(&format!("cmp {STATE} /tmp/e2e-later-state")).expect(0);
        reader.follow_below(DOCUMENT, "A state file that is too new");
        lab.sh("dpkg-query -W -f '${Version}' gpuvirt").expect(0).never_says("9.9.9");
        lab.gpuvirt("config diff -f /root/backup/gpus.yaml").expect(0).says("nothing to do");
        lab.gpuvirt("status").expect(0).never_says(STATE);
        assert_eq!(host(&lab), configured);

        // The same host, installed anew: the cards are the host's, and nobody knows of gpuvirt.
        let wipe = format!(
            "dpkg --purge gpuvirt; set -e; for id in /sys/bus/mdev/devices/*; do echo 1 >$id/remove; done
             d=/sys/bus/pci/devices/{whole}; echo >$d/driver_override; echo {whole} >$d/driver/unbind
             echo {whole} >/sys/bus/pci/drivers_probe; test ! -e {STATE}"
        );
        lab.sh(&wipe).expect(0);
        assert_ne!(host(&lab), configured);
        reader.follow_below(DOCUMENT, "The same host, installed anew");
        lab.sh("timeout 100 bash -c 'until gpuvirt status >/dev/null; do read -rt 0.1 <> <(:) || :; done'")
            .expect(0);
        assert_eq!(host(&lab), configured, "and all is as it was");
        assert_eq!(lab.gpu("kept")["active"], "direct");

        // Another host: its card at that address is another one. The state file does no harm there, and the document is refused.
        lab.sh(&wipe).expect(0);
        lab.sh("dpkg -i /lab/gpuvirt.deb && cp /lab/e2e/gpuvirtd.toml /etc/gpuvirt/ && systemctl restart gpuvirtd libvirtd").expect(0);
        let bare = host(&lab);
        let other = format!("sed -i '/{whole}/,/driver/ s/1234/4321/' /root/backup/elsewhere");
        lab.sh(&format!("cp /root/backup/gpus.yaml /root/backup/elsewhere && {other} && grep -q 4321 /root/backup/elsewhere")).expect(0);
        lab.gpuvirt("config apply -f /root/backup/elsewhere").expect(3).says("[identity-changed]");
        assert_eq!(host(&lab), bare);
        reader.follow_below(DOCUMENT, "Another host");
        assert_eq!(host(&lab), configured, "what the document says is so, its vGPU with the same UUID");
        lab.gpuvirt("config diff -f /root/backup/gpus.yaml").expect(0).says("nothing to do");
        lab.sh("rm -r /root/backup /tmp/e2e-newer*").expect(0);
    }
}
