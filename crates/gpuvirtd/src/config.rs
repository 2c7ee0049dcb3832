//! How the daemon runs: `/etc/gpuvirt/gpuvirtd.toml`.
//!
//! What GPUs are to be is not here: that is the desired document, changed with the command.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpuvirt_model::{ClassCode, DriverName, DriverRule, DriverRules};
use serde::{Deserialize, Deserializer};

/// Where the configuration is, unless the command line names another file.
pub const DEFAULT_PATH: &str = "/etc/gpuvirt/gpuvirtd.toml";
/// Longest wait for a write that can block, unless configured: a driver that lets go of a busy card takes tens of seconds.
pub const DEFAULT_WRITE_DEADLINE: Duration = Duration::from_secs(60);
/// The longest that can be configured or asked for.
pub const MAX_WRITE_DEADLINE: Duration = Duration::from_secs(3600);
/// The largest configuration file.
const LIMIT: u64 = 1 << 20;

/// How the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The socket.
    pub socket: PathBuf,
    /// The group whose members may change things; none: root alone.
    pub write_group: Option<String>,
    /// Whether polkit is asked about users who are neither root nor in that group.
    pub polkit: bool,
    /// The group whose members may ask, besides those who may change things; none: every local user.
    pub read_group: Option<String>,
    /// libvirt's connection URI.
    pub libvirt_uri: String,
    /// Longest wait for a write that can block, in seconds.
    pub write_deadline_seconds: u64,
    /// What counts as a GPU.
    pub gpu: GpuRules,
    /// What drivers want of whoever prepares their cards, in the place of the built-in rules for the same drivers.
    pub driver: Vec<DriverRule>,
    /// How GPU instances are read.
    pub gpu_instances: GpuInstances,
}

/// How GPU instances are read. They are made and removed by the vendor's command, however they are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpuInstances {
    /// Through NVIDIA's library where this daemon was built with it and it is there, else through the command.
    #[default]
    Auto,
    /// Through the vendor's command.
    Command,
    /// Through NVIDIA's library.
    Nvml,
}

/// What counts as a GPU besides display controllers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GpuRules {
    /// More classes or cards.
    pub extra: Vec<ExtraGpu>,
}

/// A class of devices, or one kind of card, to treat as GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ExtraGpu {
    /// Cards of this vendor and device id.
    Card(Card),
    /// Functions of this class and subclass.
    Class(Class),
}

/// A kind of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Vendor id, four hexadecimal digits.
    #[serde(deserialize_with = "hex_id")]
    pub vendor: u16,
    /// Device id, four hexadecimal digits.
    #[serde(deserialize_with = "hex_id")]
    pub device: u16,
}

/// A class of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Base class and subclass, four hexadecimal digits, e.g. `1200` for processing accelerators.
    #[serde(deserialize_with = "hex_id")]
    pub class: u16,
}

