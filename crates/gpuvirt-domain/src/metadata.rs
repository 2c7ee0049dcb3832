//! The requests' way into a document: the element that `request` reads, beside everybody else's in `<metadata>`.

use gpuvirt_model::{CardIds, Request, Requests, Wanted};
use uuid::Uuid;

use crate::element::Element;
use crate::request::{NAMESPACE, element};
use crate::{XmlError, node, read, splice};

/// The document with these requests instead of those that it has; without our element where there are none.
///
/// # Errors
/// [`XmlError`] for a document that is no domain.
pub fn set_requests(xml: &str, requests: &Requests) -> Result<String, XmlError> {
    let document = node::parse(xml)?;
    let root = document.root_element();
    read::read_document(&document)?;
    let missing = || XmlError::Missing { element: "name" };
    let without = match element(&root) {
        None => xml.to_owned(),
        Some(element) => splice::cut_metadata(xml, &root, &element).ok_or_else(missing)?,
    };
    let nothing = requests.list.is_empty() && requests.guest_driver.is_none();
    let (Some(domain), false) = (requests.domain, nothing) else { return Ok(without) };
    let document = node::parse(&without)?;
    let written = written(domain, requests);
    splice::insert_metadata(&without, &document.root_element(), written).ok_or_else(missing)
}

fn written(domain: Uuid, requests: &Requests) -> Element {
    let list = Element::new("gpuvirt:requests")
        .attribute("xmlns:gpuvirt", NAMESPACE)
        .attribute("domain", domain.hyphenated().to_string());
    let list = match &requests.guest_driver {
        Some(driver) => list.attribute("guest-driver", driver.as_str()),
        None => list,
    };
    requests.list.iter().map(one).fold(list, Element::child)
}

