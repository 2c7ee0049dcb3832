//! How busy a card is and how much memory it has, where its driver shows that in a documented file. Never wakes a card.
//!
//! amdgpu alone has such files (Documentation/gpu/amdgpu/thermal.rst, driver-misc.rst). i915 and xe tell through perf
//! counters, NVIDIA's driver through its library only.

use gpuvirt_model::GpuUsage;

use super::function::Seen;
use crate::files::Files;
use crate::parse::pci;

/// What the primary function's folder tells. What is not there, or not to be had now, is unknown.
pub(super) fn read(files: Files<'_>, primary: &Seen) -> GpuUsage {
    let folder = &primary.folder;
    let text = |name: &str| folder.has(name).then(|| files.text(&folder.path(name)).ok()).flatten();
    // Asking for it resumes a sleeping card on most kernels.
    let awake = primary.function.power_state.as_deref() == Some("D0");
    let busy = awake.then(|| text("gpu_busy_percent")).flatten();
    GpuUsage {
        busy_percent: busy.as_deref().and_then(percent),
        memory_bytes: text("mem_info_vram_total").as_deref().and_then(pci::count),
    }
}

fn percent(text: &str) -> Option<u8> {
    pci::count(text).filter(|percent| *percent <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_percentage_is_one() {
        for (text, want) in [
            ("0\n", Some(0)),
            ("100\n", Some(100)),
            ("101\n", None),
            ("-1\n", None),
            ("\n", None),
            ("7 %", None),
        ] {
            assert_eq!(percent(text), want, "{text:?}");
        }
    }
}
