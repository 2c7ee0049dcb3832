//! Profiles: what a VM can ask for.

use gpuvirt_api::{GpuDocument, ProfileDocument};
use gpuvirt_model::{Sharing, Vgpu};

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
    for profile in profiles {
        let [a, b, c, d, e, f, g, h, i, j, k] = cells(profile, &mut reasons);
        table.row([profile.gpu.to_string(), a, b, c, d, e, f, g, h, i, j, k]);
    }
    let mut page = Page::new();
    page.table(0, &table);
    reasons.lines().for_each(|line| page.line(line));
    page.into_text()
}

/// The profiles of a GPU, for its own page.
pub fn of_gpu(page: &mut Page, gpu: &GpuDocument) {
    let mut table = Table::new(COLUMNS).optional(OPTIONAL);
    let live: Vec<&Vgpu> = gpu.vgpus.iter().collect();
    let documents = ProfileDocument::of_gpu(gpu.address, &gpu.gpu.profiles, &live);
    let mut reasons = Reasons::default();
    documents.iter().for_each(|profile| table.row(cells(profile, &mut reasons)));
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

fn cells<'a>(profile: &'a ProfileDocument, reasons: &mut Reasons<'a>) -> [String; 11] {
    let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
    [
        profile.name.to_string(),
        profile.framework.to_string(),
        profile.framebuffer_mib.map(size::mib).unwrap_or_default(),
        profile.class.map(|class| class.letter().to_string()).unwrap_or_default(),
        profile.sharing.map(sharing).unwrap_or_default().to_owned(),
        number(profile.heads),
        profile.max_resolution.clone().unwrap_or_default(),
        number(profile.max),
        profile.consumed.to_string(),
        profile.available.to_string(),
        profile.blocked.as_deref().map(|reason| reasons.mark(reason)).unwrap_or_default(),
    ]
}

fn sharing(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::TimeSliced => "time-sliced",
        Sharing::MigBacked => "MIG-backed",
        Sharing::Partitioned => "partitioned",
    }
}
