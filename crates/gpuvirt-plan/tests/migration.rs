//! Whether a VM can move while it runs: each thing that it takes, missing and there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use gpuvirt_model::{
    Configuration, ConfiguredType, Domain, DomainState, Framework, GpuSettings, Holders, HostDriver,
    HostDriverKind, Hostdev, Hypervisor, Observed, Profile, ProfileName, Reading, ReleaseNumber, Requests,
    Unknown, VfioMigration, Vgpu, VgpuId,
};
use gpuvirt_plan::migration::{Answer, Migration, Target, compare, of_devices, of_domain, of_profile};
use picture::{AUDIO, GPU, at, binding, host};
use uuid::Uuid;

const VGPU: VgpuId = VgpuId::Mdev(Uuid::from_u128(10));
const SECOND: VgpuId = VgpuId::Mdev(Uuid::from_u128(11));

fn vgpu(id: VgpuId) -> Vgpu {
    Vgpu {
        id,
        uuid: id.uuid(),
        parent: at(GPU),
        gpu: at(GPU),
        framework: Framework::Mdev,
        type_id: "nvidia-558".to_owned(),
        profile: ProfileName("nvidia_a40-4q".to_owned()),
        iommu_group: None,
        gpu_instance: None,
        placement_id: None,
        removing: false,
        params: None,
        holders: Holders::default(),
    }
}

fn profile() -> Profile {
    Profile {
        name: ProfileName("nvidia_a40-4q".to_owned()),
        parent: at(GPU),
        framework: Framework::Mdev,
        type_id: "nvidia-558".to_owned(),
        title: "NVIDIA A40-4Q".to_owned(),
        device_api: "vfio-pci".to_owned(),
        available: 4,
        max: Some(12),
        framebuffer_mib: Some(4096),
        class: None,
        sharing: None,
        heads: None,
        max_resolution: None,
        blocked: None,
    }
}

/// A host with a vGPU of which the kernel says that it can be migrated, and everything new enough.
fn well() -> Observed {
    let mut observed = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
    let gpu = observed.gpus.get_mut(&at(GPU)).unwrap();
    gpu.frameworks = vec![Framework::Mdev];
    gpu.profiles = vec![profile()];
    gpu.driver = HostDriver {
        kind: HostDriverKind::VgpuHost,
        version: Some("580.65.05".to_owned()),
        evidence: "so it is".to_owned(),
    };
    observed.vgpus = [VGPU, SECOND].map(|id| (id, vgpu(id))).into();
    observed.host.kernel_release = Some("6.8.0-45-generic".to_owned());
    observed.host.vfio_migration = shown(true, None);
    observed
}

fn shown(
    supported: bool,
    features: Option<&[&str]>,
) -> Reading<std::collections::BTreeMap<VgpuId, VfioMigration>> {
    let features = features.map(|list| list.iter().map(|f| (*f).to_owned()).collect());
    let device = VfioMigration { supported, features };
    Reading::Known([(VGPU, device.clone()), (SECOND, device)].into())
}

fn unseen(observed: &mut Observed) {
    observed.host.vfio_migration = Reading::Unknown(Unknown::NeedsRoot);
}

fn domain(devices: Vec<Hostdev>) -> Domain {
    Domain {
        name: "cad1".to_owned(),
        uuid: Uuid::from_u128(1),
        state: DomainState::Active,
        autostart: false,
        config: Vec::new(),
        live: devices,
        requests: Requests::default(),
        guest: Default::default(),
    }
}

fn with_viommu() -> gpuvirt_model::Guest {
    let viommu = gpuvirt_model::guest::Viommu { model: "intel".to_owned(), caching_mode: true };
    gpuvirt_model::Guest { viommu: Some(viommu), ..Default::default() }
}

const NEW: Hypervisor =
    Hypervisor { libvirt: Some(ReleaseNumber::new(10, 0)), qemu: Some(ReleaseNumber::new(8, 2)) };

fn judge(observed: &Observed, devices: Vec<Hostdev>, hypervisor: Hypervisor) -> (Migration, String) {
    let migration = of_domain(&domain(devices), observed, &hypervisor);
    let why = |check: &gpuvirt_plan::migration::Check| format!("{}: {}", check.what, check.because);
    let text = migration.checks.iter().map(why).collect::<Vec<_>>().join("\n");
    (migration, text)
}

