//! NVIDIA's driver branches, and the vGPU software that comes from each.
//!
//! Sources: NVIDIA virtual GPU software documentation, "Release Branches" and "Branch Types" (docs.nvidia.com/vgpu), for
//! those with vGPU software; NVIDIA data center drivers documentation, "Release branches" (docs.nvidia.com/datacenter/tesla)
//! for the others. Support dates are those that were published when this table was last edited; nothing is decided by them.

use serde::Serialize;

use super::DriverVersion;

/// How long a branch is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchKind {
    /// Long-term support: three years.
    Lts,
    /// Production: one year.
    Production,
    /// New features, short-lived; no vGPU software comes from these.
    NewFeature,
}

/// A branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// Its number, as in R550: the first number of its Linux versions. Those of its Windows versions run from it up to
    /// below the next branch's.
    pub number: u16,
    /// How long it is supported.
    pub kind: BranchKind,
    /// The major release of vGPU software that is made from it.
    pub vgpu: Option<u8>,
    /// Until when it is supported, where that was published.
    pub until: Option<&'static str>,
}

const fn vgpu(number: u16, kind: BranchKind, release: u8, until: Option<&'static str>) -> Branch {
    Branch { number, kind, vgpu: Some(release), until }
}

const fn plain(number: u16, kind: BranchKind) -> Branch {
    Branch { number, kind, vgpu: None, until: None }
}

/// All branches that are known here, oldest first. A new one is a new line.
pub const BRANCHES: &[Branch] = &[
    vgpu(470, BranchKind::Lts, 13, Some("August 2024")),
    plain(495, BranchKind::NewFeature),
    vgpu(510, BranchKind::Production, 14, Some("February 2023")),
    plain(515, BranchKind::Production),
    plain(520, BranchKind::NewFeature),
    vgpu(525, BranchKind::Production, 15, Some("December 2023")),
    plain(530, BranchKind::NewFeature),
    vgpu(535, BranchKind::Lts, 16, Some("July 2026")),
    plain(545, BranchKind::NewFeature),
    vgpu(550, BranchKind::Production, 17, Some("June 2025")),
    plain(555, BranchKind::NewFeature),
    plain(560, BranchKind::NewFeature),
    plain(565, BranchKind::NewFeature),
    vgpu(570, BranchKind::Production, 18, Some("March 2026")),
    plain(575, BranchKind::NewFeature),
    vgpu(580, BranchKind::Lts, 19, Some("July 2028")),
    plain(590, BranchKind::NewFeature),
    vgpu(595, BranchKind::Production, 20, None),
];

/// Windows versions of a branch are numbered at most so far above it.
const WINDOWS_SPAN: u16 = 9;

impl Branch {
    /// The branch of a version: exactly its first number on Linux, the nearest below it on Windows.
    pub fn of(version: &DriverVersion, windows: bool) -> Option<&'static Self> {
        let major = version.major();
        if windows {
            let below = BRANCHES.iter().rev().find(|branch| branch.number <= major);
            return below.filter(|branch| major - branch.number <= WINDOWS_SPAN);
        }
        BRANCHES.iter().find(|branch| branch.number == major)
    }

    /// The branch of a major release of vGPU software.
    pub fn of_vgpu(release: u8) -> Option<&'static Self> {
        BRANCHES.iter().find(|branch| branch.vgpu == Some(release))
    }

    /// The branch with vGPU software before this one.
    pub fn previous(&self) -> Option<&'static Self> {
        BRANCHES.iter().rev().find(|branch| branch.number < self.number && branch.vgpu.is_some())
    }

    /// The branch with vGPU software after this one.
    pub fn next(&self) -> Option<&'static Self> {
        BRANCHES.iter().find(|branch| branch.number > self.number && branch.vgpu.is_some())
    }

    /// The long-term branch before this one, which is one itself.
    pub fn previous_lts(&self) -> Option<&'static Self> {
        let long = |branch: &&Self| branch.number < self.number && branch.kind == BranchKind::Lts;
        BRANCHES.iter().rev().find(long).filter(|_| self.kind == BranchKind::Lts)
    }

    /// The long-term branch after this one, which is one itself.
    pub fn next_lts(&self) -> Option<&'static Self> {
        let long = |branch: &&Self| branch.number > self.number && branch.kind == BranchKind::Lts;
        BRANCHES.iter().find(long).filter(|_| self.kind == BranchKind::Lts)
    }

    /// The kind in words.
    pub fn kind_text(&self) -> &'static str {
        match self.kind {
            BranchKind::Lts => "long-term support",
            BranchKind::Production => "production",
            BranchKind::NewFeature => "new feature",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_in_order_and_releases_rise_with_them() {
        let numbers: Vec<u16> = BRANCHES.iter().map(|branch| branch.number).collect();
        assert!(numbers.windows(2).all(|pair| matches!(pair, [a, b] if a < b)), "{numbers:?}");
        let releases: Vec<u8> = BRANCHES.iter().filter_map(|branch| branch.vgpu).collect();
        assert!(releases.windows(2).all(|pair| matches!(pair, [a, b] if a + 1 == *b)), "{releases:?}");
        let short_lived = |branch: &&Branch| branch.kind == BranchKind::NewFeature;
        assert!(BRANCHES.iter().filter(short_lived).all(|branch| branch.vgpu.is_none()));
    }

    #[test]
    fn a_version_has_a_branch() {
        for (text, windows, want) in [
            ("550.163.02", false, Some(550)),
            ("535.54.03", false, Some(535)),
            ("553.74", true, Some(550)),
            ("539.72", true, Some(535)),
            ("582.53", true, Some(580)),
            ("475.14", true, Some(470)),
            ("514.08", true, Some(510)),
            ("529.19", true, Some(525)),
            ("596.36", true, Some(595)),
            ("577.00", true, Some(575)),
            ("551.00.1", false, None),
            ("610.62", true, None),
            ("999.01.02", false, None),
        ] {
            let version = DriverVersion::parse(text).unwrap();
            assert_eq!(Branch::of(&version, windows).map(|branch| branch.number), want, "{text}");
        }
    }

    #[test]
    fn neighbours_are_those_with_vgpu_software() {
        let number = |branch: Option<&Branch>| branch.map(|branch| branch.number);
        let r580 = Branch::of_vgpu(19).unwrap();
        assert_eq!(number(r580.previous()), Some(570));
        assert_eq!(number(r580.next()), Some(595));
        assert_eq!(number(r580.previous_lts()), Some(535));
        let r550 = Branch::of_vgpu(17).unwrap();
        assert_eq!((number(r550.previous()), number(r550.previous_lts())), (Some(535), None));
        assert_eq!(number(Branch::of_vgpu(13).unwrap().previous()), None);
        assert_eq!(number(Branch::of_vgpu(13).unwrap().next_lts()), Some(535));
        assert_eq!(number(Branch::of_vgpu(20).unwrap().next()), None);
    }
}
