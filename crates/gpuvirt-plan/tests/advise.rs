//! Advice: what rules a mode out, what is needed, what a workload would rather have, in this order.

#![allow(clippy::unwrap_used)]

use gpuvirt_model::{
    ClassCode, Framework, GraphicsType, HostDriver, HostDriverKind, PciIdentity, ProfileClass, ProfileName,
    RefusalCode, Sharing,
};
use gpuvirt_plan::advise::{Advice, Card, Makes, Need, Offered, Question, Recommendation, Workload, advise};

fn card(address: &str, name: &str, vendor: u16, kind: HostDriverKind) -> Card {
    Card {
        address: address.parse().unwrap(),
        identity: PciIdentity {
            vendor,
            device: 0x2235,
            subsystem_vendor: vendor,
            subsystem_device: 1,
            class: ClassCode(0x03_02_00),
        },
        name: name.to_owned(),
        active: GraphicsType::Shared,
        frameworks: Vec::new(),
        driver: HostDriver { kind, version: None, evidence: "so it is".to_owned() },
        total_vfs: 32,
        obstacles: Vec::new(),
        to_accept: Vec::new(),
        warnings: Vec::new(),
        profiles: Vec::new(),
    }
}

fn a40() -> Card {
    card("0000:41:00.0", "GA102GL [A40]", 0x10de, HostDriverKind::VgpuHost)
}

fn geforce() -> Card {
    card("0000:01:00.0", "GA102 [GeForce RTX 3090]", 0x10de, HostDriverKind::Plain)
}

fn ask(workload: Option<Workload>, vms: u32, needs: &[Need], cards: &[Card]) -> Advice {
    advise(&Question { workload, vms, needs: needs.to_vec() }, cards)
}

#[test]
fn each_rule_of_the_decision() {
    use Need::{Density, Isolation, Migration, NoLicence, Performance};
    use Recommendation::{None as Neither, Passthrough, Vgpu};
    use Workload::{Cad, Gaming, Inference, MlTraining, Vdi};
    let both = a40();
    let mut stuck = a40();
    stuck.obstacles = vec!["its IOMMU group holds others [group-not-viable]".to_owned()];
    let plain = card("0000:41:00.0", "GA102GL [A40]", 0x10de, HostDriverKind::Plain);
    let mut quiet = card("0000:03:00.0", "Navi 31", 0x1002, HostDriverKind::Other);
    quiet.total_vfs = 0;
    type Case<'a> = (Option<Workload>, u32, &'a [Need], Vec<Card>, Recommendation, &'a str);
    let cases: Vec<Case> = vec![
        (Some(Gaming), 1, &[], vec![both.clone()], Passthrough, "picture"),
        (Some(MlTraining), 1, &[], vec![both.clone()], Passthrough, "busy"),
        (Some(MlTraining), 3, &[], vec![both.clone()], Vgpu, "3 VMs at once"),
        (Some(Vdi), 1, &[], vec![both.clone()], Vgpu, "many fit on one"),
        (Some(Inference), 2, &[], vec![both.clone(), geforce()], Vgpu, "seldom"),
        (Some(Vdi), 1, &[Performance, Isolation], vec![both.clone()], Passthrough, "though a share"),
        (Some(Gaming), 1, &[Migration], vec![both.clone()], Vgpu, "does not move"),
        (Some(Gaming), 1, &[Density], vec![both.clone()], Vgpu, "one running VM"),
        (Some(Vdi), 1, &[NoLicence], vec![both.clone()], Passthrough, "licence for each VM"),
        (Some(Vdi), 1, &[NoLicence, Migration], vec![both.clone()], Neither, "no vGPU"),
        (Some(Gaming), 1, &[], vec![geforce()], Passthrough, "GeForce"),
        (Some(Vdi), 4, &[], vec![geforce()], Neither, "4 VMs at once, and one card"),
        (Some(Gaming), 1, &[], vec![stuck], Vgpu, "group-not-viable"),
        (Some(Cad), 2, &[], vec![plain], Vgpu, "2 VMs at once"),
        (Some(Vdi), 1, &[], vec![quiet.clone()], Passthrough, "can't be told"),
        (Some(Vdi), 2, &[], vec![quiet], Neither, "can't be told"),
        (None, 1, &[], vec![both], Neither, "name a workload"),
        (Some(Gaming), 1, &[], Vec::new(), Neither, "no GPU"),
    ];
    for (workload, vms, needs, cards, want, words) in cases {
        let advice = ask(workload, vms, needs, &cards);
        let because = advice.because.join("; ");
        assert_eq!(advice.recommendation, want, "{workload:?} {vms} {needs:?}: {because}");
        assert!(because.contains(words), "{workload:?} {vms} {needs:?}: {words:?} in {because}");
        assert_eq!(advice.steps.is_empty(), want == Neither, "{:?}", advice.steps);
    }
}

