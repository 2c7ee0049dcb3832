//! A VM's start, judged.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod picture;

use std::collections::BTreeSet;

use gpuvirt_model::{
    Desired, Domain, DomainState, Framework, Guest, Holders, Observed, ProfileName, Records, RefusalCode,
    Request, Requests, Vgpu, VgpuId, VgpuParams, Wanted,
};
use gpuvirt_plan::checks::start::{Start, judge};
use gpuvirt_plan::placement::Details;
use picture::{GPU, at, binding, host};
use uuid::Uuid;

const VGPU: VgpuId = VgpuId::Mdev(Uuid::from_u128(7));

/// A VM whose one request is for this, with the vGPU of the picture for it.
fn vm(wanted: Wanted) -> Domain {
    let (uuid, device) = (Uuid::from_u128(1), VGPU.hostdev());
    let request = Request {
        id: 1,
        alias: "ua-gpuvirt-1".to_owned(),
        wanted,
        assigned: Some(device.clone()),
        key: None,
    };
    Domain {
        name: "web".to_owned(),
        uuid,
        state: DomainState::Active,
        autostart: false,
        config: vec![device],
        live: Vec::new(),
        requests: Requests { domain: Some(uuid), list: vec![request], ..Requests::default() },
        guest: Guest::default(),
    }
}

/// A vGPU of a profile whose removal waits in the kernel, and nobody holds it.
fn going(profile: &str) -> Observed {
    let mut observed = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
    let vgpu = Vgpu {
        gpu_instance: None,
        placement_id: None,
        id: VGPU,
        uuid: VGPU.uuid(),
        parent: at(GPU),
        gpu: at(GPU),
        framework: Framework::Mdev,
        type_id: String::new(),
        profile: ProfileName(profile.to_owned()),
        iommu_group: None,
        removing: true,
        params: None,
        holders: Holders::default(),
    };
    observed.vgpus.insert(VGPU, vgpu);
    observed
}

#[test]
fn a_removal_that_waits_is_named_as_that_whatever_profile_it_has() {
    let profile =
        || Wanted::Profile { profile: ProfileName("lab-4q".to_owned()), params: VgpuParams::default() };
    for (wanted, found, code) in [
        // What passes: it is made anew when the removal has ended.
        (profile(), "lab-4q", RefusalCode::Busy),
        (profile(), "unknown", RefusalCode::Busy),
        // What doesn't: this very one was asked for.
        (Wanted::Vgpu { vgpu: VGPU }, "lab-4q", RefusalCode::VgpuInUse),
    ] {
        let (domain, observed) = (vm(wanted), going(found));
        let judgement = judge(&Start {
            domain: &domain,
            observed: &observed,
            desired: &Desired::default(),
            records: &Records::default(),
            hands_off: &BTreeSet::new(),
            memory: None,
            details: &Details::default(),
        });
        let [refusal] = judgement.refusals.as_slice() else { panic!("{judgement:?}") };
        assert_eq!(refusal.code, code, "{found}");
        assert_eq!(refusal.because, format!("a removal of its vGPU {VGPU} waits in the kernel"));
        assert!(judgement.missing.is_empty());
    }
}
