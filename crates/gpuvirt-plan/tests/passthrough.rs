//! Whether a GPU could be given whole to a VM: every reason why not, with holders left out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use gpuvirt_model::{
    ConfiguredType, DesiredGpu, Holder, Observed, Reading, Records, RefusalCode, Unknown, WarningCode,
};
use gpuvirt_plan::checks::passthrough::Passthrough;
use picture::{AUDIO, GPU, NIC, at, binding, function, host, managed};

fn well() -> Observed {
    host(binding("nvidia", ""), binding("snd_hda_intel", ""))
}

fn judged(observed: &Observed, to: ConfiguredType, accepted: &[RefusalCode]) -> Passthrough {
    let desired = managed(observed, to);
    let entry = DesiredGpu { accepted: accepted.to_vec(), ..desired.gpu(at(GPU)).unwrap().clone() };
    let desired = desired.with_gpu(entry);
    Passthrough::of(&observed.gpus[&at(GPU)], observed, &desired, &Records::default())
}

fn codes(found: &Passthrough) -> Vec<RefusalCode> {
    found.obstacles.iter().map(|refusal| refusal.code).collect()
}

#[test]
fn enabled_capable_and_active_are_three_things() {
    let observed = well();
    let found = judged(&observed, ConfiguredType::Shared, &[]);
    assert_eq!((found.enabled, codes(&found), found.active), (false, vec![], false));
    assert_eq!(found.dependents, [at(AUDIO)]);
    // Asked for and not in force.
    let found = judged(&observed, ConfiguredType::Direct, &[]);
    assert_eq!((found.enabled, codes(&found), found.active), (true, vec![], false));
    let taken = host(binding("vfio-pci", "vfio-pci"), binding("vfio-pci", "vfio-pci"));
    let found = judged(&taken, ConfiguredType::Shared, &[]);
    assert_eq!((found.enabled, codes(&found), found.active), (false, vec![], true));
}

#[test]
fn who_uses_it_now_is_no_reason() {
    let mut observed = well();
    let via = gpuvirt_model::Via::Fd { fd: 7, path: "/dev/nvidia0".to_owned() };
    let holder = Holder::Process { pid: 1, command: "x".to_owned(), via, container: None };
    observed.gpus.get_mut(&at(GPU)).unwrap().holders.seen.push(holder);
    assert_eq!(codes(&judged(&observed, ConfiguredType::Shared, &[])), []);
}

#[test]
fn every_reason_is_told_at_once_and_what_was_accepted_is_none() {
    let mut observed = well();
    observed.host.iommu = false;
    observed.host.interrupt_remapping = Reading::Known(false);
    let primary = observed.functions.get_mut(&at(GPU)).unwrap();
    (primary.endpoint, primary.boot_vga) = (false, Some(true));
    let found = judged(&observed, ConfiguredType::Direct, &[]);
    let all = [
        RefusalCode::NotAnEndpoint,
        RefusalCode::NoIommu,
        RefusalCode::NoInterruptRemapping,
        RefusalCode::BootDisplay,
    ];
    assert_eq!(codes(&found), all);
    let accepted = judged(&observed, ConfiguredType::Direct, &[RefusalCode::BootDisplay]);
    assert_eq!(codes(&accepted), all[..3]);
}

#[test]
fn what_shares_the_group_goes_along_or_is_in_the_way() {
    let mut observed = well();
    let nic = function(NIC, 0x02_00_00, binding("e1000e", ""));
    observed.functions.insert(nic.address, nic);
    observed.groups.get_mut(&17).unwrap().members.push(at(NIC));
    let found = judged(&observed, ConfiguredType::Shared, &[]);
    assert_eq!(codes(&found), [RefusalCode::GroupNotViable]);
    assert_eq!(found.dependents.len(), 2);
    assert!(found.dependents.contains(&at(NIC)));
}

#[test]
fn without_a_reset_it_is_possible_and_warned_of() {
    let mut observed = well();
    observed.functions.get_mut(&at(GPU)).unwrap().reset_methods = Reading::Known(Vec::new());
    observed.host.interrupt_remapping = Reading::Unknown(Unknown::NotRecorded);
    let found = judged(&observed, ConfiguredType::Shared, &[]);
    let warned: Vec<WarningCode> = found.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes(&found), []);
    assert_eq!(warned, [WarningCode::NoResetMethod, WarningCode::InterruptRemappingUnknown]);
}
