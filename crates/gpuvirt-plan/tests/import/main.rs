//! What other tools' files become, over a small host as a value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod ids;
#[path = "../picture/mod.rs"]
mod picture;

use gpuvirt_model::import::{
    DriverOverride, ForeignSetup, HostPci, HostPciDevice, KeptAway, MappedDevice, MdevDefinition, Origin,
    VfioIds,
};
use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, Domain, DomainState, Framework, Hostdev, Observed, PciDeviceId,
    Profile, ProfileName, Reading, Requests, VgpuId, VgpuParams,
};
use gpuvirt_plan::import::{Import, Sources, import};
use picture::{AUDIO, GPU, NIC, at, binding, host};
use uuid::Uuid;

const UUID: Uuid = Uuid::from_u128(0x5f8a_6d6e_0c2c_4a53_9d3c_0c1c_2b6f_3a11);

fn a_host() -> Observed {
    host(binding("nvidia", ""), binding("snd_hda_intel", ""))
}

fn run(foreign: &ForeignSetup, observed: &Observed) -> Import {
    import(&Sources { foreign, observed, desired: &Desired::default() })
}

fn over(address: &str, driver: &str) -> DriverOverride {
    let origin = Origin::file(&format!("/etc/driverctl.d/pci-{address}"));
    DriverOverride { address: at(address), driver: driver.to_owned(), origin }
}

fn definition(auto: bool) -> MdevDefinition {
    MdevDefinition {
        uuid: UUID,
        parent: at(GPU),
        type_id: "nvidia-558".to_owned(),
        auto,
        params: VgpuParams::default(),
        other_attributes: Vec::new(),
        origin: Origin::file("/etc/mdevctl.d/x"),
    }
}

fn offering(mut observed: Observed) -> Observed {
    let profile = Profile {
        name: ProfileName("nvidia_a40-24c".to_owned()),
        parent: at(GPU),
        framework: Framework::Mdev,
        type_id: "nvidia-558".to_owned(),
        title: "NVIDIA A40-24C".to_owned(),
        device_api: "vfio-pci".to_owned(),
        available: 2,
        max: None,
        framebuffer_mib: None,
        class: None,
        sharing: None,
        heads: None,
        max_resolution: None,
        blocked: None,
    };
    observed.gpus.get_mut(&at(GPU)).unwrap().profiles.push(profile);
    observed
}

fn domain(config: Vec<Hostdev>) -> Domain {
    Domain {
        name: "win11".to_owned(),
        uuid: Uuid::from_u128(1),
        state: DomainState::ShutOff,
        autostart: false,
        config,
        live: Vec::new(),
        requests: Requests::default(),
        guest: Default::default(),
    }
}

fn types(import: &Import) -> Vec<(String, ConfiguredType)> {
    import.config.gpus.iter().map(|gpu| (gpu.address.unwrap().to_string(), gpu.graphics_type)).collect()
}

fn direct() -> Vec<(String, ConfiguredType)> {
    vec![(GPU.to_owned(), ConfiguredType::Direct)]
}

#[test]
fn nothing_becomes_nothing() {
    let found = run(&ForeignSetup::default(), &a_host());
    assert_eq!(found, Import { config: gpuvirt_model::Configuration::default(), ..Import::default() });
}

#[test]
fn overrides_of_a_cards_functions_are_one_entry_with_its_identity() {
    let overrides = vec![over(GPU, "vfio-pci"), over(AUDIO, "vfio-pci"), over(NIC, "vfio-pci")];
    let found = run(&ForeignSetup { overrides, ..ForeignSetup::default() }, &a_host());
    assert_eq!(types(&found), direct());
    assert!(found.config.gpus[0].identity.is_some());
    assert_eq!(found.traces[2].gpu, None);
    assert_eq!(found.traces[2].note.as_deref(), Some("nothing sits there now"));
    // Each file goes; vfio-pci forgets once what driverctl taught it, for both have the same ids here.
    let told = |what: &str| found.afterwards.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!((told("rm "), told("echo 10de ")), (2, 1), "{:?}", found.afterwards);
    assert!(found.config.check().is_ok());
}

