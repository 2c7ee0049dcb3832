//! The admin's document against what is stored: which GPUs it means, what it changes, and the stored one as a document.

use std::collections::BTreeMap;
use std::fmt;

use gpuvirt_model::{
    Configuration, Desired, DesiredGpu, DesiredHost, GpuMatch, GpuSettings, HostSettings, Observed,
    PciAddress, Refusal, RefusalCode, When,
};
use serde::{Deserialize, Serialize};

use crate::checks;

/// What a document asks of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The host's defaults.
    pub host: DesiredHost,
    /// The whole stored entry of each GPU that it means or affects, by address.
    pub gpus: BTreeMap<PciAddress, DesiredGpu>,
    /// Managed GPUs that it does not name and that are to be unmanaged.
    pub forgotten: Vec<PciAddress>,
}

/// What becomes of managed GPUs that a document does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// They stay as they are.
    Kept,
    /// They become unmanaged.
    Forgotten,
}

/// A setting that a document changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Its name in the document.
    pub field: String,
    /// As it is stored; `-` is nothing.
    pub from: String,
    /// As it is to be.
    pub to: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.field, self.from, self.to)
    }
}

/// Which GPUs of this host a document means, and their entries: what it doesn't name stays as it is stored.
///
/// # Errors
/// Every entry that means no GPU, or not so many as it says.
pub fn wanted(
    config: &Configuration,
    observed: &Observed,
    desired: &Desired,
    unnamed: Unnamed,
) -> Result<Wanted, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut gpus = BTreeMap::new();
    for settings in &config.gpus {
        let found = match (settings.address, &settings.selector) {
            (Some(address), _) => at_address(address, settings, observed).map(|()| vec![address]),
            (None, Some(selector)) => selected(selector, observed),
            (None, None) => Ok(Vec::new()),
        };
        match found {
            Err(refusal) => refusals.push(refusal),
            Ok(found) => {
                for address in found {
                    let entry = entry(address, settings, observed, desired);
                    if let Some(refusal) =
                        entry.and_then(|entry| gpus.insert(address, entry)).map(|_| twice(address))
                    {
                        refusals.push(refusal);
                    }
                }
            }
        }
    }
    let host = host(&config.host, &desired.host);
    for entry in desired.gpus.iter().filter(|_| host.default_type != desired.host.default_type) {
        let follows = entry.graphics_type.resolve(&host) != entry.graphics_type.resolve(&desired.host);
        if follows && unnamed == Unnamed::Kept {
            gpus.entry(entry.address).or_insert_with(|| entry.clone());
        }
    }
    let named = |entry: &&DesiredGpu| gpus.contains_key(&entry.address);
    let forgotten = match unnamed {
        Unnamed::Kept => Vec::new(),
        Unnamed::Forgotten => desired.gpus.iter().filter(|e| !named(e)).map(|e| e.address).collect(),
    };
    if refusals.is_empty() { Ok(Wanted { host, gpus, forgotten }) } else { Err(refusals) }
}

fn at_address(address: PciAddress, settings: &GpuSettings, observed: &Observed) -> Result<(), Refusal> {
    let Some(gpu) = observed.gpus.get(&address) else { return Err(checks::not_found(address, observed)) };
    let found = observed.primary_of(gpu).map(|function| function.identity);
    match (settings.identity, found) {
        (Some(wanted), Some(found)) if wanted != found => Err(Refusal {
            code: RefusalCode::IdentityChanged,
            summary: format!("{address} is not the card that the document means"),
            because: format!("the document says {wanted}, and {found} sits there"),
            remedy: vec![
                "correct the address, or the identity".to_owned(),
                format!("gpuvirt explain {}", RefusalCode::IdentityChanged),
            ],
        }),
        _ => Ok(()),
    }
}

fn selected(selector: &GpuMatch, observed: &Observed) -> Result<Vec<PciAddress>, Refusal> {
    let fits = |address: &PciAddress| {
        let function = observed.functions.get(address);
        function.is_some_and(|function| selector.fits(*address, &function.identity))
    };
    let found: Vec<PciAddress> = observed.gpus.keys().copied().filter(fits).collect();
    let (count, wanted) = (found.len(), usize::try_from(selector.count).unwrap_or(usize::MAX));
    let code = match count.cmp(&wanted) {
        std::cmp::Ordering::Equal => return Ok(found),
        std::cmp::Ordering::Less => RefusalCode::SelectorUnmatched,
        std::cmp::Ordering::Greater => RefusalCode::SelectorAmbiguous,
    };
    let candidates = if count == 0 { observed.gpus.keys().copied().collect() } else { found };
    let candidates: Vec<String> = candidates.iter().map(|address| named(*address, observed)).collect();
    let candidates = if candidates.is_empty() { "none".to_owned() } else { candidates.join(", ") };
    let because = match count {
        0 => format!("no GPU fits {selector}; the GPUs of this host: {candidates}"),
        _ => format!("{count} GPUs fit {selector}, the document says {wanted}: {candidates}"),
    };
    Err(Refusal {
        code,
        summary: match wanted {
            1 => format!("the document's GPU with {selector} can't be told"),
            _ => format!("the document's {wanted} GPUs with {selector} can't be told"),
        },
        because,
        remedy: vec![format!("gpuvirt explain {code}")],
    })
}

fn named(address: PciAddress, observed: &Observed) -> String {
    let identity = observed.functions.get(&address).map(|function| function.identity);
    identity.map_or_else(|| address.to_string(), |identity| format!("{address} ({identity})"))
}

