//! NVIDIA's vendor-specific VFIO: virtual functions that stay with the `nvidia` driver and become vGPUs by a type.
//!
//! There is no source of it to read: this does what was measured on real cards. The driver answers EIO to every type
//! that it does not want, the lists of all virtual functions of a card shrink together, and a type goes with its
//! virtual function.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::files::Node;
use crate::inject::On;
use crate::state::{Kernel, SizeRule, Sizes, TypedCard};
use crate::writes::Answer;

/// Files that answer ENXIO until the virtual function has a type.
const UNTIL_SET: [&str; 2] = ["gpu_instance_id", "placement_id"];

/// The test module takes no more.
const LONGEST_PARAMS: usize = 255;

impl Kernel {
    /// Makes the virtual functions of a card take types, those that exist and those to come.
    pub(crate) fn offer_vgpu_types(
        &mut self,
        pf: PciAddress,
        (total_mib, rule): (u64, SizeRule),
        types: &[(u32, &str, u64)],
    ) {
        let types = types.iter().map(|(id, name, mib)| (*id, (*name).to_owned(), *mib)).collect();
        self.typed_cards.retain(|card| card.pf != pf);
        self.typed_cards.push(TypedCard { pf, total_mib, rule, types, set: BTreeMap::new() });
        for vf in self.vfs_of(pf) {
            self.show_vgpu_type(vf);
        }
    }

    /// Takes over the virtual functions of a recording that have types, sizes from the types' names.
    pub(crate) fn import_vgpu_types(&mut self, functions: &[PciAddress]) {
        for pf in functions {
            let mut types: BTreeMap<u32, (String, u64)> = BTreeMap::new();
            let mut set = BTreeMap::new();
            for vf in self.vfs_of(*pf) {
                let list = self.text_of(vf, "nvidia/creatable_vgpu_types").unwrap_or_default();
                types.extend(list.lines().filter_map(listed));
                let current = self.text_of(vf, "nvidia/current_vgpu_type").and_then(|text| text.parse().ok());
                set.extend(current.filter(|id| *id != 0).map(|id: u32| (vf, id)));
            }
            if types.is_empty() {
                continue;
            }
            let total_mib = types.values().map(|(_, mib)| *mib).max().unwrap_or(0);
            let types = types.into_iter().map(|(id, (name, mib))| (id, name, mib)).collect();
            self.typed_cards.push(TypedCard { pf: *pf, total_mib, rule: SizeRule::Same, types, set });
            for vf in self.vfs_of(*pf) {
                self.show_vgpu_type(vf);
            }
        }
    }

    /// The driver's files of a virtual function that it has just taken: `nvidia/`, and VFIO's own.
    pub(crate) fn show_vgpu_type(&mut self, vf: PciAddress) {
        let Some(pf) = self.physfn_of(vf).filter(|pf| self.typed_cards.iter().any(|card| card.pf == *pf))
        else {
            return;
        };
        if self.driver_of(vf).as_deref() != Some("nvidia") {
            return;
        }
        let Some((folder, group)) = self.folder(vf).zip(self.group_of(vf)) else { return };
        self.files.put_text(&format!("{folder}/nvidia/vgpu_params"), "\n");
        self.files.put_text(&format!("{folder}/nvidia/warm_update"), "0\n");
        self.vfio_show(&folder, group);
        self.renew_vgpu_types(pf);
    }

