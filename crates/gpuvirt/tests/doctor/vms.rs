//! VMs: devices, machine.

use gpuvirt_model::{
    ConfiguredType, DomainState, FindingCode as F, Framework, Holders, Hostdev, MachineBus, ProfileName,
    Request, Severity as S, Vgpu, Wanted,
};
use uuid::Uuid;

use super::bed::{Bed, Case, SECOND, at};

pub const VGPU: Uuid = Uuid::from_u128(7);

/// The first card has a vGPU.
pub fn with_vgpu(observed: &mut gpuvirt_model::Observed) {
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
    cases.extend(machines());
    cases
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
