//! Who may depend on whom, as data with the reason. A package without a rule fails: a new crate says where it stands.

use anyhow::Result;

use crate::tally::Tally;
use crate::tree::{Package, Tree};

/// One package's place: which packages of the workspace it may use.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
    why: &'static str,
}

/// A package from outside that only some may use.
struct Fence {
    outside: &'static [&'static str],
    only: &'static [&'static str],
    why: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer { name: "gpuvirt-model", may_use: &[], why: "the nouns know nobody" },
    Layer {
        name: "gpuvirt-plan",
        may_use: &["gpuvirt-model"],
        why: "decisions are pure functions of the nouns",
    },
    Layer { name: "gpuvirt-domain", may_use: &["gpuvirt-model"], why: "XML in, XML out, without libvirt" },
    Layer {
        name: "gpuvirt-host",
        may_use: &["gpuvirt-model", "gpuvirt-plan"],
        why: "it reads nouns and performs steps, and decides nothing",
    },
    Layer {
        name: "gpuvirt-recording",
        may_use: &["gpuvirt-host", "gpuvirt-model"],
        why: "it implements the host's seam over a file",
    },
    Layer {
        name: "gpuvirt-fakekernel",
        may_use: &["gpuvirt-host", "gpuvirt-model", "gpuvirt-recording"],
        why: "it implements the host's seam in memory, starting from recordings",
    },
    Layer {
        name: "gpuvirt-libvirt",
        may_use: &["gpuvirt-domain", "gpuvirt-model"],
        why: "it fetches and defines documents, and decides nothing",
    },
    Layer {
        name: "gpuvirt-nvml",
        may_use: &["gpuvirt-model"],
        why: "it reads one thing through a library, and decides nothing",
    },
    Layer {
        name: "gpuvirt-state",
        may_use: &["gpuvirt-model", "gpuvirt-plan"],
        why: "it keeps desired, records and plans in files, and knows no kernel and no libvirt",
    },
    Layer {
        name: "gpuvirt-engine",
        may_use: &["gpuvirt-domain", "gpuvirt-model", "gpuvirt-plan"],
        why: "it reaches the outside through its own traits alone",
    },
    Layer {
        name: "gpuvirt-api",
        may_use: &["gpuvirt-model", "gpuvirt-plan"],
        why: "the wire shows nouns and plans; whoever speaks it needs no engine",
    },
    Layer {
        name: "gpuvirt",
        may_use: &[
            "gpuvirt-api",
            "gpuvirt-domain",
            "gpuvirt-host",
            "gpuvirt-model",
            "gpuvirt-plan",
            "gpuvirt-recording",
            // Reads the public state file where no daemon answers, to show what is configured.
            "gpuvirt-state",
        ],
        why: "the command reads and renders; changes are the daemon's, and it must start without libvirt.so",
    },
    Layer {
        name: "gpuvirtd",
        may_use: &[
            "gpuvirt-api",
            "gpuvirt-domain",
            "gpuvirt-engine",
            "gpuvirt-fakekernel",
            "gpuvirt-host",
            "gpuvirt-libvirt",
            "gpuvirt-model",
            "gpuvirt-nvml",
            "gpuvirt-plan",
            "gpuvirt-recording",
            "gpuvirt-state",
        ],
        why: "the daemon wires everything together",
    },
    Layer {
        name: "gpuvirt-conformance",
        may_use: &[
            "gpuvirt-fakekernel",
            "gpuvirt-host",
            "gpuvirt-model",
            "gpuvirt-plan",
            "gpuvirt-recording",
        ],
        why: "it holds the fake kernel to the real one, through the host's seam",
    },
    Layer {
        name: "gpuvirt-documents",
        may_use: &["gpuvirt", "gpuvirt-model"],
        why: "it holds what documents say against the command's grammar and the names of refusals",
    },
    Layer {
        name: "gpuvirt-e2e",
        may_use: &["gpuvirt-api", "gpuvirt-documents", "gpuvirt-model"],
        why: "it drives the built binaries from outside, as an admin does",
    },
    Layer {
        name: "gpuvirt-bench",
        may_use: &["gpuvirt-host", "gpuvirt-model", "gpuvirt-plan", "gpuvirt-recording"],
        why: "it measures the built binaries against bare reads, and placement by itself",
    },
    Layer { name: "xtask", may_use: &[], why: "chores start programs, they link none of them" },
];

/// What tests may use besides: the fake kernel and what it stands on, never libvirt.
const TESTS_MAY_USE: &[&str] =
    &["gpuvirt-fakekernel", "gpuvirt-host", "gpuvirt-model", "gpuvirt-plan", "gpuvirt-recording"];

