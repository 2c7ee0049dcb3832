//! What was configured and is not there, or not yet.

use gpuvirt_model::{
    ConfiguredType, DesiredVgpu, FindingCode as F, Framework, Holders, HostDriver, HostDriverKind, Hostdev,
    Observed, ProfileName, Request, Severity as S, Sriov, VfsRecord, Vgpu, VgpuId, VgpuMode, VgpuModeRecord,
    VgpuParams, Wanted, When,
};
use uuid::Uuid;

use super::bed::{Bed, Case, SECOND, at};

const ONE: Uuid = Uuid::from_u128(0x11);
const TWO: Uuid = Uuid::from_u128(0x12);
const VF: &str = "0000:02:00.4";
const BOOT: Uuid = Uuid::from_u128(0xb0);

/// The second card's driver makes vGPUs.
fn serves(observed: &mut Observed) {
    observed.host.boot_id = Some(BOOT);
    let gpu = observed.gpus.get_mut(&at(SECOND)).unwrap();
    (gpu.frameworks, gpu.host_driver) = (vec![Framework::Mdev], true);
    let (version, evidence) = (None, "the card offers vGPU types".to_owned());
    gpu.driver = HostDriver { kind: HostDriverKind::VgpuHost, version, evidence };
}

/// Its driver does, and shows no types.
fn serves_nothing(observed: &mut Observed) {
    serves(observed);
    observed.gpus.get_mut(&at(SECOND)).unwrap().frameworks.clear();
}

fn live(observed: &mut Observed, id: VgpuId) {
    serves(observed);
    let vgpu = Vgpu {
        id,
        uuid: id.uuid(),
        parent: id.vf().unwrap_or(at(SECOND)),
        gpu: at(SECOND),
        framework: Framework::Mdev,
        type_id: "nvidia-222".to_owned(),
        profile: ProfileName("grid_t4-1b".to_owned()),
        iommu_group: None,
        gpu_instance: None,
        placement_id: None,
        removing: false,
        params: None,
        holders: Holders::default(),
    };
    observed.vgpus.insert(id, vgpu);
}

fn with_one(observed: &mut Observed) {
    live(observed, VgpuId::Mdev(ONE));
}

pub fn with_two(observed: &mut Observed) {
    with_one(observed);
    live(observed, VgpuId::Mdev(TWO));
}

/// So many of eight virtual functions are there.
fn with_vfs(observed: &mut Observed, enabled: u16) {
    serves(observed);
    observed.gpus.get_mut(&at(SECOND)).unwrap().live_vfs = usize::from(enabled);
    let sriov = Sriov { total: 8, enabled, drivers_autoprobe: false, vfs: Vec::new() };
    observed.functions.get_mut(&at(SECOND)).unwrap().sriov = Some(sriov);
}

/// The second card is to have vGPUs, these among them.
fn sharing(bed: Bed, vgpus: &[VgpuId]) -> Bed {
    let mut bed = bed.configured(SECOND, ConfiguredType::SharedDirect).retouched(serves);
    let params: VgpuParams = "frame_rate_limiter=0".parse().unwrap();
    let profile = ProfileName("grid_t4-1b".to_owned());
    let vgpu = |id: &VgpuId| DesiredVgpu { id: *id, profile: profile.clone(), params: params.clone() };
    bed.desired.gpus[0].vgpus = vgpus.iter().map(vgpu).collect();
    bed
}

fn both(bed: Bed) -> Bed {
    sharing(bed, &[VgpuId::Mdev(ONE), VgpuId::Mdev(TWO)])
}

/// A VM that has the first of them, as `vm add --vgpu` leaves it.
fn with_vm(bed: Bed) -> Bed {
    bed.vm("cad", |domain, machine| {
        let device = Hostdev::Mdev { uuid: ONE };
        let wanted = Wanted::Vgpu { vgpu: VgpuId::Mdev(ONE) };
        domain.requests.domain = Some(domain.uuid);
        domain.requests.list = vec![Request {
            id: 1,
            alias: "ua-gpuvirt-1".to_owned(),
            wanted,
            assigned: Some(device.clone()),
            key: None,
        }];
        domain.config = vec![device];
        machine.devices.clear();
    })
}

fn mixed(bed: Bed) -> Bed {
    let mut bed = sharing(bed, &[]);
    bed.desired.gpus[0].vgpu_mode = Some(VgpuMode::MixedSize);
    bed
}

fn eight(bed: Bed) -> Bed {
    let mut bed = sharing(bed, &[]);
    bed.desired.gpus[0].vf_count = Some(8);
    bed
}

