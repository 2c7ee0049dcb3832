//! The production code over the fake kernel: what it sees, what it changes, what a snapshot keeps.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_fakekernel::{FakeKernel, Process, SizeRule};
use gpuvirt_host::{GpuRules, LinuxHost, Sysfs};
use gpuvirt_model::{DriverName, Holder, Observed, PciAddress, Reading, Unknown, VgpuId};
use gpuvirt_plan::{MdevPlace, Step};
use gpuvirt_recording::{RecordedHost, SnapshotOptions, made_catalog, write_snapshot};

const DEADLINE: Duration = Duration::from_secs(5);

fn kernel(name: &str) -> Arc<FakeKernel> {
    let dump = made_catalog::all().into_iter().find(|(host, _)| *host == name).unwrap().1;
    Arc::new(FakeKernel::from_dump(&dump).unwrap().with_proc().strict())
}

fn observe(sysfs: Arc<dyn Sysfs>) -> Observed {
    LinuxHost::new(sysfs, GpuRules::default()).observe().unwrap()
}

fn address(text: &str) -> PciAddress {
    text.parse().unwrap()
}

#[test]
fn the_fake_shows_what_the_recording_shows() {
    for (name, dump) in made_catalog::all() {
        let recorded: Arc<dyn Sysfs> = Arc::new(RecordedHost::from_bytes(dump.clone().into_bytes()).unwrap());
        let fake = Arc::new(FakeKernel::from_dump(&dump).unwrap());
        let (mut from_file, from_fake) = (observe(recorded), observe(fake));
        // The fake adds what a dump cannot hold.
        for (id, group) in &mut from_file.groups {
            group.domain_type.clone_from(&from_fake.groups[id].domain_type);
        }
        assert_eq!(from_file.gpus.keys().collect::<Vec<_>>(), from_fake.gpus.keys().collect::<Vec<_>>());
        assert_eq!(from_file.functions, from_fake.functions, "{name}");
        assert_eq!(from_file.groups, from_fake.groups, "{name}");
        assert_eq!(from_file.vgpus.len(), from_fake.vgpus.len(), "{name}");
        assert!(from_fake.functions.values().all(|f| f.oddities.is_empty()), "{name}");
    }
}

#[test]
fn a_snapshot_of_every_host_loads_as_the_same_host() {
    for (name, _) in made_catalog::all() {
        let fake = kernel(name);
        let mut tar = Vec::new();
        write_snapshot(&*fake, &SnapshotOptions::default(), &mut tar).unwrap();
        let again: Arc<dyn Sysfs> = Arc::new(RecordedHost::from_bytes(tar).unwrap());
        let (mut live, loaded) = (observe(fake), observe(again));
        // Holders are true for a moment only: a recording has none, and says so.
        for gpu in live.gpus.values_mut() {
            gpu.holders = loaded.gpus[&gpu.address].holders.clone();
            let unseen = gpu.holders.unseen.as_ref();
            assert!(matches!(unseen, Some(Unknown::NotRecorded)), "{name}: {unseen:?}");
        }
        for vgpu in live.vgpus.values_mut() {
            vgpu.holders = loaded.vgpus[&vgpu.id].holders.clone();
        }
        // A boot is one host's affair, and is not recorded.
        live.host.boot_id = None;
        assert_eq!(live, loaded, "{name}");
        assert!(live.functions.values().any(|f| f.device_name.is_some()), "{name}: names travel too");
    }
}

#[test]
fn a_card_goes_to_vfio_and_back() {
    let fake = kernel("two-gpus");
    let host = LinuxHost::new(fake.clone(), GpuRules::default());
    let before = host.observe().unwrap();
    let (gpu, audio) = (address("02:00.0"), address("02:00.1"));
    let vfio = DriverName::vfio_pci();
    let drivers = [(gpu, "nouveau"), (audio, "snd_hda_intel")];
    let go = |step: Step| host.perform(&step, DEADLINE).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    go(Step::LoadModule { module: vfio.clone() });
    for (function, driver) in drivers {
        go(Step::SetOverride { function, driver: Some(vfio.clone()) });
        go(Step::Unbind { function, driver: DriverName::parse(driver).unwrap() });
        go(Step::Probe { function, expect: Some(vfio.clone()) });
    }
    let between = host.observe().unwrap();
    assert!(between.gpus[&gpu].on_vfio);
    assert!(between.functions[&gpu].drm_nodes.is_empty(), "the DRM nodes went with the driver");
    assert!(between.functions[&gpu].vfio_device.is_some());
    assert!(fake.device_number("/dev/vfio/12").unwrap().is_some());
    assert_eq!(between.gpus[&address("01:00.0")], before.gpus[&address("01:00.0")], "its twin did not move");
    for (function, driver) in drivers {
        go(Step::SetOverride { function, driver: None });
        go(Step::Unbind { function, driver: vfio.clone() });
        go(Step::Probe { function, expect: Some(DriverName::parse(driver).unwrap()) });
    }
    let mut after = host.observe().unwrap();
    after.host.vfio_pci = before.host.vfio_pci;
    after.host.pci_drivers.clone_from(&before.host.pci_drivers);
    assert_eq!(after, before, "back as it was");
    for write in fake.writes() {
        assert!([&write.path, &write.data].iter().any(|text| text.contains("0000:02:00.")), "{write:?}");
    }
    assert!(fake.unmodelled().is_empty());
}

