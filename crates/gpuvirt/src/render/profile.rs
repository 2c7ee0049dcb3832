//! Profiles: what a VM can ask for, summed over the functions of a card that offer the same.

use gpuvirt_api::{GpuDocument, ProfileDocument};
use gpuvirt_model::{PciAddress, Profile, Vgpu};

use super::page::Page;
use super::size;
use super::table::Table;

/// The profiles of all GPUs or of one.
pub fn list(profiles: &[ProfileDocument]) -> String {
    if profiles.is_empty() {
        return "no vGPU profiles: no GPU's driver offers any now\n".to_owned();
    }
    let mut table = Table::new([
        "GPU",
        "PROFILE",
        "FRAMEWORK",
        "MEMORY",
        "AVAILABLE",
        "IN USE",
        "MAX",
        "HEADS",
        "PARENTS",
    ])
    .optional(&["MEMORY", "MAX", "HEADS", "PARENTS"]);
    for summary in Summary::of(profiles) {
        let [name, framework, memory, available, consumed, max, heads, parents] = summary.cells();
        let gpu = summary.gpu.to_string();
        table.row([gpu, name, framework, memory, available, consumed, max, heads, parents]);
    }
    let mut page = Page::new();
    page.table(0, &table);
    page.into_text()
}

/// The profiles of a GPU, for its own page.
pub fn of_gpu(gpu: &GpuDocument) -> Table<8> {
    let mut table =
        Table::new(["PROFILE", "FRAMEWORK", "MEMORY", "AVAILABLE", "IN USE", "MAX", "HEADS", "PARENTS"])
            .optional(&["MEMORY", "MAX", "HEADS", "PARENTS"]);
    let live = |profile: &Profile| {
        let same = |vgpu: &&Vgpu| vgpu.parent == profile.parent && vgpu.type_id == profile.type_id;
        u32::try_from(gpu.vgpus.iter().filter(same).count()).unwrap_or(u32::MAX)
    };
    let document = |profile: &Profile| ProfileDocument {
        gpu: gpu.address,
        profile: profile.clone(),
        consumed: live(profile),
    };
    let documents: Vec<ProfileDocument> = gpu.gpu.profiles.iter().map(document).collect();
    Summary::of(&documents).iter().for_each(|summary| table.row(summary.cells()));
    table
}

/// A profile of a GPU over all functions that offer it: a card with 16 VFs offers each profile 16 times, and a person
/// asks for one vGPU of the card.
struct Summary<'a> {
    gpu: PciAddress,
    profile: &'a Profile,
    available: u32,
    consumed: u32,
    parents: u32,
    /// Frame buffer of the card that no vGPU has, in MiB, when the driver says enough to tell.
    memory_left: Option<u64>,
}

impl<'a> Summary<'a> {
    /// In the order in which GPUs and profiles come first.
    fn of(documents: &'a [ProfileDocument]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for ProfileDocument { gpu, profile, consumed } in documents {
            let at = all.iter_mut().find(|seen| seen.gpu == *gpu && seen.profile.name == profile.name);
            match at {
                Some(seen) => {
                    seen.available = seen.available.saturating_add(profile.available);
                    seen.consumed = seen.consumed.saturating_add(*consumed);
                    seen.parents = seen.parents.saturating_add(1);
                }
                None => all.push(Self {
                    gpu: *gpu,
                    profile,
                    available: profile.available,
                    consumed: *consumed,
                    parents: 1,
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

    fn cells(&self) -> [String; 8] {
        let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        [
            self.profile.name.to_string(),
            self.profile.framework.to_string(),
            self.profile.framebuffer_mib.map(size::mib).unwrap_or_default(),
            self.left().to_string(),
            self.consumed.to_string(),
            number(self.profile.max),
            number(self.profile.heads),
            number((self.parents > 1).then_some(self.parents)),
        ]
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
