//! Placement of one vGPU on hosts of one to ten thousand GPUs: pure computing, in this process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use gpuvirt_host::{GpuRules, LinuxHost};
use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, Framework, Gpu, Observed, PciAddress, Profile, ProfileName, Records,
    Reservation, Vgpu, VgpuId,
};
use gpuvirt_plan::capacity::of_host;
use gpuvirt_plan::placement::{Details, HostPicture, Request, choose};
use gpuvirt_recording::RecordedHost;
use nix::time::{ClockId, clock_gettime};

use crate::contest::VERDICT;
use crate::growth::Growth;
use crate::recorded;
use crate::sample::tenths;

/// GPUs of the hosts.
const SIZES: &[u32] = &[1, 10, 100, 1000, 10_000];
/// Choices of which the median is shown; odd.
const RUNS: usize = 11;
/// GiB of a profile, and how many of it a card takes.
const PROFILES: &[(u64, u32)] = &[(5, 8), (10, 4), (20, 2), (40, 1)];

/// The table.
pub fn table(folder: &Path) -> Result<String> {
    let mut out = String::from(
        "Pure computing, in processor time of one thread. Of every second GPU half is taken already. Every GPU is judged, and a sentence says \
         of each why it is not the chosen one. With a reservation, all room of the others is kept for one profile, so that \
         each GPU is judged against that too. Capacity is that of the whole host, every profile on every GPU. The floor only reads \
         what is known of each GPU: of thousands no cache holds it.\n\n\
         | GPUs | live vGPUs | floor: only reading | one choice | with a reservation | for each GPU | capacity, with it |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let template = template(folder)?;
    let mut growth = [Growth::default(), Growth::default(), Growth::default()];
    let mut floor = Growth::default();
    for gpus in SIZES {
        let mut host = Host::of(*gpus, &template)?;
        let (read, plain) = (host.reading()?, host.choice()?);
        host.reserve(gpus / 2);
        let (reserved, capacity) = (host.choice()?, host.capacity()?);
        let milliseconds = |nanoseconds| tenths(nanoseconds, 1_000_000);
        writeln!(
            out,
            "| {gpus} | {} | {} ms | {} ms | {} ms | {} µs | {} ms |",
            host.observed.vgpus.len(),
            milliseconds(read),
            milliseconds(plain),
            milliseconds(reserved),
            tenths(reserved / u64::from(*gpus), 1000),
            milliseconds(capacity)
        )?;
        floor.add(u64::from(*gpus), read);
        for (growth, cost) in growth.iter_mut().zip([plain, reserved, capacity]) {
            growth.add(u64::from(*gpus), cost);
        }
    }
    for (growth, what) in growth.iter().zip(["a choice", "a choice beside a reservation", "capacity"]) {
        writeln!(
            out,
            "\n{VERDICT}{}",
            growth.verdict_beside(&floor, "GPUs", &format!("the time of {what}"))
        )?;
    }
    Ok(out)
}

/// A generated host with one GPU and its primary function.
fn template(folder: &Path) -> Result<Observed> {
    let (file, _) = recorded::make(folder, 8)?;
    let recording = RecordedHost::open(&file).context("load the generated host")?;
    Ok(LinuxHost::new(Arc::new(recording), GpuRules::default()).observe()?)
}

struct Host {
    observed: Observed,
    desired: Desired,
    records: Records,
}

impl Host {
    fn of(gpus: u32, template: &Observed) -> Result<Self> {
        let card = template.gpus.values().next().context("the generated host has no GPU")?;
        let primary = template.primary_of(card).context("the GPU has no primary function")?;
        let (functions, cards) = (BTreeMap::new(), BTreeMap::new());
        let mut observed = Observed { functions, gpus: cards, ..template.clone() };
        let mut desired = Desired::default();
        for number in 0..gpus {
            let address =
                PciAddress { domain: number >> 8, bus: u8::try_from(number & 0xff)?, slot: 0, function: 0 };
            let taken = number % 2 == 1;
            let gpu = Gpu {
                address,
                functions: vec![address],
                frameworks: vec![Framework::Mdev],
                profiles: PROFILES.iter().map(|(gib, max)| profile(address, *gib, *max, taken)).collect(),
                host_driver: true,
                on_vfio: false,
                live_vgpus: usize::from(taken),
                ..card.clone()
            };
            observed.gpus.insert(address, gpu);
            observed.functions.insert(address, gpuvirt_model::Function { address, ..primary.clone() });
            desired.gpus.push(DesiredGpu::new(address, primary.identity, ConfiguredType::SharedDirect));
            if taken {
                let vgpu = vgpu(address, number);
                observed.vgpus.insert(vgpu.id, vgpu);
            }
        }
        Ok(Self { observed, desired, records: Records::default() })
    }

    /// Keeps room for so many that take a whole card.
    fn reserve(&mut self, count: u32) {
        self.desired.host.reservations = vec![Reservation { profile: name(40), count }];
    }

    /// Nanoseconds of looking once at all that any choice must know: each GPU's function, entry and profiles, and each vGPU.
    fn reading(&self) -> Result<u64> {
        let desired: BTreeMap<PciAddress, &DesiredGpu> =
            self.desired.gpus.iter().map(|entry| (entry.address, entry)).collect();
        median(|| {
            let mut seen = 0_u64;
            for gpu in self.observed.gpus.values() {
                let function = self.observed.primary_of(gpu).map(|function| function.identity.device);
                let entry = desired.get(&gpu.address).map(|entry| entry.cordoned);
                seen += u64::from(function.unwrap_or(0)) + u64::from(entry == Some(true));
                seen += gpu
                    .profiles
                    .iter()
                    .map(|profile| profile.name.0.bytes().map(u64::from).sum::<u64>())
                    .sum::<u64>();
            }
            seen += self.observed.vgpus.values().map(|vgpu| u64::from(vgpu.gpu.domain)).sum::<u64>();
            std::hint::black_box(seen);
            Ok(())
        })
    }

    /// Nanoseconds of one choice.
    fn choice(&self) -> Result<u64> {
        let wanted = name(20);
        median(|| {
            let choice = choose(&Request::one(&wanted), &self.picture(&Details::default()));
            std::hint::black_box(choice).map(drop).map_err(|refusal| anyhow!("{}", refusal.because))
        })
    }

    /// Nanoseconds of a whole host's capacity.
    fn capacity(&self) -> Result<u64> {
        median(|| {
            let all = std::hint::black_box(of_host(&self.picture(&Details::default())));
            ensure!(all.len() == PROFILES.len(), "profiles are missing");
            Ok(())
        })
    }

    fn picture<'a>(&'a self, details: &'a Details) -> HostPicture<'a> {
        HostPicture { observed: &self.observed, desired: &self.desired, records: &self.records, details }
    }
}

/// The median of [`RUNS`] runs, in nanoseconds of this thread's own: what else the machine does is no part of computing.
fn median(work: impl Fn() -> Result<()>) -> Result<u64> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("read the thread's clock");
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Duration::from(now()?);
        work()?;
        times.push(u64::try_from((Duration::from(now()?) - start).as_nanos())?);
    }
    times.sort_unstable();
    times.get(RUNS / 2).copied().context("no time was taken")
}

