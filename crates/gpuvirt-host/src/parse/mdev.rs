//! Mediated device types: what a driver says about them in `description`.

use gpuvirt_model::Sharing;

use super::pci;

/// What a type's description tells; each driver tells something else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Frame buffer in MiB.
    pub framebuffer_mib: Option<u64>,
    /// Virtual display heads.
    pub heads: Option<u32>,
    /// Largest resolution.
    pub max_resolution: Option<String>,
    /// How many fit on the empty card.
    pub max_instances: Option<u32>,
    /// How its vGPUs share the card, where the form tells: GVT-g gives each a weight in turns on the engines.
    pub sharing: Option<Sharing>,
    /// Values of known names that make no sense, as they stand.
    pub odd: Vec<String>,
}

/// Reads NVIDIA's line (`num_heads=4, frl_config=60, framebuffer=1024M, ...`) and GVT-g's five lines
/// (`low_gm_size: 128MB`, ...). Free text, as the kernel's samples have it, tells nothing.
pub fn description(text: &str) -> Description {
    let mut found = Description::default();
    for item in text.split([',', '\n']) {
        let Some((key, value)) = item.split_once(['=', ':']) else { continue };
        let (key, value) = (key.trim(), value.trim());
        let understood = match key {
            "num_heads" => set(&mut found.heads, pci::count(value)),
            // GVT-g: the part of graphics memory that the guest can map is what counts as its frame buffer.
            "framebuffer" | "low_gm_size" => set(&mut found.framebuffer_mib, mebibytes(value)),
            "max_resolution" | "resolution" => set(&mut found.max_resolution, resolution(value)),
            "max_instance" => set(&mut found.max_instances, pci::count(value)),
            "weight" => set(&mut found.sharing, pci::count::<u32>(value).map(|_| Sharing::TimeSliced)),
            _ => true,
        };
        if !understood {
            found.odd.push(item.trim().to_owned());
        }
    }
    found
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

/// `1024M` or `128MB`.
fn mebibytes(value: &str) -> Option<u64> {
    pci::count(value.strip_suffix("MB").or_else(|| value.strip_suffix('M'))?)
}

/// `5120x2880`.
fn resolution(value: &str) -> Option<String> {
    let (width, height) = value.split_once('x')?;
    let digits = |s: &str| (1..=6).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    (digits(width) && digits(height)).then(|| value.to_owned())
}

/// The name to ask for a type by: its title in lower case with `_` for spaces.
///
/// Since 6.1 the kernel fills `name` with the type's own short name where the driver gives none; such a name is
/// the end of the folder's and says nothing more, so the folder's name stands for both.
pub fn profile_name(type_id: &str, title: Option<&str>) -> String {
    let title = title.map(str::trim).unwrap_or_default();
    let from_folder = type_id.split_once('-').is_some_and(|(_, short)| short == title);
    if title.is_empty() || from_folder {
        return type_id.to_owned();
    }
    title.split_whitespace().collect::<Vec<_>>().join("_").to_lowercase()
}

/// A type's folder: it becomes a path component.
pub fn is_type_id(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_describes_in_its_own_way() {
        let of = |framebuffer_mib, heads, resolution: Option<&str>, max_instances| Description {
            framebuffer_mib,
            heads,
            max_resolution: resolution.map(str::to_owned),
            max_instances,
            ..Description::default()
        };
        for (text, want) in [
            (
                "num_heads=4, frl_config=60, framebuffer=1024M, max_resolution=5120x2880, max_instance=16\n",
                of(Some(1024), Some(4), Some("5120x2880"), Some(16)),
            ),
            (
                "low_gm_size: 128MB\nhigh_gm_size: 512MB\nfence: 4\nresolution: 1920x1200\nweight: 4\n",
                Description {
                    sharing: Some(Sharing::TimeSliced),
                    ..of(Some(128), None, Some("1920x1200"), None)
                },
            ),
            ("virtual PCI serial port with 2 ports\n", of(None, None, None, None)),
            (
                "num_heads=-1, framebuffer=99999999999999999999M, max_resolution=axb, max_instance=\n",
                Description {
                    odd: [
                        "num_heads=-1",
                        "framebuffer=99999999999999999999M",
                        "max_resolution=axb",
                        "max_instance=",
                    ]
                    .map(str::to_owned)
                    .to_vec(),
                    ..Description::default()
                },
            ),
            (
                "max_instance=0\u{0}, framebuffer=\u{ff}M",
                Description {
                    odd: vec!["max_instance=0\u{0}".to_owned(), "framebuffer=\u{ff}M".to_owned()],
                    ..Description::default()
                },
            ),
            ("=,:,==\n", of(None, None, None, None)),
        ] {
            assert_eq!(description(text), want, "{text:?}");
        }
    }

    #[test]
    fn profiles_are_named_for_people() {
        for (type_id, title, want) in [
            ("nvidia-558", Some("NVIDIA A40-24C\n"), "nvidia_a40-24c"),
            ("nvidia-231", Some("GRID T4-2Q\n"), "grid_t4-2q"),
            ("i915-GVTg_V5_4", None, "i915-GVTg_V5_4"),
            ("i915-GVTg_V5_4", Some("GVTg_V5_4\n"), "i915-GVTg_V5_4"),
            ("mtty-1", Some("Single port serial\n"), "single_port_serial"),
            ("x-1", Some("  \n"), "x-1"),
        ] {
            assert_eq!(profile_name(type_id, title), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = (description(&text), profile_name(&text, Some(&text)), is_type_id(&text));
        }
    }
}
