//! `/boot/config-RELEASE`: what a kernel was built with.

use std::collections::BTreeMap;

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
    fn only_what_is_set_and_wanted_is_there() {
        let text = "CONFIG_VFIO=m\n# CONFIG_IOMMUFD is not set\nCONFIG_X=y\nCONFIG_VFIO_PCI=y\n";
        let found = options(text, &["CONFIG_VFIO", "CONFIG_IOMMUFD", "CONFIG_VFIO_PCI"]);
        let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(found, [("CONFIG_VFIO", "m"), ("CONFIG_VFIO_PCI", "y")]);
    }
}