fn name(gib: u64) -> ProfileName {
    ProfileName(format!("card-{gib}q"))
}

/// As its driver would offer it on a card of 40 GiB of one size, with one of 20 GiB on it or none.
fn profile(parent: PciAddress, gib: u64, max: u32, taken: bool) -> Profile {
    Profile {
        blocked: None,
        name: name(gib),
        parent,
        framework: Framework::Mdev,
        type_id: format!("card-{gib}"),
        title: format!("Card {gib}Q"),
        device_api: "vfio-pci".to_owned(),
        available: if taken { u32::from(gib == 20) } else { max },
        max: Some(max),
        framebuffer_mib: Some(gib * 1024),
        class: None,
        sharing: None,
        heads: None,
        max_resolution: None,
    }
}

fn vgpu(gpu: PciAddress, number: u32) -> Vgpu {
    let uuid = uuid::Uuid::from_u128(u128::from(number) + 1);
    Vgpu {
        id: VgpuId::Mdev(uuid),
        uuid: Some(uuid),
        parent: gpu,
        gpu,
        framework: Framework::Mdev,
        type_id: "card-20".to_owned(),
        profile: name(20),
        iommu_group: None,
        gpu_instance: None,
        placement_id: None,
        removing: false,
        params: None,
        holders: gpuvirt_model::Holders::default(),
    }
}
