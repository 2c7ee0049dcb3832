//! Placement and capacity on hosts of NVIDIA's kind, with a driver whose availability this file reckons by itself.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use std::num::NonZeroU32;

use gpuvirt_model::{
    AssignmentPolicy, ConfiguredType, Desired, DesiredGpu, Domain, DomainState, Framework, Holders, Hostdev,
    Observed, PciAddress, Profile, ProfileName, Reading, Records, RefusalCode, Reservation, Vgpu, VgpuId,
    VgpuMode, VgpuRecord,
};
use gpuvirt_plan::capacity::{self, Capacity};
use gpuvirt_plan::placement::mig::{InstanceKind, Instances};
use gpuvirt_plan::placement::{Choice, Closed, Details, HostPicture, Request, choose, refusals_on};
use picture::{binding, function, host};
use proptest::prelude::*;
use uuid::Uuid;

/// Sizes in GiB of a 40 GiB card's profiles, with how many fit while all are of that size.
const SIZES: [(u64, u32); 4] = [(5, 8), (10, 4), (20, 2), (40, 1)];

fn gpu(number: u8) -> PciAddress {
    PciAddress { domain: 0, bus: number + 0x41, slot: 0, function: 0 }
}

fn name(gib: u64) -> ProfileName {
    ProfileName(format!("a100-{gib}c"))
}

/// A host of 40 GiB cards, with what lives on them.
struct Host {
    observed: Observed,
    desired: Desired,
    records: Records,
    details: Details,
    made: u128,
}

impl Host {
    fn new(cards: u8) -> Self {
        let mut observed = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
        let template = observed.gpus.values().next().unwrap().clone();
        observed.gpus.clear();
        let mut desired = Desired::default();
        for number in 0..cards {
            let address = gpu(number);
            let primary = function(&address.to_string(), 0x03_02_00, binding("nvidia", ""));
            let entry = DesiredGpu::new(address, primary.identity, ConfiguredType::SharedDirect);
            desired = desired.with_gpu(entry);
            observed.functions.insert(address, primary);
            let card = gpuvirt_model::Gpu {
                address,
                functions: vec![address],
                frameworks: vec![Framework::Mdev],
                host_driver: true,
                ..template.clone()
            };
            observed.gpus.insert(address, card);
        }
        let (records, details) = (Records::default(), Details::default());
        let mut host = Self { observed, desired, records, details, made: 0 };
        host.drive();
        host
    }

