//! What takes long: only `scripts/test --full` runs the module `full`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod full {
    use gpuvirt_e2e::Lab;

    /// Open files and memory of the daemon, in KiB.
    fn cost(lab: &Lab) -> (u64, u64) {
        let numbers = "pid=$(systemctl show -P MainPID gpuvirtd); ls /proc/$pid/fd | wc -l;
            grep -h ^RssAnon: /proc/$pid/status | tr -dc '0-9\\n'";
        let output = lab.sh(numbers).expect(0);
        let mut lines = output.stdout.lines().map(|line| line.parse().unwrap());
        (lines.next().unwrap(), lines.next().unwrap())
    }

    #[test]
    fn many_changes_leave_nothing_behind() {
        let lab = Lab::fresh();
        let (plain, mdev) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
        lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
        let round = format!(
            "set -e; for round in {{1..10}}; do
                gpuvirt gpu set {plain} --type direct; gpuvirt gpu set {plain} --type shared
                for uuid in {{1..4}}; do gpuvirt vgpu create --gpu {mdev} --profile lab-2q \\
                    --uuid 00000000-0000-4000-8000-00000000000$uuid; done
                for uuid in {{1..4}}; do gpuvirt vgpu remove 00000000-0000-4000-8000-00000000000$uuid; done
            done"
        );
        lab.sh(&round).expect(0);
        let (files, memory) = cost(&lab);
        lab.sh(&round).expect(0);
        let (files_after, memory_after) = cost(&lab);
        assert!(files_after <= files, "{files_after} open files after {files}");
        assert!(memory_after <= memory + memory / 4, "{memory_after} KiB after {memory} KiB");
        lab.assert_pristine();
    }

    /// Without hardware acceleration in the guest: how far it gets does not matter to VFIO.
    #[test]
    fn a_guest_without_kvm_sees_its_card_too() {
        let lab = Lab::fresh();
        let gpu = lab.devices.get("PLAIN_GPU");
        let guest = lab.guest("emulated", "--hold --type qemu");
        lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
        lab.gpuvirt(&format!("vm add emulated --gpu {gpu}")).expect(0);
        lab.sh("/lab/guest-run emulated 540").expect(0).says("1234:1111");
        guest.destroy();
        lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    }
}
