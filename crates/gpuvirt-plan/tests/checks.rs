//! Every refusal and warning of a switch: one picture that is well, and what has to be wrong for each.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use gpuvirt_model::{
    Bar, ClassCode, ConfiguredType, Desired, Domain, DomainState, Framework, GraphicsType, Holder,
    HostDriver, HostDriverKind, Hostdev, ModulePresence, Observed, ProfileName, Reading, Records,
    RefusalCode, Sriov, Unknown, Vgpu, Via, WarningCode,
};
use gpuvirt_plan::{checks, switch};
use picture::{AUDIO, GPU, NIC, at, binding, function, host, managed};
use uuid::Uuid;

fn well() -> Observed {
    host(binding("nvidia", ""), binding("snd_hda_intel", ""))
}

/// What a change of the picture makes of a switch to `to`.
fn judge(
    to: GraphicsType,
    change: impl FnOnce(&mut Observed),
) -> (Vec<RefusalCode>, Vec<WarningCode>, String) {
    let mut observed = well();
    let desired = managed(&observed, ConfiguredType::Shared);
    change(&mut observed);
    picture::settle(&mut observed);
    let gpu = &observed.gpus[&at(GPU)];
    let plan = switch::plan(gpu, &observed, to, &Records::default());
    let switch = checks::Switch { gpu, observed: &observed, desired: &desired, to, plan: &plan };
    let refusals = checks::refusals(&switch);
    let text = refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let warnings = checks::warnings(&switch).iter().map(|w| w.code).collect();
    (refusals.iter().map(|r| r.code).collect(), warnings, text)
}

fn gpu_of(observed: &mut Observed) -> &mut gpuvirt_model::Gpu {
    observed.gpus.get_mut(&at(GPU)).unwrap()
}

fn primary_of(observed: &mut Observed) -> &mut gpuvirt_model::Function {
    observed.functions.get_mut(&at(GPU)).unwrap()
}

fn process(command: &str) -> Holder {
    let via = Via::Fd { fd: 7, path: "/dev/dri/card0".to_owned() };
    Holder::Process { pid: 4242, command: command.to_owned(), via, container: None }
}

fn running_with(device: Hostdev) -> Reading<Vec<Domain>> {
    let (name, uuid) = ("win11 games".to_owned(), Uuid::from_u128(7));
    Reading::Known(vec![Domain {
        name,
        uuid,
        state: DomainState::Active,
        autostart: false,
        config: vec![device.clone()],
        live: vec![device],
        requests: gpuvirt_model::Requests::default(),
        guest: gpuvirt_model::Guest::default(),
    }])
}

#[test]
fn a_card_that_is_well_is_not_refused() {
    assert_eq!(judge(GraphicsType::Direct, |_| {}), (vec![], vec![], String::new()));
}

