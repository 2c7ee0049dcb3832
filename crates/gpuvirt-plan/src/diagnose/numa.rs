//! Nodes: a card on one, and a guest's memory on another.

use gpuvirt_model::{Finding, FindingCode, Gpu, Machine, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.gpus().flat_map(|gpu| remote(case, gpu)).collect()
}

fn remote(case: &Case<'_>, gpu: &Gpu) -> Vec<Finding> {
    let Some(node) = case.observed.primary_of(gpu).and_then(|function| function.numa_node) else {
        return Vec::new();
    };
    let elsewhere = |guest: &&Machine| {
        guest.memory_nodes.as_deref().is_some_and(|nodes| contains(nodes, node) == Some(false))
    };
    let finding = |guest: &Machine| {
        let nodes = guest.memory_nodes.as_deref().unwrap_or_default();
        Finding::new(
            FindingCode::NumaRemote,
            Severity::Warning,
            Subject::Vm(guest.name.clone()),
            format!("its memory is on node {nodes} and {} is on node {node}: every transfer goes between the processors", gpu.address),
        )
        .seen_at(format!("/sys/bus/pci/devices/{}/numa_node", gpu.address), node)
        .seen_at(format!("definition of {}", guest.name), format!("<numatune><memory nodeset='{nodes}'/>"))
        .remedy(format!("<numatune><memory mode='strict' nodeset='{node}'/></numatune>, and vcpupin to processors of node {node}"))
    };
    case.machines_of(gpu).filter(elsewhere).map(finding).collect()
}

/// Whether a set as libvirt writes it (`0-1,3,^2`) has a node; none where it is not understood.
fn contains(set: &str, node: u32) -> Option<bool> {
    let mut found = false;
    for part in set.split(',') {
        let (part, adds) = part.trim().strip_prefix('^').map_or((part.trim(), true), |part| (part, false));
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high): (u32, u32) = (low.parse().ok()?, high.parse().ok()?);
        if (low..=high).contains(&node) {
            found = adds;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_nodes() {
        for (set, node, want) in [
            ("0", 0, Some(true)),
            ("0-1,3", 3, Some(true)),
            ("0-3,^2", 2, Some(false)),
            ("1", 0, Some(false)),
            ("x", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(contains(set, node), want, "{set}");
        }
    }
}
