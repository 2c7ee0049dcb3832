//! `config apply`: one document, applied, applied again, over a drift, and where it has to wait.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::{Lab, Output};
use serde_json::Value;

/// The vGPU of the document.
const VGPU: &str = "00000000-0000-4000-8000-00000000000c";

/// Runs `config apply` on a document with these entries.
fn apply(lab: &Lab, gpus: &str, options: &str) -> Output {
    lab.sh(&format!(
        "gpuvirt config apply {options} -f - <<'DOCUMENT'\napiVersion: gpuvirt/v1\nkind: Configuration\ngpus:\n{gpus}\nDOCUMENT"
    ))
}

/// The outcomes of a change, by GPU.
#[track_caller]
fn outcomes(change: &Value) -> Vec<(&str, &str)> {
    let gpus = change["gpus"].as_array().unwrap_or_else(|| panic!("{change}"));
    gpus.iter().map(|gpu| (gpu["address"].as_str().unwrap(), gpu["outcome"].as_str().unwrap())).collect()
}

fn a_document_is_applied_and_applied_again_and_mends_what_drifted() {
    let lab = Lab::fresh();
    let (whole, parts) = (lab.devices.get("PLAIN_GPU"), lab.devices.get("MDEV_GPU"));
    let entries = |whole_type: &str, parts_type: &str, vgpus: &str| {
        format!(
            "  - match: {{slot: \"{}\"}}\n    type: {whole_type}\n    label: lent
  - match: {{device: \"1234:11e8\"}}\n    type: {parts_type}\n    vgpus: [{vgpus}]",
            whole.trim_end_matches(".0")
        )
    };
    let wanted = entries("direct", "shared-direct", &format!("{{id: {VGPU}, profile: lab-1q}}"));
    let both = |word: &'static str| vec![(whole, word), (parts, word)];
    // Said, and not done.
    let before = lab.gpuvirt("config export").expect(0).stdout;
    let said = apply(&lab, &wanted, "--dry-run -o json").expect(0).json();
    assert_eq!((&said["changed"], outcomes(&said)), (&true.into(), both("changed")), "{said}");
    lab.assert_pristine();
    assert_eq!(lab.gpuvirt("config export").expect(0).stdout, before);
    // Done, and done already.
    let done = apply(&lab, &wanted, "-o json").expect(0).json();
    assert_eq!(outcomes(&done), both("changed"), "{done}");
    let applied = lab.picture();
    assert_eq!(lab.binding(whole), "vfio-pci/vfio-pci");
    assert!(applied.contains(&format!("mdev {VGPU} ")), "{applied}");
    let again = apply(&lab, &wanted, "-o json").expect(0).json();
    assert_eq!((&again["changed"], outcomes(&again)), (&false.into(), both("unchanged")), "{again}");
    apply(&lab, &wanted, "").expect(0).says("nothing to do");
    // What somebody changed by hand is as the document has it again.
    lab.sh(&format!(
        "d=/sys/bus/pci/devices/{whole}; echo > $d/driver_override; echo {whole} > $d/driver/unbind
         echo {whole} > /sys/bus/pci/drivers_probe; echo 1 > /sys/bus/mdev/devices/{VGPU}/remove"
    ))
    .expect(0);
    assert_ne!(lab.picture(), applied);
    let mended = apply(&lab, &wanted, "-o json").expect(0).json();
    assert_eq!(outcomes(&mended), both("changed"), "{mended}");
    assert_eq!(lab.picture(), applied);
    apply(&lab, &wanted, "").expect(0).says("nothing to do");
    // And back, by a document too.
    apply(&lab, &entries("shared", "shared", ""), "").expect(0);
    lab.assert_pristine();
}

fn a_document_that_has_to_wait_says_so_with_its_exit_code() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("TWIN_A");
    let hold = "setsid bash -c \"exec -a e2e-holder sleep 600 9<>$(readlink -f /dev/dri/by-path/pci-GPU-card)\" >/dev/null 2>&1 </dev/null &
        for try in {1..200}; do pgrep -f '^e2e-holder' >/dev/null && exit 0; done; exit 1";
    lab.sh(&hold.replace("GPU", gpu)).expect(0);
    let wanted = |when: &str| format!("  - address: \"{gpu}\"\n    type: direct\n    when: {when}");
    // Now it can't be, and then nothing of the document is done.
    apply(&lab, &wanted("now"), "").expect(3).says("[gpu-in-use]").says("sleep");
    assert_eq!(lab.gpu(gpu)["managed"], false);
    apply(&lab, &wanted("idle"), "--dry-run").expect(0);
    let waits = apply(&lab, &wanted("idle"), "-o json").expect(4).json();
    assert_eq!(outcomes(&waits), [(gpu, "pending")], "{waits}");
    apply(&lab, &wanted("idle"), "").expect(4).says("pending");
    lab.assert_pristine();
    lab.sh("pkill -f '^e2e-holder'; while pgrep -f '^e2e-holder' >/dev/null; do :; done").expect(0);
    // 60 s: the daemon looks every ten seconds whether a process has let go, and the lab is slow.
    lab.sh(&format!("grep -m 1 -F '{gpu} became direct' <(timeout 60 gpuvirt events --follow 2>/dev/null)"))
        .expect(0);
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    apply(&lab, &wanted("idle"), "").expect(0).says("nothing to do");
}

/// `scripts/test --full`.
mod full {
    #[test]
    fn a_document_is_applied_and_applied_again_and_mends_what_drifted() {
        super::a_document_is_applied_and_applied_again_and_mends_what_drifted();
    }

    #[test]
    fn a_document_that_has_to_wait_says_so_with_its_exit_code() {
        super::a_document_that_has_to_wait_says_so_with_its_exit_code();
    }
}