type Change = fn(&mut Observed);
type CardChange = fn(&mut gpuvirt_model::Gpu);

#[test]
fn each_thing_that_a_migration_takes() {
    let pci = |address: &str| Hostdev::Pci { address: at(address), managed: false };
    let one = vec![VGPU.hostdev()];
    let two = vec![VGPU.hostdev(), SECOND.hostdev()];
    let nothing: Change = |_| {};
    let cases: Vec<(Vec<Hostdev>, Change, Answer, &str)> = vec![
        (one.clone(), nothing, Answer::Yes, "the kernel shows that its driver saves"),
        (one.clone(), |o| o.host.vfio_migration = shown(false, None), Answer::No, "does not save its state"),
        (one.clone(), unseen, Answer::Unknown, "RHEL 9.4"),
        (
            one.clone(),
            |o| {
                unseen(o);
                o.gpus.get_mut(&at(GPU)).unwrap().driver.version = Some("535.261.04".to_owned());
            },
            Answer::Unknown,
            "not known whether the manager",
        ),
        (
            one.clone(),
            |o| {
                unseen(o);
                o.functions.get_mut(&at(GPU)).unwrap().binding = binding("i915", "");
            },
            Answer::No,
            "GVT-g",
        ),
        (
            one.clone(),
            |o| o.host.kernel_release = Some("5.15.0-91-generic".to_owned()),
            Answer::No,
            "5.18.0 or newer",
        ),
        (one.clone(), |o| o.host.kernel_release = None, Answer::Unknown, "5.18.0 or newer"),
        (vec![pci(GPU), pci(AUDIO)], nothing, Answer::No, "passed through whole"),
        (two.clone(), nothing, Answer::Unknown, "p2p"),
        (
            two.clone(),
            |o| o.host.vfio_migration = shown(true, Some(&["stop-copy", "p2p"])),
            Answer::Yes,
            "stopped together",
        ),
        (
            two,
            |o| o.host.vfio_migration = shown(true, Some(&["stop-copy"])),
            Answer::No,
            "can't be stopped together",
        ),
        (vec![VgpuId::Mdev(Uuid::from_u128(99)).hostdev()], nothing, Answer::Unknown, "does not exist"),
        (Vec::new(), nothing, Answer::Yes, "no GPU and no vGPU"),
    ];
    for (devices, change, answer, words) in cases {
        let mut observed = well();
        change(&mut observed);
        let (migration, text) = judge(&observed, devices, NEW);
        assert_eq!(migration.answer, answer, "{words}\n{text}");
        assert!(text.contains(words), "{words}\n{text}");
        assert!(answer != Answer::No || migration.advice.is_empty(), "no advice for what can't be");
    }
}

#[test]
fn libvirt_and_qemu_must_be_new_enough() {
    let release = |major, minor| Some(ReleaseNumber::new(major, minor));
    for (libvirt, qemu, answer) in [
        (release(8, 6), release(8, 1), Answer::Yes),
        (release(8, 5), release(8, 1), Answer::No),
        (release(9, 0), release(8, 0), Answer::No),
        (None, release(8, 1), Answer::Unknown),
        (release(9, 0), None, Answer::Unknown),
    ] {
        let (migration, text) = judge(&well(), vec![VGPU.hostdev()], Hypervisor { libvirt, qemu });
        assert_eq!(migration.answer, answer, "{text}");
    }
}

#[test]
fn what_is_not_running_is_judged_by_its_definition() {
    let mut off = domain(Vec::new());
    off.state = DomainState::ShutOff;
    off.config = vec![VGPU.hostdev()];
    assert_eq!(of_domain(&off, &well(), &NEW).answer, Answer::Yes);
    let with_iommu = Domain { guest: with_viommu(), ..off.clone() };
    assert_eq!(of_domain(&with_iommu, &well(), &NEW).answer, Answer::No);
    assert_eq!(of_devices(&off, &well()).unwrap().answer, Answer::Yes);
    assert_eq!(of_devices(&domain(Vec::new()), &well()), None, "a VM without GPUs is nobody's business");
}

