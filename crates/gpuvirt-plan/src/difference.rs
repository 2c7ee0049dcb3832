//! What changed on the host between two looks at it, in sentences. Pure: it compares what it is given.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{Desired, Gpu, Observed, PciAddress, PciIdentity, Reading};

/// What an admin would notice of a host's GPUs: little enough to be kept for as long as the daemon lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSummary {
    gpus: BTreeMap<PciAddress, GpuSummary>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct GpuSummary {
    identity: Option<PciIdentity>,
    driver: String,
    active: String,
    vfs: usize,
    profiles: BTreeSet<String>,
    vgpus: BTreeSet<String>,
    vms: String,
}

impl HostSummary {
    /// Of a picture of the host.
    pub fn of(observed: &Observed, desired: &Desired) -> Self {
        let gpus = observed.gpus.values();
        Self { gpus: gpus.map(|gpu| (gpu.address, GpuSummary::of(gpu, observed, desired))).collect() }
    }

    /// How many GPUs there are, in words.
    pub fn count(&self) -> String {
        match self.gpus.len() {
            0 => "no GPU".to_owned(),
            1 => "1 GPU".to_owned(),
            many => format!("{many} GPUs"),
        }
    }

    /// What is there and was not, or was otherwise, at `before`, and what is gone. Empty: nothing of it changed.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (address, gpu) in &self.gpus {
            match before.gpus.get(address) {
                None => found.push(format!("{address} came: {}, {}", gpu.named(), gpu.active)),
                Some(earlier) => {
                    found.extend(
                        gpu.differences(earlier).into_iter().map(|what| format!("{address}: {what}")),
                    );
                }
            }
        }
        let gone = before.gpus.keys().filter(|address| !self.gpus.contains_key(address));
        found.extend(gone.map(|address| format!("{address} went")));
        found
    }
}

impl GpuSummary {
    fn of(gpu: &Gpu, observed: &Observed, desired: &Desired) -> Self {
        let primary = observed.primary_of(gpu);
        let driver = primary.and_then(|function| function.binding.driver.as_ref());
        let configured = desired.gpu(gpu.address).map(|entry| entry.graphics_type.resolve(&desired.host));
        Self {
            identity: primary.map(|function| function.identity),
            driver: driver.map_or_else(|| "none".to_owned(), ToString::to_string),
            active: gpu.active_type(configured).to_string(),
            vfs: gpu.live_vfs,
            profiles: gpu.profiles.iter().map(|profile| profile.name.to_string()).collect(),
            vgpus: observed.vgpus_of(gpu).map(|vgpu| format!("{} ({})", vgpu.id, vgpu.profile)).collect(),
            vms: running(gpu, observed),
        }
    }

    fn named(&self) -> String {
        self.identity.map_or_else(|| "unreadable".to_owned(), |identity| identity.to_string())
    }

    fn differences(&self, before: &Self) -> Vec<String> {
        if self.identity != before.identity {
            return vec![format!("another card sits there: {}, was {}", self.named(), before.named())];
        }
        let mut found = Vec::new();
        for (what, is, was) in [
            ("its driver is", self.driver.clone(), before.driver.clone()),
            ("it is", self.active.clone(), before.active.clone()),
            ("virtual functions:", self.vfs.to_string(), before.vfs.to_string()),
            ("running with it:", self.vms.clone(), before.vms.clone()),
        ] {
            if is != was {
                found.push(format!("{what} {is}, was {was}"));
            }
        }
        let mut listed = |what: &str, is: &BTreeSet<String>, than: &BTreeSet<String>| {
            let only: Vec<&str> = is.difference(than).map(String::as_str).collect();
            if !only.is_empty() {
                found.push(format!("{what} {}", only.join(", ")));
            }
        };
        listed("it offers now", &self.profiles, &before.profiles);
        listed("it does not offer any more", &before.profiles, &self.profiles);
        listed("new vGPUs:", &self.vgpus, &before.vgpus);
        listed("gone vGPUs:", &before.vgpus, &self.vgpus);
        found
    }
}

/// Names of VMs; where libvirt's domains are unknown, that they are.
fn running(gpu: &Gpu, observed: &Observed) -> String {
    if let Reading::Unknown(why) = &observed.domains {
        return why.to_string();
    }
    let users = crate::domains_using(gpu, observed);
    let names: BTreeSet<&str> =
        users.filter_map(|(domain, running)| running.then_some(domain.name.as_str())).collect();
    if names.is_empty() { "no VM".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}