    fn picture(&self) -> HostPicture<'_> {
        HostPicture {
            observed: &self.observed,
            desired: &self.desired,
            records: &self.records,
            details: &self.details,
        }
    }

    fn entry(&mut self, number: u8) -> &mut DesiredGpu {
        self.desired.gpus.iter_mut().find(|entry| entry.address == gpu(number)).unwrap()
    }

    fn policy(mut self, policy: AssignmentPolicy) -> Self {
        self.desired.host.assignment_policy = policy;
        self
    }

    fn reserve(&mut self, gib: u64, count: u32) {
        self.desired.host.reservations.push(Reservation { profile: name(gib), count });
    }

    /// The sizes in GiB that live on a card.
    fn sizes(&self, card: PciAddress) -> Vec<u64> {
        let of = |vgpu: &Vgpu| SIZES.iter().find(|(gib, _)| name(*gib) == vgpu.profile).unwrap().0;
        self.observed.vgpus.values().filter(|vgpu| vgpu.gpu == card).map(of).collect()
    }

    fn mode(&self, card: PciAddress) -> Option<VgpuMode> {
        self.desired.gpu(card).and_then(|entry| entry.vgpu_mode)
    }

    /// What the driver would call available: one size until the card is empty, or whatever memory is left.
    fn drive(&mut self) {
        for card in self.observed.gpus.keys().copied().collect::<Vec<_>>() {
            let alive = self.sizes(card);
            let left = 40 - alive.iter().sum::<u64>();
            let mixed = self.mode(card) == Some(VgpuMode::MixedSize);
            let profiles = SIZES.iter().map(|(gib, max)| {
                let other = !mixed && alive.iter().any(|size| size != gib);
                Profile {
                    blocked: None,
                    name: name(*gib),
                    parent: card,
                    framework: Framework::Mdev,
                    type_id: format!("nvidia-{gib}"),
                    title: format!("A100-{gib}C"),
                    device_api: "vfio-pci".to_owned(),
                    available: if other { 0 } else { u32::try_from(left / gib).unwrap() },
                    max: Some(*max),
                    framebuffer_mib: Some(gib * 1024),
                    class: None,
                    sharing: None,
                    heads: None,
                    max_resolution: None,
                }
            });
            let found = self.observed.gpus.get_mut(&card).unwrap();
            found.profiles = profiles.collect();
            found.live_vgpus = alive.len();
        }
    }

    fn choose(&self, gib: u64) -> Result<Choice, Box<gpuvirt_model::Refusal>> {
        let profile = name(gib);
        choose(&Request::one(&profile), &self.picture())
    }

    /// Makes a vGPU where placement says.
    fn make(&mut self, gib: u64) -> Result<PciAddress, RefusalCode> {
        let choice = self.choose(gib).map_err(|refusal| refusal.code)?;
        let id = self.put(choice.gpu, gib);
        self.details.placements.extend(choice.placements.into_iter().map(|place| (id, place)));
        Ok(choice.gpu)
    }

    fn put(&mut self, card: PciAddress, gib: u64) -> VgpuId {
        self.made += 1;
        let uuid = Uuid::from_u128(self.made);
        let vgpu = Vgpu {
            gpu_instance: None,
            placement_id: None,
            params: Default::default(),
            id: VgpuId::Mdev(uuid),
            uuid: Some(uuid),
            parent: card,
            gpu: card,
            framework: Framework::Mdev,
            type_id: format!("nvidia-{gib}"),
            profile: name(gib),
            iommu_group: None,
            removing: false,
            holders: Holders::default(),
        };
        self.observed.vgpus.insert(vgpu.id, vgpu);
        self.drive();
        VgpuId::Mdev(uuid)
    }

    fn remove(&mut self, id: VgpuId) {
        self.observed.vgpus.remove(&id);
        self.details.placements.remove(&id);
        self.drive();
    }

    fn capacity(&self, gib: u64) -> Capacity {
        capacity::of_host(&self.picture()).into_iter().find(|capacity| capacity.profile == name(gib)).unwrap()
    }

    /// A domain that starts with the host and names a vGPU of ours that is gone.
    fn autostart(&mut self, gib: u64) -> VgpuId {
        self.made += 1;
        let uuid = Uuid::from_u128(self.made);
        let record = VgpuRecord {
            parent: gpu(0),
            type_id: format!("nvidia-{gib}"),
            profile: name(gib),
            framework: Framework::Mdev,
            boot: None,
            domain: None,
            asked_as: None,
        };
        self.records.vgpus.insert(VgpuId::Mdev(uuid), record);
        let domain = Domain {
            name: "cad".to_owned(),
            uuid: Uuid::from_u128(9000),
            state: DomainState::ShutOff,
            autostart: true,
            config: vec![Hostdev::Mdev { uuid }],
            requests: Default::default(),
            guest: Default::default(),
            live: Vec::new(),
        };
        self.observed.domains = Reading::Known(vec![domain]);
        VgpuId::Mdev(uuid)
    }
}

#[test]
fn spreading_leaves_no_card_for_a_larger_size() {
    let mut host = Host::new(2).policy(AssignmentPolicy::Performance);
    assert_eq!((host.make(10), host.make(10)), (Ok(gpu(0)), Ok(gpu(1))));
    let refusal = host.choose(20).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NoSuitableGpu);
    assert_eq!(refusal.because.matches("locked to 10 GiB by vGPU").count(), 2, "{refusal}");
}

#[test]
fn grouping_leaves_the_second_card_free() {
    let mut host = Host::new(2).policy(AssignmentPolicy::Consolidation);
    assert_eq!((host.make(10), host.make(10)), (Ok(gpu(0)), Ok(gpu(0))));
    let choice = host.choose(20).unwrap();
    assert_eq!(choice.gpu, gpu(1));
    assert!(choice.policy_in_effect);
    assert_eq!(choice.reasons, ["the only GPU that can take it"]);
    assert_eq!(choice.rejected.len(), 1);
    assert!(choice.rejected[0].because.starts_with("locked to 10 GiB by vGPU"), "{choice:?}");
    assert_eq!(host.make(20), Ok(gpu(1)));
}

#[test]
fn a_card_is_locked_to_a_size_until_its_last_vgpu_is_gone() {
    let mut host = Host::new(1);
    let (first, second) = (host.put(gpu(0), 10), host.put(gpu(0), 10));
    host.remove(first);
    assert_eq!(host.make(20), Err(RefusalCode::NoSuitableGpu));
    assert_eq!((host.capacity(20).remaining, host.capacity(10).remaining), (0, 3));
    host.remove(second);
    assert_eq!(host.make(20), Ok(gpu(0)));
    assert_eq!((host.capacity(20).remaining, host.capacity(10).remaining), (1, 0));
}

