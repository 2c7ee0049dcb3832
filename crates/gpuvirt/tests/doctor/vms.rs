//! VMs: devices, memory, machine.

use gpuvirt_model::health::Locker;
use gpuvirt_model::{
    ConfiguredType, DomainState, FindingCode as F, Framework, Holders, HostDriver, HostDriverKind, Hostdev,
    HugePages, MachineBus, ProfileName, Reading, Request, Severity as S, Vgpu, Viommu, Wanted,
};
use uuid::Uuid;

use super::bed::{Bed, Case, SECOND, at};

const VGPU: Uuid = Uuid::from_u128(7);

/// The first card has a vGPU.
fn with_vgpu(observed: &mut gpuvirt_model::Observed) {
    let id = gpuvirt_model::VgpuId::Mdev(VGPU);
    let gpu = at("0000:01:00.0");
    let vgpu = Vgpu {
        id,
        uuid: Some(VGPU),
        parent: gpu,
        gpu,
        framework: Framework::Mdev,
        type_id: "nvidia-222".to_owned(),
        profile: ProfileName("grid_t4-1b".to_owned()),
        iommu_group: None,
        gpu_instance: None,
        placement_id: None,
        removing: false,
        params: None,
        holders: Holders::default(),
    };
    observed.vgpus.insert(id, vgpu);
}

fn request(assigned: Option<Hostdev>) -> Request {
    let wanted = Wanted::Vgpu { vgpu: gpuvirt_model::VgpuId::Mdev(VGPU) };
    Request { id: 1, alias: "ua-gpuvirt-1".to_owned(), wanted, assigned, key: None }
}

pub fn cases() -> Vec<Case> {
    let mut cases = devices();
    cases.extend(memory());
    cases.extend(machines());
    cases.extend(guest_drivers());
    cases
}

/// The card makes vGPUs by NVIDIA's manager of vGPU software 17.
fn with_manager(observed: &mut gpuvirt_model::Observed) {
    with_vgpu(observed);
    let gpu = observed.gpus.get_mut(&at("0000:01:00.0")).unwrap();
    let (version, evidence) = (Some("550.163.02".to_owned()), "the card offers vGPU types".to_owned());
    gpu.driver = HostDriver { kind: HostDriverKind::VgpuHost, version, evidence };
}

/// A VM with the vGPU, in whose guest this is.
fn with_driver(bed: Bed, change: fn(&mut gpuvirt_model::Domain, &mut gpuvirt_model::Machine)) -> Bed {
    bed.vm("cad", change).retouched(with_manager)
}

fn guest_drivers() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a data center driver with a vGPU", F::DriverDoesNotFit, S::Error, |bed: Bed| {
            with_driver(bed, |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.127.05.run".to_owned());
                machine.devices.clear();
            })
        }),
        case("a GRID driver that is newer than the manager", F::DriverDoesNotFit, S::Error, |bed| {
            with_driver(bed, |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-580.65.06-grid.run".to_owned());
                machine.devices.clear();
            })
        }),
        case("a manager in a guest", F::DriverDoesNotFit, S::Error, |bed| {
            bed.vm("cad", |domain, _| {
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.163.02-vgpu-kvm.run".to_owned());
            })
        }),
    ]
}

/// What goes together, what can't be told, and what nobody stated: no findings.
pub fn guest_drivers_without_fault() -> Vec<(&'static str, Bed)> {
    let bed = || Bed::healthy();
    vec![
        (
            "nothing stated",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                machine.devices.clear();
            }),
        ),
        (
            "the manager's own release",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.163.01-grid.run".to_owned());
                machine.devices.clear();
            }),
        ),
        (
            "a data center driver with a whole card",
            bed().vm("cad", |domain, _| {
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.127.05.run".to_owned());
            }),
        ),
        (
            "a bare version",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("550.163.01".to_owned());
                machine.devices.clear();
            }),
        ),
        (
            "what nobody knows",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("vmware-svga 1.0".to_owned());
                machine.devices.clear();
            }),
        ),
    ]
}