const FENCES: &[Fence] = &[
    Fence { outside: &["virt", "virt-sys"], only: &["gpuvirt-libvirt"], why: "one crate links libvirt" },
    Fence {
        outside: &["tokio", "axum", "hyper", "hyper-util", "tower", "listenfd", "sd-notify"],
        only: &["gpuvirtd"],
        why: "only the daemon serves",
    },
    Fence {
        outside: &["vfio-ioctls", "vfio-bindings"],
        only: &["gpuvirt-host"],
        why: "only the host crate opens VFIO devices",
    },
    Fence {
        outside: &["nvml-wrapper", "nvml-wrapper-sys"],
        only: &["gpuvirt-nvml"],
        why: "one crate opens NVIDIA's management library",
    },
    Fence { outside: &["roxmltree"], only: &["gpuvirt-domain"], why: "domain XML is read in one place" },
    Fence { outside: &["tar"], only: &["gpuvirt-recording"], why: "archives are read in one place" },
    Fence {
        outside: &["clap", "comfy-table", "anyhow"],
        only: &["gpuvirt", "gpuvirtd", "gpuvirt-conformance", "gpuvirt-e2e", "gpuvirt-bench", "xtask"],
        why: "arguments, tables and untyped errors belong to binaries",
    },
    Fence {
        outside: &["nix", "libc"],
        only: &[
            "gpuvirt",
            "gpuvirtd",
            // The client's deadline on connecting.
            "gpuvirt-api",
            "gpuvirt-conformance",
            "gpuvirt-e2e",
            "gpuvirt-bench",
            "gpuvirt-fakekernel",
            "gpuvirt-host",
            "gpuvirt-libvirt",
            "gpuvirt-recording",
            "gpuvirt-state",
        ],
        why: "system calls happen at the edge",
    },
];

/// Checks every package of the workspace.
pub fn check(tree: &Tree) -> Result<Tally> {
    Ok(Tally::of_findings(findings(&tree.packages()?)))
}

fn findings(packages: &[Package]) -> Vec<String> {
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut found = Vec::new();
    for package in packages {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == package.name) else {
            found.push(format!("layers: {} has no rule in crates/xtask/src/layers.rs", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let allowed = layer.may_use.contains(&name) || (dependency.dev && TESTS_MAY_USE.contains(&name));
            if ours(name) && !allowed {
                found.push(format!("layers: {} must not use {name}: {}", package.name, layer.why));
            }
            let fence = FENCES.iter().find(|f| f.outside.contains(&name) && !f.only.contains(&layer.name));
            if let Some(fence) = fence.filter(|_| !dependency.dev) {
                found.push(format!("layers: {} must not use {name}: {}", package.name, fence.why));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Dependency;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, dev)| Dependency { name: (*name).to_owned(), dev: *dev })
            .collect();
        Package { name: name.to_owned(), dependencies }
    }

    #[test]
    fn an_edge_outwards_is_found() {
        let packages = [package("gpuvirt-model", &[("gpuvirt-plan", false)]), package("gpuvirt-plan", &[])];
        assert_eq!(
            findings(&packages),
            ["layers: gpuvirt-model must not use gpuvirt-plan: the nouns know nobody"]
        );
    }

    #[test]
    fn tests_may_use_the_fake_kernel_and_never_libvirt() {
        let edges = [("gpuvirt-fakekernel", true), ("gpuvirt-libvirt", true)];
        let packages = [
            package("gpuvirt-engine", &edges),
            package("gpuvirt-fakekernel", &[]),
            package("gpuvirt-libvirt", &[("virt", false)]),
        ];
        let found = findings(&packages);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("gpuvirt-engine must not use gpuvirt-libvirt"), "{found:?}");
    }

    #[test]
    fn outside_packages_stay_behind_their_fence() {
        let found = findings(&[package("gpuvirt", &[("virt", false), ("tokio", false), ("clap", false)])]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_new_package_needs_a_rule() {
        let found = findings(&[package("gpuvirt-new", &[])]);
        assert!(found[0].contains("has no rule"), "{found:?}");
    }

    #[test]
    fn the_rules_have_no_circle() {
        for layer in LAYERS {
            let mut reached: Vec<&str> = layer.may_use.to_vec();
            let mut next = 0;
            while let Some(name) = reached.get(next).copied() {
                next += 1;
                let below = LAYERS.iter().find(|l| l.name == name).map_or(&[][..], |l| l.may_use);
                for more in below {
                    if !reached.contains(more) {
                        reached.push(more);
                    }
                }
            }
            assert!(!reached.contains(&layer.name), "{} reaches itself", layer.name);
        }
    }
}
