//! Who has the device that a write waits for in the kernel: the write ends when they let go, and no sooner.

use gpuvirt_engine::ports::WaitingWrite;
use gpuvirt_model::{Domain, DomainState, Holder, Observed, VgpuId};
use gpuvirt_plan::domains_using;

/// Running VMs and other holders, in words; none where none is seen.
pub(super) fn holders(write: &WaitingWrite, observed: &Observed) -> Option<String> {
    let vgpu = write.vgpu.map(VgpuId::Mdev).or_else(|| write.function.map(VgpuId::Vf));
    let device = vgpu.map(VgpuId::hostdev);
    let is_one = |domain: &&Domain| {
        domain.state == DomainState::Active && device.as_ref().is_some_and(|device| domain.has_live(device))
    };
    let vms = observed.domains.known().into_iter().flatten().filter(is_one);
    let mut names: Vec<String> = vms.map(|domain| format!("VM {}", domain.name)).collect();
    // Of a card's own function: whoever runs with any part of the card.
    let gpu = write.function.and_then(|function| observed.gpu_of(function));
    let gpu = gpu.filter(|gpu| write.function.is_some_and(|function| gpu.functions.contains(&function)));
    if let Some(gpu) = gpu {
        let running = domains_using(gpu, observed).filter(|(_, runs)| *runs);
        names.extend(running.map(|(domain, _)| format!("VM {}", domain.name)));
    }
    if names.is_empty() {
        let of_vgpu = vgpu.and_then(|id| observed.vgpus.get(&id)).map(|vgpu| &vgpu.holders);
        let holders =
            of_vgpu.into_iter().chain(gpu.map(|gpu| &gpu.holders)).flat_map(|holders| &holders.seen);
        // The writer itself has what it writes to open.
        let others =
            |holder: &&Holder| !matches!(holder, Holder::Process { pid, .. } if *pid == write.writer);
        names.extend(holders.filter(others).map(ToString::to_string));
    }
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{
        Gpu, Guest, HostFacts, Hostdev, ModulePresence, PciAddress, Reading, Requests, Unknown,
    };
    use uuid::Uuid;

    use super::*;

    const VGPU: Uuid = Uuid::from_u128(7);

    fn at(text: &str) -> PciAddress {
        PciAddress::parse(text).unwrap()
    }

    fn observed(live: Vec<Hostdev>) -> Observed {
        let card = at("0000:41:00.0");
        let mut gpu = Gpu::new(card, vec![card, at("0000:41:00.1")]);
        gpu.holders.seen = vec![Holder::DrmClient { node: "card1".to_owned(), name: "fbcon".to_owned() }];
        let domain = Domain {
            name: "cad".to_owned(),
            uuid: Uuid::from_u128(1),
            state: DomainState::Active,
            autostart: false,
            config: Vec::new(),
            live,
            requests: Requests::default(),
            guest: Guest::default(),
        };
        Observed {
            host: HostFacts {
                iommu: true,
                interrupt_remapping: Reading::Known(true),
                unsafe_interrupts_allowed: false,
                vfio_pci: ModulePresence::Ready,
                pci_drivers: Default::default(),
                function_count: 2,
                kernel_release: None,
                boot_id: None,
                vfio_migration: Reading::Unknown(Unknown::NotRecorded),
                driver_rules: Default::default(),
                running_services: Default::default(),
                oddities: Vec::new(),
            },
            gpus: [(card, gpu)].into(),
            functions: Default::default(),
            groups: Default::default(),
            vgpus: Default::default(),
            mig: Default::default(),
            domains: Reading::Known(vec![domain]),
        }
    }

    #[test]
    fn the_vm_is_named_that_has_what_is_waited_for_and_no_other() {
        let (audio, card) = (at("0000:41:00.1"), at("0000:41:00.0"));
        let pci = |address| Hostdev::Pci { address, managed: false };
        let of =
            |function, vgpu, live| holders(&WaitingWrite { writer: 4711, function, vgpu }, &observed(live));
        assert_eq!(of(None, Some(VGPU), vec![Hostdev::Mdev { uuid: VGPU }]).as_deref(), Some("VM cad"));
        assert_eq!(of(None, Some(VGPU), vec![Hostdev::Mdev { uuid: Uuid::nil() }]), None);
        assert_eq!(of(Some(card), None, vec![pci(audio)]).as_deref(), Some("VM cad"));
        assert_eq!(of(Some(card), None, Vec::new()).as_deref(), Some("DRM client fbcon on card1"));
    }
}