/// Why the configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what we know.
    #[error("{} is wrong", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and how, with the line.
        #[source]
        source: toml::de::Error,
    },
    /// A value is out of its range.
    #[error("{}: {what}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Which value, and its range.
        what: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/gpuvirt/gpuvirt.sock"),
            write_group: None,
            polkit: true,
            read_group: None,
            libvirt_uri: "qemu:///system".to_owned(),
            write_deadline_seconds: DEFAULT_WRITE_DEADLINE.as_secs(),
            gpu: GpuRules::default(),
            gpu_instances: GpuInstances::default(),
            driver: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the named file, which must be there, or the default one, which need not.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        match read(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads the text of a configuration; `path` is for the error.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`], [`ConfigError::Value`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|source| ConfigError::Wrong { path: path.to_owned(), source })?;
        let max = MAX_WRITE_DEADLINE.as_secs();
        let wrong = |what: String| Err(ConfigError::Value { path: path.to_owned(), what });
        if !(1..=max).contains(&config.write_deadline_seconds) {
            return wrong(format!("write_deadline_seconds must be from 1 to {max}"));
        }
        if !config.socket.is_absolute() {
            return wrong("socket must be an absolute path".to_owned());
        }
        if let Some(name) = config.twice() {
            return wrong(format!("there are two [[driver]] entries for {name}"));
        }
        Ok(config)
    }

    /// What drivers want of whoever prepares their cards.
    pub fn driver_rules(&self) -> DriverRules {
        DriverRules::with(self.driver.clone())
    }

    /// A driver with two rules.
    fn twice(&self) -> Option<&DriverName> {
        let names = || self.driver.iter().map(|rule| &rule.name);
        names()
            .enumerate()
            .find(|(index, name)| names().take(*index).any(|other| other == *name))
            .map(|(_, n)| n)
    }

    /// Longest wait for a write that can block.
    pub fn write_deadline(&self) -> Duration {
        Duration::from_secs(self.write_deadline_seconds)
    }
}

impl Class {
    /// The class as the kernel shows it, with the programming interface zero.
    pub fn code(self) -> ClassCode {
        ClassCode(u32::from(self.class) << 8)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let amount = File::open(path)?.take(LIMIT + 1).read_to_string(&mut text)?;
    if amount as u64 > LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {LIMIT} bytes")));
    }
    Ok(text)
}

fn hex_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.trim_start_matches("0x");
    let sound = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let id = sound.then(|| u16::from_str_radix(digits, 16).ok()).flatten();
    id.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not four hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("gpuvirtd.toml"), text)
    }

    #[test]
    fn the_sample_says_the_defaults_and_every_key_of_it_is_known() {
        let sample = include_str!("../etc/gpuvirtd.toml");
        assert_eq!(parse(sample).unwrap(), Config::default());
        let mut switched_on = String::new();
        for line in sample.lines() {
            switched_on
                .push_str(line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line));
            switched_on.push('\n');
        }
        let config = parse(&switched_on).unwrap();
        assert_eq!(config.write_group.as_deref(), Some("gpuvirt"));
        assert_eq!(config.read_group.as_deref(), Some("libvirt"));
        let card = ExtraGpu::Card(Card { vendor: 0x1234, device: 0x11e8 });
        assert_eq!(config.gpu.extra, [card, ExtraGpu::Class(Class { class: 0x1200 })]);
        assert_eq!(config.driver_rules(), DriverRules::default(), "the example is the built-in rule");
        assert_eq!(Class { class: 0x1200 }.code().to_string(), "120000");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, want) in [
            ("\nwrite_grop = \"x\"", "line 2"),
            ("socket = 3", "line 1"),
            ("socket = \"run/x\"", "absolute"),
            ("write_deadline_seconds = 0", "from 1 to 3600"),
            ("write_deadline_seconds = 99999", "from 1 to 3600"),
            ("write_deadline_seconds = -1", "line 1"),
            ("[gpu]\nextras = []", "line 2"),
            ("[[gpu.extra]]\nvendor = \"12345\"\ndevice = \"0001\"", "line 1"),
            ("[[gpu.extra]]\nvendor = \"1234\"", "line 1"),
            ("[[gpu.extra]]\nclass = \"1200\"\nvendor = \"1234\"", "line 1"),
            ("[[gpu.extra", "line 1"),
            ("[[driver]]\nvf_tool = \"/x\"", "line 1"),
            ("[[driver]]\nname = \"x\"\nvf_tool = \"x\"", "absolute path"),
            ("[[driver]]\nname = \"x\"\nservices = [\"x\"]", "service's name"),
            ("[[driver]]\nname = \"x\"\nshell = \"x\"", "unknown field"),
            ("[[driver]]\nname = \"x\"\n[[driver]]\nname = \"x\"", "two [[driver]]"),
        ] {
            let error = parse(text).unwrap_err();
            let text = gpuvirt_model::chain(&error);
            assert!(text.contains(want), "{text}");
        }
    }

    #[test]
    fn only_the_default_file_may_be_absent() {
        assert!(matches!(Config::load(Some(Path::new("/nonexistent/x"))), Err(ConfigError::Read { .. })));
    }
}
