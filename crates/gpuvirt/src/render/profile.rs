//! Profiles: what a VM can ask for, summed over the functions of a card that offer the same.

use gpuvirt_api::{GpuDocument, ProfileDocument};
use gpuvirt_model::{PciAddress, Profile, Sharing, Vgpu};

use super::page::Page;
use super::size;
use super::table::Table;

/// What a table says of a profile, the GPU aside.
const COLUMNS: [&str; 11] = [
    "PROFILE",
    "FRAMEWORK",
    "MEMORY",
    "CLASS",
    "SHARING",
    "HEADS",
    "RESOLUTION",
    "MAX",
    "IN USE",
    "AVAILABLE",
    "NOT NOW",
];
/// Columns that many drivers leave empty.
const OPTIONAL: &[&str] = &["MEMORY", "CLASS", "SHARING", "HEADS", "RESOLUTION", "MAX", "NOT NOW"];

/// The profiles of all GPUs or of one. Why some can't be had now stands below, each reason once.
pub fn list(profiles: &[ProfileDocument]) -> String {
    if profiles.is_empty() {
        return "no vGPU profiles: no GPU's driver offers any now\n".to_owned();
    }
    let [a, b, c, d, e, f, g, h, i, j, k] = COLUMNS;
    let mut table = Table::new(["GPU", a, b, c, d, e, f, g, h, i, j, k]).optional(OPTIONAL);
    let mut reasons = Reasons::default();
    for summary in Summary::of(profiles) {
        let [a, b, c, d, e, f, g, h, i, j, k] = summary.cells(&mut reasons);
        table.row([summary.gpu.to_string(), a, b, c, d, e, f, g, h, i, j, k]);
    }
    let mut page = Page::new();
    page.table(0, &table);
    reasons.lines().for_each(|line| page.line(line));
    page.into_text()
}

/// The profiles of a GPU, for its own page.
pub fn of_gpu(page: &mut Page, gpu: &GpuDocument) {
    let mut table = Table::new(COLUMNS).optional(OPTIONAL);
    let live = |profile: &Profile| {
        let same = |vgpu: &&Vgpu| vgpu.parent == profile.parent && vgpu.type_id == profile.type_id;
        u32::try_from(gpu.vgpus.iter().filter(same).count()).unwrap_or(u32::MAX)
    };
    let document = |profile: &Profile| ProfileDocument {
        gpu: gpu.address,
        profile: profile.clone(),
        consumed: live(profile),
        live_migration: None,
    };
    let documents: Vec<ProfileDocument> = gpu.gpu.profiles.iter().map(document).collect();
    let mut reasons = Reasons::default();
    Summary::of(&documents).iter().for_each(|summary| table.row(summary.cells(&mut reasons)));
    page.table(2, &table);
    reasons.lines().for_each(|line| page.line(format_args!("  {line}")));
}

/// Why profiles can't be had now: sentences, which a table has no room for and which many profiles share.
#[derive(Default)]
struct Reasons<'a>(Vec<&'a str>);

impl<'a> Reasons<'a> {
    /// The mark of a reason.
    fn mark(&mut self, reason: &'a str) -> String {
        let known = self.0.iter().position(|have| *have == reason);
        let at = known.unwrap_or_else(|| {
            self.0.push(reason);
            self.0.len() - 1
        });
        format!("[{}]", at + 1)
    }

    fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().enumerate().map(|(at, reason)| format!("[{}] {reason}", at + 1))
    }
}

/// A profile of a GPU over all functions that offer it: a card with 16 VFs offers each profile 16 times, and a person
/// asks for one vGPU of the card.
struct Summary<'a> {
    gpu: PciAddress,
    profile: &'a Profile,
    available: u32,
    consumed: u32,
    parents: u32,
    /// Why none can be had of any function.
    blocked: Option<&'a str>,
    /// Frame buffer of the card that no vGPU has, in MiB, when the driver says enough to tell.
    memory_left: Option<u64>,
}

impl<'a> Summary<'a> {
    /// In the order in which GPUs and profiles come first.
    fn of(documents: &'a [ProfileDocument]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for ProfileDocument { gpu, profile, consumed, .. } in documents {
            let at = all.iter_mut().find(|seen| seen.gpu == *gpu && seen.profile.name == profile.name);
            match at {
                Some(seen) => {
                    seen.available = seen.available.saturating_add(profile.available);
                    seen.consumed = seen.consumed.saturating_add(*consumed);
                    seen.parents = seen.parents.saturating_add(1);
                    seen.blocked = seen.blocked.and(profile.blocked.as_deref());
                }
                None => all.push(Self {
                    gpu: *gpu,
                    profile,
                    available: profile.available,
                    consumed: *consumed,
                    parents: 1,
                    blocked: profile.blocked.as_deref(),
                    memory_left: None,
                }),
            }
        }
        let left: Vec<Option<u64>> = all.iter().map(|summary| memory_left(summary.gpu, &all)).collect();
        all.iter_mut().zip(left).for_each(|(summary, left)| summary.memory_left = left);
        all
    }

    /// How many more can be made. Each function tells only whether *it* could have one, so their sum is bounded by
    /// the card's own limit, and by the frame buffer that its other vGPUs leave.
    fn left(&self) -> u32 {
        if self.parents == 1 {
            return self.available;
        }
        let limit = self.profile.max.map_or(u32::MAX, |max| max.saturating_sub(self.consumed));
        let memory = self.memory_left.zip(self.profile.framebuffer_mib);
        let fit =
            memory.and_then(|(left, each)| left.checked_div(each)).and_then(|fit| u32::try_from(fit).ok());
        self.available.min(limit).min(fit.unwrap_or(u32::MAX))
    }

    fn cells(&self, reasons: &mut Reasons<'a>) -> [String; 11] {
        let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        let profile = self.profile;
        [
            profile.name.to_string(),
            profile.framework.to_string(),
            profile.framebuffer_mib.map(size::mib).unwrap_or_default(),
            profile.class.map(|class| class.letter().to_string()).unwrap_or_default(),
            profile.sharing.map(sharing).unwrap_or_default().to_owned(),
            number(profile.heads),
            profile.max_resolution.clone().unwrap_or_default(),
            number(profile.max),
            self.consumed.to_string(),
            self.left().to_string(),
            self.blocked.map(|reason| reasons.mark(reason)).unwrap_or_default(),
        ]
    }
}

fn sharing(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::TimeSliced => "time-sliced",
        Sharing::MigBacked => "MIG-backed",
        Sharing::Partitioned => "partitioned",
    }
}

/// What the largest set of equal vGPUs takes of the card, less what those alive take.
fn memory_left(gpu: PciAddress, all: &[Summary]) -> Option<u64> {
    let of_gpu = || all.iter().filter(|summary| summary.gpu == gpu);
    let size = |summary: &Summary| summary.profile.framebuffer_mib;
    let whole = of_gpu().filter_map(|s| size(s)?.checked_mul(u64::from(s.profile.max?))).max()?;
    let taken = of_gpu().filter(|summary| summary.consumed > 0);
    let taken: Option<u64> = taken.map(|s| size(s)?.checked_mul(u64::from(s.consumed))).sum();
    Some(whole.saturating_sub(taken?))
}
