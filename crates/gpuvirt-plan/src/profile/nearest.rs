//! The profile that was meant.

use std::collections::BTreeMap;

use gpuvirt_model::{Profile, ProfileName};

/// Most names that are of help.
const MOST: usize = 3;
/// Names farther away than this part of their length are other names.
const WITHIN: usize = 3;

/// The names nearest to one that nothing has: the driver's own number or spelling of it, names that contain it or
/// begin alike, and slips of the pen. The nearest first, at most three.
pub fn nearest<'a>(wanted: &ProfileName, offered: impl Iterator<Item = &'a Profile>) -> Vec<&'a ProfileName> {
    let wanted = plain(&wanted.0);
    let mut near: BTreeMap<&ProfileName, usize> = BTreeMap::new();
    for profile in offered {
        let name = plain(&profile.name.0);
        let same = profile.type_id == wanted || plain(&profile.title) == wanted || name == wanted;
        let distance = strsim::osa_distance(&wanted, &name);
        let part = wanted.len() >= WITHIN && name.contains(&wanted);
        let distance = if same {
            0
        } else if part {
            1
        } else {
            distance
        };
        if same || part || distance <= name.chars().count() / WITHIN {
            let least = near.entry(&profile.name).or_insert(distance);
            *least = distance.min(*least);
        }
    }
    let mut near: Vec<(&ProfileName, usize)> = near.into_iter().collect();
    near.sort_by_key(|(_, distance)| *distance);
    // One that fits exactly leaves no doubt.
    let exact = near.iter().take_while(|(_, distance)| *distance == 0).count();
    let shown = if exact == 0 { MOST } else { exact.min(MOST) };
    near.into_iter().take(shown).map(|(name, _)| name).collect()
}

/// The spelling of profiles' names; an absurdly long one is cut, since comparing costs its length times the other's.
fn plain(name: &str) -> String {
    let cut: String = name.trim().chars().take(256).collect();
    cut.split_whitespace().collect::<Vec<_>>().join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{Framework, PciAddress};

    use super::*;

    fn profile(name: &str, type_id: &str) -> Profile {
        Profile {
            name: ProfileName(name.to_owned()),
            parent: PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 },
            framework: Framework::Mdev,
            type_id: type_id.to_owned(),
            title: name.to_uppercase().replace('_', " "),
            device_api: String::new(),
            available: 1,
            max: None,
            framebuffer_mib: None,
            class: None,
            sharing: None,
            heads: None,
            max_resolution: None,
            blocked: None,
        }
    }

    #[test]
    fn slips_numbers_and_titles_lead_to_the_name() {
        let offered = [
            profile("nvidia_a40-24q", "nvidia-565"),
            profile("nvidia_a40-24c", "nvidia-586"),
            profile("nvidia_a40-2q", "nvidia-558"),
            profile("nvidia_a40-48c", "nvidia-587"),
            profile("i915-GVTg_V5_4", "i915-GVTg_V5_4"),
        ];
        for (wanted, want) in [
            ("nvidia_a40-24Q", &["nvidia_a40-24q"][..]),
            ("NVIDIA A40-24C", &["nvidia_a40-24c"]),
            ("nvidia-558", &["nvidia_a40-2q"]),
            ("nvidia_a40_48c", &["nvidia_a40-48c", "nvidia_a40-24c", "nvidia_a40-24q"]),
            ("a40-48c", &["nvidia_a40-48c"]),
            ("i915-gvtg_v5_2", &["i915-GVTg_V5_4"]),
            ("windows", &[]),
            ("", &[]),
        ] {
            let wanted = ProfileName(wanted.to_owned());
            let found: Vec<&str> = nearest(&wanted, offered.iter()).iter().map(|n| n.0.as_str()).collect();
            assert_eq!(found, want, "{wanted}");
        }
        let long = ProfileName("x".repeat(1 << 20));
        assert!(nearest(&long, offered.iter()).is_empty());
    }
}
