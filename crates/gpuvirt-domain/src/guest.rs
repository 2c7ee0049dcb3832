//! What of a guest VFIO minds: read leniently, since a document that libvirt takes must never be refused for it.

use gpuvirt_model::{Guest, HugePages, Viommu};
use roxmltree::Node;

use crate::node::{child, devices, is, text};

/// Reads it; what makes no sense is as if it were not there.
pub(crate) fn guest(root: &Node<'_, '_>) -> Guest {
    let limit = child(root, "memtune").and_then(|tune| child(&tune, "hard_limit"));
    Guest {
        memory_kib: child(root, "memory").and_then(|memory| kib(&memory)),
        hard_limit_kib: limit.and_then(|limit| kib(&limit)),
        huge_pages: child(root, "memoryBacking").and_then(|backing| huge_pages(&backing)),
        numa_node: child(root, "numatune").and_then(|tune| numa_node(&tune)),
        viommu: devices(root).find(|device| is(device, "iommu")).map(|device| viommu(&device)),
    }
}

/// One node that memory is bound to, or preferred from; several are none to be near to.
fn numa_node(tune: &Node<'_, '_>) -> Option<u32> {
    let nodes = child(tune, "memory")?.attribute("nodeset")?.trim();
    nodes.bytes().all(|byte| byte.is_ascii_digit()).then(|| nodes.parse().ok()).flatten()
}

fn viommu(device: &Node<'_, '_>) -> Viommu {
    let driver = child(device, "driver");
    let on = |name| driver.and_then(|driver| driver.attribute(name)) == Some("on");
    let model = device.attribute("model").unwrap_or_default().to_owned();
    Viommu { model, caching_mode: on("caching_mode") }
}

fn huge_pages(backing: &Node<'_, '_>) -> Option<HugePages> {
    let huge = child(backing, "hugepages")?;
    let mut pages = huge.children().filter(|node| is(node, "page"));
    Some(match (pages.next(), pages.next()) {
        (None, _) => HugePages::HostDefault,
        (Some(page), None) if !page.has_attribute("nodeset") => {
            let size = page.attribute("size").and_then(|size| size.trim().parse().ok());
            let size = size.and_then(|size| scaled(size, page.attribute("unit")));
            size.map_or(HugePages::Several, HugePages::Kib)
        }
        (Some(_), _) => HugePages::Several,
    })
}

/// An amount of memory, `KiB` where no unit is written.
pub(crate) fn kib(node: &Node<'_, '_>) -> Option<u64> {
    scaled(text(node).trim().parse().ok()?, node.attribute("unit"))
}

/// libvirt's units: `k` and `KiB` are 1024 bytes, `KB` is 1000, whatever their case.
fn scaled(amount: u64, unit: Option<&str>) -> Option<u64> {
    let unit = unit.unwrap_or("KiB").trim().to_ascii_lowercase();
    let (prefix, base) = match unit.as_str() {
        "b" | "byte" | "bytes" => return Some(amount / 1024),
        unit => match (unit.strip_suffix("ib"), unit.strip_suffix('b')) {
            (Some(prefix), _) => (prefix, 1024_u64),
            (None, Some(prefix)) => (prefix, 1000),
            (None, None) => (unit, 1024),
        },
    };
    let power = match prefix {
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return None,
    };
    // In 128 bits: libvirt's "unlimited" times a unit would overflow 64.
    let bytes = u128::from(amount).checked_mul(u128::from(base).checked_pow(power)?)?;
    u64::try_from(bytes / 1024).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    fn of(inside: &str) -> Guest {
        read(&format!("<domain><name>vm</name>{inside}</domain>")).unwrap().guest
    }

    #[test]
    fn memory_is_in_kib_whatever_its_unit() {
        for (text, want) in [
            ("<memory>4194304</memory>", Some(4 << 20)),
            ("<memory unit='KiB'> 1024\n</memory>", Some(1024)),
            ("<memory unit='GiB'>4</memory>", Some(4 << 20)),
            ("<memory unit='G'>4</memory>", Some(4 << 20)),
            ("<memory unit='MB'>1024</memory>", Some(1_000_000)),
            ("<memory unit='bytes'>4096</memory>", Some(4)),
            ("<memory unit='EiB'>18446744073709551615</memory>", None),
            ("<memory unit='parsec'>4</memory>", None),
            ("<memory unit=''>4</memory>", None),
            ("<memory>-1</memory>", None),
            ("<memory/>", None),
            ("<currentMemory>4</currentMemory>", None),
            ("<memtune><hard_limit>8</hard_limit></memtune>", None),
        ] {
            assert_eq!(of(text).memory_kib, want, "{text}");
        }
        let limit = "<memtune><hard_limit unit='KiB'>9007199254740991</hard_limit></memtune>";
        assert_eq!(of(limit).hard_limit_kib, Some(9_007_199_254_740_991));
    }

    #[test]
    fn huge_pages_and_a_viommu_are_known() {
        let backing = |inside: &str| of(&format!("<memoryBacking>{inside}</memoryBacking>")).huge_pages;
        assert_eq!(backing("<locked/>"), None);
        assert_eq!(backing("<hugepages/>"), Some(HugePages::HostDefault));
        assert_eq!(
            backing("<hugepages><page size='1' unit='G'/></hugepages>"),
            Some(HugePages::Kib(1 << 20))
        );
        for several in ["<page size='2048' nodeset='0'/>", "<page/>", "<page size='4'/><page size='2048'/>"] {
            let found = backing(&format!("<hugepages>{several}</hugepages>"));
            assert_eq!(found, Some(HugePages::Several), "{several}");
        }
        let near = |nodes: &str| of(&format!("<numatune><memory nodeset='{nodes}'/></numatune>")).numa_node;
        assert_eq!(
            [near("1"), near("0-1"), near("0,2"), near(""), near("99999999999")],
            [Some(1), None, None, None, None]
        );
        let viommu = |xml: &str| of(&format!("<devices>{xml}</devices>")).viommu;
        assert_eq!(viommu("<disk/>"), None);
        let found = viommu("<iommu model='intel'><driver intremap='on' caching_mode='on'/></iommu>");
        assert_eq!(found, Some(Viommu { model: "intel".to_owned(), caching_mode: true }));
        assert!(!viommu("<iommu model='intel'/>").unwrap().caching_mode);
    }
}