fn devices() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a GPU and a vGPU", F::MixedModes, S::Error, |bed: Bed| {
            bed.vm("games", |domain, _| domain.config.push(Hostdev::Mdev { uuid: VGPU })).retouched(with_vgpu)
        }),
        case("a vGPU that is not there", F::DeviceAbsent, S::Error, |bed| {
            bed.vm("games", |domain, _| domain.config = vec![Hostdev::Mdev { uuid: VGPU }])
        }),
        case("a card that is not there", F::DeviceAbsent, S::Error, |bed| {
            bed.vm("games", |domain, machine| {
                domain.config = vec![Hostdev::Pci { address: at("0000:77:00.0"), managed: false }];
                machine.devices.clear();
            })
        }),
        case("libvirt binds a card of ours", F::HostdevManaged, S::Warning, |bed| {
            bed.configured(SECOND, ConfiguredType::Shared).vm("games", |domain, _| {
                domain.config[0] = Hostdev::Pci { address: at(SECOND), managed: true };
            })
        })
        .also(&[F::DeviceWithoutRequest]),
        case("a device that nobody asked for", F::DeviceWithoutRequest, S::Warning, |bed| {
            bed.configured(SECOND, ConfiguredType::Shared).vm("games", |_, _| {})
        }),
        case("a request whose device was taken out", F::RequestWithoutDevice, S::Warning, |bed| {
            bed.vm("games", |domain, _| {
                domain.config.clear();
                domain.requests.domain = Some(domain.uuid);
                domain.requests.list = vec![request(None)];
            })
        }),
        case("a clone", F::CopiedRequest, S::Warning, |bed| {
            bed.vm("games", |domain, machine| {
                let device = Hostdev::Mdev { uuid: VGPU };
                domain.requests.domain = Some(Uuid::from_u128(99));
                domain.requests.list = vec![request(Some(device.clone()))];
                domain.config = vec![device];
                machine.devices.clear();
            })
        }),
        case("two modes while it runs", F::LiveViolation, S::Error, |bed| {
            bed.vm("games", |domain, _| {
                domain.state = DomainState::Active;
                domain.live = domain.config.clone();
                domain.live.push(Hostdev::Mdev { uuid: VGPU });
            })
            .retouched(with_vgpu)
        }),
        case("two VMs take turns", F::AlsoDefinedIn, S::Note, |bed| {
            bed.vm("a", |_, _| {}).vm("bb", |_, _| {})
        }),
        case("two VMs start with the host", F::AlsoDefinedIn, S::Warning, |bed| {
            bed.vm("a", |domain, _| domain.autostart = true).vm("bb", |domain, _| domain.autostart = true)
        }),
    ]
}

