//! Recipes, followed to the letter in the lab, and the host as it was afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

use gpuvirt_e2e::{Guest, Lab, Reader};

/// What a guest sees of a card like QEMU's standard one.
const CARD: &str = "1234:1111 class=03";

/// Fails the test unless this many guests of the transcript saw a card.
#[track_caller]
fn guests_saw_a_card(reader: &Reader<'_>, guests: usize) {
    let seen =
        reader.transcript().lines().filter(|line| line.starts_with("L2-PCI") && line.contains(CARD)).count();
    assert_eq!(seen, guests, "{}", reader.transcript());
}

fn gone(lab: &Lab, guests: &[Guest<'_>]) {
    for guest in guests {
        lab.sh(&format!("virsh -q undefine {}", guest.name)).expect(0);
    }
    lab.assert_pristine();
}

/// `scripts/test --full`.
mod full {
    use super::*;

    /// The card that the firmware's display is on, and the host's console: what a host with one GPU has.
    #[test]
    fn the_only_gpu_goes_to_a_vm_and_comes_back_with_the_console_on_it() {
        let lab = Lab::fresh();
        let gpu = lab.devices.get("BOOT_GPU");
        let guests = [lab.guest("win11", "--hold")];
        // The console's picture, anew: pixels that are not black. A frame buffer that nobody draws on has none.
        let picture = "chvt 1; printf 'gpuvirt-e2e\\n' >/dev/tty1
            for try in {1..100}; do
                [ \"$(head -c 400000 /dev/fb0 2>/dev/null | tr -d '\\0' | wc -c)\" -gt 100 ] && exec cat /sys/class/graphics/fb0/name
                read -rt 0.1 <> <(:)
            done; exit 1";
        let console = lab.sh(picture).expect(0).stdout;
        let mut reader = Reader::new(&lab, "one GPU, in turn", &[("01:00.0", &gpu[5..])]);
        reader.settled = Some(format!(
            "timeout 100 bash -c 'while [[ $(readlink /sys/bus/pci/devices/{gpu}/driver) == */vfio-pci ]] ||
                ls /var/lib/gpuvirt/journal/*.json >/dev/null 2>&1; do read -rt 0.1 <> <(:) || :; done'"
        ));
        reader.follow("docs/recipes/single-gpu.md");
        guests_saw_a_card(&reader, 1);
        assert_eq!(lab.sh(picture).expect(0).stdout, console, "the console draws on the card again");
        gone(&lab, &guests);
        reader.keep("single-gpu.md");
    }

    #[test]
    fn two_gpus_alike_are_used_apart_and_together() {
        let lab = Lab::fresh();
        let [left, right] = ["TWIN_A", "TWIN_B"].map(|role| lab.devices.get(role));
        let parts = lab.devices.get("MDEV_GPU");
        let identity = lab.gpu(left)["functionDetails"][0]["identity"].clone();
        let kind =
            format!("{}:{}", identity["vendor"].as_str().unwrap(), identity["device"].as_str().unwrap());
        let host = lab.binding(right);
        let guests = ["win11", "worker", "render"].map(|name| lab.guest(name, "--hold"));
        let words = [
            ("41:00.0", &left[5..]),
            ("81:00.0", &right[5..]),
            ("c1:00.0", &parts[5..]),
            ("10de:2235", &*kind),
        ];
        let mut reader = Reader::new(&lab, "two GPUs, alike", &words);
        reader.follow_below("docs/recipes/two-gpus.md", "Two GPUs: one for the host, one for VMs");
        guests_saw_a_card(&reader, 1);
        assert_eq!(lab.binding(right), host, "the other one stays with the host");
        reader.follow_below("docs/recipes/two-gpus.md", "Two cards alike");
        guests_saw_a_card(&reader, 4);
        for heading in ["One for passthrough, one for vGPUs", "All of it away"] {
            reader.follow_below("docs/recipes/two-gpus.md", heading);
        }
        gone(&lab, &guests);
        reader.keep("two-gpus.md");
    }
}
