//! Which package fits which use of a card: the rules of NVIDIA's documentation, one line each.

#![allow(clippy::unwrap_used)]

use gpuvirt_model::{HostDriver, HostDriverKind, PciAddress};
use gpuvirt_plan::driver_matrix::{Judgement, Package, Use, UsedAs, Verdict, judge};

const A40: &str = "GA102GL [A40]";
const A100: &str = "GA100 [A100 PCIe 40GB]";

fn used(name: &str, used_as: UsedAs, in_guest: bool) -> Use {
    Use {
        gpu: PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 },
        vendor: 0x10de,
        name: name.to_owned(),
        used_as,
        host_driver: HostDriver {
            kind: HostDriverKind::VgpuHost,
            version: Some("550.127.06".to_owned()),
            evidence: "so it is".to_owned(),
        },
        in_guest,
    }
}

fn judged(name: &str, used: &Use) -> Judgement {
    judge(&Package::recognise(name).unwrap(), used)
}

#[test]
fn each_rule_of_what_goes_where() {
    use UsedAs::{Host, Passthrough, Vgpu};
    use Verdict::{DoesNotFit, Fits, Unknown};
    let plain = "NVIDIA-Linux-x86_64-550.127.05.run";
    let grid = "NVIDIA-Linux-x86_64-550.127.05-grid.run";
    let manager = "NVIDIA-Linux-x86_64-550.127.06-vgpu-kvm.run";
    let aie = "NVIDIA-Linux-x86_64-550.127.06-vgpu-kvm-aie.run";
    for (package, card, used_as, in_guest, want, text) in [
        (plain, A40, Vgpu, true, DoesNotFit, "GRID driver"),
        (grid, A40, Vgpu, true, Fits, "same major release"),
        (grid, A40, Passthrough, true, Fits, "passed through"),
        (plain, A40, Passthrough, true, Fits, "passed through"),
        (plain, A40, Vgpu, false, DoesNotFit, "makes none"),
        (plain, A40, Host, false, Fits, "no vGPUs"),
        (manager, A40, Vgpu, false, Fits, "vGPU software 17 (R550), 16 (R535)"),
        (manager, A40, Passthrough, false, DoesNotFit, "no manager sees it"),
        (manager, A40, Vgpu, true, DoesNotFit, "no place in a VM"),
        // Compute cards have their vGPUs from AI Enterprise; it serves the others too.
        (manager, A100, Vgpu, false, DoesNotFit, "-aie"),
        (aie, A100, Vgpu, false, Fits, "AI Enterprise"),
        (aie, A40, Vgpu, false, Fits, "AI Enterprise"),
        (manager, "AD102 [GeForce RTX 4090]", Host, false, DoesNotFit, "GeForce"),
        (grid, "AD102 [GeForce RTX 4090]", Passthrough, true, DoesNotFit, "GeForce"),
        (plain, "AD102 [GeForce RTX 4090]", Passthrough, true, Fits, "passed through"),
        // Chips that a branch no longer knows, or not yet.
        (
            "NVIDIA-Linux-x86_64-595.58.03.run",
            "GV100GL [Tesla V100]",
            Passthrough,
            true,
            DoesNotFit,
            "R580 is the last",
        ),
        (
            "NVIDIA-Linux-x86_64-470.256.02-vgpu-kvm.run",
            "AD102GL [L40S]",
            Vgpu,
            false,
            DoesNotFit,
            "R525 or newer",
        ),
        // Windows has no place on the host.
        (
            "553.24-desktop-win10-win11-64bit-international-dch-whql.exe",
            A40,
            Host,
            false,
            DoesNotFit,
            "Windows",
        ),
        ("NVIDIA-GRID-vSphere-8.0-550.127.06-550.127.05-553.24.zip", A40, Vgpu, false, DoesNotFit, "KVM"),
        ("NVIDIA-GRID-Linux-KVM-550.127.06-550.127.05-553.24.zip", A40, Vgpu, false, Unknown, "archive"),
        ("999.10.10", A40, Vgpu, true, Unknown, "table does not have"),
        // A bare version of an AI Enterprise manager is no other than that of the plain one.
        ("550.127.06", A100, Vgpu, false, Unknown, "-aie"),
    ] {
        let judgement = judged(package, &used(card, used_as, in_guest));
        let because = judgement.because.join("; ");
        assert_eq!(judgement.verdict, want, "{package} {card} {used_as:?} in guest {in_guest}: {because}");
        assert!(because.contains(text), "{package}: {because}");
        assert!(judgement.verdict != DoesNotFit || !because.is_empty(), "{package}");
    }
}

