//! Which VMs run with GPUs: what a cordon, or maintenance of the host, leaves as it is.

use gpuvirt_model::{Observed, PciAddress, Reading};
use serde::{Deserialize, Serialize};

use crate::gpu::domains_using;

/// A VM that runs with a GPU, whole or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunningVm {
    /// libvirt's name of it.
    pub vm: String,
    /// The GPU.
    pub gpu: PciAddress,
}

/// The VMs that run with a GPU, or with any; unknown where libvirt's domains are.
pub fn running_vms(observed: &Observed, only: Option<PciAddress>) -> Reading<Vec<RunningVm>> {
    if let Reading::Unknown(why) = &observed.domains {
        return Reading::Unknown(why.clone());
    }
    let gpus = observed.gpus.values().filter(|gpu| only.is_none_or(|only| gpu.address == only));
    let of_gpu = gpus.flat_map(|gpu| {
        let running = domains_using(gpu, observed).filter(|(_, runs)| *runs);
        running.map(|(domain, _)| RunningVm { vm: domain.name.clone(), gpu: gpu.address })
    });
    let mut all: Vec<RunningVm> = of_gpu.collect();
    all.sort();
    Reading::Known(all)
}

/// The same as the end of a sentence.
pub fn sentence(running: &Reading<Vec<RunningVm>>) -> String {
    match running {
        Reading::Unknown(why) => format!("which VMs still run is not known: {why}"),
        Reading::Known(all) if all.is_empty() => "no VM runs there".to_owned(),
        Reading::Known(all) => {
            let each: Vec<String> = all.iter().map(|one| format!("VM {} with {}", one.vm, one.gpu)).collect();
            format!("still running: {}", each.join(", "))
        }
    }
}
