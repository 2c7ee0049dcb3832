//! Releases of NVIDIA's vGPU software: the manager for the host and the drivers for guests that came out together.
//!
//! Sources stand above the rows: NVIDIA's "Driver Versions" (docs.nvidia.com/vgpu) where it could be read; where it could not,
//! the names of the bundles as their users write them down. What could not be confirmed is left out, and is judged by its
//! branch.

use serde::Serialize;

use super::{Branch, DriverVersion};

/// One release, e.g. 17.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// 17 of 17.6.
    pub major: u8,
    /// 6 of 17.6.
    pub minor: u8,
    /// The manager for Linux with KVM.
    pub manager: &'static str,
    /// The driver for Linux guests.
    pub linux: Option<&'static str>,
    /// The driver for Windows guests.
    pub windows: Option<&'static str>,
}

/// A part of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The host's manager.
    Manager,
    /// The Linux guest's driver.
    Linux,
    /// The Windows guest's driver.
    Windows,
}

const fn row(major: u8, minor: u8, [manager, linux, windows]: [&'static str; 3]) -> Release {
    Release { major, minor, manager, linux: Some(linux), windows: Some(windows) }
}

/// The releases that are known here, newest first. A new one is a new line.
pub const RELEASES: &[Release] = &[
    // The names of the bundles, NVIDIA-GRID-Linux-KVM-MANAGER-LINUX-WINDOWS.zip, as users list them.
    row(20, 1, ["595.71.03", "595.71.05", "596.36"]),
    row(20, 0, ["595.58.02", "595.58.03", "595.97"]),
    // The names of the bundles.
    row(19, 5, ["580.159.01", "580.159.03", "582.53"]),
    row(19, 4, ["580.126.08", "580.126.09", "582.16"]),
    row(19, 3, ["580.105.06", "580.105.08", "581.80"]),
    row(19, 2, ["580.95.02", "580.95.05", "581.42"]),
    // NVIDIA virtual GPU software documentation, "Driver Versions".
    row(19, 1, ["580.82.02", "580.82.07", "581.15"]),
    row(19, 0, ["580.65.05", "580.65.06", "580.88"]),
    // The managers in lists of users; their guests were seen in none that could be believed.
    Release { major: 18, minor: 6, manager: "570.211.01", linux: None, windows: None },
    Release { major: 18, minor: 5, manager: "570.195.02", linux: None, windows: None },
    // NVIDIA virtual GPU software documentation, "Driver Versions"; its Windows drivers.
    row(18, 4, ["570.172.07", "570.172.08", "573.48"]),
    row(18, 3, ["570.158.02", "570.158.01", "573.39"]),
    row(18, 2, ["570.148.06", "570.148.08", "573.07"]),
    row(18, 1, ["570.133.10", "570.133.20", "572.83"]),
    row(18, 0, ["570.124.03", "570.124.06", "572.60"]),
    row(17, 6, ["550.163.02", "550.163.01", "553.74"]),
    row(17, 5, ["550.144.02", "550.144.03", "553.62"]),
    row(17, 4, ["550.127.06", "550.127.05", "553.24"]),
    row(17, 3, ["550.90.05", "550.90.07", "552.74"]),
    row(17, 2, ["550.90.05", "550.90.07", "552.55"]),
    row(17, 1, ["550.54.16", "550.54.15", "551.78"]),
    row(17, 0, ["550.54.10", "550.54.14", "551.61"]),
    // 16.14: the bundle's name, and NVIDIA AI Enterprise 4.10. The others: managers in lists of users.
    row(16, 14, ["535.309.01", "535.309.01", "539.72"]),
    Release { major: 16, minor: 13, manager: "535.288.01", linux: Some("535.288.01"), windows: None },
    Release { major: 16, minor: 12, manager: "535.274.03", linux: None, windows: None },
    // NVIDIA virtual GPU software documentation, "Driver Versions".
    row(16, 11, ["535.261.04", "535.261.03", "539.41"]),
    row(16, 10, ["535.247.02", "535.247.01", "539.28"]),
    row(16, 9, ["535.230.02", "535.230.02", "539.19"]),
    row(16, 8, ["535.216.01", "535.216.01", "538.95"]),
    row(16, 7, ["535.183.04", "535.183.06", "538.78"]),
    row(16, 6, ["535.183.04", "535.183.01", "538.67"]),
    row(16, 5, ["535.161.05", "535.161.08", "538.46"]),
    row(16, 4, ["535.161.05", "535.161.07", "538.33"]),
    row(16, 3, ["535.154.02", "535.154.05", "538.15"]),
    row(16, 2, ["535.129.03", "535.129.03", "537.70"]),
    row(16, 1, ["535.104.06", "535.104.05", "537.13"]),
    row(16, 0, ["535.54.06", "535.54.03", "536.25"]),
    row(15, 4, ["525.147.01", "525.147.05", "529.19"]),
    row(15, 3, ["525.125.03", "525.125.06", "529.11"]),
    row(15, 2, ["525.105.14", "525.105.17", "528.89"]),
    row(15, 1, ["525.85.07", "525.85.05", "528.24"]),
    row(15, 0, ["525.60.12", "525.60.13", "527.41"]),
    row(14, 4, ["510.108.03", "510.108.03", "514.08"]),
    row(14, 3, ["510.108.03", "510.108.03", "513.91"]),
    row(14, 2, ["510.85.03", "510.85.02", "513.46"]),
    row(14, 1, ["510.73.06", "510.73.08", "512.78"]),
    row(14, 0, ["510.47.03", "510.47.03", "511.65"]),
    row(13, 12, ["470.256.02", "470.256.02", "475.14"]),
    row(13, 11, ["470.256.02", "470.256.02", "475.06"]),
    row(13, 10, ["470.239.01", "470.239.06", "474.82"]),
    row(13, 9, ["470.223.02", "470.223.02", "474.64"]),
    row(13, 8, ["470.199.03", "470.199.02", "474.44"]),
    row(13, 7, ["470.182.02", "470.182.03", "474.30"]),
    row(13, 6, ["470.161.02", "470.161.03", "474.14"]),
    row(13, 5, ["470.161.02", "470.161.03", "474.04"]),
    row(13, 4, ["470.141.05", "470.141.03", "473.81"]),
    row(13, 3, ["470.129.04", "470.129.06", "473.47"]),
    row(13, 2, ["470.103.02", "470.103.01", "472.98"]),
    row(13, 1, ["470.82", "470.82.01", "472.39"]),
    row(13, 0, ["470.63", "470.63.01", "471.68"]),
];

impl Release {
    /// `17.6`
    pub fn name(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// The version of a part, where it is known.
    pub fn part(&self, part: Part) -> Option<&'static str> {
        match part {
            Part::Manager => Some(self.manager),
            Part::Linux => self.linux,
            Part::Windows => self.windows,
        }
    }

    /// The releases in which a part has this version: several may share one.
    pub fn with(part: Part, version: &DriverVersion) -> Vec<&'static Self> {
        RELEASES.iter().filter(|release| release.part(part) == Some(version.as_str())).collect()
    }

    /// Every part that has this version, in any release.
    pub fn parts(version: &DriverVersion) -> Vec<Part> {
        let all = [Part::Manager, Part::Linux, Part::Windows];
        all.into_iter().filter(|part| !Self::with(*part, version).is_empty()).collect()
    }

    /// The newest release of a branch that is known here.
    pub fn newest_of(branch: &Branch) -> Option<&'static Self> {
        RELEASES.iter().find(|release| branch.vgpu == Some(release.major))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_version_of_its_branch_and_newest_come_first() {
        for release in RELEASES {
            let branch = Branch::of_vgpu(release.major).unwrap();
            for part in [Part::Manager, Part::Linux, Part::Windows] {
                let Some(text) = release.part(part) else { continue };
                let version = DriverVersion::parse(text).unwrap();
                let found = Branch::of(&version, part == Part::Windows);
                assert_eq!(found, Some(branch), "{} {part:?} {text}", release.name());
            }
        }
        let order: Vec<(u8, u8)> = RELEASES.iter().map(|release| (release.major, release.minor)).collect();
        assert!(order.windows(2).all(|pair| matches!(pair, [a, b] if a > b)), "{order:?}");
    }

    #[test]
    fn a_version_is_found_with_the_parts_that_it_is() {
        let find = |text: &str| Release::parts(&DriverVersion::parse(text).unwrap());
        assert_eq!(find("550.163.02"), [Part::Manager]);
        assert_eq!(find("535.230.02"), [Part::Manager, Part::Linux]);
        assert_eq!(find("553.74"), [Part::Windows]);
        assert_eq!(find("550.163.99"), []);
        let shared = DriverVersion::parse("550.90.05").unwrap();
        let names: Vec<String> = Release::with(Part::Manager, &shared).iter().map(|r| r.name()).collect();
        assert_eq!(names, ["17.3", "17.2"]);
    }
}
