//! Documents that nobody should send, and properties of edits over documents that anybody may.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use gpuvirt_domain::{
    Added, Device, GpuForGuest, GpuForGuestError, PciTopology, Removed, XmlError, add, gpu_fragment,
    mdev_fragment, read, remove,
};
use gpuvirt_model::{Hostdev, PciAddress};
use proptest::prelude::*;

fn address(text: &str) -> PciAddress {
    text.parse().unwrap()
}

/// A domain with these devices.
fn domain(devices: &str) -> String {
    format!(
        "<domain><name>x</name><os><type machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
    )
}

fn pci(source: &str) -> String {
    format!("<hostdev mode='subsystem' type='pci'><source><address {source}/></source></hostdev>")
}

#[test]
fn what_is_no_domain_is_refused_with_its_reason() {
    let deep = format!("<domain>{}", "<a>".repeat(100_000));
    let laughs = "<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><domain><name>&b;</name></domain>";
    let outside = "<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/shadow'>]><domain><name>&a;</name></domain>";
    let malformed = |line, column| XmlError::Malformed { line, column };
    let bad = |element: &str, what| XmlError::BadDevice { element: element.to_owned(), what };
    for (xml, want) in [
        (String::new(), malformed(1, 1)),
        ("\0".to_owned(), malformed(1, 1)),
        ("<domain><name>a\0b</name></domain>".to_owned(), malformed(1, 16)),
        ("<domain>".to_owned(), malformed(1, 1)),
        ("<domain><name>&undefined;</name></domain>".to_owned(), malformed(1, 15)),
        (laughs.to_owned(), XmlError::Dtd),
        (outside.to_owned(), XmlError::Dtd),
        (
            format!("<domain>{}</domain>", "<a/>".repeat(200_001)),
            XmlError::Absurd { what: "nodes", limit: 200_000 },
        ),
        (deep, XmlError::Absurd { what: "levels of elements", limit: 200 }),
        ("<network><name>x</name></network>".to_owned(), XmlError::NotADomain),
        ("<domain xmlns='urn:x'><name>x</name></domain>".to_owned(), XmlError::NotADomain),
        ("<domain/>".to_owned(), XmlError::Missing { element: "name" }),
        ("<domain><name> </name></domain>".to_owned(), XmlError::Missing { element: "name" }),
        ("<domain><name>x</name><uuid>1</uuid></domain>".to_owned(), XmlError::Missing { element: "uuid" }),
        (domain(&pci("")), bad("hostdev", "host address")),
        (domain(&pci("bus='0x100' slot='0' function='0'")), bad("hostdev", "host address")),
        (domain(&pci("bus='0x41' slot='0x20' function='0'")), bad("hostdev", "host address")),
        (domain(&pci("bus='0x41' slot='0' function='8'")), bad("hostdev", "host address")),
        (domain(&pci("bus='-1' slot='0' function='0'")), bad("hostdev", "host address")),
        (domain(&pci("bus='+1' slot='0' function='0'")), bad("hostdev", "host address")),
        (domain(&pci("bus='0x' slot='0' function='0'")), bad("hostdev", "host address")),
        (domain(&pci("domain='0x100000000' bus='1' slot='0' function='0'")), bad("hostdev", "host address")),
        (domain("<hostdev type='pci'><source/></hostdev>"), bad("hostdev", "host address")),
        (
            domain("<hostdev type='mdev'><source><address uuid='x'/></source></hostdev>"),
            bad("hostdev", "host address"),
        ),
        (domain("<video><address type='pci' bus='999'/></video>"), bad("video", "guest address")),
        (domain("<controller type='pci' index='-1'/>"), bad("controller", "index")),
    ] {
        assert_eq!(read(&xml), Err(want), "{xml:.80}");
    }
}

