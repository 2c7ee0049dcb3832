//! `/boot/config-RELEASE` and the like: what a kernel was built with. `/proc/config.gz` is the same, compressed.

use std::collections::BTreeMap;

use miniz_oxide::inflate;

/// A distribution's list of options has some 300 KiB.
pub const LONGEST: usize = 2 << 20;

/// The text of such a file; none where it is compressed and broken.
pub fn text(bytes: &[u8]) -> Option<String> {
    match bytes {
        // RFC 1952: two bytes that say so, 8 for deflate, no flags (the kernel's own build makes it by `gzip -n`), and behind the
        // rest of ten bytes what is compressed.
        [0x1f, 0x8b, 8, 0, _, _, _, _, _, _, packed @ ..] => {
            let plain = inflate::decompress_to_vec_with_limit(packed, LONGEST).ok()?;
            Some(String::from_utf8_lossy(&plain).into_owned())
        }
        [0x1f, 0x8b, ..] => None,
        plain => Some(String::from_utf8_lossy(plain).into_owned()),
    }
}

/// The value of each of `wanted` that is set; `# CONFIG_X is not set` is none.
pub fn options(text: &str, wanted: &[&str]) -> BTreeMap<String, String> {
    let set = text.lines().filter_map(|line| line.split_once('='));
    set.filter(|(name, _)| wanted.contains(name))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_one_is_the_same() {
        use std::io::Write;
        let want = "CONFIG_VFIO=m\n".repeat(500);
        let mut gzip = std::process::Command::new("gzip")
            .arg("-n9")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        gzip.stdin.take().unwrap().write_all(want.as_bytes()).unwrap();
        let packed = gzip.wait_with_output().unwrap().stdout;
        assert!(packed.len() < 200);
        assert_eq!(text(&packed).as_deref(), Some(want.as_str()));
        assert_eq!(text(want.as_bytes()).as_deref(), Some(want.as_str()), "as a recording has it");
        assert_eq!(text(&packed[..packed.len() / 2]), None);
        let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; LONGEST + 1], 9);
        assert_eq!(text(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], bomb.as_slice()].concat()), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = text(&bytes);
            let _ = text(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn only_what_is_set_and_wanted_is_there() {
        let text = "CONFIG_VFIO=m\n# CONFIG_IOMMUFD is not set\nCONFIG_X=y\nCONFIG_VFIO_PCI=y\n";
        let found = options(text, &["CONFIG_VFIO", "CONFIG_IOMMUFD", "CONFIG_VFIO_PCI"]);
        let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(found, [("CONFIG_VFIO", "m"), ("CONFIG_VFIO_PCI", "y")]);
    }
}