#[test]
fn a_rule_by_address_is_an_override_that_goes_with_its_line() {
    let rule = |line| Origin::line("/etc/udev/rules.d/10-vfio.rules", line);
    let foreign = ForeignSetup {
        overrides: vec![DriverOverride { origin: rule(3), ..over(GPU, "vfio-pci") }],
        vfio_ids: vec![VfioIds { origin: rule(5), ..ids(0x1eb8) }],
        ..ForeignSetup::default()
    };
    let found = run(&foreign, &a_host());
    assert_eq!(types(&found), direct());
    // No id was taught to vfio-pci, and another tool's lines stand in the file too.
    let line = |number| {
        format!("sed -i -e '{number}s/^/#/' /etc/udev/rules.d/10-vfio.rules; udevadm control --reload")
    };
    assert_eq!(found.afterwards, [line(3), line(5)]);
}

#[test]
fn a_program_in_the_place_of_vfio_pci_is_named_as_unread() {
    let kept =
        |says: &str| KeptAway { says: says.to_owned(), origin: Origin::line("/etc/modprobe.d/vfio.conf", 1) };
    let kept_away = vec![kept("install vfio-pci /usr/local/bin/take.sh"), kept("install amdgpu /bin/false")];
    let found = run(&ForeignSetup { kept_away, ..ForeignSetup::default() }, &a_host());
    let notes: Vec<&str> = found.traces.iter().filter_map(|trace| trace.note.as_deref()).collect();
    assert!(notes[0].contains("is not read: gpuvirt gpu set GPU --type direct"), "{notes:?}");
    assert_eq!(notes[1], "gpuvirt needs no such line: it binds by address");
}

#[test]
fn a_host_drivers_override_changes_nothing() {
    let overrides = vec![over(GPU, "nouveau")];
    let found = run(&ForeignSetup { overrides, ..ForeignSetup::default() }, &a_host());
    assert!(found.config.gpus.is_empty() && found.afterwards.is_empty());
    assert_eq!((found.traces[0].gpu, found.traces[0].becomes), (Some(at(GPU)), None));
}

fn ids(device: u16) -> VfioIds {
    let origin = Origin::file("/proc/cmdline");
    VfioIds { ids: vec![PciDeviceId::of(0x10de, device)], origin, heard: true }
}

#[test]
fn a_host_drivers_override_contradicts_what_gives_the_card_to_a_vm() {
    let pci = |address| Hostdev::Pci { address: at(address), managed: true };
    for kept in [GPU, AUDIO] {
        let observed =
            Observed { domains: Reading::Known(vec![domain(vec![pci(GPU), pci(AUDIO)])]), ..a_host() };
        let foreign = ForeignSetup { overrides: vec![over(kept, "nvidia")], ..ForeignSetup::default() };
        let found = run(&foreign, &observed);
        assert!(found.config.gpus.is_empty() && found.afterwards.is_empty(), "{kept}: {found:?}");
        let text = &found.contradictions[0].text;
        for want in ["driverctl.d", "libvirt", "direct", kept, "nvidia"] {
            assert!(text.contains(want), "{want}: {text}");
        }
    }
    // Shared it stays on that very driver.
    let foreign = ForeignSetup {
        overrides: vec![over(GPU, "nvidia")],
        mdevs: vec![definition(true)],
        ..ForeignSetup::default()
    };
    let found = run(&foreign, &offering(a_host()));
    assert_eq!(types(&found), [(GPU.to_owned(), ConfiguredType::SharedDirect)]);
}

