//! Whether a vGPU manager and a guest's driver work together.
//!
//! Source: NVIDIA virtual GPU software release notes, "Compatibility Requirements for the NVIDIA vGPU Manager and Guest VM
//! Driver": the same major release; a manager with guests of the branch before; a manager of a long-term branch with guests of
//! the long-term branch before. With any other guest the vGPU fails to load.

use serde::Serialize;

use super::{Branch, DriverVersion};

/// How the two stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Together {
    /// Of one major release.
    SameRelease,
    /// The guest's is of the branch before.
    GuestOneOlder,
    /// Both are long-term branches, the guest's the one before.
    PreviousLts,
    /// The guest's is newer than the manager.
    GuestNewer,
    /// The guest's is too old for the manager.
    GuestTooOld,
    /// The table does not have one of them.
    Unknown,
}

impl Together {
    /// A manager with a guest's driver.
    pub fn of(manager: &DriverVersion, guest: &DriverVersion, windows: bool) -> Self {
        match (Branch::of(manager, false), Branch::of(guest, windows)) {
            (Some(manager), Some(guest)) if manager.vgpu.is_some() && guest.vgpu.is_some() => {
                Self::of_branches(manager, guest)
            }
            _ => Self::Unknown,
        }
    }

    /// Two branches with vGPU software.
    pub fn of_branches(manager: &Branch, guest: &Branch) -> Self {
        if manager.number == guest.number {
            Self::SameRelease
        } else if guest.number > manager.number {
            Self::GuestNewer
        } else if manager.previous().is_some_and(|before| before.number == guest.number) {
            Self::GuestOneOlder
        } else if manager.previous_lts().is_some_and(|before| before.number == guest.number) {
            Self::PreviousLts
        } else {
            Self::GuestTooOld
        }
    }

    /// Whether the vGPU loads; none: it can't be told.
    pub fn works(self) -> Option<bool> {
        match self {
            Self::SameRelease | Self::GuestOneOlder | Self::PreviousLts => Some(true),
            Self::GuestNewer | Self::GuestTooOld => Some(false),
            Self::Unknown => None,
        }
    }
}

/// The branches whose guests a manager of this branch takes, newest first.
pub fn guests_of(manager: &Branch) -> Vec<&'static Branch> {
    let works = |guest: &&Branch| Together::of_branches(manager, guest).works() == Some(true);
    let all = super::branch::BRANCHES.iter().rev();
    all.filter(|branch| branch.vgpu.is_some()).filter(works).collect()
}

/// The branches whose managers take guests of this branch, newest first.
pub fn managers_for(guest: &Branch) -> Vec<&'static Branch> {
    let works = |manager: &&Branch| Together::of_branches(manager, guest).works() == Some(true);
    let all = super::branch::BRANCHES.iter().rev();
    all.filter(|branch| branch.vgpu.is_some()).filter(works).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_and_guests_follow_the_rule() {
        for (manager, guest, windows, want) in [
            ("580.65.05", "580.65.06", false, Together::SameRelease),
            ("580.65.05", "582.53", true, Together::SameRelease),
            ("580.65.05", "570.172.08", false, Together::GuestOneOlder),
            ("580.65.05", "535.261.03", false, Together::PreviousLts),
            ("580.65.05", "539.41", true, Together::PreviousLts),
            ("580.65.05", "550.163.01", false, Together::GuestTooOld),
            ("570.172.07", "535.261.03", false, Together::GuestTooOld),
            ("535.261.04", "470.256.02", false, Together::PreviousLts),
            ("535.261.04", "525.147.05", false, Together::GuestOneOlder),
            ("550.163.02", "580.65.06", false, Together::GuestNewer),
            // A version that no row has.
            ("580.200.01", "580.65.06", false, Together::SameRelease),
            // Branches without vGPU software, and none at all.
            ("580.65.05", "575.57.08", false, Together::Unknown),
            ("999.10.10", "580.65.06", false, Together::Unknown),
        ] {
            let version = |text| DriverVersion::parse(text).unwrap();
            assert_eq!(Together::of(&version(manager), &version(guest), windows), want, "{manager} {guest}");
        }
    }

    #[test]
    fn both_directions_say_the_same() {
        let numbers = |branches: Vec<&Branch>| branches.iter().map(|b| b.number).collect::<Vec<_>>();
        assert_eq!(numbers(guests_of(Branch::of_vgpu(19).unwrap())), [580, 570, 535]);
        assert_eq!(numbers(managers_for(Branch::of_vgpu(16).unwrap())), [580, 550, 535]);
        assert_eq!(numbers(managers_for(Branch::of_vgpu(20).unwrap())), [595]);
    }
}
