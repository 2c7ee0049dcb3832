//! Memory of VMs.

use gpuvirt_model::health::Locker;
use gpuvirt_model::{DomainState, FindingCode as F, Hostdev, HugePages, Reading, Severity as S, Viommu};

use super::bed::{Bed, Case, at};
use super::vms::{VGPU, with_vgpu};

pub fn cases() -> Vec<Case> {
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
