//! What the documents tell a newcomer to type, typed in the lab to the letter: to a guest with a whole card and a guest with
//! a vGPU, and back to the host as it was.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

use gpuvirt_documents::{blocks, read};
use gpuvirt_e2e::{Form, Guest, Lab, Reader};

/// How the guests see what they got.
const WHOLE: &str = "1002:5046 class=030000";
const WHOLE_AUDIO: &str = "8086:2668 class=040300";
const PART: &str = "1234:1ab0 class=030200";

/// A host that never heard of gpuvirt; whatever becomes of the test, the next one finds it installed.
struct Uninstalled<'a>(&'a Lab);

impl<'a> Uninstalled<'a> {
    fn new(lab: &'a Lab) -> Self {
        lab.sh("dpkg --purge gpuvirt && systemctl restart libvirtd").expect(0);
        let gone = Self(lab);
        assert_eq!(gone.files(), "", "purged");
        gone
    }

    /// What is on the disk by our name, but for the lab's own program. An empty folder of the running host is nothing.
    fn files(&self) -> String {
        let find = "find /etc /usr /var /run -xdev -name '*gpuvirt*' -not -name gpuvirt-conformance -not \\( -type d -empty \\)";
        self.0.sh(find).expect(0).stdout
    }
}

impl Drop for Uninstalled<'_> {
    fn drop(&mut self) {
        let again = "dpkg -i --force-confnew /lab/gpuvirt.deb >/dev/null && cp /lab/e2e/gpuvirtd.toml /etc/gpuvirt/ &&
             systemctl restart gpuvirtd libvirtd";
        let run = self.0.sh(again);
        if !std::thread::panicking() {
            run.expect(0);
        }
    }
}

/// The two VMs that the documents speak of; they stay until they are told to power off.
fn vms(lab: &Lab) -> [Guest<'_>; 2] {
    ["win11", "cad1"].map(|name| lab.guest(name, "--hold"))
}

/// A stored definition without the root ports that libvirt adds for a device, and keeps when the device has gone.
fn without_root_ports(guest: &Guest<'_>) -> String {
    let xml = guest.xml();
    let mut parts = xml.split("<controller type='pci'");
    let before = parts.next().unwrap_or_default().trim_end().to_owned();
    parts.fold(before, |kept, part| match part.split_once("</controller>") {
        Some((port, after)) if port.contains("model='pcie-root-port'") => kept + after.trim_end(),
        _ => kept + "<controller type='pci'" + part.trim_end(),
    })
}

/// The document leads to both guests with what they asked for, and back.
fn leads_there_and_back(document: &str, title: &str, kept: &str) {
    let lab = Lab::fresh();
    let host = Uninstalled::new(&lab);
    let guests = vms(&lab);
    let definitions = guests.each_ref().map(without_root_ports);
    let (whole, shared) = (lab.devices.get("MULTI_GPU"), lab.devices.get("MDEV_GPU"));
    let words = [("41:00.0", &whole[5..]), ("81:00.0", &shared[5..]), ("nvidia_l40s-12q", "lab-4q")];
    let mut reader = Reader::new(&lab, title, &words);
    reader.follow(document);
    for seen in [WHOLE, WHOLE_AUDIO, PART] {
        assert!(reader.transcript().contains(seen), "no guest saw {seen}:\n{}", reader.transcript());
    }
    assert!(!reader.not_run.is_empty() && reader.not_run.len() < 5, "{:#?}", reader.not_run);

    assert_eq!(guests.each_ref().map(without_root_ports), definitions, "the definitions are as they were");
    assert_eq!(host.files(), "", "nothing of gpuvirt's is left");
    for guest in &guests {
        lab.sh(&format!("virsh -q undefine {}", guest.name)).expect(0);
    }
    lab.assert_pristine();
    reader.keep(kept);
}

