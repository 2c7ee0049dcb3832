//! How many more vGPUs find a GPU instance: what placement counts on a card in vGPU mode `mig`.
//!
//! Which vGPU profile lives on which profile of GPU instances stands in their names (NVIDIA vGPU software
//! documentation, "vGPU types"): `A100-3-20C` on `3g.20gb`, `A100-1-5CME` on `1g.5gb+me`.

use gpuvirt_model::{Gpu, MigState, Observed, ProfileName};

use crate::placement::mig::InstanceKind;

/// What may stand behind the class letter of a MIG-backed vGPU's name, and behind the name of its GPU instance profile.
const MEDIA: [(&str, &str); 5] =
    [("meall", "+me.all"), ("nome", "-me"), ("me", "+me"), ("gfx", "+gfx"), ("", "")];

/// The GPU instances of a card by profile, with the vGPU profiles of `gpu` that live on them.
pub fn room(gpu: &Gpu, observed: &Observed, state: &MigState) -> Vec<InstanceKind> {
    let mut all: Vec<InstanceKind> = Vec::new();
    for instance in &state.instances {
        let used = crate::checks::mig::vgpus_on(gpu.address, instance.id, observed).next().is_some();
        let free = u32::from(!used);
        match all.iter_mut().find(|kind| kind.name == instance.profile) {
            Some(kind) => kind.free = kind.free.saturating_add(free),
            None => {
                let lives = |name: &&ProfileName| instance_profile(name).as_ref() == Some(&instance.profile);
                let names = gpu.profiles.iter().map(|profile| &profile.name);
                let vgpu_profiles = names.filter(lives).cloned().collect();
                all.push(InstanceKind { name: instance.profile.clone(), vgpu_profiles, free });
            }
        }
    }
    all
}

/// The profile of GPU instances that a vGPU profile lives on; none for one that shares the whole card by time.
pub fn instance_profile(vgpu: &ProfileName) -> Option<String> {
    let name = vgpu.0.to_ascii_lowercase();
    let (rest, last) = name.rsplit_once('-')?;
    let slices = rest.rsplit_once('-')?.1;
    let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let size: String = last.chars().take_while(char::is_ascii_digit).collect();
    let class = last.strip_prefix(size.as_str())?;
    let media = class.strip_prefix(['a', 'b', 'c', 'q'])?;
    let (_, suffix) = MEDIA.iter().find(|(known, _)| *known == media)?;
    (digits(slices) && digits(&size)).then(|| format!("{slices}g.{size}gb{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_on_what_a_vgpu_lives() {
        for (vgpu, want) in [
            ("nvidia_a100-3-20c", Some("3g.20gb")),
            ("nvidia_a100-1-5cme", Some("1g.5gb+me")),
            ("lab-1-1qme", Some("1g.1gb+me")),
            ("nvidia_rtx_pro_6000_blackwell_dc-1-24qgfx", Some("1g.24gb+gfx")),
            ("grid_a30-4-24c", Some("4g.24gb")),
            ("nvidia_a40-24c", None),
            ("i915-GVTg_V5_4", None),
            ("nvidia_a100-3-20x", None),
            ("nvidia_a100-3-20cfoo", None),
            ("a-1-", None),
            ("--c", None),
            ("", None),
        ] {
            assert_eq!(instance_profile(&ProfileName(vgpu.to_owned())).as_deref(), want, "{vgpu}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_makes_it_panic(name in "(\\PC|[-0-9acq]){0,40}") {
            let _ = instance_profile(&ProfileName(name));
        }
    }
}