fn one(request: &Request) -> Element {
    let named = |name| {
        let element = Element::new(name).attribute("id", request.id.to_string());
        let element = match request.key {
            Some(key) => element.attribute("key", key.hyphenated().to_string()),
            None => element,
        };
        match request.alias.as_str() {
            "" => element,
            alias => element.attribute("alias", alias),
        }
    };
    match &request.wanted {
        Wanted::Profile { profile, params } => {
            let element = named("gpuvirt:profile").attribute("name", profile.0.as_str());
            if params.is_empty() { element } else { element.attribute("params", params.to_string()) }
        }
        Wanted::Gpu { gpu, identity } => {
            let ids = CardIds {
                vendor: identity.vendor,
                device: identity.device,
                subsystem: Some((identity.subsystem_vendor, identity.subsystem_device)),
            };
            named("gpuvirt:gpu")
                .attribute("address", gpu.to_string())
                .attribute("identity", ids.to_string())
                .attribute("class", identity.class.to_string())
        }
        Wanted::Match { kind } => {
            let element = named("gpuvirt:match").attribute("ids", kind.ids.to_string());
            match &kind.label {
                Some(label) => element.attribute("label", label.as_str()),
                None => element,
            }
        }
        Wanted::Vgpu { vgpu } => named("gpuvirt:vgpu").attribute("vgpu", vgpu.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gpuvirt_model::{CardMatch, ClassCode, Hostdev, PciAddress, PciIdentity, ProfileName, VgpuId};

    const PLAIN: &str = "<domain type='kvm'>\n  <name>vm</name>\n  <uuid>00000000-0000-0000-0000-000000000001</uuid>\n  \
                         <devices>\n    <hostdev mode='subsystem' type='mdev'>\n      <source>\n        <address \
                         uuid='00000000-0000-0000-0000-000000000007'/>\n      </source>\n      <alias \
                         name='ua-gpuvirt-7'/>\n    </hostdev>\n  </devices>\n</domain>\n";

    fn all() -> Requests {
        let identity = PciIdentity {
            vendor: 0x10de,
            device: 0x2235,
            subsystem_vendor: 0x10de,
            subsystem_device: 0x145a,
            class: ClassCode(0x03_0200),
        };
        let gpu = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 };
        let kind = CardMatch { ids: "10de:2235".parse().unwrap(), label: Some("a<'&\">b".to_owned()) };
        let wanted = [
            Wanted::Profile {
                profile: ProfileName("nvidia_a40-24c".to_owned()),
                params: "a=1, b=2".parse().unwrap(),
            },
            Wanted::Gpu { gpu, identity },
            Wanted::Match { kind },
            Wanted::Vgpu { vgpu: VgpuId::Vf(gpu) },
        ];
        let list = wanted.into_iter().zip(1..).map(|(wanted, id)| Request {
            id,
            alias: if id == 1 { "ua-gpuvirt-7".to_owned() } else { format!("ua-{id}") },
            wanted,
            assigned: (id == 1).then(|| Hostdev::Mdev { uuid: Uuid::from_u128(7) }),
            key: (id == 3).then(|| Uuid::from_u128(9)),
        });
        Requests { domain: Some(Uuid::from_u128(1)), list: list.collect(), ..Requests::default() }
    }

    #[test]
    fn requests_read_back_and_leave_the_same_bytes_when_they_go() {
        let noted = PLAIN.replace(
            "  <devices>",
            "  <metadata>\n\t<site:note xmlns:site=\"u\" owner='x'>do <b/> not</site:note>\n  </metadata>\n  <devices>",
        );
        let flat = PLAIN.replace('\n', "").replace("  ", "");
        for xml in [PLAIN, &noted, &flat] {
            let with = set_requests(xml, &all()).unwrap();
            assert_eq!(crate::read(&with).unwrap().requests, all(), "{with}");
            assert_eq!(set_requests(&with, &all()).unwrap(), with);
            assert_eq!(set_requests(&with, &Requests::default()).unwrap(), xml);
        }
    }

    #[test]
    fn a_stated_driver_is_kept_beside_requests_and_alone() {
        let driver = Some("NVIDIA-Linux-x86_64-550.127.05-grid.run <'&\">".to_owned());
        for requests in [all(), Requests { domain: Some(Uuid::from_u128(1)), ..Requests::default() }] {
            let stated = Requests { guest_driver: driver.clone(), ..requests.clone() };
            let with = set_requests(PLAIN, &stated).unwrap();
            assert_eq!(crate::read(&with).unwrap().requests.guest_driver, driver, "{with}");
            assert_eq!(crate::read(&with).unwrap().requests.list.len(), stated.list.len());
            // Forgotten, the document is what it would be without.
            assert_eq!(set_requests(&with, &requests).unwrap(), set_requests(PLAIN, &requests).unwrap());
        }
        let long = "x".repeat(121);
        for (text, want) in
            [("", None), ("  ", None), ("a&#10;b", None), (long.as_str(), None), (" 550.1 ", Some("550.1"))]
        {
            let metadata = format!(
                "<metadata><g:requests xmlns:g='{NAMESPACE}' guest-driver='{text}'/></metadata><devices>"
            );
            let found = crate::read(&PLAIN.replace("<devices>", &metadata)).unwrap().requests;
            assert_eq!(found.guest_driver.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn an_empty_metadata_is_used() {
        for empty in ["<metadata/>", "<metadata></metadata>", "<metadata>\n  </metadata>"] {
            let xml = PLAIN.replace("<devices>", &format!("{empty}\n  <devices>"));
            let with = set_requests(&xml, &all()).unwrap();
            assert_eq!(with.matches("<metadata").count(), 1, "{with}");
            assert_eq!(crate::read(&with).unwrap().requests, all(), "{with}");
        }
    }

    #[test]
    fn an_adopted_device_is_found_by_what_its_request_names() {
        let vgpu = VgpuId::Mdev(Uuid::from_u128(7));
        let adopted = |id| Request {
            id,
            alias: String::new(),
            wanted: Wanted::Vgpu { vgpu },
            assigned: Some(Hostdev::Mdev { uuid: Uuid::from_u128(7) }),
            key: None,
        };
        let requests =
            Requests { domain: Some(Uuid::from_u128(1)), list: vec![adopted(1)], ..Requests::default() };
        // A hostdev that somebody wrote by hand, and that stays as it is.
        let by_hand = PLAIN.replace("      <alias name='ua-gpuvirt-7'/>\n", "");
        let with = set_requests(&by_hand, &requests).unwrap();
        assert!(with.contains("<gpuvirt:vgpu id='1' vgpu="), "{with}");
        assert_eq!(crate::read(&with).unwrap().requests, requests);
        assert_eq!(set_requests(&with, &Requests::default()).unwrap(), by_hand);
        let gone = with.replace("type='mdev'", "type='usb'");
        assert_eq!(crate::read(&gone).unwrap().requests.list[0].assigned, None);
    }

    #[test]
    fn what_makes_no_sense_is_counted() {
        let xml = PLAIN.replace(
            "<devices>",
            "<metadata><g:requests xmlns:g='urn:gpuvirt:requests:1' domain='x'><g:profile id='1'/><g:gpu id='2' \
             alias='a' address='zz' identity='' class=''/><other/><g:match id='3' alias='b' ids='10de:2235' \
             label=''/></g:requests></metadata><devices>",
        );
        let found = crate::read(&xml).unwrap().requests;
        assert_eq!((found.domain, found.list.len(), found.unreadable), (None, 1, 3));
        assert!(found.of_another(Uuid::from_u128(1)));
    }
}
