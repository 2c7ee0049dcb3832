//! Profiles: what a VM can ask for.

use gpuvirt_api::{GpuDocument, ProfileDocument};
use gpuvirt_model::Profile;

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
        "PARENT",
        "PROFILE",
        "FRAMEWORK",
        "MEMORY",
        "AVAILABLE",
        "IN USE",
        "MAX",
        "HEADS",
    ])
    .optional(&["PARENT", "MEMORY", "MAX", "HEADS"]);
    for document in profiles {
        let profile = &document.profile;
        let [name, framework, memory, available, max, heads] = cells(profile);
        let parent = if profile.parent == document.gpu { String::new() } else { profile.parent.to_string() };
        let consumed = document.consumed.to_string();
        table.row([
            document.gpu.to_string(),
            parent,
            name,
            framework,
            memory,
            available,
            consumed,
            max,
            heads,
        ]);
    }
    let mut page = Page::new();
    page.table(0, &table);
    page.into_text()
}

/// The profiles of a GPU, for its own page.
pub fn of_gpu(gpu: &GpuDocument) -> Table<7> {
    let mut table = Table::new(["PROFILE", "PARENT", "FRAMEWORK", "MEMORY", "AVAILABLE", "MAX", "HEADS"])
        .optional(&["PARENT", "MEMORY", "MAX", "HEADS"]);
    for profile in &gpu.gpu.profiles {
        let [name, framework, memory, available, max, heads] = cells(profile);
        let parent = if profile.parent == gpu.address { String::new() } else { profile.parent.to_string() };
        table.row([name, parent, framework, memory, available, max, heads]);
    }
    table
}

fn cells(profile: &Profile) -> [String; 6] {
    let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
    [
        profile.name.to_string(),
        profile.framework.to_string(),
        profile.framebuffer_mib.map(size::mib).unwrap_or_default(),
        profile.available.to_string(),
        number(profile.max),
        number(profile.heads),
    ]
}
