//! Device requests in a domain's `<metadata>`, read; `metadata` writes them.
//!
//! ```xml
//! <gpuvirt:requests xmlns:gpuvirt="urn:gpuvirt:requests:1" domain="UUID" guest-driver="550.127.05">
//!   <gpuvirt:profile id="1" alias="ua-gpuvirt-…" name="nvidia_a40-24c" params="a=1"/>
//!   <gpuvirt:gpu id="2" alias="…" address="0000:41:00.0" identity="10de:2235:10de:145a" class="030200"/>
//!   <gpuvirt:match id="3" alias="…" ids="10de:2235" label="compute"/>
//!   <gpuvirt:vgpu id="4" alias="…" vgpu="UUID or address"/>      without alias: adopted, the hostdev is not ours
//! </gpuvirt:requests>
//! ```
//!
//! Each may have a `key`, the UUID of the order that it came with. libvirt keeps one element of each namespace there and hands it back as it got it. It is read leniently: what makes
//! no sense is counted and left out, since a domain whose metadata somebody broke still has its devices.

use gpuvirt_model::{
    CardIds, CardMatch, ClassCode, Hostdev, PciAddress, PciIdentity, ProfileName, Request, Requests,
    VgpuParams, Wanted,
};
use roxmltree::Node;
use uuid::Uuid;

use crate::node;

/// The namespace, with its version.
pub const NAMESPACE: &str = "urn:gpuvirt:requests:1";
/// More than any domain can have devices; a guard.
const MOST: usize = 1024;

/// Reads the requests, each with the device whose hostdev has its alias.
pub(crate) fn requests(root: &Node<'_, '_>) -> Requests {
    let Some(element) = element(root) else { return Requests::default() };
    let domain = uuid(element.attribute("domain"));
    let guest_driver = element.attribute("guest-driver").and_then(stated);
    let mut found = Requests { domain, guest_driver, ..Requests::default() };
    for node in element.children().filter(Node::is_element).take(MOST) {
        match request(&node) {
            Some(request) => found.list.push(Request { assigned: assigned(root, &request), ..request }),
            None => found.unreadable += 1,
        }
    }
    found
}

/// The longest name of a package: people write it, and every listing shows it.
const LONGEST_DRIVER: usize = 120;

/// What an admin stated of the guest's driver: one line of plain characters.
fn stated(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = !text.is_empty() && text.len() <= LONGEST_DRIVER && !text.chars().any(char::is_control);
    plain.then(|| text.to_owned())
}

pub(crate) fn element<'a, 'i>(root: &Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    let ours = |node: &Node<'_, '_>| node.has_tag_name((NAMESPACE, "requests"));
    root.children().filter(|node| node::is(node, "metadata")).flat_map(|list| list.children()).find(ours)
}

fn request(node: &Node<'_, '_>) -> Option<Request> {
    let of_ours = node.tag_name().namespace() == Some(NAMESPACE);
    let text = |name| node.attribute(name).map(str::trim).filter(|value: &&str| !value.is_empty());
    let wanted = match (of_ours, node.tag_name().name()) {
        (true, "profile") => Wanted::Profile {
            profile: ProfileName(text("name")?.to_owned()),
            params: params(node.attribute("params").unwrap_or_default())?,
        },
        (true, "gpu") => Wanted::Gpu {
            gpu: PciAddress::parse(text("address")?).ok()?,
            identity: identity(text("identity")?, text("class")?)?,
        },
        (true, "match") => {
            let label = text("label").map(str::to_owned);
            Wanted::Match { kind: CardMatch { ids: text("ids")?.parse().ok()?, label } }
        }
        (true, "vgpu") => Wanted::Vgpu { vgpu: text("vgpu")?.parse().ok()? },
        _ => return None,
    };
    // A device that was there before it was asked for has no alias of ours: the request says which it is.
    let by_itself = matches!(wanted, Wanted::Gpu { .. } | Wanted::Vgpu { .. });
    let alias = text("alias").map(str::to_owned).or_else(|| by_itself.then(String::new))?;
    Some(Request {
        id: text("id")?.parse().ok()?,
        alias,
        wanted,
        assigned: None,
        key: uuid(node.attribute("key")),
    })
}

fn uuid(text: Option<&str>) -> Option<Uuid> {
    Uuid::try_parse(text?.trim()).ok()
}

fn params(text: &str) -> Option<VgpuParams> {
    text.parse().ok()
}

/// An identity as it is written: four ids, and the class by itself.
fn identity(ids: &str, class: &str) -> Option<PciIdentity> {
    let ids: CardIds = ids.parse().ok()?;
    let (subsystem_vendor, subsystem_device) = ids.subsystem?;
    let sound = class.len() == 6 && class.bytes().all(|b| b.is_ascii_hexdigit());
    let class = ClassCode(sound.then(|| u32::from_str_radix(class, 16).ok()).flatten()?);
    Some(PciIdentity { vendor: ids.vendor, device: ids.device, subsystem_vendor, subsystem_device, class })
}

/// The host device of the hostdev with the request's alias; of an adopted one that which the request names.
fn assigned(root: &Node<'_, '_>, request: &Request) -> Option<Hostdev> {
    let mut devices = node::devices(root);
    if !request.alias.is_empty() {
        let device = devices.find(|device| node::alias(device) == Some(request.alias.as_str()))?;
        return node::hostdev(&device).ok().flatten();
    }
    let named = match &request.wanted {
        Wanted::Gpu { gpu, .. } => Hostdev::Pci { address: *gpu, managed: false },
        Wanted::Vgpu { vgpu } => vgpu.hostdev(),
        Wanted::Profile { .. } | Wanted::Match { .. } => return None,
    };
    devices.filter_map(|device| node::hostdev(&device).ok().flatten()).find(|found| found.same_device(&named))
}
