//! The lab's stand-ins, from the one place where their addresses are written down.

use std::collections::BTreeMap;

/// The lab's devices by role, e.g. `PLAIN_GPU`.
#[derive(Debug)]
pub struct Devices(BTreeMap<String, String>);

impl Devices {
    /// Reads `tests/lab/devices.env`.
    pub fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/devices.env");
        let text = std::fs::read_to_string(path).expect("tests/lab/devices.env can be read");
        let entry = |line: &str| {
            let (key, value) = line.split_once('=')?;
            (!key.starts_with('#')).then(|| (key.to_owned(), value.trim().to_owned()))
        };
        Self(text.lines().filter_map(entry).collect())
    }

    /// All of them as assignments of a shell.
    pub fn as_shell(&self) -> String {
        self.0.iter().map(|(role, address)| format!("{role}={address}\n")).collect()
    }

    /// The address of the device with this role.
    #[track_caller]
    pub fn get(&self, role: &str) -> &str {
        self.0.get(role).unwrap_or_else(|| panic!("tests/lab/devices.env has no {role}"))
    }
}
