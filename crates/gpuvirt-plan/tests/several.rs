//! Several devices of one VM.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod picture;

use gpuvirt_model::{
    Domain, DomainState, Framework, Holders, Hostdev, Observed, PciAddress, Profile, ProfileName, Vgpu,
    VgpuId, named_traits,
};
use gpuvirt_plan::checks::domain::Device;
use gpuvirt_plan::checks::several::{devices_of, together};
use picture::{AUDIO, GPU, at, binding, host};
use uuid::Uuid;

/// A host with live vGPUs on one GPU: title and how many fit, by uuid from 1.
fn with_vgpus(profiles: &[(&str, Option<u32>)], on_functions: bool) -> Observed {
    let mut observed = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
    for (number, (title, max)) in profiles.iter().enumerate() {
        let type_id = format!("nvidia-{number}");
        let mut parent = at(GPU);
        if on_functions {
            parent = PciAddress { function: u8::try_from(number + 2).unwrap(), ..parent };
            let vf = picture::function(&parent.to_string(), 0x03_02_00, binding("nvidia", ""));
            observed.functions.insert(parent, gpuvirt_model::Function { physfn: Some(at(GPU)), ..vf });
        }
        let name = ProfileName(title.to_lowercase());
        let traits = named_traits(title);
        let profile = Profile {
            name: name.clone(),
            parent,
            framework: Framework::Mdev,
            type_id: type_id.clone(),
            title: (*title).to_owned(),
            device_api: "vfio-pci".to_owned(),
            available: 0,
            max: *max,
            framebuffer_mib: traits.map(|traits| traits.framebuffer_mib),
            class: traits.map(|traits| traits.class),
            sharing: traits.map(|traits| traits.sharing),
            heads: None,
            max_resolution: None,
            blocked: None,
        };
        observed.gpus.get_mut(&at(GPU)).unwrap().profiles.push(profile);
        let id = VgpuId::Mdev(Uuid::from_u128(number as u128 + 1));
        let vgpu = Vgpu {
            gpu_instance: None,
            placement_id: None,
            id,
            uuid: id.uuid(),
            parent,
            gpu: at(GPU),
            framework: Framework::Mdev,
            type_id,
            profile: name,
            iommu_group: None,
            removing: false,
            params: None,
            holders: Holders::default(),
        };
        observed.vgpus.insert(id, vgpu);
    }
    observed
}

fn all(observed: &Observed) -> Vec<Device> {
    observed.vgpus.keys().map(|id| Device::Vgpu(*id)).collect()
}

#[test]
fn nvidias_vgpus_go_together_where_its_documents_say_so() {
    for (what, profiles, on_functions, refused, warned) in [
        ("one of any size", &[("T4-2B", Some(8))][..], false, false, false),
        ("full-size ones", &[("T4-16Q", Some(1)), ("T4-16C", Some(1))], false, false, false),
        ("a part on an older board", &[("T4-16Q", Some(1)), ("T4-8Q", Some(2))], false, true, false),
        ("parts on a newer board", &[("A40-8Q", Some(6)), ("A40-48Q", Some(1))], true, false, true),
        ("desktops on a newer board", &[("A40-48Q", Some(1)), ("A40-2B", Some(24))], true, true, false),
        ("of unknown size", &[("A40-48Q", None), ("A40-48C", None)], true, false, true),
        ("of a type that says nothing", &[("nvidia-7", None), ("T4-16Q", Some(1))], false, false, true),
    ] {
        let observed = with_vgpus(profiles, on_functions);
        let judged = together("vm", &all(&observed), &[], &observed);
        let codes = |yes: bool, code: &str| if yes { vec![code.to_owned()] } else { Vec::new() };
        let refusals: Vec<String> = judged.refusals.iter().map(|refusal| refusal.code.to_string()).collect();
        let warnings: Vec<String> = judged.warnings.iter().map(|warning| warning.code.to_string()).collect();
        assert_eq!(refusals, codes(refused, "not-full-size"), "{what}");
        assert_eq!(warnings, codes(warned, "fractional-vgpus"), "{what}");
    }
}

#[test]
fn another_vendors_vgpus_have_no_such_rule() {
    let mut observed = with_vgpus(&[("X-1B", Some(8)), ("X-2B", Some(4))], false);
    observed.functions.get_mut(&at(GPU)).unwrap().identity.vendor = 0x8086;
    assert_eq!(together("vm", &all(&observed), &[], &observed), Default::default());
}

#[test]
fn one_vm_gets_sixteen() {
    let observed = host(binding("vfio-pci", ""), binding("vfio-pci", ""));
    let vgpus =
        |count| (0..count).map(|n| Device::Vgpu(VgpuId::Mdev(Uuid::from_u128(n)))).collect::<Vec<_>>();
    assert!(together("vm", &vgpus(16), &[], &observed).refusals.is_empty(), "not there yet, and counted");
    let refusals = together("vm", &vgpus(17), &[], &observed).refusals;
    assert_eq!(refusals[0].code.as_str(), "too-many-devices");
    assert!(refusals[0].because.contains("17"), "{refusals:?}");
}

#[test]
fn a_card_with_its_companions_is_one_device() {
    let observed = host(binding("vfio-pci", ""), binding("vfio-pci", ""));
    let pci = |address| Hostdev::Pci { address: at(address), managed: false };
    let uuid = Uuid::from_u128(1);
    let domain = Domain {
        name: "vm".to_owned(),
        uuid,
        state: DomainState::ShutOff,
        config: vec![pci(GPU), pci(AUDIO), pci("0000:05:00.0"), Hostdev::Mdev { uuid }],
        autostart: false,
        requests: Default::default(),
        guest: Default::default(),
        live: Vec::new(),
    };
    assert_eq!(devices_of(&domain, &observed), [Device::Gpu(at(GPU)), Device::Vgpu(VgpuId::Mdev(uuid))]);
}