    /// Writes the files of a card's virtual functions anew.
    pub(crate) fn renew_vgpu_types(&mut self, pf: PciAddress) {
        let sizes = self.sizes(pf);
        let mut files: Vec<(String, Node)> = Vec::new();
        if let Some(card) = self.typed_cards.iter().find(|card| card.pf == pf) {
            for vf in self.vfs_of(pf) {
                let Some(folder) = self.file_of(vf, "nvidia").filter(|at| self.files.get(at).is_some())
                else {
                    continue;
                };
                let mut text = "ID    : vGPU Name\n".to_owned();
                for (id, name, _) in
                    card.creatable(vf, sizes).into_iter().filter(|(id, ..)| self.lets_type(pf, *id))
                {
                    let _ = writeln!(text, "{id:<6}: {name}");
                }
                let set = card.set.get(&vf).copied();
                let current = format!("{}\n", set.unwrap_or(0));
                files.push((format!("{folder}/creatable_vgpu_types"), Node::File(text.into_bytes())));
                files.push((format!("{folder}/current_vgpu_type"), Node::File(current.into_bytes())));
                for name in UNTIL_SET {
                    // Reading a node of a device without a number is ENXIO, as reading these is.
                    let lives = self.instance_of(pf, vf).filter(|_| name == "gpu_instance_id").unwrap_or(0);
                    let text = format!("{lives}\n").into_bytes();
                    let node = set.map_or(Node::Device(None), |_| Node::File(text));
                    files.push((format!("{folder}/{name}"), node));
                }
            }
        }
        for (path, node) in files {
            self.files.put(&path, node);
        }
    }

    /// A write to `current_vgpu_type`.
    pub(crate) fn set_vgpu_type(&mut self, vf: PciAddress, data: &[u8]) -> Answer {
        let wanted = decimal(data).ok_or(Errno::EINVAL)?;
        let pf = self.physfn_of(vf).ok_or(Errno::ENODEV)?;
        let after = self.struck(&On::VgpuType { vf })?;
        let (sizes, lets) = (self.sizes(pf), self.lets_type(pf, wanted));
        let held = self.vfio_nodes(vf).iter().any(|node| self.is_open(node));
        let card = self.typed_cards.iter_mut().find(|card| card.pf == pf).ok_or(Errno::ENODEV)?;
        if wanted == 0 {
            if held && card.set.contains_key(&vf) {
                return Err(Errno::EPERM.into());
            }
            card.set.remove(&vf);
            // Parameters go with the type.
            if let Some(path) = self.file_of(vf, "nvidia/vgpu_params") {
                self.files.put_text(&path, "\n");
            }
            self.leave_instance(vf);
        } else if lets && card.creatable(vf, sizes).iter().any(|(id, ..)| *id == wanted) {
            card.set.insert(vf, wanted);
            self.settle_on_instance(pf, vf, wanted);
        } else {
            return Err(Errno::EIO.into());
        }
        self.renew_vgpu_types(pf);
        after
    }

    fn sizes(&self, pf: PciAddress) -> Sizes {
        match self.mixed.get(&pf) {
            _ if self.is_cut(pf) => Sizes::OfInstances,
            Some(true) => Sizes::Mixed,
            _ => Sizes::Ruled,
        }
    }

    /// Whether anything lives on a card.
    pub(crate) fn has_vgpu_types(&self, pf: PciAddress) -> bool {
        self.typed_cards.iter().any(|card| card.pf == pf && !card.set.is_empty())
    }

    /// A write to `vgpu_params` of a mediated device or of a virtual function: text, white space at both ends cut off.
    pub(crate) fn set_vgpu_params(&mut self, at: &str, data: &[u8]) -> Answer {
        let text = std::str::from_utf8(data).ok().filter(|text| text.len() <= LONGEST_PARAMS);
        let text = text.ok_or(Errno::EINVAL)?;
        self.files.put_text(at, format!("{}\n", text.trim()));
        Ok(())
    }

    /// A virtual function goes, and its type with it.
    pub(crate) fn forget_vgpu_type(&mut self, vf: PciAddress) {
        for card in &mut self.typed_cards {
            card.set.remove(&vf);
        }
        self.leave_instance(vf);
    }
}

/// A number as `kstrtouint(..., 10, ...)` reads it.
fn decimal(data: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(data).ok()?;
    text.strip_suffix('\n').unwrap_or(text).parse().ok()
}

/// A line of `creatable_vgpu_types`, with the size in MiB that the name ends on: `NVIDIA L40S-48Q` is 48 GiB.
fn listed(line: &str) -> Option<(u32, (String, u64))> {
    let (id, name) = line.split_once(':')?;
    let size = name.trim().rsplit('-').next()?.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let mib = size.parse::<u64>().ok()?.checked_mul(1024)?;
    Some((id.trim().parse().ok()?, (name.trim().to_owned(), mib)))
}
