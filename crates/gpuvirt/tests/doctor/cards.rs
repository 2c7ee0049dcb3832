//! GPUs: group, reset, windows, virtual functions, and what was asked for.

use gpuvirt_model::health::{Acs, Port};
use gpuvirt_model::{
    Bar, ConfiguredType, DriverName, FindingCode as F, Holder, Holders, Observed, Reading, Severity as S, Via,
};

use super::bed::{Bed, Case, SECOND, at};

pub fn change(observed: &mut Observed, address: &str, with: impl FnOnce(&mut gpuvirt_model::Function)) {
    with(observed.functions.get_mut(&at(address)).unwrap());
}

/// The whole card on vfio-pci, as after `gpu set --type direct`.
pub fn direct(observed: &mut Observed, gpu: &str) {
    let card = observed.gpus.get_mut(&at(gpu)).unwrap();
    (card.on_vfio, card.host_driver) = (true, false);
    for address in card.functions.clone() {
        observed.functions.get_mut(&address).unwrap().binding.driver = Some(DriverName::vfio_pci());
    }
}

/// A process has the second card open.
pub fn held(observed: &mut Observed, command: &str) {
    let via = Via::Fd { fd: 7, path: "/dev/dri/card1".to_owned() };
    let holder = Holder::Process { pid: 4242, command: command.to_owned(), via, container: None };
    let holders = Holders { seen: vec![holder], unseen: None };
    observed.gpus.get_mut(&at(SECOND)).unwrap().holders = holders;
}

pub fn cases() -> Vec<Case> {
    [platform(), asked_for(), windows()].into_iter().flatten().collect()
}

fn platform() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a disk in the group, not configured", F::GroupNotViable, S::Note, |bed: Bed| {
            bed.device("0000:00:1d.0", "iommu_groups/3", "iommu_groups/12")
        }),
        case("a disk in the group, for passthrough", F::GroupNotViable, S::Error, |bed| {
            bed.device("0000:00:1d.0", "iommu_groups/3", "iommu_groups/12")
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        }),
        case(
            "a disk in the group, as the kernel was told not to tell them apart",
            F::GroupNotViable,
            S::Note,
            |bed| {
                bed.device("0000:00:1d.0", "iommu_groups/3", "iommu_groups/12")
                    .file("/proc/cmdline", "ro intel_iommu=on pci=realloc,disable_acs_redir=pci:8086:1901\n")
                    .treated(|health| {
                        let port = Port { address: at("0000:00:01.0"), acs: Reading::Known(Acs::Off) };
                        health.functions.entry(at(SECOND)).or_default().upstream = vec![port];
                    })
            },
        )
        .says("pci=realloc,disable_acs_redir=pci:8086:1901"),
        case("no reset", F::NoResetMethod, S::Note, |bed| {
            bed.device(SECOND, "A: reset_method=flr bus\\n", "A: reset_method=\\n")
        }),
        case("Polaris", F::ResetBug, S::Note, |bed| {
            bed.retouched(|observed| {
                change(observed, SECOND, |function| {
                    (function.identity.vendor, function.identity.device) = (0x1002, 0x67df);
                });
            })
        }),
        case("all ones", F::GpuUnresponsive, S::Error, |bed| {
            bed.retouched(|observed| change(observed, SECOND, |function| function.unresponsive = true))
        }),
    ]
}

/// A guest with the card's 32 GiB of windows, and this processor.
pub fn guest_with(cpu: &str) -> Bed {
    let xml = format!(
        "<domain type='kvm'><name>games</name><memory unit='GiB'>16</memory><os firmware='efi'>\
         <type machine='pc-q35-10.0'>hvm</type></os>{cpu}</domain>"
    );
    let read = gpuvirt_domain::machine(&xml).unwrap();
    let mut bed = Bed::healthy().vm("games", |_, _| {});
    let Reading::Known(machines) = &mut bed.libvirt.machines else { panic!("machines are known") };
    (machines[0].host_physical_bits, machines[0].cpu_mode) = (read.host_physical_bits, read.cpu_mode);
    bed
}

fn asked_for() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a card that is gone", F::GpuNotFound, S::Error, |mut bed: Bed| {
            bed = bed.configured(SECOND, ConfiguredType::Shared);
            bed.desired.gpus[0].address = at("0000:77:00.0");
            bed
        }),
        case("another card", F::IdentityChanged, S::Error, |mut bed| {
            bed = bed.configured(SECOND, ConfiguredType::Shared);
            bed.desired.gpus[0].identity.device = 0x1111;
            bed
        }),
        case("not direct yet", F::TypePending, S::Warning, |bed| {
            bed.configured(SECOND, ConfiguredType::Direct)
        }),
        case("a program on the card of a VM", F::GpuInUse, S::Warning, |bed| {
            bed.vm("games", |_, _| {}).retouched(|observed| held(observed, "Xorg"))
        }),
        case("a program on a card that is lent", F::GpuInUse, S::Warning, |mut bed| {
            bed = bed.configured(SECOND, ConfiguredType::Shared);
            bed.desired.gpus[0].when = gpuvirt_model::When::Vm;
            bed.retouched(|observed| held(observed, "blender"))
        }),
    ]
}

fn windows() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a window without a place", F::BarUnassigned, S::Error, |bed: Bed| {
            bed.device(
                SECOND,
                "0x0000004800000000 0x0000004fffffffff 0x000000000014220c",
                "0x0000000000000000 0x00000007ffffffff 0x000000002014220c",
            )
        }),
        case("a window that could be larger", F::BarResizable, S::Note, |bed| {
            bed.device(SECOND, "A: reset=", "A: resource1_resize=0000000000010000\\n\nA: reset=")
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        }),
        case("virtual functions that nobody makes again", F::LostAtReboot, S::Note, |bed| {
            bed.retouched(|observed| observed.gpus.get_mut(&at(SECOND)).unwrap().live_vfs = 4)
        })
        .says("it has 4 virtual functions, which"),
        case("vGPUs that nobody makes again", F::LostAtReboot, S::Note, |bed| {
            bed.retouched(|observed| {
                super::missing::with_two(observed);
                observed.gpus.get_mut(&at(SECOND)).unwrap().live_vgpus = 2;
            })
        })
        .says("00000000-0000-0000-0000-000000000012 (grid_t4-1b)"),
        case("a guest without room for 32 GiB", F::ApertureSmall, S::Warning, |bed| {
            bed.vm("games", |_, machine| machine.host_physical_bits = false)
        }),
        case("a guest of another processor without room", F::ApertureSmall, S::Warning, |_| {
            guest_with("<cpu mode='host-model'/>")
        }),
        case("memory on the other node", F::NumaRemote, S::Warning, |bed| {
            bed.vm("games", |_, machine| machine.memory_nodes = Some("1".to_owned()))
        }),
        case("a large window that a small one would do for", F::ApertureSmall, S::Warning, |bed| {
            bed.vm("games", |_, machine| {
                machine.host_physical_bits = false;
                machine.mmio64_mib = Some(1024);
            })
            .retouched(|observed| {
                let bars =
                    vec![Bar { index: 1, size: 64 << 30, memory: true, wide: true, prefetchable: true }];
                change(observed, SECOND, |function| function.bars = bars);
                assert!(matches!(observed.domains, Reading::Known(_)));
            })
        }),
    ]
}