#[test]
fn everything_in_the_way_of_direct_is_refused_by_name() {
    type Change = Box<dyn FnOnce(&mut Observed)>;
    let cases: Vec<(RefusalCode, &str, Change)> = vec![
        (RefusalCode::NoIommu, "IOMMU is off", Box::new(|o| o.host.iommu = false)),
        (RefusalCode::NoIommu, GPU, Box::new(|o| primary_of(o).iommu_group = None)),
        (RefusalCode::NoIommu, "no-IOMMU mode", Box::new(|o| o.groups.get_mut(&17).unwrap().noiommu = true)),
        (
            RefusalCode::GroupNotViable,
            "0000:42:00.0",
            Box::new(|o| {
                let mut nic = function(NIC, 0x02_00_00, binding("igb", ""));
                nic.device_name = Some("I210 Gigabit".to_owned());
                o.functions.insert(at(NIC), nic);
                o.groups.get_mut(&17).unwrap().members.push(at(NIC));
            }),
        ),
        (
            RefusalCode::GpuInUse,
            "process 4242 (Xorg)",
            Box::new(|o| gpu_of(o).holders.seen.push(process("Xorg"))),
        ),
        (
            RefusalCode::GpuInUse,
            "card0/pcm3p/sub0",
            Box::new(|o| {
                gpu_of(o)
                    .holders
                    .seen
                    .push(Holder::Sound { stream: "card0/pcm3p/sub0".to_owned(), pid: None });
            }),
        ),
        (
            RefusalCode::DomainRunning,
            "win11 games",
            Box::new(|o| {
                o.domains = running_with(Hostdev::Pci { address: at(AUDIO), managed: true });
            }),
        ),
        (RefusalCode::BootDisplay, "firmware", Box::new(|o| primary_of(o).boot_vga = Some(true))),
        (RefusalCode::BootDisplay, "firmware", Box::new(|o| primary_of(o).boot_display = Some(true))),
        (
            RefusalCode::ConsoleActive,
            "fb0 (efifb)",
            Box::new(|o| {
                let (framebuffer, driver) = ("fb0".to_owned(), "efifb".to_owned());
                gpu_of(o).holders.seen.push(Holder::Console { framebuffer, driver });
            }),
        ),
        (
            RefusalCode::VfsAlive,
            "0000:41:00.4",
            Box::new(|o| {
                let vfs = vec![at("0000:41:00.4")];
                primary_of(o).sriov = Some(Sriov { total: 16, enabled: 1, drivers_autoprobe: true, vfs });
            }),
        ),
        (
            RefusalCode::VgpusAlive,
            "grid_t4-2q",
            Box::new(|o| {
                o.vgpus.insert(Uuid::from_u128(1).into(), vgpu());
            }),
        ),
        (RefusalCode::IdentityChanged, "10de:2236", Box::new(|o| primary_of(o).identity.device = 0x2236)),
        (RefusalCode::NotAnEndpoint, GPU, Box::new(|o| primary_of(o).endpoint = false)),
        (RefusalCode::VfioMissing, "vfio-pci", Box::new(|o| o.host.vfio_pci = ModulePresence::Missing)),
        (
            RefusalCode::NoInterruptRemapping,
            "/proc/interrupts",
            Box::new(|o| {
                o.host.interrupt_remapping = Reading::Known(false);
            }),
        ),
        (RefusalCode::GpuUnresponsive, "all ones", Box::new(|o| primary_of(o).unresponsive = true)),
    ];
    for (code, named, change) in cases {
        let (refusals, _, text) = judge(GraphicsType::Direct, change);
        assert_eq!(refusals, [code]);
        assert!(text.contains(named), "{code} does not name {named}:\n{text}");
        assert!(text.contains("\n  try      "), "{code} has no remedy:\n{text}");
    }
}

fn vgpu() -> Vgpu {
    Vgpu {
        id: Uuid::from_u128(1).into(),
        uuid: Some(Uuid::from_u128(1)),
        parent: at(GPU),
        gpu: at(GPU),
        framework: Framework::Mdev,
        type_id: "nvidia-231".to_owned(),
        profile: ProfileName("grid_t4-2q".to_owned()),
        iommu_group: None,
        gpu_instance: None,
        placement_id: None,
        removing: false,
        params: None,
        holders: gpuvirt_model::Holders::default(),
    }
}

#[test]
fn what_no_iommu_translates_for_has_a_way() {
    let remedy = |change: fn(&mut gpuvirt_model::Function)| {
        let mut observed = well();
        let desired = managed(&observed, ConfiguredType::Shared);
        let primary = primary_of(&mut observed);
        primary.iommu_group = None;
        change(primary);
        let (gpu, to) = (&observed.gpus[&at(GPU)], GraphicsType::Direct);
        let plan = switch::plan(gpu, &observed, to, &Records::default());
        let switch = checks::Switch { gpu, observed: &observed, desired: &desired, to, plan: &plan };
        let found =
            checks::refusals(&switch).into_iter().find(|refusal| refusal.code == RefusalCode::NoIommu);
        found.unwrap().remedy
    };
    let card = remedy(|_| {});
    assert!(
        card[0].contains("a newer firmware") && card[1].starts_with("gpuvirt doctor 0000:41:00.0"),
        "{card:?}"
    );
    let inner = remedy(|primary| {
        (primary.identity.vendor, primary.address) = (0x8086, at("0000:00:02.0"));
    });
    assert!(inner[0].contains("intel_iommu=on") && inner[0].contains("igfx_off"), "{inner:?}");
}

