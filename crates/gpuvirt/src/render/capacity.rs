//! Capacity: a line for each profile on each GPU, and one for all of them where there are several.

use gpuvirt_api::Capacity;

use super::page::Page;
use super::table::Table;

/// All profiles or one.
pub fn list(all: &[Capacity]) -> String {
    if all.is_empty() {
        return "no vGPU profiles: no GPU's driver offers any now\n".to_owned();
    }
    let mut table = Table::new(["PROFILE", "GPU", "MAX", "CONSUMED", "REMAINING", "RESERVED", "NOTE"])
        .optional(&["NOTE"]);
    for capacity in all {
        let name = || capacity.profile.to_string();
        if capacity.gpus.len() != 1 {
            let numbers = [capacity.consumed, capacity.remaining, capacity.reserved];
            table.row(row(name(), "all".to_owned(), (capacity.max, numbers), String::new()));
        }
        for gpu in &capacity.gpus {
            let numbers = [gpu.consumed, gpu.remaining, gpu.reserved];
            let note = gpu.closed.clone().unwrap_or_default();
            table.row(row(name(), gpu.gpu.to_string(), (gpu.max, numbers), note));
        }
    }
    let mut page = Page::new();
    page.table(0, &table);
    for capacity in all.iter().filter(|capacity| capacity.unmet > 0) {
        page.line(format_args!("not kept: {} of profile {}: no room", capacity.unmet, capacity.profile));
    }
    page.into_text()
}

fn row(profile: String, gpu: String, (max, rest): (Option<u32>, [u32; 3]), note: String) -> [String; 7] {
    let [consumed, remaining, reserved] = rest.map(|number| number.to_string());
    [profile, gpu, max.map(|max| max.to_string()).unwrap_or_default(), consumed, remaining, reserved, note]
}
