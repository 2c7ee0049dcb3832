//! What a vendor's driver wants of whoever prepares its cards: its own programs, and services that must let go.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DriverName;

/// The longest path of a program, and the longest name of a unit.
const LONGEST: usize = 200;

/// The absolute path of a program that is run as root.
///
/// Letters, digits and `_ - . + / @` only, no component `.` or `..`: it is shown in lines for a shell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ProgramPath(String);

/// Why a text is no program's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the absolute path of a program, in letters, digits and the signs _ - . + / @")]
pub struct ProgramPathError(pub String);

impl ProgramPath {
    /// Checks and wraps a path.
    ///
    /// # Errors
    /// [`ProgramPathError`].
    pub fn parse(text: &str) -> Result<Self, ProgramPathError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.+/@".contains(&b);
        let mut parts = text.split('/');
        let absolute = text.starts_with('/') && parts.next() == Some("");
        let plain = parts.all(|part| !part.is_empty() && part != "." && part != "..");
        let sound = absolute && plain && text.len() <= LONGEST && text.bytes().all(allowed);
        if sound { Ok(Self(text.to_owned())) } else { Err(ProgramPathError(text.to_owned())) }
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a systemd service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// Why a text is no service's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a service's name: write one as in nvidia-persistenced.service")]
pub struct UnitNameError(pub String);

impl UnitName {
    /// Checks and wraps a name. Only services: nothing else holds a card.
    ///
    /// # Errors
    /// [`UnitNameError`].
    pub fn parse(text: &str) -> Result<Self, UnitNameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:".contains(&b);
        let name = text.strip_suffix(".service").unwrap_or_default();
        let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let sound = starts && text.len() <= LONGEST && name.bytes().all(allowed);
        if sound { Ok(Self(text.to_owned())) } else { Err(UnitNameError(text.to_owned())) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! as_text {
    ($name:ident, $error:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
as_text!(ProgramPath, ProgramPathError);
as_text!(UnitName, UnitNameError);

/// What preparing a card takes beside the kernel's files, by the driver that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DriverRule {
    /// The driver.
    pub name: DriverName,
    /// The vendor's tool that makes and removes virtual functions: `TOOL -e|-d ADDRESS`. A driver with one has typed
    /// virtual functions, which are never plain ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf_tool: Option<ProgramPath>,
    /// The vendor's command for modes of the card, with the arguments of NVIDIA's `nvidia-smi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<ProgramPath>,
    /// Services that may be stopped while the card is prepared, and are started again afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<UnitName>,
}

/// The rules of all drivers: those built in, and the admin's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct DriverRules(Vec<DriverRule>);

impl DriverRules {
    /// The built-in rules with the admin's in place of those for the same drivers.
    #[must_use]
    pub fn with(own: Vec<DriverRule>) -> Self {
        let mut rules = Self::default();
        for rule in own {
            rules.0.retain(|known| known.name != rule.name);
            rules.0.push(rule);
        }
        rules
    }

    /// The rule of a driver.
    pub fn of(&self, driver: &DriverName) -> Option<&DriverRule> {
        self.0.iter().find(|rule| rule.name == *driver)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &DriverRule> {
        self.0.iter()
    }

    /// The tool that makes a driver's virtual functions, where it wants one.
    pub fn vf_tool(&self, driver: Option<&DriverName>) -> Option<&ProgramPath> {
        self.of(driver?)?.vf_tool.as_ref()
    }
}

impl Default for DriverRules {
    /// NVIDIA's, where its packages put it.
    fn default() -> Self {
        let path = |text: &str| ProgramPath::parse(text).ok();
        let services = ["nvidia-persistenced.service", "nvidia-dcgm.service"];
        let nvidia = DriverName::parse("nvidia").ok().map(|name| DriverRule {
            name,
            vf_tool: path("/usr/lib/nvidia/sriov-manage"),
            command: path("/usr/bin/nvidia-smi"),
            services: services.iter().filter_map(|unit| UnitName::parse(unit).ok()).collect(),
        });
        Self(nvidia.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_units_that_could_be_misread_are_refused() {
        for text in ["", "/", "bin/x", "/a/../b", "/a//b", "/a b", "/a;b", "/a/", "/ä", &"/x".repeat(101)] {
            assert!(ProgramPath::parse(text).is_err(), "{text:?}");
        }
        for text in ["/usr/lib/nvidia/sriov-manage", "/lab/e2e/nvidia-smi"] {
            assert!(ProgramPath::parse(text).is_ok(), "{text:?}");
        }
        for text in
            ["", ".service", "x", "-x.service", "x.target", "../x.service", "a b.service", "x@y.service"]
        {
            assert!(UnitName::parse(text).is_err(), "{text:?}");
        }
        assert!(UnitName::parse("nvidia-persistenced.service").is_ok());
    }

    #[test]
    fn an_admins_rule_takes_the_place_of_the_built_in_one() {
        let nvidia = DriverName::parse("nvidia").unwrap();
        let built_in = DriverRules::default();
        assert!(built_in.vf_tool(Some(&nvidia)).is_some());
        assert_eq!(built_in.of(&nvidia).unwrap().services.len(), 2);
        let own = DriverRule { name: nvidia.clone(), vf_tool: None, command: None, services: Vec::new() };
        let rules = DriverRules::with(vec![own]);
        assert_eq!((rules.vf_tool(Some(&nvidia)), rules.iter().count()), (None, 1));
        assert_eq!(rules.vf_tool(None), None);
    }
}