/// It is to have two GPU instances, and the daemon's start failed with it.
fn cut(bed: Bed) -> Bed {
    let mut bed = sharing(bed, &[]);
    bed.desired.gpus[0].vgpu_mode = Some(VgpuMode::Mig);
    bed.desired.gpus[0].gpu_instances = vec!["1g.5gb".to_owned(), "2g.10gb".to_owned()];
    bed.daemon.unrestored = vec![(at(SECOND), "MIG mode can't be turned on".to_owned())];
    bed
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a reboot took the mixed-size mode", F::TypePending, S::Warning, mixed)
            .says("its vGPU mode is same-size"),
        case("one of two vGPUs is gone", F::TypePending, S::Warning, |bed| both(bed).retouched(with_one))
            .says("1 of the 2 vGPUs that are configured on it are not there"),
        case("all vGPUs are gone", F::TypePending, S::Warning, both)
            .says("00000000-0000-0000-0000-000000000012"),
        case("a virtual function is no vGPU any more", F::TypePending, S::Warning, |bed| {
            sharing(bed, &[VgpuId::Vf(at(VF))]).retouched(|observed| with_vfs(observed, 8))
        })
        .says("no vGPU 0000:02:00.4"),
        case("the type is gone, and the vGPUs with it", F::TypePending, S::Warning, |bed| {
            both(bed).retouched(serves_nothing)
        })
        .says("configured vGPUs that are not there"),
        case("a VM whose configured vGPU is gone", F::DeviceAbsent, S::Error, |bed| with_vm(both(bed)))
            .also(&[F::TypePending])
            .says("is configured on 0000:02:00.0 and is not there"),
        case("a VM whose vGPU nobody configures any more", F::DeviceAbsent, S::Error, |bed| {
            with_vm(sharing(bed, &[]))
        })
        .says("its request is for just that one"),
        case(
            "a reboot took MIG mode, and the start could not bring it back",
            F::TypePending,
            S::Warning,
            cut,
        )
        .says("could not make the 2 GPU instances that are configured on it"),
        case("fewer virtual functions than configured", F::TypePending, S::Warning, |bed| {
            eight(bed).retouched(|observed| with_vfs(observed, 2))
        })
        .says("it has 2 virtual functions and was to have 8"),
        case("fewer virtual functions than gpuvirt made", F::TypePending, S::Warning, |bed| {
            let mut bed = sharing(bed, &[]).retouched(|observed| with_vfs(observed, 4));
            let made = VfsRecord { count: 8, autoprobe_before: true, boot: Some(BOOT) };
            bed.records.vfs.insert(at(SECOND), made);
            bed
        })
        .says("made by gpuvirt in this boot"),
    ]
}

/// What is there, on its way, or not to be there now.
pub fn nothing_missing() -> Vec<(&'static str, Bed)> {
    let bed = Bed::healthy;
    let mut kept = mixed(bed());
    let record = VgpuModeRecord { mode: VgpuMode::MixedSize, boot: Some(BOOT) };
    kept.records.vgpu_modes.insert(at(SECOND), record);
    let mut starting = with_vm(both(bed()));
    starting.daemon.at_work = vec![at(SECOND)];
    let mut changing = both(bed()).retouched(serves_nothing);
    changing.daemon.at_work = vec![at(SECOND)];
    let mut postponed = both(bed());
    (postponed.desired.gpus[0].when, postponed.desired.gpus[0].asked_in) = (When::Boot, Some(BOOT));
    let mut shared = both(bed()).retouched(serves_nothing);
    shared.desired.gpus[0].graphics_type = ConfiguredType::Shared;
    let late = sharing(bed(), &[]).vm("cad", |domain, machine| {
        let device = Hostdev::Mdev { uuid: ONE };
        let (profile, params) = (ProfileName("grid_t4-1b".to_owned()), VgpuParams::default());
        let wanted = Wanted::Profile { profile, params };
        domain.requests.domain = Some(domain.uuid);
        let (alias, assigned) = ("ua-gpuvirt-1".to_owned(), Some(device.clone()));
        domain.requests.list = vec![Request { id: 1, alias, wanted, assigned, key: None }];
        domain.config = vec![device];
        machine.devices.clear();
    });
    let mut whole = cut(bed());
    whole.desired.gpus[0].gpu_instances.clear();
    let mut cut_well = cut(bed());
    cut_well.daemon.unrestored.clear();
    let all = eight(bed()).retouched(|observed| with_vfs(observed, 8));
    vec![
        ("the mixed-size mode as it was set", kept),
        ("both vGPUs", with_vm(both(bed())).retouched(with_two)),
        ("vGPUs that the daemon's start has not come to", starting),
        ("a change that is under way", changing),
        ("vGPUs that the next boot is to bring", postponed),
        ("vGPUs of a card that is for the host now", shared),
        ("a vGPU that is made when its VM starts", late),
        ("all virtual functions", all),
        ("a start that failed with a card without GPU instances", whole),
        ("GPU instances that the start made", cut_well),
    ]
}