#[test]
fn errors_do_not_quote_the_document() {
    for xml in [
        "<domain><graphics passwd='hunter2&hunter2;'/></domain>",
        "<domain><graphics passwd='hunter2<'/></domain>",
        "<domain><graphics hunter2='' hunter2=''/></domain>",
        "<domain><hunter2></domain>",
        "<domain><graphics passwd='hunter2\u{1}'/></domain>",
    ] {
        let error = read(xml).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn devices_are_read_as_libvirt_reads_them() {
    let xml = domain(&format!(
        "{}{}{}{}{}{}{}{}",
        pci("domain='0' bus='65' slot='037' function='0x7'"),
        pci("bus='0X41' slot='0x00'").replace("type='pci'", "type='pci' managed='yes'"),
        "<hostdev mode='subsystem' type='usb'><source><vendor id='1'/></source><address type='usb' bus='0'/></hostdev>",
        "<hostdev mode='capabilities' type='misc'><source><char>/dev/x</char></source></hostdev>",
        "<hostdev type='mdev'><source><address uuid='C7A5FDBD-EDAF-9455-926A-D65C16DB1809'/></source></hostdev>",
        "<interface type='hostdev' managed='yes'><source><address type='pci' bus='0x42' slot='0' function='1'/></source></interface>",
        "<interface type='hostdev'><source><address type='usb' bus='1'/></source></interface>",
        "<disk type='nvme'><source type='pci' managed='no'><address bus='0x43' slot='0' function='0'/></source></disk>",
    ));
    let domain = read(&xml).unwrap();
    let pci = |text: &str, managed| Hostdev::Pci { address: address(text), managed };
    let want = vec![
        pci("0000:41:1f.7", false),
        pci("0000:41:00.0", true),
        Hostdev::Mdev { uuid: "c7a5fdbd-edaf-9455-926a-d65c16db1809".parse().unwrap() },
        pci("0000:42:00.1", true),
        pci("0000:43:00.0", false),
    ];
    assert_eq!(domain.hostdevs, want);
    assert_eq!((domain.uuid, domain.running), (None, false));
    assert!(read(&xml.replace("<domain>", "<domain id='7'>")).unwrap().running);
}

#[test]
fn topology_follows_the_root_and_then_the_machine() {
    let with = |machine: &str, devices: &str| {
        let xml = domain(devices).replace("machine='q35'", &format!("machine='{machine}'"));
        let read = read(&xml).unwrap();
        (read.topology, read.guest.viommu.is_some())
    };
    for (machine, devices, want) in [
        ("q35", "", (PciTopology::Express, false)),
        ("pc-q35-7.2", "<iommu model='intel'/>", (PciTopology::Express, true)),
        ("pc", "", (PciTopology::Conventional, false)),
        ("pc-i440fx-jammy", "", (PciTopology::Conventional, false)),
        ("virt", "<controller type='pci' index='0' model='pcie-root'/>", (PciTopology::Express, false)),
        ("microvm", "", (PciTopology::Unknown, false)),
        ("", "", (PciTopology::Unknown, false)),
    ] {
        assert_eq!(with(machine, devices), want, "{machine} {devices}");
    }
}

#[test]
fn names_come_as_they_are_meant() {
    for (xml, want) in [
        ("a&amp;b", "a&b"),
        ("<![CDATA[a<b]]>", "a<b"),
        ("a<![CDATA[&]]>b<!-- c -->d", "a&bd"),
        ("--&gt;'\"", "-->'\""),
        ("&#x1F600;", "\u{1F600}"),
    ] {
        let xml = domain("").replace("<name>x<", &format!("<name>{xml}<"));
        assert_eq!(read(&xml).unwrap().name, want);
    }
}

#[test]
fn a_gpu_is_functions_of_one_slot() {
    let gpu = |list: &[&str]| GpuForGuest::new(list.iter().map(|text| address(text)));
    assert_eq!(gpu(&[]), Err(GpuForGuestError::Empty));
    assert!(matches!(gpu(&["41:00.0", "42:00.0"]), Err(GpuForGuestError::DifferentSlots { .. })));
    let twice = gpu(&["41:00.1", "41:00.0", "41:00.1"]).unwrap();
    assert_eq!(twice.functions(), [address("41:00.1"), address("41:00.0")]);
}

#[test]
fn a_guest_whose_buses_are_all_taken_is_refused() {
    let ports: String =
        (1..=255).map(|n| format!("<controller type='pci' index='{n}' model='pcie-root-port'/>")).collect();
    let gpu = Device::Gpu(GpuForGuest::new([address("41:00.0")]).unwrap());
    assert_eq!(add(&domain(&ports), &gpu), Err(gpuvirt_domain::EditError::NoFreeSlot));
}

/// White space, text in comments, and siblings, in any arrangement.
fn devices() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n    ".to_owned()),
        Just("\r\n\t".to_owned()),
        Just(" ".to_owned()),
        Just("<!-- <hostdev> </devices> -- >-->".replace("-- >", "")),
        Just("<?pi </devices>?>".to_owned()),
        Just("<![CDATA[ </devices> ]]>".to_owned()),
        Just("<emulator>/bin/q</emulator>".to_owned()),
        Just("<x:devices xmlns:x='u'/>".to_owned()),
        Just("<video a = \"'\" ><address type='pci' bus=\"0x01\" slot='3'/></video >".to_owned()),
        (1_u8..9).prop_map(|n| format!("<controller type='pci' index='{n}' model='pcie-root-port'/>")),
        (0_u8..4).prop_map(|n| pci(&format!("bus='0x50' slot='0' function='{n}'"))),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn document() -> impl Strategy<Value = String> {
    let shell = prop_oneof![
        Just(("\n  <devices>", "\n  </devices>\n")),
        Just(("\r\n\t<devices>", "\r\n\t</devices\t>")),
        Just(("<devices a='>'>", "</devices>")),
        Just(("<!-- <devices/> -->\n<devices>\n\n", "<!-- end -->\n\n</devices>")),
        Just(("<devices/><!--", "-->")),
        Just(("\n <devices \t a=\"/>\"\n/><!--", "-->")),
    ];
    (devices(), shell, prop_oneof![Just("q35"), Just("pc")]).prop_map(|(devices, (open, close), machine)| {
        let devices = if open.ends_with("<!--") { String::new() } else { devices };
        format!(
            "<domain xmlns:q='urn:q'><name>n&amp;</name><os><type machine='{machine}'>hvm</type></os>{open}{devices}{close}<q:end/></domain>"
        )
    })
}

fn device() -> impl Strategy<Value = Device> {
    let gpu = proptest::collection::vec(0_u8..8, 1..5).prop_map(|functions| {
        let address = |function| PciAddress { domain: 0, bus: 0x41, slot: 0, function };
        Device::Gpu(GpuForGuest::new(functions.into_iter().map(address)).unwrap())
    });
    prop_oneof![gpu, any::<u128>().prop_map(|n| Device::Mdev(uuid::Uuid::from_u128(n)))]
}

proptest! {
    // Failures become cases of their own here; no regression file.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn adding_and_removing_are_inverse_and_idempotent(xml in document(), device in device()) {
        let Added::Changed { xml: added, .. } = add(&xml, &device).unwrap() else { panic!("not new") };
        let (before, after) = (read(&xml).unwrap(), read(&added).unwrap());
        prop_assert_eq!(&after.hostdevs[..before.hostdevs.len()], &before.hostdevs[..]);
        let count = match &device { Device::Gpu(gpu) => gpu.functions().len(), Device::Mdev(_) => 1 };
        prop_assert_eq!(after.hostdevs.len(), before.hostdevs.len() + count);
        prop_assert!(after.used.is_superset(&before.used));
        prop_assert_eq!(add(&added, &device).unwrap(), Added::AlreadyPresent { ours: true, managed: false });
        let Removed::Changed { xml: back, .. } = remove(&added, &device).unwrap() else { panic!("not removed") };
        prop_assert_eq!(back, xml);
    }

    #[test]
    fn two_devices_come_and_go_in_any_order(xml in document(), uuid in any::<u128>(), gpu in device()) {
        let vgpu = Device::Mdev(uuid::Uuid::from_u128(uuid));
        prop_assume!(vgpu != gpu);
        let changed = |added| match added { Added::Changed { xml, .. } => xml, other => panic!("{other:?}") };
        let both = changed(add(&changed(add(&xml, &gpu).unwrap()), &vgpu).unwrap());
        let Removed::Changed { xml: one, .. } = remove(&both, &gpu).unwrap() else { panic!("not removed") };
        let Removed::Changed { xml: back, .. } = remove(&one, &vgpu).unwrap() else { panic!("not removed") };
        prop_assert_eq!(back, xml);
    }

    #[test]
    fn nothing_panics(xml in ".{0,200}", pieces in devices(), cut in 0_usize..400) {
        let device = Device::Gpu(GpuForGuest::new([address("41:00.0"), address("41:00.1")]).unwrap());
        let whole = domain(&pieces);
        let broken: String = whole.chars().take(cut).collect();
        for xml in [xml, broken] {
            let _any = read(&xml);
            let _any = add(&xml, &device);
            let _any = remove(&xml, &device);
        }
    }
}

#[test]
fn fragments_alone_name_no_guest_address() {
    let gpu = GpuForGuest::new([address("41:00.0"), address("41:00.1")]).unwrap();
    let fragment = gpu_fragment(&gpu, gpuvirt_domain::Placement::LibvirtChooses);
    assert!(!fragment.contains("multifunction") && !fragment.contains("type='pci' domain"), "{fragment}");
    assert_eq!(fragment.matches("<hostdev ").count(), 2);
    let uuid = uuid::Uuid::from_u128(7);
    assert!(mdev_fragment(uuid).contains("00000000-0000-0000-0000-000000000007"));
}

#[test]
fn the_costliest_documents_that_are_let_in_are_read_at_once() {
    let room = 1024 * 1024;
    let fill = |piece: String| piece.repeat(room / piece.len());
    let attributes: String = (0..100).map(|n| format!(" a{n}=''")).collect();
    let spaces: String = (0..99).map(|n| format!(" xmlns:n{n}='u{n}'")).collect();
    let nested: String =
        (0..4).map(|level| format!("<m{}>", spaces.replace(":n", &format!(":l{level}n")))).collect();
    let closing = "</m>".repeat(4);
    let prefixed = "<x l0n98:a='' l0n97:b=''/>".to_owned();
    for inner in [
        fill(format!("<x{attributes}/>")),
        format!("{nested}{}{closing}", fill(prefixed)),
        "<x/>".repeat(199_000),
        format!("{}{}", "<a>".repeat(190), "</a>".repeat(190)),
        "&amp;".repeat(room / 5),
    ] {
        let xml = format!("<domain><name>x</name><metadata>{inner}</metadata><devices/></domain>");
        let started = std::time::Instant::now();
        let read = read(&xml).map(|domain| domain.name);
        assert_eq!(read.as_deref(), Ok("x"), "{inner:.40}");
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "{inner:.40}");
    }
}
