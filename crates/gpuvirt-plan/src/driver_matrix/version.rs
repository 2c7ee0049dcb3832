//! NVIDIA's driver versions: `550.163.02` on Linux, `553.74` on Windows.

use std::fmt;

use serde::{Serialize, Serializer};

/// A version as it is written: `535.54.03` has zeros that count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DriverVersion {
    text: String,
    major: u16,
    parts: usize,
}

/// Longest text of one part: NVIDIA's have three digits at most.
const PART: usize = 3;

impl DriverVersion {
    /// Reads a version of two or three numbers, the first of three digits.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let digits =
            |part: &&str| (1..=PART).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let first = parts.first().filter(|first| first.len() == PART)?;
        let sound = (2..=3).contains(&parts.len()) && parts.iter().all(digits);
        let major = first.parse().ok().filter(|_| sound)?;
        Some(Self { text: text.to_owned(), major, parts: parts.len() })
    }

    /// The first version in a text of other things, such as a file's name.
    pub fn find(text: &str) -> Option<Self> {
        let mut words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        words.find_map(|word| Self::parse(word.trim_matches('.')))
    }

    /// The first number, which on Linux is the branch.
    pub fn major(&self) -> u16 {
        self.major
    }

    /// Whether Windows drivers alone are numbered so: two numbers, from the time when Linux had three.
    pub fn is_windows(&self) -> bool {
        // The last Linux version of two numbers is 470.82, of vGPU software 13.1.
        self.parts == 2 && self.major >= 471
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for DriverVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for DriverVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_two_or_three_numbers() {
        for (text, major, windows) in [
            ("550.163.02", 550, false),
            ("535.54.03", 535, false),
            ("553.74", 553, true),
            ("470.82", 470, false),
            ("418.240", 418, false),
        ] {
            let version = DriverVersion::parse(text).unwrap();
            assert_eq!((version.major(), version.is_windows(), version.as_str()), (major, windows, text));
        }
        for text in
            ["", "550", "5.5.5", "55.163", "550.163.02.1", "550.1630", "550..1", "v550.1", "550.x", "²50.1"]
        {
            assert_eq!(DriverVersion::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_version_is_found_in_a_name() {
        for (text, want) in [
            ("NVIDIA-Linux-x86_64-550.54.16-vgpu-kvm.run", Some("550.54.16")),
            ("nvidia-vgpu-ubuntu-550_550.163.02_amd64.deb", Some("550.163.02")),
            ("NVIDIA-vGPU-rhel-8.9-550.163.02.x86_64.rpm", Some("550.163.02")),
            ("538.33_grid_win10_win11.exe", Some("538.33")),
            ("NVIDIA-Linux-x86_64.run", None),
        ] {
            assert_eq!(DriverVersion::find(text).as_ref().map(DriverVersion::as_str), want, "{text}");
        }
    }
}
