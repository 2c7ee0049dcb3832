//! What is told of two looks at a host.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use gpuvirt_model::{ConfiguredType, Domain, DomainState, Hostdev, Observed, Reading, Requests, Unknown};
use gpuvirt_plan::difference::HostSummary;
use picture::{GPU, at, binding, host, managed, settle};
use uuid::Uuid;

fn well() -> Observed {
    host(binding("nvidia", ""), binding("snd_hda_intel", ""))
}

fn told(change: impl FnOnce(&mut Observed)) -> Vec<String> {
    let before = well();
    let desired = managed(&before, ConfiguredType::Shared);
    let mut now = before.clone();
    change(&mut now);
    HostSummary::of(&now, &desired).differences(&HostSummary::of(&before, &desired))
}

#[test]
fn each_change_is_one_sentence_and_none_is_none() {
    assert_eq!(told(|_| {}), Vec::<String>::new());
    let to_vfio = told(|now| {
        now.functions.get_mut(&at(GPU)).unwrap().binding = binding("vfio-pci", "vfio-pci");
        settle(now);
    });
    assert_eq!(
        to_vfio,
        [format!("{GPU}: its driver is vfio-pci, was nvidia"), format!("{GPU}: it is direct, was shared")]
    );
    let runs = told(|now| {
        let device = Hostdev::Pci { address: at(GPU), managed: false };
        now.domains = Reading::Known(vec![Domain {
            name: "win11".to_owned(),
            uuid: Uuid::from_u128(1),
            state: DomainState::Active,
            autostart: false,
            config: vec![device.clone()],
            live: vec![device],
            requests: Requests::default(),
            guest: Default::default(),
        }]);
    });
    assert_eq!(runs, [format!("{GPU}: running with it: win11, was no VM")]);
    let unknown = told(|now| now.domains = Reading::Unknown(Unknown::NeedsDaemon));
    assert!(unknown[0].contains("unknown"), "{unknown:?}");
}

#[test]
fn cards_come_go_and_are_others() {
    let empty = HostSummary::default();
    let all = HostSummary::of(&well(), &gpuvirt_model::Desired::default());
    assert_eq!((empty.count(), all.count()), ("no GPU".to_owned(), "1 GPU".to_owned()));
    let came = all.differences(&empty);
    assert!(came.len() == 1 && came[0].starts_with(&format!("{GPU} came: 10de:")), "{came:?}");
    assert_eq!(empty.differences(&all), [format!("{GPU} went")]);
    let other = told(|now| now.functions.get_mut(&at(GPU)).unwrap().identity.device = 0x9999);
    assert!(other.len() == 1 && other[0].contains("another card"), "{other:?}");
}
