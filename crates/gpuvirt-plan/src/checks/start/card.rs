//! A whole GPU of a domain that is about to start.

use gpuvirt_model::{Gpu, GraphicsType, Hostdev, Refusal, RefusalCode, Request, Wanted, When};

use super::subject::{Judgement, Start};
use crate::checks::holder::shell_word;

impl Start<'_> {
    /// A whole GPU.
    pub(super) fn card(&self, gpu: &Gpu, device: &Hostdev, judgement: &mut Judgement) {
        let request = self.domain.requests.of_device(device);
        let mut found: Vec<Refusal> =
            request.and_then(|request| self.other_card(gpu, request)).into_iter().collect();
        let Some(entry) = self.desired.gpu(gpu.address) else { return judgement.refusals.extend(found) };
        found.extend(self.untrusted(gpu));
        if !found.is_empty() {
            return judgement.refusals.extend(found);
        }
        let configured = entry.graphics_type.resolve(&self.desired.host);
        let active = gpu.active_type(Some(configured));
        let lent = entry.when == When::Vm && configured == GraphicsType::Direct;
        if lent && active != GraphicsType::Direct {
            judgement.lent.push(gpu.address);
        } else if active != GraphicsType::Direct {
            let set = format!("gpuvirt gpu set {} --type direct", gpu.address);
            let because = format!("its GPU {} is {active}, not direct", gpu.address);
            found.push(self.refuse(RefusalCode::NotPassthrough, because, vec![set]));
        }
        let same = |other: &Hostdev| match other {
            Hostdev::Pci { address, .. } => gpu.functions.contains(address),
            Hostdev::Mdev { .. } => false,
        };
        let holders = (active == GraphicsType::Direct).then_some(&gpu.holders.seen);
        let what = format!("GPU {}", gpu.address);
        found.extend(self.held(RefusalCode::GpuInUse, &what, &same, holders.into_iter().flatten()));
        judgement.refusals.extend(found);
    }

    /// The card that the request asked for is not the one at the address.
    fn other_card(&self, gpu: &Gpu, request: &Request) -> Option<Refusal> {
        let found = self.observed.primary_of(gpu)?.identity;
        match &request.wanted {
            Wanted::Gpu { identity, .. } if *identity != found => {
                let because = format!("{found} sits at {}, and its request is for {identity}", gpu.address);
                let name = shell_word(&self.domain.name);
                let again = format!(
                    "gpuvirt vm remove {name} {}, then gpuvirt vm add {name} --gpu for the card that it is to have",
                    gpu.address
                );
                Some(self.refuse(RefusalCode::IdentityChanged, because, vec![again]))
            }
            Wanted::Match { kind } if !kind.ids.fits(&found) => {
                let because = format!("{} is {found}, and its request is for {}", gpu.address, kind.ids);
                Some(self.refuse(RefusalCode::RequestUnmet, because, vec![self.start_command()]))
            }
            Wanted::Match { kind } => self.other_label(gpu, kind.label.as_deref()?),
            _ => None,
        }
    }

    /// The card lost the label that the request asks for, or another one was given to it.
    fn other_label(&self, gpu: &Gpu, wanted: &str) -> Option<Refusal> {
        let found = self.desired.gpu(gpu.address).and_then(|entry| entry.label.as_deref());
        (found != Some(wanted)).then(|| {
            let has = found.map_or_else(|| "has no label".to_owned(), |found| format!("is labelled {found}"));
            let because = format!("{} {has}, and its request is for one labelled {wanted}", gpu.address);
            self.refuse(RefusalCode::RequestUnmet, because, vec![self.start_command()])
        })
    }
}