fn twice(address: PciAddress) -> Refusal {
    Refusal {
        code: RefusalCode::SelectorAmbiguous,
        summary: format!("the document says two things of {address}"),
        because: "two of its entries mean this GPU".to_owned(),
        remedy: vec![
            "narrow the match of one of them, or leave one out".to_owned(),
            format!("gpuvirt explain {}", RefusalCode::SelectorAmbiguous),
        ],
    }
}

/// The stored entry with what the document names; a GPU that was unmanaged begins with the defaults.
fn entry(
    address: PciAddress,
    settings: &GpuSettings,
    observed: &Observed,
    desired: &Desired,
) -> Option<DesiredGpu> {
    let stored = desired.gpu(address).cloned();
    let fresh = || {
        let identity = observed.functions.get(&address)?.identity;
        Some(DesiredGpu::new(address, identity, settings.graphics_type))
    };
    let stored = stored.or_else(fresh)?;
    let settings = settings.clone();
    let mut accepted = settings.accepted.unwrap_or(stored.accepted);
    accepted.sort_unstable();
    accepted.dedup();
    Some(DesiredGpu {
        graphics_type: settings.graphics_type,
        label: settings.label.unwrap_or(stored.label),
        accepted,
        when: settings.when.unwrap_or(stored.when),
        vgpu_mode: settings.vgpu_mode.unwrap_or(stored.vgpu_mode),
        vf_count: settings.vf_count.unwrap_or(stored.vf_count),
        gpu_instances: settings.gpu_instances.unwrap_or(stored.gpu_instances),
        vgpus: settings.vgpus.unwrap_or(stored.vgpus),
        ..stored
    })
}

fn host(settings: &HostSettings, stored: &DesiredHost) -> DesiredHost {
    DesiredHost {
        default_type: settings.default_type.unwrap_or(stored.default_type),
        assignment_policy: settings.assignment_policy.unwrap_or(stored.assignment_policy),
        reservations: settings.reservations.clone().unwrap_or_else(|| stored.reservations.clone()),
        ..stored.clone()
    }
}

/// What a document changes of the host's defaults.
pub fn host_differences(wanted: &DesiredHost, stored: &DesiredHost) -> Vec<Difference> {
    let reserved = |host: &DesiredHost| {
        words(host.reservations.iter().map(|kept| format!("{} of {}", kept.count, kept.profile)))
    };
    only_changed([
        ("defaultType", stored.default_type.to_string(), wanted.default_type.to_string()),
        ("assignmentPolicy", stored.assignment_policy.to_string(), wanted.assignment_policy.to_string()),
        ("reservations", reserved(stored), reserved(wanted)),
    ])
}

/// What a document changes of one GPU; everything is new of one that was unmanaged.
pub fn gpu_differences(wanted: &DesiredGpu, stored: Option<&DesiredGpu>) -> Vec<Difference> {
    let of = |show: &dyn Fn(&DesiredGpu) -> String| (stored.map_or("-".to_owned(), show), show(wanted));
    let maybe = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let when = |gpu: &DesiredGpu| if gpu.when == When::Now { "-".to_owned() } else { gpu.when.to_string() };
    let vgpu = |vgpu: &gpuvirt_model::DesiredVgpu| match vgpu.params.is_empty() {
        true => format!("{} {}", vgpu.profile, vgpu.id),
        false => format!("{} {} ({})", vgpu.profile, vgpu.id, vgpu.params),
    };
    let fields: [(&str, (String, String)); 8] = [
        ("type", of(&|gpu| gpu.graphics_type.to_string())),
        ("label", of(&|gpu| maybe(gpu.label.clone()))),
        ("when", of(&when)),
        ("vgpuMode", of(&|gpu| maybe(gpu.vgpu_mode.map(|mode| mode.to_string())))),
        ("vfCount", of(&|gpu| maybe(gpu.vf_count.map(|count| count.to_string())))),
        ("gpuInstances", of(&|gpu| words(gpu.gpu_instances.iter()))),
        ("vgpus", of(&|gpu| words(gpu.vgpus.iter().map(vgpu)))),
        ("accepted", of(&|gpu| words(gpu.accepted.iter()))),
    ];
    only_changed(fields.map(|(field, (from, to))| (field, from, to)))
}

fn only_changed(fields: impl IntoIterator<Item = (&'static str, String, String)>) -> Vec<Difference> {
    let changed = fields.into_iter().filter(|(_, from, to)| from != to);
    changed.map(|(field, from, to)| Difference { field: field.to_owned(), from, to }).collect()
}

fn words(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

/// What is stored, as a document: by address and identity, with what differs from the defaults.
pub fn export(desired: &Desired) -> Configuration {
    let host = &desired.host;
    let gpu = |entry: &DesiredGpu| GpuSettings {
        identity: Some(entry.identity),
        label: entry.label.clone().map(Some),
        when: (entry.when != When::Now).then_some(entry.when),
        vgpu_mode: entry.vgpu_mode.map(Some),
        vf_count: entry.vf_count.map(Some),
        gpu_instances: some(&entry.gpu_instances),
        vgpus: some(&entry.vgpus),
        accepted: some(&entry.accepted),
        ..GpuSettings::at(entry.address, entry.graphics_type)
    };
    Configuration {
        host: HostSettings {
            default_type: Some(host.default_type),
            assignment_policy: Some(host.assignment_policy),
            reservations: some(&host.reservations),
        },
        gpus: desired.gpus.iter().map(gpu).collect(),
        ..Configuration::default()
    }
}

fn some<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}
