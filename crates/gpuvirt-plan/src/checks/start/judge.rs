//! A start judged: what concerns the domain as a whole, then each of its devices.

use std::collections::BTreeSet;

use gpuvirt_model::{Domain, Hostdev, Observed, PciAddress, RefusalCode, VgpuId};

use super::subject::{Judgement, Start};
use crate::checks::domain::Device;
use crate::checks::guest::{self, Judged, Moment};
use crate::checks::holder::shell_word;
use crate::checks::several;

/// Judges a start. With any refusal, nothing may be made.
pub fn judge(start: &Start<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    let requests = &start.domain.requests;
    if let (true, Some(uuid)) = (requests.of_another(start.domain.uuid), requests.domain) {
        let because = format!("its device requests are those of the domain {uuid} that it was cloned from");
        let see = format!("gpuvirt vm show {}", shell_word(&start.domain.name));
        judgement.refusals.push(start.refuse(RefusalCode::ClonedRequest, because, vec![see]));
        return judgement;
    }
    judgement.refusals.extend(mixed_modes(start.domain, &start.domain.config, start.observed).map(
        |because| {
            let see = format!("take one of them out: gpuvirt vm show {}", shell_word(&start.domain.name));
            start.refuse(RefusalCode::MixedModes, because, vec![see])
        },
    ));
    let devices = several::devices_of(start.domain, start.observed);
    let vm = start.domain.name.as_str();
    let wanted = several::wanted_of(&start.domain.requests);
    let together = several::together(vm, &devices, &wanted, start.observed);
    judgement.refusals.extend(together.refusals);
    let ours: Vec<Device> = devices.into_iter().filter(|device| start.is_ours(*device)).collect();
    let judged = Judged { vm, guest: &start.domain.guest, devices: &ours, memory: start.memory };
    let of_guest = guest::refusals(&judged, Moment::Now).into_iter();
    judgement.refusals.extend(of_guest.map(|(code, because, remedy)| start.refuse(code, because, remedy)));
    let mut seen = BTreeSet::new();
    for device in &start.domain.config {
        let before = judgement.refusals.len();
        match device {
            Hostdev::Mdev { uuid } => start.mdev(VgpuId::Mdev(*uuid), &mut judgement),
            Hostdev::Pci { address, .. } => match start.observed.functions.get(address) {
                None => judgement.refusals.extend(start.absent(*address)),
                Some(function) => {
                    let Some(gpu) = start.observed.gpu_of(*address) else { continue };
                    if function.physfn.is_some() {
                        start.vf(function, gpu, device, &mut judgement);
                    } else if seen.insert(gpu.address) {
                        start.card(gpu, device, &mut judgement);
                    }
                }
            },
        }
        start.offer_another(device, judgement.refusals.iter_mut().skip(before));
    }
    judgement.refusals.extend(start.room_for(&judgement.missing));
    judgement
}

/// Why these devices are both modes in one VM: a whole GPU and a vGPU.
pub fn mixed_modes(domain: &Domain, devices: &[Hostdev], observed: &Observed) -> Option<String> {
    let is_vf = |address: &PciAddress| observed.functions.get(address).is_some_and(|f| f.physfn.is_some());
    let whole = devices.iter().find_map(|device| match device {
        Hostdev::Pci { address, .. } if !is_vf(address) => observed.gpu_of(*address).map(|gpu| gpu.address),
        _ => None,
    })?;
    let share = devices.iter().find_map(|device| match device {
        // One that is not there yet counts when a request of ours asks for it.
        Hostdev::Mdev { uuid } => {
            let known = observed.vgpus.contains_key(&VgpuId::Mdev(*uuid));
            (known || domain.requests.of_device(device).is_some()).then(|| format!("the vGPU {uuid}"))
        }
        Hostdev::Pci { address, .. } => {
            let gpu = is_vf(address).then(|| observed.gpu_of(*address)).flatten()?;
            Some(format!("the vGPU {address}, a share of {}", gpu.address))
        }
    })?;
    Some(format!("it has the whole GPU {whole} and {share}"))
}