fn memory() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a hard limit that is too low", F::MemoryNotLockable, S::Error, |bed: Bed| {
            bed.vm("games", |domain, _| domain.guest.hard_limit_kib = Some(8 << 20))
        }),
        case("more memory than the host has", F::MemoryNotLockable, S::Error, |bed| {
            bed.vm("games", |domain, _| domain.guest.memory_kib = Some(128 << 20))
        }),
        case("too few huge pages", F::MemoryNotLockable, S::Error, |bed| {
            bed.vm("games", |domain, _| domain.guest.huge_pages = Some(HugePages::HostDefault))
        })
        .says("8192 huge pages of 2 MiB, and this host has 0 of them"),
        case("a hard limit of just the memory", F::MemoryLimit, S::Warning, |bed| {
            bed.vm("games", |domain, _| domain.guest.hard_limit_kib = Some(16 << 20))
        })
        .says("leaves 0 KiB besides the 16 GiB"),
        case("a hard limit of a little more than the memory", F::MemoryLimit, S::Warning, |bed| {
            bed.vm("games", |domain, _| domain.guest.hard_limit_kib = Some((17 << 20) - 1024))
        })
        .says("leaves 1023 MiB besides the 16 GiB"),
        case("all of them together", F::MemoryOvercommitted, S::Warning, |bed| {
            bed.vm("games", |domain, _| {
                (domain.autostart, domain.guest.memory_kib) = (true, Some(48 << 20));
            })
            .vm("work1", |domain, machine| {
                (domain.state, domain.guest.memory_kib) = (DomainState::Active, Some(32 << 20));
                domain.config = vec![Hostdev::Pci { address: at("0000:01:00.0"), managed: false }];
                machine.devices.clear();
            })
        })
        .also(&[F::BootDisplay]),
        case("huge pages that each VM alone finds enough of", F::MemoryOvercommitted, S::Warning, crowded)
            .also(&[F::BootDisplay])
            .says("games, work1 run or start with the host and need 16384 huge pages of 2 MiB together, of 10000"),
        case("a balloon", F::BalloonUseless, S::Note, |bed| {
            bed.vm("games", |_, machine| (machine.balloon, machine.current_kib) = (true, Some(8 << 20)))
        }),
        case("libvirt without the capability", F::LockLimitLow, S::Error, |bed| {
            bed.vm("games", |_, _| {}).treated(|health| {
                let command = "virtqemud".to_owned();
                let locker = Locker { pid: 7, command, limit_kib: Some(64), may_raise: false };
                health.memory.lockers.value = Reading::Known(vec![locker]);
            })
        }),
        case("a vGPU whose driver may lock too little", F::MemoryLimit, S::Warning, |bed| {
            bed.vm("games", |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.guest.hard_limit_kib = Some(8 << 20);
                machine.devices.clear();
            })
            .retouched(with_vgpu)
        }),
        case("an IOMMU of the guest's without caching mode", F::ViommuCachingMode, S::Warning, |bed| {
            bed.vm("games", |domain, _| {
                domain.guest.viommu = Some(Viommu { model: "intel".to_owned(), caching_mode: false });
            })
        }),
        case("an IOMMU of the guest's and a vGPU", F::ViommuWithVgpu, S::Error, |bed| {
            bed.vm("games", |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.guest.viommu = Some(Viommu { model: "intel".to_owned(), caching_mode: true });
                machine.devices.clear();
            })
            .retouched(with_vgpu)
        }),
    ]
}

const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// Two VMs of 8192 huge pages each that start with the host.
fn crowded(bed: Bed) -> Bed {
    bed.file(&format!("{POOL}/nr_hugepages"), "10000\n")
        .vm("games", |domain, _| {
            (domain.autostart, domain.guest.huge_pages) = (true, Some(HugePages::HostDefault));
        })
        .vm("work1", |domain, machine| {
            (domain.autostart, domain.guest.huge_pages) = (true, Some(HugePages::Kib(2048)));
            domain.config = vec![Hostdev::Pci { address: at("0000:01:00.0"), managed: false }];
            machine.devices.clear();
        })
}

#[test]
fn huge_pages_of_vms_that_take_turns_or_fit_together_are_enough() {
    let found = |bed: Bed| -> Vec<F> { bed.examine().findings.iter().map(|finding| finding.code).collect() };
    assert!(found(crowded(Bed::healthy())).contains(&F::MemoryOvercommitted));
    let enough = crowded(Bed::healthy()).file(&format!("{POOL}/nr_hugepages"), "16384\n");
    assert!(!found(enough).contains(&F::MemoryOvercommitted));
    let mut turns = crowded(Bed::healthy());
    turns.domains = turns.domains.map(|mut domains| {
        domains[0].autostart = false;
        domains
    });
    assert!(!found(turns).contains(&F::MemoryOvercommitted));
}