#[test]
fn all_refusals_come_at_once() {
    let (refusals, _, _) = judge(GraphicsType::Direct, |o| {
        o.host.iommu = false;
        gpu_of(o).holders.seen.push(process("Xorg"));
        primary_of(o).boot_vga = Some(true);
    });
    assert_eq!(refusals, [RefusalCode::NoIommu, RefusalCode::GpuInUse, RefusalCode::BootDisplay]);
}

#[test]
fn only_what_is_acceptable_can_be_accepted() {
    let mut observed = well();
    observed.host.iommu = false;
    primary_of(&mut observed).boot_vga = Some(true);
    let desired = managed(&observed, ConfiguredType::Shared);
    let gpu = &observed.gpus[&at(GPU)];
    let plan = switch::plan(gpu, &observed, GraphicsType::Direct, &Records::default());
    let to = GraphicsType::Direct;
    let all =
        checks::refusals(&checks::Switch { gpu, observed: &observed, desired: &desired, to, plan: &plan });
    let (stand, accepted) = checks::without_accepted(all, RefusalCode::ALL);
    assert_eq!(stand.iter().map(|r| r.code).collect::<Vec<_>>(), [RefusalCode::NoIommu]);
    assert_eq!(accepted.iter().map(|r| r.code).collect::<Vec<_>>(), [RefusalCode::BootDisplay]);
}

#[test]
fn bridges_and_idle_neighbours_are_no_obstacle() {
    for (class, bound) in [
        (0x06_04_00, "pcieport"),
        (0x06_04_00, ""),
        (0x06_04_00, "vfio-pci"),
        (0x01_08_02, ""),
        (0x01_08_02, "vfio-pci"),
        (0x02_00_00, "pci-stub"),
    ] {
        let (refusals, ..) = judge(GraphicsType::Direct, |o| {
            o.functions.insert(at(NIC), function(NIC, class, binding(bound, "")));
            o.groups.get_mut(&17).unwrap().members.push(at(NIC));
        });
        assert_eq!(refusals, [], "{class:06x} {bound}");
    }
}

#[test]
fn a_group_with_what_the_kernel_would_refuse_or_nobody_could_read_is_not_viable() {
    let neighbour = |o: &mut Observed, class, bound| {
        o.functions.insert(at(NIC), function(NIC, class, bound));
        o.groups.get_mut(&17).unwrap().members.push(at(NIC));
    };
    type Change<'a> = Box<dyn Fn(&mut Observed) + 'a>;
    let changes: [(&str, Change); 7] = [
        (
            "a platform device",
            Box::new(|o| o.groups.get_mut(&17).unwrap().others.push("AMDI0020:00".to_owned())),
        ),
        ("an ISA bridge", Box::new(|o| neighbour(o, 0x06_01_00, binding("lpc_ich", "")))),
        ("a hotplug bridge", Box::new(|o| neighbour(o, 0x06_04_00, binding("shpchp", "")))),
        ("an endpoint", Box::new(|o| neighbour(o, 0x01_08_02, binding("pcieport", "")))),
        (
            "a link that makes no sense",
            Box::new(|o| {
                neighbour(o, 0x06_04_00, binding("", ""));
                o.functions.get_mut(&at(NIC)).unwrap().binding_unknown = Some("odd".to_owned());
            }),
        ),
        ("a member that was not read", Box::new(|o| o.groups.get_mut(&17).unwrap().members.push(at(NIC)))),
        ("no list", Box::new(|o| o.groups.get_mut(&17).unwrap().members.clear())),
    ];
    for (name, change) in changes {
        let (refusals, ..) = judge(GraphicsType::Direct, |o| change(o));
        assert_eq!(refusals, [RefusalCode::GroupNotViable], "{name}");
    }
}