#[test]
fn the_rule_of_an_admin_stands_though_the_driver_would_make_more() {
    let mut host = Host::new(1);
    host.put(gpu(0), 10);
    let offered = |host: &mut Host| {
        let profiles = &mut host.observed.gpus.get_mut(&gpu(0)).unwrap().profiles;
        profiles.iter_mut().find(|profile| profile.name == name(20)).unwrap().available = 1;
    };
    offered(&mut host);
    assert!(
        host.choose(20).is_ok(),
        "nobody set the mode, and the driver offers another size: it is its business"
    );
    host.entry(0).vgpu_mode = Some(VgpuMode::SameSize);
    assert_eq!(host.choose(20).unwrap_err().code, RefusalCode::NoSuitableGpu);
}

#[test]
fn mixed_size_has_rules_of_its_own() {
    let mut host = Host::new(2).policy(AssignmentPolicy::Consolidation);
    for number in 0..2 {
        host.entry(number).vgpu_mode = Some(VgpuMode::MixedSize);
    }
    host.drive();
    assert_eq!(
        (host.make(10), host.make(10)),
        (Ok(gpu(0)), Ok(gpu(1))),
        "the fewest vGPUs, whatever the policy"
    );
    let choice = host.choose(20).unwrap();
    assert_eq!(
        (choice.gpu, choice.placements.as_slice()),
        (gpu(0), [20].as_slice()),
        "beside the 10 GiB at 0"
    );
    assert!(!choice.policy_in_effect);
    assert!(choice.reasons.iter().any(|reason| reason.contains("not in effect")), "{choice:?}");
    assert_eq!(host.capacity(5).max, Some(16), "as many as there are placements");
    // Where a vGPU sits is not known: what the driver says is all there is.
    host.details.placements.clear();
    assert_eq!(host.choose(20).unwrap().placements, []);
}

#[test]
fn mixed_size_is_taken_after_same_size() {
    let mut host = Host::new(2);
    host.entry(0).vgpu_mode = Some(VgpuMode::MixedSize);
    host.drive();
    let choice = host.choose(10).unwrap();
    assert_eq!(choice.gpu, gpu(1));
    assert_eq!(choice.rejected[0].because, "suitable, but one whose vGPU mode is less flexible can take it");
}

#[test]
fn mig_goes_by_free_instances_alone() {
    let mut host = Host::new(2);
    for (number, free) in [(0, 1), (1, 2)] {
        host.entry(number).vgpu_mode = Some(VgpuMode::Mig);
        let vgpu_profiles = [name(5)].into();
        let kind = InstanceKind { name: "1g.5gb".to_owned(), vgpu_profiles, free };
        host.details.instances.insert(gpu(number), Instances(vec![kind]));
    }
    let choice = host.choose(5).unwrap();
    assert_eq!(choice.gpu, gpu(1), "the most free instances");
    assert!(choice.reasons[0].contains("not in effect in mig mode"), "{choice:?}");
    assert_eq!(host.capacity(5).remaining, 3);
    let refusal = host.choose(10).unwrap_err();
    assert!(refusal.because.contains("no GPU instance for it is free"), "{refusal}");
}

#[test]
fn every_filter_says_its_reason() {
    type Change = fn(&mut Host);
    let cases: [(Change, &str); 7] = [
        (|host| host.desired.gpus.clear(), "unmanaged"),
        (|host| host.entry(0).cordoned = true, "cordoned"),
        (
            |host| {
                let closed = Closed { code: RefusalCode::HandsOff, because: "hands-off".to_owned() };
                host.details.left_alone = [(gpu(0), closed)].into();
            },
            "hands-off",
        ),
        (|host| host.entry(0).identity.device = 1, "another card than the configured one"),
        (|host| host.entry(0).graphics_type = ConfiguredType::Direct, "configured as direct"),
        (
            |host| host.observed.gpus.get_mut(&gpu(0)).unwrap().on_vfio = true,
            "it is direct now, though configured as shared-direct",
        ),
        (
            |host| {
                for _ in 0..4 {
                    host.put(gpu(0), 10);
                }
            },
            "no room is left beside vGPU",
        ),
    ];
    for (change, because) in cases {
        let mut host = Host::new(1);
        change(&mut host);
        let refusal = host.choose(10).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::NoSuitableGpu, "{refusal}");
        assert!(refusal.because.contains(because), "{refusal}");
    }
    let mut host = Host::new(1);
    host.desired.host.maintenance = true;
    assert_eq!(host.choose(10).unwrap_err().code, RefusalCode::Maintenance);
    let refusal = Host::new(1).choose(11).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ProfileNotOffered);
    assert!(refusal.because.contains("a100-10c"), "{refusal}");
    assert_eq!(Host::new(0).choose(10).unwrap_err().because, "this host has no GPU");
}