/// Memory that is there when the VM's turn comes.
pub fn room_enough() -> Vec<(&'static str, Bed)> {
    let turns = Bed::healthy().file(&format!("{POOL}/nr_hugepages"), "8192\n");
    let limited = Bed::healthy().vm("games", |domain, _| domain.guest.hard_limit_kib = Some(17 << 20));
    vec![
        (
            "huge pages that another VM has now",
            turns.vm("games", |domain, _| domain.guest.huge_pages = Some(HugePages::HostDefault)),
        ),
        ("a hard limit as libvirt would set it", limited),
    ]
}

/// The graphics of the processor, in a VM.
fn inner(change: fn(&mut gpuvirt_model::Domain, &mut gpuvirt_model::Machine)) -> Vec<F> {
    let bed = Bed::healthy().with_devices(&gpuvirt_recording::made_hosts::muxed_laptop());
    bed.vm("games", change).examine().findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn graphics_in_the_processor_may_sit_where_they_do_on_the_host() {
    const INNER: &str = "0000:00:02.0";
    const CARD: &str = "0000:01:00.0";
    let conventional = inner(|_, machine| {
        machine.bus = MachineBus::Conventional;
        machine.devices.truncate(1);
        machine.devices[0].address = at(INNER);
    });
    assert!(!conventional.contains(&F::ConventionalBus), "{conventional:?}");
    let rooted = inner(|_, machine| {
        machine.devices.truncate(1);
        (machine.devices[0].address, machine.devices[0].on_root_bus) = (at(INNER), true);
    });
    assert!(!rooted.contains(&F::OnRootBus), "{rooted:?}");
    // The same machine with the card there.
    let card = inner(|_, machine| {
        machine.devices.truncate(1);
        (machine.devices[0].address, machine.devices[0].on_root_bus) = (at(CARD), true);
    });
    assert!(card.contains(&F::OnRootBus), "{card:?}");
    let card = inner(|_, machine| {
        machine.bus = MachineBus::Conventional;
        machine.devices.truncate(1);
        machine.devices[0].address = at(CARD);
    });
    assert!(card.contains(&F::ConventionalBus), "{card:?}");
}

fn machines() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("i440fx", F::ConventionalBus, S::Warning, |bed: Bed| {
            bed.vm("games", |_, machine| machine.bus = MachineBus::Conventional)
        }),
        case("on the root bus", F::OnRootBus, S::Note, |bed| {
            bed.vm("games", |_, machine| machine.devices[0].on_root_bus = true)
        }),
        case("Fermi", F::Code43, S::Warning, |bed| {
            bed.vm("games", |_, _| {}).retouched(|observed| {
                observed.functions.get_mut(&at(SECOND)).unwrap().identity.device = 0x1080;
            })
        }),
        case("hidden for nothing", F::Code43Needless, S::Note, |bed| {
            bed.vm("games", |_, machine| machine.kvm_hidden = true)
        }),
        case("a machine of a newer QEMU", F::QemuOld, S::Error, |bed| {
            bed.vm("games", |_, machine| machine.machine_type = Some("pc-q35-10.1".to_owned()))
        })
        .says("its machine is QEMU 10.1's, and this host has QEMU 10.0.0"),
        case("more address bits than there are", F::AddressWidth, S::Error, |bed| {
            bed.vm("games", |_, machine| {
                (machine.host_physical_bits, machine.physical_bits) = (true, Some(52));
            })
        })
        .says("bits='52'"),
        case("a window beside memory that does not fit", F::AddressWidth, S::Error, |bed| {
            bed.vm("games", |_, machine| machine.mmio64_mib = Some(64 << 20))
        })
        .says("keep 65536 GiB for windows beside 16 GiB of memory, and 46 bits of address reach 65536 GiB"),
        case("a processor of few address bits", F::AddressWidth, S::Warning, |bed| {
            bed.file(
                "/proc/cpuinfo",
                "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\naddress sizes\t: 37 bits physical\n\n",
            )
            .vm("games", |_, _| {})
        })
        .says("of the 37 bits of address"),
        case("software", F::NotKvm, S::Warning, |bed| bed.vm("games", |_, machine| machine.kvm = false)),
    ]
}