#[test]
fn a_guest_is_judged_by_the_manager_that_the_host_has_now() {
    let grid = "NVIDIA-Linux-x86_64-550.127.05-grid.run";
    for (kind, version, want) in [
        (HostDriverKind::VgpuHost, Some("535.261.04"), Verdict::DoesNotFit),
        (HostDriverKind::VgpuHost, Some("570.172.07"), Verdict::Fits),
        (HostDriverKind::VgpuHost, Some("580.65.05"), Verdict::DoesNotFit),
        (HostDriverKind::VgpuHost, Some("nonsense"), Verdict::Unknown),
        (HostDriverKind::VgpuHost, None, Verdict::Unknown),
        (HostDriverKind::Plain, Some("550.127.05"), Verdict::Unknown),
        (HostDriverKind::None, None, Verdict::Unknown),
    ] {
        let mut used = used(A40, UsedAs::Vgpu, true);
        used.host_driver =
            HostDriver { kind, version: version.map(str::to_owned), evidence: "so it is".to_owned() };
        let judgement = judged(grid, &used);
        assert_eq!(judgement.verdict, want, "{kind:?} {version:?}: {:?}", judgement.because);
        let told = judgement.verdict != Verdict::DoesNotFit || judgement.remedy.len() == 2;
        assert!(told, "what would fit: {:?}", judgement.remedy);
    }
}

#[test]
fn another_vendors_package_is_for_another_card() {
    for (package, vendor, in_guest, used_as, want) in [
        ("NVIDIA-Linux-x86_64-550.127.05-grid.run", 0x1002, true, UsedAs::Vgpu, Verdict::DoesNotFit),
        ("NVIDIA-Linux-x86_64-550.127.05.run", 0x1234, true, UsedAs::Passthrough, Verdict::DoesNotFit),
        ("gim-dkms_8.4.0.K_all.deb", 0x1002, true, UsedAs::Vgpu, Verdict::DoesNotFit),
        ("gim-dkms_8.4.0.K_all.deb", 0x1002, false, UsedAs::Vgpu, Verdict::Unknown),
        ("amdgpu-install_6.4.60401-1_all.deb", 0x1002, true, UsedAs::Vgpu, Verdict::Unknown),
        ("amdgpu-install_6.4.60401-1_all.deb", 0x1002, true, UsedAs::Passthrough, Verdict::Fits),
        ("i915-sriov-dkms_2025.07.22_amd64.deb", 0x8086, true, UsedAs::Vgpu, Verdict::Unknown),
        ("gfx_win_101.6790.exe", 0x8086, true, UsedAs::Passthrough, Verdict::Fits),
        ("gfx_win_101.6790.exe", 0x8086, false, UsedAs::Host, Verdict::DoesNotFit),
    ] {
        let used = Use { vendor, ..used("a card", used_as, in_guest) };
        assert_eq!(judged(package, &used).verdict, want, "{package}");
    }
}

#[test]
fn all_of_a_vms_devices_must_be_fitted() {
    let grid = "NVIDIA-Linux-x86_64-550.127.05-grid.run";
    let manager = "NVIDIA-Linux-x86_64-550.127.06-vgpu-kvm.run";
    let fits = judged(grid, &used(A40, UsedAs::Vgpu, true));
    let not = judged(manager, &used(A40, UsedAs::Vgpu, true));
    let unknown = judged("999.10.10", &used(A40, UsedAs::Vgpu, true));
    let all = |list: &[&Judgement]| Judgement::all(list.iter().map(|j| (*j).clone())).map(|all| all.verdict);
    assert_eq!(all(&[&fits, &fits]), Some(Verdict::Fits));
    assert_eq!(all(&[&fits, &unknown]), Some(Verdict::Unknown));
    assert_eq!(all(&[&unknown, &not, &fits]), Some(Verdict::DoesNotFit));
    assert_eq!(all(&[]), None);
    let twice = Judgement::all([fits.clone(), fits.clone()]).unwrap();
    assert_eq!(twice.because, fits.because, "the same reason is said once");
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_package_that_can_be_judged_or_an_error(
        text in "(?s)(NVIDIA-Linux-x86_64-|nvidia-vgpu-|nvidia-linux-grid-|gim-)?[-._a-z0-9]{0,24}.{0,8}(-grid|-vgpu-kvm|_grid_)?(\\.run|\\.deb|\\.exe|\\.zip)?"
    ) {
        if let Ok(package) = Package::recognise(&text) {
            let name = package.name.as_str();
            proptest::prop_assert!(!name.is_empty() && !name.contains(['/', '\\']) && text.contains(name));
            for (used_as, in_guest) in [(UsedAs::Host, false), (UsedAs::Passthrough, true), (UsedAs::Vgpu, true)] {
                let judgement = judge(&package, &used(A40, used_as, in_guest));
                proptest::prop_assert!(!judgement.because.is_empty(), "{name}");
            }
        }
    }
}