#[test]
fn labels_and_numa_nodes_are_minded() {
    let mut host = Host::new(3);
    for number in 0..3 {
        let function = host.observed.functions.get_mut(&gpu(number)).unwrap();
        function.numa_node = Some(u32::from(number.min(1)));
    }
    host.entry(2).label = Some("cad".to_owned());
    let profile = name(10);
    let request = Request { numa_node: Some(1), ..Request::one(&profile) };
    let choice = choose(&request, &host.picture()).unwrap();
    assert_eq!(choice.gpu, gpu(1));
    assert!(choice.reasons.contains(&"it is on NUMA node 1".to_owned()));
    assert_eq!(choice.rejected[0].because, "suitable, but it is on another NUMA node");
    let labelled = Request { label: Some("cad"), numa_node: Some(0), ..request };
    let choice = choose(&labelled, &host.picture()).unwrap();
    assert_eq!(choice.gpu, gpu(2));
    assert!(choice.reasons.contains(&"no GPU on NUMA node 0 can take it".to_owned()), "{choice:?}");
}

#[test]
fn what_is_reserved_is_left_for_whom_it_is() {
    let mut host = Host::new(2);
    host.reserve(20, 2);
    assert_eq!(host.make(10), Ok(gpu(0)), "the other card is enough for the reservation");
    assert_eq!(host.make(10), Ok(gpu(0)), "so that one stays free, whatever the policy");
    let capacity = host.capacity(20);
    assert_eq!((capacity.max, capacity.consumed, capacity.remaining, capacity.reserved), (Some(4), 0, 0, 2));
    assert_eq!(host.make(20), Ok(gpu(1)), "the reserved profile uses its reservation");
    let capacity = host.capacity(20);
    assert_eq!((capacity.consumed, capacity.remaining, capacity.reserved, capacity.unmet), (1, 0, 1, 0));
    let profile = name(40);
    let request = Request::one(&profile);
    assert_eq!(host.choose(40).unwrap_err().code, RefusalCode::NoSuitableGpu);
    let empty = Host::new(1);
    assert!(refusals_on(&empty.observed.gpus[&gpu(0)], &request, &empty.picture()).is_empty());
    let mut kept = Host::new(1);
    kept.reserve(10, 4);
    let refusals = refusals_on(&kept.observed.gpus[&gpu(0)], &request, &kept.picture());
    assert_eq!(refusals.iter().map(|r| r.code).collect::<Vec<_>>(), [RefusalCode::CapacityReserved]);
}

#[test]
fn several_are_placed_together_or_not_at_all() {
    let mut host = Host::new(2);
    host.put(gpu(0), 10);
    let profile = name(10);
    let several = |count| Request { count: NonZeroU32::new(count).unwrap(), ..Request::one(&profile) };
    let choice = choose(&several(4), &host.picture()).unwrap();
    assert_eq!((choice.gpu, choice.rejected[0].because.as_str()), (gpu(1), "it has room for 3 only"));
    let refusal = choose(&several(5), &host.picture()).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NoSuitableGpu);
    assert_eq!(refusal.summary, "no GPU can take 5 vGPUs of profile a100-10c");
    assert!(choose(&several(u32::MAX), &host.picture()).is_err());
    // Four on the empty card leave no room for a reservation of one more than the other card has.
    host.reserve(10, 5);
    assert!(choose(&several(4), &host.picture()).is_ok(), "they are the reserved ones");
    host.desired.host.reservations.clear();
    host.reserve(20, 1);
    assert_eq!(choose(&several(4), &host.picture()).unwrap_err().code, RefusalCode::CapacityReserved);
    host.desired.host.reservations.clear();
    host.entry(1).vgpu_mode = Some(VgpuMode::MixedSize);
    host.drive();
    assert_eq!(choose(&several(4), &host.picture()).unwrap().placements, [0, 10, 20, 30]);
}