#[test]
fn an_audio_function_alone_gives_no_card_away() {
    let is_left = |found: &Import, how: &str| {
        assert!(found.config.gpus.is_empty() && found.afterwards.is_empty(), "{how}: {found:?}");
        assert!(found.contradictions.is_empty(), "{how}: {found:?}");
        let trace = &found.traces[0];
        assert_eq!((trace.gpu, trace.becomes), (Some(at(GPU)), None), "{how}");
        assert_eq!(trace.note.as_deref(), Some("a companion function; it goes with its card"), "{how}");
    };
    let overrides = vec![over(AUDIO, "vfio-pci")];
    let driverctl = ForeignSetup { overrides, ..ForeignSetup::default() };
    is_left(&run(&driverctl, &a_host()), "driverctl");
    let audio = Hostdev::Pci { address: at(AUDIO), managed: true };
    let observed = Observed { domains: Reading::Known(vec![domain(vec![audio.clone()])]), ..a_host() };
    is_left(&run(&ForeignSetup::default(), &observed), "libvirt");
    let hostpci = vec![HostPci {
        guest: "100".to_owned(),
        devices: vec![HostPciDevice::Function(at(AUDIO)).into()],
        mdev: None,
        origin: Origin::line("/etc/pve/qemu-server/100.conf", 1),
    }];
    is_left(&run(&ForeignSetup { hostpci, ..ForeignSetup::default() }, &a_host()), "Proxmox");
    // Where the card goes by something else, its audio's file goes too; where it is shared, that stays.
    let both = Hostdev::Pci { address: at(GPU), managed: true };
    let observed = Observed { domains: Reading::Known(vec![domain(vec![audio, both])]), ..a_host() };
    let found = run(&driverctl, &observed);
    assert_eq!(types(&found), direct());
    assert!(found.afterwards.iter().any(|line| line.starts_with("rm ")), "{:?}", found.afterwards);
    let shared = ForeignSetup { mdevs: vec![definition(true)], ..driverctl };
    let found = run(&shared, &offering(a_host()));
    assert_eq!(types(&found), [(GPU.to_owned(), ConfiguredType::SharedDirect)]);
    assert!(!found.afterwards.iter().any(|line| line.starts_with("rm ")), "{:?}", found.afterwards);
}

#[test]
fn a_mapping_that_means_another_card_gives_none_away() {
    let mapped = |id, subsystem_id| MappedDevice {
        device: HostPciDevice::Function(at(GPU)),
        id: Some(id),
        subsystem_id: Some(subsystem_id),
    };
    let (card, board) = ((0x10de, 0x1eb8), (0x10de, 0x12a2));
    for mdev in [None, Some("nvidia-558".to_owned())] {
        let with = |device| {
            let origin = Origin::line("/etc/pve/qemu-server/100.conf", 1);
            let line = HostPci { guest: "100".to_owned(), devices: vec![device], mdev: mdev.clone(), origin };
            run(&ForeignSetup { hostpci: vec![line], ..ForeignSetup::default() }, &a_host())
        };
        assert_eq!(with(mapped(card, board)).config.gpus.len(), 1);
        for (other, says) in [
            (mapped((0x10de, 0x2235), board), "id=10de:2235, and 10de:1eb8 sits there"),
            (mapped(card, (0x1043, 1)), "subsystem-id=1043:0001, and 10de:12a2 sits there"),
        ] {
            let found = with(other);
            assert!(found.config.gpus.is_empty(), "{found:?}");
            assert!(found.traces[0].note.as_ref().unwrap().contains(says), "{:?}", found.traces[0]);
        }
    }
}

#[test]
fn definitions_that_start_by_themselves_are_restored_and_others_are_not() {
    let with = |auto, observed: &Observed| {
        run(&ForeignSetup { mdevs: vec![definition(auto)], ..ForeignSetup::default() }, observed)
    };
    let found = with(true, &offering(a_host()));
    let vgpus = found.config.gpus[0].vgpus.as_ref().unwrap();
    assert_eq!((vgpus[0].id, vgpus[0].profile.0.as_str()), (VgpuId::Mdev(UUID), "nvidia_a40-24c"));
    assert_eq!(found.afterwards, [format!("mdevctl undefine --uuid {UUID}")]);

    let by_hand = with(false, &offering(a_host()));
    assert_eq!(types(&by_hand), [(GPU.to_owned(), ConfiguredType::SharedDirect)]);
    assert!(by_hand.config.gpus[0].vgpus.is_none() && by_hand.afterwards.is_empty());

    let unknown = with(true, &a_host());
    assert!(unknown.config.gpus[0].vgpus.is_none());
    assert!(unknown.traces[0].note.as_ref().unwrap().contains("offers no type nvidia-558"));
}

