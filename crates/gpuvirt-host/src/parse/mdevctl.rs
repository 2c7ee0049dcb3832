//! mdevctl's definitions: JSON in `/etc/mdevctl.d/PARENT/UUID`, the form that `mdevctl define` writes.

use gpuvirt_model::VgpuParams;
use serde::Deserialize;

/// What a definition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The driver's name of the type.
    pub type_id: String,
    /// Started with its parent.
    pub auto: bool,
    /// NVIDIA's parameters.
    pub params: VgpuParams,
    /// Names of other attributes.
    pub other_attributes: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    mdev_type: String,
    #[serde(default)]
    start: Option<String>,
    /// Objects of one key each: the attribute's path below the device, and what is written there.
    #[serde(default)]
    attrs: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// NVIDIA's parameters, as an attribute of the device.
const NVIDIA_PARAMS: &str = "nvidia/vgpu_params";

/// A definition.
///
/// # Errors
/// What is wrong with the text.
pub fn definition(text: &str) -> Result<Definition, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let sound = |name: &str| {
        (1..=128).contains(&name.len())
            && !name.contains("..")
            && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
    };
    if !sound(&file.mdev_type) {
        return Err(format!("mdev_type {:?} is no name of a type", file.mdev_type));
    }
    let (mut params, mut other_attributes) = (VgpuParams::default(), Vec::new());
    for (name, value) in file.attrs.iter().flatten() {
        match (name.as_str(), value.as_str()) {
            (NVIDIA_PARAMS, Some(text)) => {
                for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                    params.add(pair).map_err(|error| error.to_string())?;
                }
            }
            _ => other_attributes.push(name.clone()),
        }
    }
    Ok(Definition {
        type_id: file.mdev_type,
        auto: file.start.as_deref() == Some("auto"),
        params,
        other_attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_as_mdevctl_writes_them() {
        let read = definition(
            r#"{"mdev_type": "nvidia-558", "start": "auto",
                "attrs": [{"nvidia/vgpu_params": "frame_rate_limiter=0, enable_uvm=1"}, {"assign_adapter": "5"}]}"#,
        );
        let read = read.unwrap();
        assert_eq!((read.type_id.as_str(), read.auto), ("nvidia-558", true));
        let params: Vec<_> = read.params.iter().collect();
        assert_eq!(params, [("enable_uvm", "1"), ("frame_rate_limiter", "0")]);
        assert_eq!(read.other_attributes, ["assign_adapter"]);
        assert!(!definition(r#"{"mdev_type": "i915-GVTg_V5_4", "start": "manual"}"#).unwrap().auto);
        assert!(!definition(r#"{"mdev_type": "i915-GVTg_V5_4"}"#).unwrap().auto);
    }

    #[test]
    fn what_is_none_is_said() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"mdev_type": "../x"}"#,
            r#"{"mdev_type": ""}"#,
            r#"{"mdev_type": "a", "attrs": [{"nvidia/vgpu_params": "a b=c;d"}]}"#,
            r#"{"mdev_type": "a", "attrs": 3}"#,
        ] {
            assert!(definition(text).is_err(), "{text}");
        }
    }
}
