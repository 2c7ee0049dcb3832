//! What of a domain drifted, and what of a running one breaks the rules.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod picture;

use gpuvirt_model::{
    CardIds, CardMatch, ConfiguredType, Desired, Domain, DomainState, Framework, Function, Guest, Holders,
    Hostdev, Observed, PciAddress, ProfileName, Reading, Request, Requests, Vgpu, VgpuId, Viommu, Wanted,
    Warning, WarningCode, When,
};
use gpuvirt_plan::checks::{several::devices_of, start::mixed_modes};
use gpuvirt_plan::drift::{violations, warnings};
use picture::{AUDIO, GPU, NIC, at, binding, function, host, managed};
use uuid::Uuid;

const MDEV: Uuid = Uuid::from_u128(7);

fn pci(address: &str) -> Hostdev {
    Hostdev::Pci { address: at(address), managed: false }
}

fn vm(number: u128, config: &[&Hostdev], live: &[&Hostdev]) -> Domain {
    let state = if live.is_empty() { DomainState::ShutOff } else { DomainState::Active };
    Domain {
        name: format!("vm{number}"),
        uuid: Uuid::from_u128(number),
        state,
        autostart: false,
        config: config.iter().map(|device| (*device).clone()).collect(),
        live: live.iter().map(|device| (*device).clone()).collect(),
        requests: Requests::default(),
        guest: Guest::default(),
    }
}

/// A GPU with its audio function and a mediated device on it, which is enough: the rules judge what domains have.
fn with_an_mdev() -> Observed {
    let mut observed = host(binding("vfio-pci", ""), binding("vfio-pci", ""));
    let id = VgpuId::Mdev(MDEV);
    let vgpu = Vgpu {
        gpu_instance: None,
        placement_id: None,
        id,
        uuid: id.uuid(),
        parent: at(GPU),
        gpu: at(GPU),
        framework: Framework::Mdev,
        type_id: "nvidia-1".to_owned(),
        profile: ProfileName("a".to_owned()),
        iommu_group: None,
        removing: false,
        params: None,
        holders: Holders::default(),
    };
    observed.vgpus.insert(id, vgpu);
    observed
}

fn codes(found: &[Warning]) -> Vec<WarningCode> {
    found.iter().map(|warning| warning.code).collect()
}