#[test]
fn two_things_about_one_gpu_are_a_contradiction_and_no_entry() {
    let foreign = ForeignSetup {
        overrides: vec![over(GPU, "vfio-pci")],
        mdevs: vec![definition(true)],
        ..ForeignSetup::default()
    };
    let found = run(&foreign, &offering(a_host()));
    assert!(found.config.gpus.is_empty() && found.afterwards.is_empty());
    let text = &found.contradictions[0].text;
    for want in ["driverctl.d", "mdevctl.d", "direct", "shared-direct"] {
        assert!(text.contains(want), "{want}: {text}");
    }
}

#[test]
fn what_is_configured_already_is_not_turned() {
    let observed = a_host();
    let identity = observed.functions[&at(GPU)].identity;
    let foreign = ForeignSetup { overrides: vec![over(GPU, "vfio-pci")], ..ForeignSetup::default() };
    for (configured, contradicts) in [(ConfiguredType::Shared, true), (ConfiguredType::Direct, false)] {
        let desired = Desired::default().with_gpu(DesiredGpu::new(at(GPU), identity, configured));
        let found = import(&Sources { foreign: &foreign, observed: &observed, desired: &desired });
        assert_eq!(found.contradictions.len(), usize::from(contradicts), "{configured}");
        assert_eq!(found.config.gpus.is_empty(), contradicts, "{configured}");
    }
}

#[test]
fn domains_and_proxmox_guests_say_how_a_card_is_used() {
    let pci = |address| Hostdev::Pci { address: at(address), managed: true };
    let observed = Observed {
        domains: Reading::Known(vec![domain(vec![pci(GPU), pci(AUDIO)]), domain(vec![pci(NIC)])]),
        ..a_host()
    };
    let found = run(&ForeignSetup::default(), &observed);
    assert_eq!(types(&found), direct());
    assert_eq!(found.traces.len(), 1, "one trace for the card: {:?}", found.traces);
    assert_eq!(found.afterwards, ["gpuvirt vm adopt win11"]);

    let line = |mdev: Option<&str>| HostPci {
        guest: "100".to_owned(),
        devices: vec![HostPciDevice::Slot(at(GPU)).into()],
        mdev: mdev.map(str::to_owned),
        origin: Origin::line("/etc/pve/qemu-server/100.conf", 1),
    };
    for (mdev, want) in [(None, ConfiguredType::Direct), (Some("nvidia-558"), ConfiguredType::SharedDirect)] {
        let foreign = ForeignSetup { hostpci: vec![line(mdev)], ..ForeignSetup::default() };
        assert_eq!(types(&run(&foreign, &a_host())), [(GPU.to_owned(), want)], "{mdev:?}");
    }
}

#[test]
fn a_domains_mediated_device_belongs_where_mdevctl_says() {
    let observed = Observed {
        domains: Reading::Known(vec![domain(vec![Hostdev::Mdev { uuid: UUID }])]),
        ..offering(a_host())
    };
    let alone = run(&ForeignSetup::default(), &observed);
    assert!(alone.config.gpus.is_empty() && alone.traces[0].gpu.is_none());
    let foreign = ForeignSetup { mdevs: vec![definition(false)], ..ForeignSetup::default() };
    let found = run(&foreign, &observed);
    assert!(found.traces.iter().all(|trace| trace.gpu == Some(at(GPU))), "{:?}", found.traces);
    assert!(
        found.afterwards.is_empty(),
        "a device that nobody keeps is not asked for: {:?}",
        found.afterwards
    );

    let foreign = ForeignSetup { mdevs: vec![definition(true)], ..ForeignSetup::default() };
    let mut odd = observed.clone();
    if let Reading::Known(domains) = &mut odd.domains {
        domains[0].name = "win; reboot".to_owned();
    }
    for (observed, adopt) in [(&observed, "gpuvirt vm adopt win11"), (&odd, "gpuvirt vm adopt 'win; reboot'")]
    {
        let afterwards = run(&foreign, observed).afterwards;
        assert!(afterwards.iter().any(|line| line == adopt), "{afterwards:?}");
    }
}

