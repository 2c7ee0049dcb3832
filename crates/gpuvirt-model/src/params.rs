//! Parameters of a vGPU, as the vendor's driver takes them (`vgpu_params`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Parameters of one vGPU: names and values, in the order of the names.
///
/// They become one line of a kernel file, `name=value, name=value`, so neither holds a comma, white space or a control
/// character.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct VgpuParams(BTreeMap<String, String>);

/// Why a text is no parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no vGPU parameter: write name=value in letters, digits and the signs _ - . : /")]
pub struct VgpuParamError(pub String);

/// Longest name, and longest value, in bytes: a guard against nonsense, no limit of a driver's.
const LONGEST: usize = 64;

impl VgpuParams {
    /// None.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// These, and of `other` what it has besides or instead.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let all = self.0.iter().chain(&other.0);
        Self(all.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Adds `name=value`, in the place of an earlier value of that name.
    ///
    /// # Errors
    /// [`VgpuParamError`] when either part is empty, too long or holds a character that it must not.
    pub fn add(&mut self, text: &str) -> Result<(), VgpuParamError> {
        let error = || VgpuParamError(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(error)?;
        let (name, value) = (name.trim(), value.trim());
        if !sound(name) || !sound(value) {
            return Err(error());
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}

fn sound(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed)
}

impl fmt::Display for VgpuParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for VgpuParams {
    type Err = VgpuParamError;

    /// Reads a driver's line; an empty one is no parameters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut params = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            params.add(part)?;
        }
        Ok(params)
    }
}

impl TryFrom<BTreeMap<String, String>> for VgpuParams {
    type Error = VgpuParamError;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        let mut params = Self::default();
        for (name, value) in map {
            params.add(&format!("{name}={value}"))?;
        }
        Ok(params)
    }
}

impl From<VgpuParams> for BTreeMap<String, String> {
    fn from(params: VgpuParams) -> Self {
        params.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drivers_line_reads_back() {
        let params: VgpuParams = "frame_rate_limiter=0, disable_vnc=1\n".parse().unwrap();
        assert_eq!(params.to_string(), "disable_vnc=1, frame_rate_limiter=0");
        assert!("\n".parse::<VgpuParams>().unwrap().is_empty());
    }

    #[test]
    fn what_would_break_the_line_is_no_parameter() {
        for text in
            ["", "a", "a=", "=1", "a=b c", "a=1\nb=2", "a b=1", "ä=1", &format!("a={}", "x".repeat(65))]
        {
            assert!(VgpuParams::default().add(text).is_err(), "{text:?}");
        }
    }
}