#[test]
fn what_starts_with_the_host_keeps_its_vgpu() {
    let mut host = Host::new(1);
    let id = host.autostart(40);
    let refusal = host.choose(10).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::CapacityReserved);
    assert!(refusal.because.contains("VM cad"), "{refusal}");
    assert_eq!(host.capacity(40).reserved, 1);
    let profile = name(40);
    let own = Request { vgpus: &[id], ..Request::one(&profile) };
    assert!(choose(&own, &host.picture()).is_ok(), "it is kept for this one");
    assert!(host.choose(40).is_err(), "and for no other");
}

#[test]
fn others_vgpus_count_and_closed_gpus_are_said_to_be_closed() {
    let mut host = Host::new(2);
    host.desired.gpus.retain(|entry| entry.address == gpu(0));
    host.put(gpu(1), 10);
    let capacity = host.capacity(10);
    assert_eq!((capacity.max, capacity.consumed, capacity.remaining), (Some(8), 1, 4));
    let [open, closed] = capacity.gpus.as_slice() else { panic!("{capacity:?}") };
    assert_eq!((open.remaining, open.closed.as_deref()), (4, None));
    assert_eq!((closed.consumed, closed.remaining, closed.closed.as_deref()), (1, 3, Some("unmanaged")));
}

#[test]
fn an_absurd_reservation_is_unmet_and_quickly_so() {
    let mut host = Host::new(1);
    host.reserve(10, u32::MAX);
    host.reserve(10, u32::MAX);
    host.desired.host.reservations.push(Reservation { profile: ProfileName("none".to_owned()), count: 3 });
    let capacity = host.capacity(10);
    assert_eq!((capacity.reserved, capacity.unmet), (4, u32::MAX - 4));
    assert!(host.choose(10).is_ok());
    assert_eq!(capacity::of_host(&host.picture()).last().unwrap().unmet, 3);
}

fn mode() -> impl Strategy<Value = Option<VgpuMode>> {
    prop_oneof![Just(None), Just(Some(VgpuMode::SameSize)), Just(Some(VgpuMode::MixedSize))]
}