#[test]
fn a_display_that_can_be_given_away_is_the_last_choice_and_said() {
    let mut display = geforce();
    display.to_accept = vec![RefusalCode::BootDisplay];
    let alone = ask(Some(Workload::Gaming), 1, &[], &[display.clone()]).steps.join("\n");
    assert!(alone.contains("0000:01:00.0 --type direct --accept boot-display"), "{alone}");
    let other = card("0000:02:00.0", "GA102 [GeForce RTX 3090]", 0x10de, HostDriverKind::Plain);
    let two = ask(Some(Workload::Gaming), 1, &[], &[display.clone(), other.clone()]).steps.join("\n");
    assert!(two.contains("0000:02:00.0 --type direct\n") && !two.contains("boot-display"), "{two}");
    let both = ask(Some(Workload::Gaming), 2, &[], &[display, other]).steps.join("\n");
    assert!(both.contains("--match 10de:2235") && both.contains("boot-display"), "{both}");
}

#[test]
fn the_profile_is_the_largest_of_which_enough_fit() {
    let offered = |name: &str, class, sharing, max, gib: u64| Offered {
        name: ProfileName(name.to_owned()),
        class: Some(class),
        sharing: Some(sharing),
        max: Some(max),
        framebuffer_mib: Some(gib * 1024),
    };
    let mut card = a40();
    card.active = GraphicsType::SharedDirect;
    card.frameworks = vec![Framework::NvidiaVfio];
    card.profiles = vec![
        offered("a-4c", ProfileClass::Compute, Sharing::TimeSliced, 12, 4),
        offered("a-8c", ProfileClass::Compute, Sharing::TimeSliced, 6, 8),
        offered("a-24c", ProfileClass::Compute, Sharing::TimeSliced, 2, 24),
        offered("a-1-6c", ProfileClass::Compute, Sharing::MigBacked, 7, 6),
        offered("a-8q", ProfileClass::Workstation, Sharing::TimeSliced, 6, 8),
    ];
    for (workload, vms, needs, want) in [
        (Workload::Inference, 4, vec![], "--profile a-8c"),
        (Workload::Inference, 2, vec![], "--profile a-24c"),
        (Workload::Inference, 4, vec![Need::Isolation], "--profile a-1-6c"),
        (Workload::Transcode, 4, vec![], "--profile a-8q"),
        // None fits: the list is looked at.
        (Workload::Inference, 40, vec![], "gpuvirt profile list"),
    ] {
        let steps = ask(Some(workload), vms, &needs, &[card.clone()]).steps.join("\n");
        assert!(steps.contains(want) && !steps.contains("gpu set"), "{workload:?} {vms} {needs:?}: {steps}");
    }
}

#[test]
fn whether_a_card_makes_vgpus_is_told_by_driver_vendor_and_sriov() {
    type Kind = fn(&Makes) -> bool;
    let with: Kind = |makes| matches!(makes, Makes::With(_));
    let unknown: Kind = |makes| matches!(makes, Makes::Unknown(_));
    let never: Kind = |makes| matches!(makes, Makes::Never(_));
    use HostDriverKind::{None as Bare, OpenModule, Other, Plain};
    for (vendor, name, kind, vfs, want) in [
        (0x10de, "GA102GL [A40]", Plain, 32, with),
        (0x10de, "GA102GL [A40]", OpenModule, 32, with),
        (0x10de, "TU104GL [Tesla T4]", Plain, 0, unknown),
        (0x10de, "GA102GL [A40]", Bare, 32, unknown),
        (0x10de, "AD102 [GeForce RTX 4090]", Plain, 0, never),
        (0x1002, "Aqua Vanjaram [Instinct MI300X]", Other, 8, with),
        (0x1002, "Navi 31", Other, 0, unknown),
        (0x8086, "Data Center GPU Flex 170", Other, 31, with),
        (0x8086, "UHD Graphics 630", Other, 0, unknown),
        (0x1234, "a display of QEMU's", Other, 0, never),
    ] {
        let mut found = card("0000:41:00.0", name, vendor, kind);
        found.total_vfs = vfs;
        assert!(want(&found.makes()), "{name}: {:?}", found.makes());
    }
    let mut offers = card("0000:00:02.0", "UHD Graphics 630", 0x8086, Other);
    offers.frameworks = vec![Framework::Mdev];
    assert_eq!(offers.makes(), Makes::Now);
}