/// What the README shows first is what the command prints. The kernel chooses the group's number.
#[test]
fn the_refusal_in_the_readme_is_printed_so() {
    let lab = Lab::fresh();
    let shown = blocks(&read("README.md")).into_iter().find(|block| block.language == "console").unwrap();
    let (typed, printed) = shown.lines.split_first().unwrap();
    let said = lab.sh(typed.trim_start_matches("# ")).expect(3);
    let without_number = |text: &str| {
        let words = text.split_whitespace().collect::<Vec<_>>();
        let is_number = |at: usize| at > 0 && words[at - 1] == "group" && words[at].parse::<u16>().is_ok();
        (0..words.len()).filter(|at| !is_number(*at)).map(|at| words[at].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(without_number(&said.stderr), without_number(&printed.join("\n")), "{said}");
    lab.assert_pristine();
}

#[test]
fn the_readme_leads_to_both_guests_and_back() {
    leads_there_and_back("README.md", "the README", "readme.md");
}

mod full {
    use super::*;

    #[test]
    fn the_first_hour_leads_to_both_guests_and_back() {
        leads_there_and_back("docs/first-hour.md", "the first hour", "first-hour.md");
    }

    /// The uuid that the recipe names.
    const STARTED: &str = "11111111-2222-4333-8444-000000000002";

    #[test]
    fn the_recipe_takes_over_from_driverctl_and_mdevctl() {
        let lab = Lab::fresh();
        let guests = vms(&lab);
        let (whole, shared) = (lab.devices.get("PLAIN_GPU"), (Form::MDEV_ON_THE_CARD.dress)(&lab));
        let words = [("41:00.0", &whole[5..]), ("81:00.0", &shared[5..])];
        let mut reader = Reader::new(&lab, "from driverctl and mdevctl", &words);
        reader.note(
            "driverctl and mdevctl have set this host up, and virsh gave win11 and cad1 their devices:",
        );
        let types = format!("/sys/bus/pci/devices/{shared}/mdev_supported_types");
        let kind = lab.sh(&format!("cd {types} && grep -lxi lab-2q */name | xargs dirname")).expect(0);
        reader.beside(&format!(
            "driverctl set-override {whole} vfio-pci\n\
             mdevctl define --auto --uuid {STARTED} --parent {shared} --type {}\n\
             mdevctl start --uuid {STARTED}",
            kind.text()
        ));
        for (guest, device) in [("win11", pci(whole)), ("cad1", mdev(STARTED))] {
            let file = format!("/tmp/e2e-{guest}.xml");
            lab.sh(&format!(
                "virsh dumpxml --inactive {guest} | sed \"s|</devices>|{device}</devices>|\" > {file}"
            ))
            .expect(0);
            lab.sh(&format!("virsh -q define --validate {file}")).expect(0);
        }
        let before = lab.picture();

        reader.follow("docs/recipes/from-other-tools.md");
        for seen in ["1234:1111 class=038000", PART] {
            assert!(reader.transcript().contains(seen), "no guest saw {seen}:\n{}", reader.transcript());
        }
        // What the recipe says to type is what the command printed for this host.
        for printed in [
            format!("rm /etc/driverctl.d/pci-{whole}"),
            format!("mdevctl undefine --uuid {STARTED}"),
            "gpuvirt vm adopt win11".to_owned(),
            "gpuvirt vm adopt cad1".to_owned(),
        ] {
            assert_eq!(
                reader.transcript().matches(&printed).count(),
                2,
                "{printed}\n{}",
                reader.transcript()
            );
        }
        let host = |picture: &str| -> Vec<String> {
            picture.lines().filter(|line| !line.starts_with("domain")).map(str::to_owned).collect()
        };
        assert_eq!(host(&lab.picture()), host(&before), "devices are as they were");
        guests.iter().for_each(Guest::destroy);
        reader.keep("imported.md");
    }

    fn pci(address: &str) -> String {
        let (bus, slot) = (&address[5..7], &address[8..10]);
        format!(
            "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' bus='0x{bus}' slot='0x{slot}' \
             function='0x0'/></source></hostdev>"
        )
    }

    fn mdev(uuid: &str) -> String {
        format!(
            "<hostdev mode='subsystem' type='mdev' managed='no' model='vfio-pci'><source><address uuid='{uuid}'/></source></hostdev>"
        )
    }
}