proptest! {
    /// Whatever is made and removed: nothing is refused that some card could take, no same-size card has two sizes, no card
    /// is overfull, and what remains is what can be made.
    #[test]
    fn placement_keeps_the_rules_and_refuses_nothing_that_fits(
        modes in prop::collection::vec(mode(), 1..4),
        grouped in any::<bool>(),
        wanted in prop::collection::vec((0..SIZES.len(), prop::bool::weighted(0.3), any::<prop::sample::Index>()), 1..40),
    ) {
        let policy = if grouped { AssignmentPolicy::Consolidation } else { AssignmentPolicy::Performance };
        let mut host = Host::new(u8::try_from(modes.len()).unwrap()).policy(policy);
        for (number, mode) in (0..).zip(&modes) {
            host.entry(number).vgpu_mode = *mode;
        }
        host.drive();
        for (size, remove, index) in wanted {
            let (gib, max) = SIZES[size];
            let cards: Vec<PciAddress> = host.observed.gpus.keys().copied().collect();
            let takes = |card: &PciAddress| {
                let alive = host.sizes(*card);
                match host.mode(*card) {
                    Some(VgpuMode::MixedSize) => {
                        // Every size of this card has all multiples of itself as placements.
                        let places = host.observed.vgpus.values().filter(|vgpu| vgpu.gpu == *card);
                        let taken: Vec<(u64, u64)> = places
                            .zip(&alive)
                            .map(|(vgpu, size)| (u64::from(host.details.placements[&vgpu.id]), *size))
                            .collect();
                        (0..u64::from(max)).any(|n| taken.iter().all(|(p, s)| (n + 1) * gib <= *p || p + s <= n * gib))
                    }
                    _ => alive.iter().all(|size| *size == gib) && alive.len() < max as usize,
                }
            };
            let possible = cards.iter().any(takes);
            prop_assert_eq!(host.capacity(gib).remaining > 0, possible);
            let made = host.make(gib);
            prop_assert_eq!(made.is_ok(), possible, "{:?}", made);
            for card in cards {
                let alive = host.sizes(card);
                prop_assert!(alive.iter().sum::<u64>() <= 40);
                let mixed = host.mode(card) == Some(VgpuMode::MixedSize);
                prop_assert!(mixed || alive.windows(2).all(|two| two[0] == two[1]));
            }
            if remove && !host.observed.vgpus.is_empty() {
                let ids: Vec<VgpuId> = host.observed.vgpus.keys().copied().collect();
                host.remove(ids[index.index(ids.len())]);
            }
        }
    }

    /// Cards alike share one answer on what is kept for others: it is the one that each gets when it is asked about alone.
    #[test]
    fn what_is_kept_is_kept_from_every_card_that_it_is_kept_on(
        modes in prop::collection::vec(mode(), 1..6),
        alive in prop::collection::vec((any::<prop::sample::Index>(), 0..SIZES.len()), 0..6),
        reserved in prop::collection::vec((0..SIZES.len(), 0..6_u32), 1..3),
        want in 0..SIZES.len(),
    ) {
        let mut host = Host::new(u8::try_from(modes.len()).unwrap());
        for (number, mode) in (0..).zip(&modes) {
            host.entry(number).vgpu_mode = *mode;
        }
        host.drive();
        for (index, size) in alive {
            let card = gpu(u8::try_from(index.index(modes.len())).unwrap());
            if host.observed.gpus[&card].profiles[size].available > 0 {
                host.put(card, SIZES[size].0);
            }
        }
        for (size, count) in reserved {
            host.reserve(SIZES[size].0, count);
        }
        let profile = name(SIZES[want].0);
        let (picture, request) = (host.picture(), Request::one(&profile));
        let room = gpuvirt_plan::placement::Room::of(&picture);
        let alone = |card: PciAddress| room.obstacle(&request, card).map(|closed| closed.because);
        match room.choose(&request) {
            Ok(choice) => {
                prop_assert_eq!(alone(choice.gpu), None);
                for other in choice.rejected {
                    let because = alone(other.gpu).unwrap_or_else(|| "suitable".to_owned());
                    prop_assert!(other.because.starts_with(&because), "{}: {because}", other.because);
                }
            }
            Err(refusal) => {
                let suitable = host.observed.gpus.keys().find(|card| alone(**card).is_none());
                prop_assert_eq!(suitable, None, "{}", refusal.because);
            }
        }
    }

    /// The numbers of capacity never claim more than there is, with reservations and with drivers that talk nonsense too,
    /// and as many as remain can really be made beside what is kept.
    #[test]
    fn capacity_never_promises_more_than_there_is(
        modes in prop::collection::vec(mode(), 1..4),
        alive in prop::collection::vec((any::<prop::sample::Index>(), 0..SIZES.len()), 0..6),
        reserved in prop::collection::vec((0..SIZES.len(), 0..5_u32), 0..3),
        nonsense in prop::option::of((0..SIZES.len(), any::<u32>(), prop::option::of(any::<u32>()))),
        want in 0..SIZES.len(),
    ) {
        let mut host = Host::new(u8::try_from(modes.len()).unwrap());
        for (number, mode) in (0..).zip(&modes) {
            host.entry(number).vgpu_mode = *mode;
        }
        host.drive();
        for (index, size) in alive {
            // Made where it fits, on any card, by somebody else who minds no policy.
            let card = gpu(u8::try_from(index.index(modes.len())).unwrap());
            let sane = host.observed.gpus[&card].profiles[size].available > 0;
            if sane {
                host.put(card, SIZES[size].0);
            }
        }
        for (size, count) in reserved {
            host.reserve(SIZES[size].0, count);
        }
        let drives_well = nonsense.is_none();
        if let Some((size, available, max)) = nonsense {
            let profile = &mut host.observed.gpus.get_mut(&gpu(0)).unwrap().profiles[size];
            (profile.available, profile.max) = (available, max);
        }
        for capacity in capacity::of_host(&host.picture()) {
            let whole = u64::from(capacity.consumed) + u64::from(capacity.remaining) + u64::from(capacity.reserved);
            prop_assert!(capacity.max.is_none_or(|max| u64::from(max) >= whole), "{capacity:?}");
            for gpu in &capacity.gpus {
                let whole = u64::from(gpu.consumed) + u64::from(gpu.remaining) + u64::from(gpu.reserved);
                prop_assert!(gpu.max.is_none_or(|max| u64::from(max) >= whole), "{gpu:?}");
            }
        }
        if drives_well {
            let gib = SIZES[want].0;
            let (remaining, unmet) = (host.capacity(gib).remaining, host.capacity(gib).unmet);
            for _ in 0..remaining {
                prop_assert!(host.make(gib).is_ok(), "{remaining} remained");
            }
            prop_assert!(host.capacity(gib).unmet <= unmet);
        }
    }
}