#[test]
fn mediated_devices_come_and_go_with_their_capacity() {
    let fake = kernel("two-gpus");
    let parent = address("02:00.0");
    let types = [("nouveau-1", "LAB-1Q", 1024), ("nouveau-4", "LAB-4Q", 4096)];
    fake.offer_mdev(parent, 8192, SizeRule::Mixed, &types);
    let host = LinuxHost::new(fake.clone(), GpuRules::default());
    let free = |host: &LinuxHost| -> Vec<u32> {
        host.observe().unwrap().gpus[&parent].profiles.iter().map(|profile| profile.available).collect()
    };
    assert_eq!(free(&host), [8, 2]);
    let profile = host.observe().unwrap().gpus[&parent].profiles[1].clone();
    let uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001".parse().unwrap();
    let place = MdevPlace { parent, type_id: profile.type_id, profile: profile.name };
    let create = Step::CreateMdev { uuid, place };
    host.perform(&create, DEADLINE).unwrap();
    assert_eq!(free(&host), [4, 1]);
    assert_eq!(host.observe().unwrap().vgpus[&VgpuId::Mdev(uuid)].parent, parent);
    host.perform(&create, DEADLINE).expect("doing it again is no error");
    host.perform(&Step::RemoveMdev { parent, uuid }, DEADLINE).unwrap();
    assert_eq!(free(&host), [8, 2]);
    assert!(host.observe().unwrap().vgpus.is_empty());
}

#[test]
fn cards_of_one_size_offer_that_size_only() {
    let fake = kernel("vgpu-host");
    let host = observe(fake);
    let gpu = host.gpus.values().next().unwrap();
    let offered: Vec<&str> =
        gpu.profiles.iter().filter(|p| p.available > 0).map(|p| p.type_id.as_str()).collect();
    assert!(!offered.is_empty());
    assert!(offered.iter().all(|id| ["nvidia-563", "nvidia-573", "nvidia-584"].contains(id)), "{offered:?}");
    assert_eq!(host.vgpus.len(), 3);
}

#[test]
fn holders_are_found_in_their_many_forms() {
    let fake = kernel("two-gpus");
    fake.start(Process::new(812, "Xorg").opens("/dev/dri/card1"));
    fake.start(Process::new(813, "trainer").maps("/dev/dri/renderD129"));
    let container =
        "/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";
    let inside = Process::new(814, "ffmpeg").opens_as("/dev/dri/renderD129", "/dev/gpu").in_cgroup(container);
    fake.start(inside);
    fake.start(Process::new(815, "bash").opens("/dev/vfio/vfio"));
    let seen = observe(fake.clone());
    let holders = &seen.gpus[&address("02:00.0")].holders;
    assert_eq!(holders.unseen, None);
    let pids: Vec<u32> = holders
        .seen
        .iter()
        .filter_map(|h| if let Holder::Process { pid, .. } = h { Some(*pid) } else { None })
        .collect();
    assert_eq!(pids, [812, 813, 814], "{holders:?}");
    let contained =
        holders.seen.iter().any(|h| matches!(h, Holder::Process { pid: 814, container: Some(_), .. }));
    assert!(contained, "{holders:?}");
    let first = &seen.gpus[&address("01:00.0")].holders.seen;
    assert!(
        first.iter().any(|h| matches!(h, Holder::Console { framebuffer, .. } if framebuffer == "fb0")),
        "{first:?}"
    );
    fake.end(812);
    assert_eq!(observe(fake).gpus[&address("02:00.0")].holders.seen.len(), 2);
}

#[test]
fn a_live_host_can_be_copied_from_a_file_too() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/hosts/vgpu-host.umockdev");
    let fake = FakeKernel::copy_of(&RecordedHost::open(&file).unwrap());
    let seen = observe(Arc::new(fake));
    assert!(
        matches!(seen.host.interrupt_remapping, Reading::Unknown(_)),
        "nothing is made up for a recording"
    );
    assert_eq!(seen.gpus.len(), 1);
}