#[test]
fn a_usb_device_on_the_card_holds_it() {
    let device = Holder::UsbDevice { device: "3-1".to_owned(), name: "Keyboard".to_owned() };
    let (refusals, ..) = judge(GraphicsType::Direct, |o| gpu_of(o).holders.seen.push(device.clone()));
    assert_eq!(refusals, [RefusalCode::GpuInUse]);
}

#[test]
fn a_driverless_card_has_no_holders_to_fear() {
    let (refusals, ..) = judge(GraphicsType::Direct, |o| {
        for function in o.functions.values_mut() {
            function.binding.driver = None;
        }
        gpu_of(o).holders.seen.push(process("Xorg"));
    });
    assert_eq!(refusals, []);
}

#[test]
fn a_driverless_boot_display_goes_dark_too_when_vfio_takes_it() {
    let driverless = |o: &mut Observed| {
        for function in o.functions.values_mut() {
            function.binding.driver = None;
        }
        let (framebuffer, driver) = ("fb0".to_owned(), "EFI VGA".to_owned());
        gpu_of(o).holders.seen.push(Holder::Console { framebuffer, driver });
    };
    let (refusals, _, text) = judge(GraphicsType::Direct, |o| {
        driverless(o);
        primary_of(o).boot_vga = Some(true);
    });
    assert_eq!(refusals, [RefusalCode::BootDisplay]);
    assert!(text.contains("fb0 (EFI VGA)"), "{text}");
    let (refusals, ..) = judge(GraphicsType::Direct, driverless);
    assert_eq!(refusals, [RefusalCode::ConsoleActive]);
}

#[test]
fn virtual_functions_keep_their_card_on_vfio_too() {
    let (refusals, _, text) = judge(GraphicsType::Shared, |o| {
        for function in o.functions.values_mut() {
            function.binding = binding("vfio-pci", "vfio-pci");
        }
        let vfs = vec![at("0000:41:00.4")];
        primary_of(o).sriov = Some(Sriov { total: 16, enabled: 1, drivers_autoprobe: true, vfs });
    });
    assert_eq!(refusals, [RefusalCode::VfsAlive], "vfio-pci's VFs vanish with it, under their VMs");
    assert!(text.contains("0000:41:00.4"), "{text}");
}

#[test]
fn the_way_back_is_refused_while_a_vm_runs_and_for_nothing_else() {
    let on_vfio = |o: &mut Observed| {
        for function in o.functions.values_mut() {
            function.binding = binding("vfio-pci", "vfio-pci");
        }
    };
    let (refusals, ..) = judge(GraphicsType::Shared, |o| {
        on_vfio(o);
        o.host.iommu = false;
        o.host.vfio_pci = ModulePresence::Missing;
    });
    assert_eq!(refusals, []);
    let (refusals, ..) = judge(GraphicsType::Shared, |o| {
        on_vfio(o);
        o.domains = running_with(Hostdev::Pci { address: at(GPU), managed: false });
        gpu_of(o).holders.seen.push(process("qemu-system-x86"));
    });
    assert_eq!(refusals, [RefusalCode::DomainRunning], "QEMU is named once, as its VM");
    let (refusals, ..) = judge(GraphicsType::Shared, |o| {
        on_vfio(o);
        o.domains = Reading::Unknown(Unknown::NeedsDaemon);
        gpu_of(o).holders.seen.push(process("qemu-system-x86"));
    });
    assert_eq!(refusals, [RefusalCode::GpuInUse], "without libvirt, QEMU is a process like any other");
    let (refusals, warnings, _) = judge(GraphicsType::Shared, |o| {
        on_vfio(o);
        o.domains = Reading::Unknown(Unknown::NeedsDaemon);
    });
    assert_eq!((refusals, warnings), (vec![], vec![WarningCode::HoldersUnseen]), "a VM may be starting");
}

