//! The desired document as an admin writes it: `gpuvirt config export`, `diff` and `apply`.
//!
//! One document may serve many hosts: a GPU is named by its address or by what it is. A setting that a document doesn't
//! name stays as it is; `null` and an empty list say that there is to be none.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use crate::gpu_match::GpuMatch;
use crate::{
    AssignmentPolicy, ConfiguredType, DesiredVgpu, PciAddress, PciIdentity, RefusalCode, Reservation,
    VgpuMode, When,
};

/// The version of the document that this code reads and writes.
pub const CONFIG_API_VERSION: &str = "gpuvirt/v1";
/// What the document says of its kind.
pub const CONFIG_KIND: &str = "Configuration";
/// The most GPUs that one entry can mean, a guard against nonsense.
const MOST: u32 = 256;

/// The desired document as an admin writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// Always [`CONFIG_API_VERSION`].
    pub api_version: String,
    /// Always [`CONFIG_KIND`].
    pub kind: String,
    /// The host's defaults.
    #[serde(default, skip_serializing_if = "HostSettings::is_empty")]
    pub host: HostSettings,
    /// GPUs.
    #[serde(default)]
    pub gpus: Vec<GpuSettings>,
}

/// The host's defaults, as far as they are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSettings {
    /// What `default` means for a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_type: Option<ConfiguredType>,
    /// On which of several suitable GPUs a vGPU is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_policy: Option<AssignmentPolicy>,
    /// Capacity that is kept free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Vec<Reservation>>,
}

/// What one GPU, or several of a kind, are to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuSettings {
    /// Where it sits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<PciAddress>,
    /// What sits there, where that matters: another card is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PciIdentity>,
    /// What it is, in the place of an address.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub selector: Option<GpuMatch>,
    /// The type asked for.
    #[serde(rename = "type")]
    pub graphics_type: ConfiguredType,
    /// The admin's own name for it; several GPUs may share one, as a kind that VMs ask for.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub label: Option<Option<String>>,
    /// When the type comes into force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Which profiles may live together on it.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub vgpu_mode: Option<Option<VgpuMode>>,
    /// How many virtual functions it gets.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub vf_count: Option<Option<u16>>,
    /// GPU instances by profile, one entry for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_instances: Option<Vec<String>>,
    /// Persistent vGPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vgpus: Option<Vec<DesiredVgpu>>,
    /// Refusals that the admin accepts for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Vec<RefusalCode>>,
}

/// Tells a key that is there and null from one that is not there.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Why a document can't be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Another version's.
    #[error("apiVersion is {0:?}; this gpuvirt reads {CONFIG_API_VERSION:?}")]
    Version(String),
    /// Another document.
    #[error("kind is {0:?}, not {CONFIG_KIND:?}")]
    Kind(String),
    /// An entry makes no sense.
    #[error("gpus[{index}]: {what}")]
    Gpu {
        /// Which entry, from 0.
        index: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            api_version: CONFIG_API_VERSION.to_owned(),
            kind: CONFIG_KIND.to_owned(),
            host: HostSettings::default(),
            gpus: Vec::new(),
        }
    }
}

impl Configuration {
    /// What the grammar alone can't rule out.
    ///
    /// # Errors
    /// The first thing that can't be meant.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        if self.api_version != CONFIG_API_VERSION {
            return Err(ConfigurationError::Version(self.api_version.clone()));
        }
        if self.kind != CONFIG_KIND {
            return Err(ConfigurationError::Kind(self.kind.clone()));
        }
        let (mut addresses, mut vgpus) = (BTreeSet::new(), BTreeSet::new());
        for (index, gpu) in self.gpus.iter().enumerate() {
            let wrong = |what: String| ConfigurationError::Gpu { index, what };
            if let Some(what) = gpu.nonsense() {
                return Err(wrong(what));
            }
            if let Some(address) = gpu.address.filter(|address| !addresses.insert(*address)) {
                return Err(wrong(format!("{address} is there twice")));
            }
            if let Some(vgpu) = gpu.vgpus.iter().flatten().find(|vgpu| !vgpus.insert(vgpu.id)) {
                return Err(wrong(format!("vGPU {} is there twice", vgpu.id)));
            }
        }
        Ok(())
    }
}

impl HostSettings {
    /// Nothing is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl GpuSettings {
    /// Settings of the GPU at an address, of which only the type is named.
    pub fn at(address: PciAddress, graphics_type: ConfiguredType) -> Self {
        Self {
            address: Some(address),
            identity: None,
            selector: None,
            graphics_type,
            label: None,
            when: None,
            vgpu_mode: None,
            vf_count: None,
            gpu_instances: None,
            vgpus: None,
            accepted: None,
        }
    }