#[test]
fn advice_has_the_size_of_what_moves() {
    let (migration, _) = judge(&well(), vec![VGPU.hostdev()], NEW);
    let advice = migration.advice.join("\n");
    assert!(advice.contains("4096 MiB") && advice.contains("about 4 s"), "{advice}");
    assert!(advice.contains("no post-copy") && advice.contains("migrate-setmaxdowntime cad1"), "{advice}");
}

#[test]
fn a_profile_is_judged_by_the_vgpus_that_live() {
    let mut observed = well();
    let gpu = observed.gpus[&at(GPU)].clone();
    assert_eq!(of_profile(&profile(), &gpu, &observed).answer, Answer::Yes);
    observed.vgpus.clear();
    assert_eq!(of_profile(&profile(), &gpu, &observed).answer, Answer::Unknown);
    let plain = Profile { framework: Framework::Sriov, ..profile() };
    let check = of_profile(&plain, &gpu, &observed);
    assert!(check.because.contains("vfio-pci saves no state"), "{}", check.because);
}

#[test]
fn the_other_host_must_offer_the_same() {
    let needs = judge(&well(), vec![VGPU.hostdev()], NEW).0.needs;
    let gpu =
        |o: &mut Observed, change: fn(&mut gpuvirt_model::Gpu)| change(o.gpus.get_mut(&at(GPU)).unwrap());
    let cases: Vec<(Change, Answer, &str)> = vec![
        (|_| {}, Answer::Yes, "under the same driver, 580.65.05"),
        (
            |o| o.functions.get_mut(&at(GPU)).unwrap().identity.device ^= 1,
            Answer::No,
            "no card of the same make",
        ),
        (|o| o.gpus.clear(), Answer::No, "no card of the same make"),
        (|o| o.host.kernel_release = Some("5.10.0".to_owned()), Answer::No, "5.18.0 or newer"),
    ];
    for (change, answer, words) in cases {
        let mut there = well();
        change(&mut there);
        let checks = compare(&needs, &Target::Recorded(&there));
        assert!(
            checks.iter().any(|c| c.answer == answer && c.because.contains(words)),
            "{words}: {checks:?}"
        );
    }
    let on_card: Vec<(CardChange, Answer, &str)> = vec![
        (|g| g.profiles.clear(), Answer::No, "does not offer it"),
        (|g| g.profiles[0].available = 0, Answer::No, "no room"),
        (|g| g.profiles[0].framework = Framework::NvidiaVfio, Answer::No, "in another way"),
        (|g| g.driver.version = Some("580.82.02".to_owned()), Answer::No, "here it is 580.65.05"),
        (|g| g.driver.version = None, Answer::Unknown, "not known"),
    ];
    for (change, answer, words) in on_card {
        let mut there = well();
        gpu(&mut there, change);
        let checks = compare(&needs, &Target::Recorded(&there));
        let found = checks.iter().find(|check| check.what.starts_with("nvidia")).unwrap();
        assert_eq!(found.answer, answer, "{words}: {}", found.because);
        assert!(found.because.contains(words), "{words}: {}", found.because);
    }
}

#[test]
fn a_configuration_says_what_a_card_is_for_and_no_more() {
    let needs = judge(&well(), vec![VGPU.hostdev()], NEW).0.needs;
    let entry = |graphics_type, identity| GpuSettings {
        address: Some(at(GPU)),
        identity,
        selector: None,
        graphics_type,
        label: None,
        when: None,
        vgpu_mode: None,
        vf_count: None,
        gpu_instances: None,
        vgpus: None,
        accepted: None,
    };
    for (graphics_type, known, answer) in [
        (ConfiguredType::SharedDirect, true, Answer::Unknown),
        (ConfiguredType::Direct, true, Answer::No),
        (ConfiguredType::Default, true, Answer::No),
        (ConfiguredType::SharedDirect, false, Answer::No),
    ] {
        let gpus = vec![entry(graphics_type, known.then_some(needs[0].card))];
        let config = Configuration { gpus, ..Configuration::default() };
        let checks = compare(&needs, &Target::Configured(&config));
        let found = checks.iter().find(|check| check.what.starts_with("nvidia")).unwrap();
        assert_eq!(found.answer, answer, "{graphics_type} {known}: {}", found.because);
    }
}