#[test]
fn a_rule_of_several_lines_goes_whole_and_one_that_does_more_by_hand() {
    let path = "/etc/udev/rules.d/10-vfio.rules";
    let of = |origin: Origin| {
        let over = DriverOverride { address: at(GPU), driver: "vfio-pci".to_owned(), origin };
        let found = run(&ForeignSetup { overrides: vec![over], ..ForeignSetup::default() }, &a_host());
        assert_eq!(types(&found), direct());
        found.afterwards.join("\n")
    };
    let several = of(Origin::lines(path, 2, 4));
    assert!(several.contains(&format!("sed -i -e '2,4s/^/#/' {path}")), "{several}");
    let more = of(Origin { and_more: true, ..Origin::line(path, 2) });
    assert!(!more.contains("sed") && more.contains("out of the rule in line 2"), "{more}");
}

#[test]
fn a_uuid_that_is_defined_on_two_parents_is_a_contradiction() {
    let again = MdevDefinition { origin: Origin::file("/etc/mdevctl.d/y"), ..definition(true) };
    let mdevs = vec![definition(true), again.clone()];
    let found = run(&ForeignSetup { mdevs, ..ForeignSetup::default() }, &offering(a_host()));
    assert!(found.config.gpus.is_empty(), "{found:?}");
    let [one] = found.contradictions.as_slice() else { panic!("{found:?}") };
    assert!(one.text.contains("/etc/mdevctl.d/x") && one.text.contains("/etc/mdevctl.d/y"), "{}", one.text);
    // One that is started by hand is in no document.
    let mdevs = vec![definition(true), MdevDefinition { auto: false, ..again }];
    let found = run(&ForeignSetup { mdevs, ..ForeignSetup::default() }, &offering(a_host()));
    assert!(found.contradictions.is_empty() && found.config.gpus.len() == 1, "{found:?}");
}

#[test]
fn a_definition_for_a_card_that_is_gone_contradicts_nothing_and_is_named() {
    let stale = MdevDefinition {
        parent: at("0000:81:00.0"),
        origin: Origin::file("/etc/mdevctl.d/gone"),
        ..definition(true)
    };
    let gone = format!("mdevctl undefine --parent 0000:81:00.0 --uuid {UUID}");
    let here = format!("mdevctl undefine --parent {GPU} --uuid {UUID}");
    let vm = domain(vec![Hostdev::Mdev { uuid: UUID }]);
    let observed = Observed { domains: Reading::Known(vec![vm]), ..offering(a_host()) };
    // The stale one comes first here: what a VM has belongs to the card that is there all the same.
    let mdevs = vec![stale.clone(), definition(true)];
    let found = run(&ForeignSetup { mdevs, ..ForeignSetup::default() }, &observed);
    assert!(found.contradictions.is_empty(), "{:?}", found.contradictions);
    assert_eq!(found.config.gpus[0].vgpus.as_ref().map(Vec::len), Some(1));
    assert_eq!(found.afterwards, [gone.clone(), here, "gpuvirt vm adopt win11".to_owned()]);
    assert_eq!(found.traces[0].gpu, None);
    let note = found.traces[0].note.as_deref().unwrap();
    assert!(note.starts_with("nothing sits there now") && note.contains(&gone), "{note}");
    assert_eq!(found.traces.last().unwrap().gpu, Some(at(GPU)));

    // Alone it is told of, and nothing comes after a document that has no part of it.
    let alone = run(&ForeignSetup { mdevs: vec![stale], ..ForeignSetup::default() }, &observed);
    assert!(alone.config.gpus.is_empty() && alone.afterwards.is_empty(), "{alone:?}");
    assert!(alone.traces[0].note.as_ref().unwrap().contains(&gone), "{:?}", alone.traces);
}