    fn nonsense(&self) -> Option<String> {
        match (&self.address, &self.selector) {
            (None, None) => return Some("give address, or match".to_owned()),
            (Some(_), Some(_)) => return Some("give either address or match, not both".to_owned()),
            (None, Some(_)) if self.identity.is_some() => {
                return Some("identity belongs to an address; match has device and subsystem".to_owned());
            }
            _ => {}
        }
        if let Some(what) = self.selector.as_ref().and_then(|selector| selector.nonsense(self)) {
            return Some(what);
        }
        let absolute = self.accepted.iter().flatten().find(|code| !code.acceptable());
        if let Some(code) = absolute {
            return Some(format!("{code} is absolute and can't be accepted"));
        }
        let sound = |name: &&String| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b".+_-".contains(&b);
            !name.is_empty() && name.len() <= 64 && name.bytes().all(allowed)
        };
        let odd = self.gpu_instances.iter().flatten().find(|name| !sound(name));
        odd.map(|name| format!("{name:?} is no profile of a GPU instance"))
    }
}

impl GpuMatch {
    fn nonsense(&self, settings: &GpuSettings) -> Option<String> {
        if self.device.is_none() && self.subsystem.is_none() && self.slot.is_none() {
            return Some("match needs device, subsystem or slot".to_owned());
        }
        if !(1..=MOST).contains(&self.count) {
            return Some(format!("count must be from 1 to {MOST}"));
        }
        let several = self.count > 1;
        if several && settings.vgpus.as_ref().is_some_and(|vgpus| !vgpus.is_empty()) {
            return Some("one vGPU can't be on several GPUs".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(gpu: &str) -> Result<Configuration, String> {
        let text = format!(r#"{{"apiVersion": "gpuvirt/v1", "kind": "Configuration", "gpus": [{gpu}]}}"#);
        let read: Configuration = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        read.check().map(|()| read).map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_not_be_meant_is_named() {
        for (gpu, want) in [
            (r#"{"type": "direct"}"#, "give address, or match"),
            (r#"{"address": "41:00.0", "match": {"device": "10de:2235"}, "type": "direct"}"#, "not both"),
            (r#"{"match": {}, "type": "direct"}"#, "needs device, subsystem or slot"),
            (r#"{"match": {"device": "10de:2235", "count": 0}, "type": "direct"}"#, "from 1 to"),
            (r#"{"match": {"device": "10de"}, "type": "direct"}"#, "10de:2235"),
            (r#"{"match": {"slot": "41:00.0"}, "type": "direct"}"#, "no slot"),
            (r#"{"address": "41:00.0", "type": "direct", "accepted": ["group-not-viable"]}"#, "absolute"),
            (r#"{"address": "41:00.0", "type": "direct", "gpuInstances": ["1g 5gb"]}"#, "no profile"),
            (r#"{"address": "41:00.0", "type": "direct", "colour": 1}"#, "colour"),
            (r#"{"address": "41:00.0", "type": "basic"}"#, "basic"),
            (r#"{"address": "41:00.0"}"#, "type"),
            (
                r#"{"address": "41:00.0", "type": "direct"}, {"address": "0000:41:00.0", "type": "shared"}"#,
                "twice",
            ),
        ] {
            let error = read(gpu).unwrap_err();
            assert!(error.contains(want), "{gpu}: {error}");
        }
    }

    #[test]
    fn a_label_may_name_several_gpus() {
        let both = r#"{"match": {"device": "10de:2235", "count": 2}, "type": "direct", "label": "a"},
                      {"address": "42:00.0", "type": "direct", "label": "a"}"#;
        assert_eq!(read(both).unwrap().gpus.len(), 2);
    }

    #[test]
    fn null_is_another_thing_than_nothing() {
        let read = |more: &str| {
            let gpu = format!(r#"{{"match": {{"slot": "0000:41:00"}}, "type": "direct"{more}}}"#);
            read(&gpu).unwrap().gpus.remove(0)
        };
        assert_eq!(read("").label, None);
        assert_eq!(read(r#", "label": null"#).label, Some(None));
        assert_eq!(read(r#", "vfCount": 3"#).vf_count, Some(Some(3)));
        let selector = read("").selector.unwrap();
        assert_eq!((selector.count, selector.to_string().as_str()), (1, "slot 0000:41:00"));
    }
}
