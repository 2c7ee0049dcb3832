//! GPUs that sleep.

use gpuvirt_model::{ConfiguredType, FindingCode as F, Severity as S};

use super::bed::{Bed, Case, SECOND};
use super::cards::direct;

const AWAKE: &str = "/sys/module/vfio_pci/parameters/disable_idle_d3";

/// No VM has the second card, and vfio-pci lets it sleep.
fn idle(bed: Bed, state: &str) -> Bed {
    bed.device(SECOND, "A: power_state=D0\\n", &format!("A: power_state={state}\\n"))
        .device(SECOND, "A: power/runtime_status=active\\n", "A: power/runtime_status=suspended\\n")
        .configured(SECOND, ConfiguredType::Direct)
        .retouched(|observed| direct(observed, SECOND))
}

/// It sleeps as it should, or on its host driver.
pub fn asleep_and_no_harm() -> Vec<(&'static str, Bed)> {
    let bed = Bed::healthy;
    let not_allowed = idle(bed(), "D3cold").device(SECOND, "A: d3cold_allowed=1", "A: d3cold_allowed=0");
    let of_the_host = idle(bed(), "D3cold").configured(SECOND, ConfiguredType::Shared).retouched(|_| {});
    vec![
        ("a card of VFIO's that sleeps with its power", idle(bed(), "D3hot")),
        ("the power is not cut any more", not_allowed),
        ("vfio-pci keeps cards awake", idle(bed(), "D3cold").file(AWAKE, "Y\n")),
        ("a laptop's card on its host driver", of_the_host),
    ]
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("asleep and not to be woken", F::PowerStuck, S::Error, |bed: Bed| {
            bed.device(SECOND, "A: power_state=D0\\n", "A: power_state=D3cold\\n")
        }),
        case("an error of its power", F::PowerStuck, S::Error, |bed| {
            bed.device(SECOND, "A: power_state=D0\\n", "A: power_state=error\\n")
        })
        .says("error"),
        case("a card of VFIO's without power", F::D3cold, S::Note, |bed| idle(bed, "D3cold"))
            .says("d3cold_allowed"),
        case("a card of VFIO's without power, and what vfio-pci was told", F::D3cold, S::Note, |bed| {
            idle(bed, "D3cold").file(AWAKE, "N\n")
        })
        .says(AWAKE),
        case("a wake that failed", F::PowerStuck, S::Error, |bed| {
            bed.device(SECOND, "A: power_state=D0\\n", "A: power_state=D3hot\\n").device(
                SECOND,
                "A: power/runtime_status=active\\n",
                "A: power/runtime_status=error\\n",
            )
        })
        .says("D3hot"),
    ]
}