#[test]
fn asking_again_for_what_is_there_is_never_refused() {
    let (refusals, ..) = judge(GraphicsType::Direct, |o| {
        for function in o.functions.values_mut() {
            function.binding = binding("vfio-pci", "vfio-pci");
        }
        o.domains = running_with(Hostdev::Pci { address: at(GPU), managed: false });
        o.host.iommu = false;
    });
    assert_eq!(refusals, []);
}

#[test]
fn a_plain_driver_offers_no_vgpus() {
    let (refusals, _, text) = judge(GraphicsType::SharedDirect, |_| {});
    assert_eq!(refusals, [RefusalCode::NoVgpuSupport]);
    assert!(text.contains("nvidia"), "{text}");
    let (refusals, ..) = judge(GraphicsType::SharedDirect, |o| gpu_of(o).frameworks.push(Framework::Mdev));
    assert_eq!(refusals, []);
}

#[test]
fn the_wrong_driver_of_a_vendor_is_named_with_the_right_one() {
    let kinds = |kind, vendor, total: Option<u16>| {
        move |o: &mut Observed| {
            gpu_of(o).driver =
                HostDriver { kind, version: Some("550.1".to_owned()), evidence: "so it is".to_owned() };
            primary_of(o).identity.vendor = vendor;
            let none = |total| Sriov { total, enabled: 0, drivers_autoprobe: true, vfs: Vec::new() };
            primary_of(o).sriov = total.map(none);
        }
    };
    use HostDriverKind::{OpenModule, Other, Plain, Unknown, VgpuHost};
    for (kind, vendor, total, refused, words) in [
        (Plain, 0x10de, Some(32), RefusalCode::WrongHostDriver, "nvidia 550.1 has it: the plain driver"),
        (OpenModule, 0x10de, None, RefusalCode::WrongHostDriver, "open kernel module"),
        (Other, 0x10de, None, RefusalCode::WrongHostDriver, "vGPUs need NVIDIA's vGPU host driver"),
        (Other, 0x1002, Some(16), RefusalCode::WrongHostDriver, "vGPUs need AMD's driver gim"),
        (Other, 0x1002, None, RefusalCode::NoVgpuSupport, "offers no vGPUs"),
        (Other, 0x8086, None, RefusalCode::NoVgpuSupport, "offers no vGPUs"),
        (VgpuHost, 0x10de, None, RefusalCode::NoVgpuSupport, "offers no vGPUs"),
        (Unknown, 0x10de, None, RefusalCode::NoVgpuSupport, "offers no vGPUs"),
    ] {
        let (refusals, warnings, text) = judge(GraphicsType::SharedDirect, kinds(kind, vendor, total));
        // The stored identity is another vendor's then, which is refused too.
        let refusals: Vec<_> =
            refusals.into_iter().filter(|code| *code != RefusalCode::IdentityChanged).collect();
        assert_eq!(refusals, [refused], "{kind:?} {vendor:04x}");
        assert!(text.contains(words), "{words}: {text}");
        let unsure = warnings.contains(&WarningCode::HostDriverUnsure);
        assert_eq!(unsure, kind == Unknown, "{kind:?}");
    }
    let (refusals, ..) = judge(GraphicsType::Direct, kinds(Plain, 0x10de, None));
    assert!(!refusals.contains(&RefusalCode::WrongHostDriver), "passthrough needs no driver of the vendor's");
}