fn told(domain: &Domain, others: &[Domain], observed: &Observed, desired: &Desired) -> String {
    let mut observed = observed.clone();
    observed.domains = Reading::Known([std::slice::from_ref(domain), others].concat());
    let found = violations(domain, &observed, desired);
    assert!(found.iter().all(|warning| warning.code == WarningCode::LiveViolation));
    found.into_iter().map(|warning| warning.text).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_attached_while_a_vm_ran_is_judged_by_the_same_rules() {
    let observed = with_an_mdev();
    let direct = managed(&observed, ConfiguredType::Direct);
    let shared = managed(&observed, ConfiguredType::Shared);
    let nobodys = Desired::default();
    let (gpu, mdev) = (pci(GPU), Hostdev::Mdev { uuid: MDEV });
    let many: Vec<Hostdev> = (1..=17).map(|n| Hostdev::Mdev { uuid: Uuid::from_u128(n) }).collect();
    let many: Vec<&Hostdev> = many.iter().collect();
    let another = vm(2, &[], &[&pci(AUDIO)]);
    let off = vm(3, &[&gpu], &[]);
    for (domain, others, desired, want) in [
        (vm(1, &[&gpu], &[&gpu]), vec![], &direct, ""),
        (vm(1, &[&gpu], &[&gpu]), vec![off.clone()], &direct, ""),
        (vm(1, &[&gpu, &mdev], &[&gpu]), vec![], &direct, ""),
        (vm(1, &[&gpu], &[&gpu, &mdev]), vec![], &nobodys, "the whole GPU"),
        (vm(1, &many, &many), vec![], &nobodys, "it has 17 GPUs and vGPUs, and 16 are the most"),
        (vm(1, &[&gpu], &[&gpu]), vec![], &shared, "configured as shared"),
        (vm(1, &[&gpu], &[&gpu]), vec![another], &direct, "so has the running VM vm2"),
        (vm(1, &[], &[&gpu]), vec![], &direct, "which its definition does not name"),
        (vm(1, &[], &[&gpu]), vec![], &nobodys, ""),
    ] {
        let text = told(&domain, &others, &observed, desired);
        assert_eq!(text.is_empty(), want.is_empty(), "{text}");
        assert!(text.contains(want), "{text}");
    }
    // A change that waits for the VM is no violation of it.
    let mut waiting = shared.clone();
    waiting.gpus[0].when = When::Idle;
    assert_eq!(told(&vm(1, &[&gpu], &[&gpu]), &[], &observed, &waiting), "");
    // An IOMMU of the guest's and a vGPU.
    let viommu = Some(Viommu { model: "intel".to_owned(), caching_mode: true });
    let guest = Guest { viommu, ..Guest::default() };
    let domain = Domain { guest, ..vm(1, &[&mdev], &[&mdev]) };
    assert!(told(&domain, &[], &observed, &nobodys).contains("an IOMMU of its own"));
}

#[test]
fn a_virtual_function_that_libvirt_bound_itself_breaks_a_rule_where_its_card_is_managed() {
    let mut observed = with_an_mdev();
    let vf = PciAddress { function: 4, ..at(GPU) };
    let found = function(&vf.to_string(), 0x03_00_00, binding("vfio-pci", ""));
    observed.functions.insert(vf, Function { physfn: Some(at(GPU)), ..found });
    let makes_vgpus = managed(&observed, ConfiguredType::SharedDirect);
    for (bound_by_libvirt, desired, want) in
        [(true, &makes_vgpus, "managed='yes'"), (false, &makes_vgpus, ""), (true, &Desired::default(), "")]
    {
        let device = Hostdev::Pci { address: vf, managed: bound_by_libvirt };
        let text = told(&vm(1, &[&device], &[&device]), &[], &observed, desired);
        assert_eq!(text.is_empty(), want.is_empty(), "{text}");
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn a_network_card_and_its_virtual_function_are_no_violation_beside_a_gpu_or_a_vgpu() {
    let mut observed = with_an_mdev();
    let vf = PciAddress { function: 2, ..at(NIC) };
    for (nic, physfn) in [(at(NIC), None), (vf, Some(at(NIC)))] {
        let found = function(&nic.to_string(), 0x02_00_00, binding("vfio-pci", ""));
        observed.functions.insert(nic, Function { physfn, iommu_group: Some(18), ..found });
    }
    let direct = managed(&observed, ConfiguredType::Direct);
    let makes_vgpus = managed(&observed, ConfiguredType::SharedDirect);
    let (gpu, mdev, nic, vf) = (pci(GPU), Hostdev::Mdev { uuid: MDEV }, pci(NIC), pci(&vf.to_string()));
    for (ours, beside, desired) in
        [(&gpu, &nic, &direct), (&gpu, &vf, &direct), (&mdev, &nic, &makes_vgpus), (&mdev, &vf, &makes_vgpus)]
    {
        let (domain, other) = (vm(1, &[ours, beside], &[ours, beside]), vm(2, &[beside], &[beside]));
        assert_eq!(told(&domain, &[other], &observed, desired), "", "{ours:?} {beside:?}");
        // Nor one that was attached meanwhile.
        assert_eq!(told(&vm(1, &[ours], &[ours, beside]), &[], &observed, desired), "");
        assert_eq!(mixed_modes(&domain, &domain.config, &observed), None);
        assert_eq!(devices_of(&domain, &observed).len(), 1);
    }
    let both = vm(1, &[&nic, &gpu, &vf, &mdev], &[&nic, &gpu, &vf, &mdev]);
    assert!(told(&both, &[], &observed, &direct).contains("the whole GPU"));
}

#[test]
fn a_request_and_its_device_that_drifted_apart_are_named_with_the_remedy() {
    let mut observed = with_an_mdev();
    let vf = PciAddress { function: 4, ..at(GPU) };
    observed.functions.insert(vf, function(&vf.to_string(), 0x03_00_00, binding("", "")));
    let nobodys = Desired::default();
    let direct = managed(&observed, ConfiguredType::Direct);
    let ids = CardIds { vendor: 0x10de, device: 1, subsystem: None };
    let request = |assigned| Request {
        id: 3,
        alias: "ua-gpuvirt-x".to_owned(),
        wanted: Wanted::Match { kind: CardMatch { ids, label: None } },
        assigned,
        key: None,
    };
    let asking = |config: &[&Hostdev], assigned| {
        let mut domain = vm(1, config, &[]);
        domain.requests.domain = Some(domain.uuid);
        domain.requests.list = vec![request(assigned)];
        domain
    };
    let found = warnings(&asking(&[], None), &observed, &nobodys);
    assert_eq!(codes(&found), [WarningCode::RequestWithoutDevice]);
    assert!(found[0].text.contains("`gpuvirt vm remove vm1 request-3`"), "{}", found[0].text);
    assert_eq!(warnings(&asking(&[&pci(GPU)], Some(pci(GPU))), &observed, &nobodys), []);
    // The audio function belongs to the card's request.
    assert_eq!(warnings(&asking(&[&pci(GPU), &pci(AUDIO)], Some(pci(GPU))), &observed, &nobodys), []);
    let mdev = Hostdev::Mdev { uuid: MDEV };
    let found = warnings(&asking(&[&pci(GPU), &mdev], Some(pci(GPU))), &observed, &nobodys);
    assert_eq!(codes(&found), [WarningCode::DeviceWithoutRequest]);
    assert!(found[0].text.contains("gpuvirt vm adopt vm1"));
    // A domain without any request: only what is of a managed GPU is our business.
    assert_eq!(codes(&warnings(&vm(1, &[&pci(GPU)], &[]), &observed, &nobodys)), []);
    assert_eq!(
        codes(&warnings(&vm(1, &[&pci(GPU)], &[]), &observed, &direct)),
        [WarningCode::DeviceWithoutRequest]
    );
    let mut clone = asking(&[&pci(GPU)], Some(pci(GPU)));
    clone.uuid = Uuid::from_u128(99);
    assert_eq!(codes(&warnings(&clone, &observed, &nobodys)), [WarningCode::CopiedRequest]);
    let mut broken = asking(&[&pci(GPU)], Some(pci(GPU)));
    broken.requests.unreadable = 1;
    assert_eq!(codes(&warnings(&broken, &observed, &nobodys)), [WarningCode::RequestWithoutDevice]);
}
