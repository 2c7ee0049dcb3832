//! Proxmox: guests' `hostpci` lines, with the devices of the cluster's mappings on this node.

use gpuvirt_model::import::{HostPci, MappedDevice, Origin};

use super::Reader;
use crate::parse::proxmox::{self, Line, MapEntry};
use crate::paths;

type Mappings = std::collections::BTreeMap<String, Vec<MapEntry>>;

impl Reader<'_> {
    pub(super) fn proxmox(&mut self) {
        let guests = self.names(paths::PROXMOX_GUESTS);
        if guests.is_empty() {
            return;
        }
        let mappings = self.text(paths::PROXMOX_MAPPINGS);
        let mappings = mappings.map(|text| proxmox::mappings(&text)).unwrap_or_default();
        let node = self.node();
        for file in guests {
            let Some(number) = file.strip_suffix(".conf") else { continue };
            let path = format!("{}/{file}", paths::PROXMOX_GUESTS);
            let Some(text) = self.text(&path) else { continue };
            let guest = proxmox::guest(&text);
            for (line, device) in guest.devices {
                let origin = Origin::line(&path, line);
                match device.and_then(|device| devices(device, &mappings, node.as_deref())) {
                    Err(why) => self.odd(&origin.to_string(), &why),
                    Ok((devices, mdev)) => {
                        let guest = guest.name.clone().unwrap_or_else(|| number.to_owned());
                        self.found.hostpci.push(HostPci { guest, devices, mdev, origin });
                    }
                }
            }
        }
    }

    /// This node's name in the cluster: the host's, without its domain. A backup has no /proc.
    fn node(&mut self) -> Option<String> {
        let name = self.text(paths::HOSTNAME).or_else(|| self.text(paths::ETC_HOSTNAME))?;
        name.trim().split('.').next().filter(|name| !name.is_empty()).map(str::to_owned)
    }
}

/// The devices of a line, those of its mapping on this node with it, and the type of its mediated device.
fn devices(
    line: Line,
    mappings: &Mappings,
    node: Option<&str>,
) -> Result<(Vec<MappedDevice>, Option<String>), String> {
    let mut devices: Vec<MappedDevice> = line.devices.into_iter().map(MappedDevice::from).collect();
    if let Some(name) = &line.mapping {
        let file = paths::PROXMOX_MAPPINGS;
        let entries = mappings.get(name).ok_or_else(|| format!("no mapping {name:?} in {file}"))?;
        let here = entries.iter().filter(|entry| entry.node.is_none() || entry.node.as_deref() == node);
        let here: Vec<&MapEntry> = here.collect();
        match node {
            _ if !here.is_empty() => {}
            None => {
                return Err(format!("mapping {name:?} is by node, and which one this is, is not known"));
            }
            Some(node) => {
                return Err(format!("mapping {name:?} in {file} has no entry for this node, {node}"));
            }
        }
        devices.extend(here.iter().flat_map(|entry| &entry.devices));
    }
    Ok((devices, line.mdev))
}
