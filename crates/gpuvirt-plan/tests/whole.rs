//! The choice of a whole GPU of a kind, as a VM asks for it by vendor, device, subsystem and label.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use std::collections::BTreeSet;

use gpuvirt_model::{
    CardMatch, ConfiguredType, Desired, DesiredGpu, Domain, DomainState, Hostdev, Observed, PciAddress,
    Reading, Records,
};
use gpuvirt_plan::checks::guest::Moment;
use gpuvirt_plan::placement::{Details, HostPicture, WholeChoice, WholeRequest, choose_whole};
use picture::{binding, function, host};
use uuid::Uuid;

fn gpu(number: u8) -> PciAddress {
    PciAddress { domain: 0, bus: number + 0x41, slot: 0, function: 0 }
}

fn domain(number: u128) -> Domain {
    Domain {
        name: format!("vm{number}"),
        uuid: Uuid::from_u128(number),
        state: DomainState::ShutOff,
        autostart: false,
        config: Vec::new(),
        live: Vec::new(),
        requests: gpuvirt_model::Requests::default(),
        guest: gpuvirt_model::Guest::default(),
    }
}

fn has(number: u8) -> Vec<Hostdev> {
    vec![Hostdev::Pci { address: gpu(number), managed: false }]
}

/// Cards of one model, all passed through, and what VMs have of them.
struct Host {
    observed: Observed,
    desired: Desired,
    details: Details,
    records: Records,
    asking: Domain,
}

impl Host {
    fn new(cards: u8) -> Self {
        let mut observed = host(binding("vfio-pci", "vfio-pci"), binding("vfio-pci", "vfio-pci"));
        let template = observed.gpus.values().next().unwrap().clone();
        observed.gpus.clear();
        let mut desired = Desired::default();
        for number in 0..cards {
            let address = gpu(number);
            let primary = function(&address.to_string(), 0x03_00_00, binding("vfio-pci", "vfio-pci"));
            desired = desired.with_gpu(DesiredGpu::new(address, primary.identity, ConfiguredType::Direct));
            observed.functions.insert(address, primary);
            let functions = vec![address];
            let card = gpuvirt_model::Gpu { address, functions, on_vfio: true, ..template.clone() };
            observed.gpus.insert(address, card);
        }
        let (details, records, asking) = (Details::default(), Records::default(), domain(1));
        Self { observed, desired, details, records, asking }
    }

    fn entry(&mut self, number: u8) -> &mut DesiredGpu {
        self.desired.gpus.iter_mut().find(|entry| entry.address == gpu(number)).unwrap()
    }

    fn label(&mut self, number: u8, label: &str) {
        self.entry(number).label = Some(label.to_owned());
    }

    fn others(&mut self, domains: Vec<Domain>) {
        self.observed.domains = Reading::Known(domains);
    }

    fn choose(&self, label: Option<&str>, moment: Moment) -> Result<WholeChoice, Vec<String>> {
        let ids = self.observed.functions[&gpu(0)].identity;
        let ids = format!("{:04x}:{:04x}", ids.vendor, ids.device).parse().unwrap();
        let kind = CardMatch { ids, label: label.map(str::to_owned) };
        let besides = BTreeSet::new();
        let request = WholeRequest { kind: &kind, domain: &self.asking, besides: &besides, moment };
        let Self { observed, desired, details, records, .. } = self;
        choose_whole(&request, &HostPicture { observed, desired, records, details })
    }
}

fn running(number: u128, card: u8) -> Domain {
    Domain { state: DomainState::Active, config: has(card), live: has(card), ..domain(number) }
}

#[test]
fn any_card_with_the_label_will_do_and_no_other() {
    let mut host = Host::new(4);
    host.label(1, "farm");
    host.label(2, "farm");
    host.label(3, "other");
    let chosen = |host: &Host, label| host.choose(label, Moment::Now).map(|choice| choice.gpu);
    assert_eq!(chosen(&host, None), Ok(gpu(0)));
    assert_eq!(chosen(&host, Some("farm")), Ok(gpu(1)));
    host.others(vec![running(2, 1)]);
    assert_eq!(chosen(&host, Some("farm")), Ok(gpu(2)), "the other one with that label");
    host.others(vec![running(2, 1), running(3, 2)]);
    let lines = host.choose(Some("farm"), Moment::Now).unwrap_err();
    assert_eq!(lines.len(), 4);
    for (line, why) in lines.iter().zip(["another label", "runs with it", "runs with it", "another label"]) {
        assert!(line.contains(why), "{line}");
    }
    assert_eq!(chosen(&host, Some("other")), Ok(gpu(3)));
}

#[test]
fn every_reason_against_a_card_is_said() {
    let mut host = Host::new(6);
    host.desired = host.desired.without_gpu(gpu(0));
    host.entry(1).identity.device ^= 1;
    host.entry(2).cordoned = true;
    host.observed.gpus.get_mut(&gpu(3)).unwrap().on_vfio = false;
    host.others(vec![running(2, 4)]);
    host.label(5, "spare");
    let lines = host.choose(Some("farm"), Moment::Now).unwrap_err();
    assert!(lines[5].contains("another label"), "{lines:?}");
    for number in 1..5 {
        host.label(number, "farm");
    }
    let lines = host.choose(Some("farm"), Moment::Now).unwrap_err();
    let reasons = ["unmanaged", "another card", "cordoned", "not direct", "runs with it", "another label"];
    for (line, why) in lines.iter().zip(reasons) {
        assert!(line.contains(why), "{line}, {why}");
    }
    host.desired.host.maintenance = true;
    assert!(host.choose(None, Moment::Now).unwrap_err().iter().any(|line| line.contains("maintenance")));
}

#[test]
fn a_vm_may_be_given_what_is_not_free_now() {
    let mut host = Host::new(2);
    host.others(vec![running(2, 0), running(3, 1)]);
    assert!(host.choose(None, Moment::Now).is_err());
    let choice = host.choose(None, Moment::Later).unwrap();
    assert_eq!((choice.gpu, choice.reasons.len()), (gpu(0), 1));
    assert!(choice.reasons[0].contains("none is free now"), "{:?}", choice.reasons);
    // One that is free comes first, wherever it sits.
    host.others(vec![running(2, 0)]);
    let choice = host.choose(None, Moment::Later).unwrap();
    assert_eq!(choice.gpu, gpu(1));
    assert!(choice.rejected[0].because.contains("not free now"), "{:?}", choice.rejected);
    // What is no card for it at any time stays refused.
    assert!(host.choose(Some("farm"), Moment::Later).is_err());
}

#[test]
fn the_last_card_is_kept_and_one_that_others_name_comes_after_the_rest() {
    let mut host = Host::new(3);
    host.others(vec![Domain { config: has(0), ..domain(2) }]);
    assert_eq!(host.choose(None, Moment::Now).unwrap().gpu, gpu(1));
    host.asking.config = has(2);
    let choice = host.choose(None, Moment::Now).unwrap();
    assert_eq!(choice.gpu, gpu(2));
    assert!(choice.reasons[0].contains("had it last"), "{:?}", choice.reasons);
}