#[test]
fn a_host_driver_that_is_not_for_the_configured_type_is_told() {
    use ConfiguredType::{Direct, Shared, SharedDirect};
    use HostDriverKind::{Plain, Unknown, VgpuHost};
    for (to, kind, framework, words) in [
        (
            SharedDirect,
            Plain,
            None,
            Some("configured as shared-direct: nvidia 550.1 has it: the plain driver"),
        ),
        (SharedDirect, VgpuHost, None, None),
        (SharedDirect, Unknown, None, None),
        (SharedDirect, Plain, Some(Framework::Mdev), None),
        (Shared, VgpuHost, None, Some("neither CUDA nor graphics")),
        (Shared, Plain, None, None),
        (Direct, Plain, None, None),
    ] {
        let mut observed = well();
        let version = Some("550.1".to_owned());
        gpu_of(&mut observed).driver = HostDriver { kind, version, evidence: "so it is".to_owned() };
        gpu_of(&mut observed).frameworks.extend(framework);
        let told =
            |desired: &Desired| checks::host_driver_mismatch(&observed.gpus[&at(GPU)], &observed, desired);
        let warning = told(&managed(&observed, to));
        assert_eq!(warning.is_some(), words.is_some(), "{to} {kind:?}: {warning:?}");
        assert!(
            warning.is_none_or(|warning| warning.text.contains(words.unwrap_or_default())),
            "{to} {kind:?}"
        );
        assert_eq!(told(&Desired::default()), None, "an unmanaged GPU is configured for nothing");
    }
}

#[test]
fn how_vgpus_are_made_is_undecided_until_virtual_functions_show_it() {
    let said = |kind, vfs: Option<usize>, framework: Option<Framework>| {
        let mut observed = well();
        gpu_of(&mut observed).driver = HostDriver { kind, version: None, evidence: "so it is".to_owned() };
        gpu_of(&mut observed).frameworks.extend(framework);
        primary_of(&mut observed).sriov = vfs.map(|count| Sriov {
            total: 32,
            enabled: count as u16,
            drivers_autoprobe: true,
            vfs: vec![at("0000:41:00.4"); count],
        });
        gpuvirt_plan::undecided(&observed.gpus[&at(GPU)], &observed)
    };
    use HostDriverKind::{Plain, Unknown, VgpuHost};
    for (kind, vfs, framework, words) in [
        (VgpuHost, Some(0), None, Some("once it has virtual functions")),
        (Unknown, Some(0), None, Some("is not known (so it is)")),
        (VgpuHost, Some(4), None, Some("nvidia-vgpud")),
        (VgpuHost, None, None, Some("nvidia-vgpud")),
        (VgpuHost, Some(4), Some(Framework::NvidiaVfio), None),
        (Plain, Some(0), None, None),
        (Unknown, None, None, None),
    ] {
        let text = said(kind, vfs, framework);
        let right = match (words, &text) {
            (Some(words), Some(text)) => text.contains(words),
            (None, None) => true,
            _ => false,
        };
        assert!(right, "{kind:?} {vfs:?}: {text:?}");
    }
}

#[test]
fn warnings_say_what_is_not_refused() {
    let (_, warnings, _) = judge(GraphicsType::Direct, |o| {
        primary_of(o).reset_methods = Reading::Known(Vec::new());
        primary_of(o).bars =
            vec![Bar { index: 0, size: 1 << 24, memory: true, wide: true, prefetchable: true }];
        o.host.interrupt_remapping = Reading::Unknown(Unknown::NotRecorded);
        gpu_of(o).holders.unseen = Some(Unknown::NeedsRoot);
    });
    let all =
        [WarningCode::NoResetMethod, WarningCode::InterruptRemappingUnknown, WarningCode::HoldersUnseen];
    assert_eq!(warnings, all);
}

#[test]
fn what_is_no_gpu_is_named_for_what_it_is() {
    let mut observed = well();
    observed.functions.insert(at(NIC), function(NIC, 0x02_00_00, binding("igb", "")));
    observed.functions.get_mut(&at(NIC)).unwrap().identity.class = ClassCode(0x02_00_00);
    for (address, named) in [(AUDIO, "companion"), (NIC, "class 020000"), ("0000:99:00.0", GPU)] {
        let text = checks::not_found(at(address), &observed).to_string();
        assert!(text.contains(named), "{text}");
    }
}
