//! What takes cards for vfio-pci by what they are: of twins, and of a card that is alone of its kind.

use gpuvirt_model::{ConfiguredType, FindingCode as F, Hostdev, Severity as S};

use super::bed::{Bed, Case, FIRST, SECOND, at};
use super::cards::direct;
use super::kept::told;

const CONF: &str = "/etc/modprobe.d/vfio.conf";

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("twins by ids in the initramfs", F::TakenById, S::Warning, |bed: Bed| {
            bed.file("/etc/initramfs-tools/modules", "vfio_iommu_type1\nvfio_pci ids=10de:2204,10de:1aef\n")
        })
        .says("vfio_pci ids=10de:2204,10de:1aef"),
        case("twins by a rule of udev's", F::TakenById, S::Warning, |bed| {
            bed.file("/etc/udev/rules.d/10-vfio.rules", &rule(""))
        })
        .says("/etc/udev/rules.d/10-vfio.rules"),
        case("twins by ids, and all of them for VMs", F::TakenById, S::Note, |bed| {
            let bed = told(bed, "vfio-pci.ids=10de:2204,10de:1aef");
            let bed = bed.configured(FIRST, ConfiguredType::Direct).vm("games", |_, _| {});
            bed.retouched(both_direct)
        })
        .says("All of them are for VMs now"),
        case("twins by ids, and one of them is the host's", F::TakenById, S::Warning, |bed| {
            let bed = told(bed, "vfio-pci.ids=10de:2204,10de:1aef");
            bed.vm("games", |_, _| {}).retouched(both_direct)
        })
        .says("those for the host too"),
        case("a card by its ids, of which nobody said anything", F::TakenById, S::Note, |bed| {
            told(unlike(bed), "vfio-pci.ids=10de:2204")
        })
        .says("vfio-pci takes 0000:02:00.0 by what it is: another of its kind"),
        case("a card for VMs by its ids", F::TakenById, S::Note, |bed| {
            told(unlike(bed), "vfio-pci.ids=10de:2204")
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        }),
        case("the host's card by its ids", F::TakenById, S::Warning, |bed| {
            told(unlike(bed), "vfio-pci.ids=10de:2204").configured(SECOND, ConfiguredType::Shared)
        })
        .says("it is configured as shared: the ids keep it from the host's driver"),
        case("the host's screen by its ids", F::TakenById, S::Warning, |bed| {
            told(unlike(bed), "vfio-pci.ids=10de:2206")
        })
        .says("0000:01:00.0 by what it is, and it is the host's boot display"),
        case("every display of a vendor's, by its class", F::TakenById, S::Warning, |bed| {
            told(bed, "vfio-pci.ids=10de:ffffffff:ffffffff:ffffffff:00030000:ffff00ff")
        })
        .says("0000:01:00.0, 0000:02:00.0"),
        case("ids in quotes, with the prefix of hexadecimals", F::TakenById, S::Warning, |bed| {
            bed.file(CONF, "options vfio_pci ids=\"0x10de:0x2204\"\n")
        }),
        case("ids in a file, and vfio-pci is built in", F::IdsUnheeded, S::Warning, |bed| {
            built_in(unlike(bed)).file(CONF, "options vfio-pci ids=10de:2204\n")
        })
        .says("do not take 0000:02:00.0: vfio-pci is built into this kernel"),
        case("ids on two lines, of which the last counts", F::IdsUnheeded, S::Warning, |bed| {
            unlike(bed).file(CONF, "options vfio-pci ids=10de:2204\noptions vfio-pci ids=8086:1533\n")
        })
        .says("/etc/modprobe.d/vfio.conf says otherwise later"),
        case("ids in a file, and others on the command line", F::IdsUnheeded, S::Warning, |bed| {
            told(unlike(bed), "vfio-pci.ids=8086:1533").file(CONF, "options vfio-pci ids=10de:2204\n")
        })
        .says("/proc/cmdline says otherwise later"),
        case("ids of twins that an empty value takes back", F::IdsUnheeded, S::Warning, |bed| {
            told(bed, "vfio-pci.ids=").file(CONF, "options vfio-pci ids=10de:2204\n")
        })
        .says("do not take 0000:01:00.0, 0000:02:00.0"),
    ]
}

/// vfio-pci is part of the kernel.
fn built_in(bed: Bed) -> Bed {
    bed.file("/lib/modules/6.12.0-test/modules.builtin", "kernel/drivers/vfio/pci/vfio-pci.ko\n")
}

#[test]
fn ids_that_nobody_waits_for_are_no_finding() {
    let silent = |bed: Bed| {
        let codes: Vec<F> = bed.examine().findings.iter().map(|finding| finding.code).collect();
        !codes.contains(&F::IdsUnheeded)
    };
    let twice =
        || told(Bed::healthy(), "vfio-pci.ids=10de:2204").file(CONF, "options vfio-pci ids=10de:2204\n");
    assert!(silent(twice()), "the later value says the same");
    assert!(silent(built_in(twice())));
    let idle = || built_in(unlike(Bed::healthy())).file(CONF, "options vfio-pci ids=10de:2204\n");
    assert!(!silent(idle()));
    assert!(silent(idle().configured(SECOND, ConfiguredType::Shared)), "configured here");
    assert!(silent(idle().retouched(|observed| direct(observed, SECOND))), "taken all the same");
    let other = built_in(Bed::healthy()).file(CONF, "options vfio-pci ids=8086:1533\n");
    assert!(silent(other), "no card of this host");
    let by_rule = idle().file("/etc/udev/rules.d/10-vfio.rules", &rule(""));
    assert!(silent(by_rule), "a rule of udev's takes it");
}

fn both_direct(observed: &mut gpuvirt_model::Observed) {
    direct(observed, FIRST);
    direct(observed, SECOND);
}

/// The first card is of another model.
fn unlike(bed: Bed) -> Bed {
    bed.device(FIRST, "A: modalias=pci:v000010DEd00002204", "A: modalias=pci:v000010DEd00002206")
}

/// The cards that a remedy gives to VMs.
fn given(bed: Bed) -> Vec<String> {
    let found = bed.examine().findings;
    let one = found.iter().find(|finding| finding.code == F::TakenById).unwrap();
    let lines = one.remedy.iter().filter_map(|line| line.strip_prefix("gpuvirt gpu set "));
    lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_card_that_is_alone_of_its_kind_is_given_away_where_nothing_says_that_it_is_the_hosts() {
    let alone = || told(unlike(Bed::healthy()), "vfio-pci.ids=10de:2204");
    let none = Vec::<String>::new();
    assert_eq!(given(alone()), [SECOND]);
    assert_eq!(given(alone().configured(SECOND, ConfiguredType::Shared)), none);
    let screen = || told(unlike(Bed::healthy()), "vfio-pci.ids=10de:2206");
    assert_eq!(given(screen()), none);
    let of_a_vm = screen().vm("games", |domain, _| {
        domain.config = vec![Hostdev::Pci { address: at(FIRST), managed: false }];
    });
    assert_eq!(given(of_a_vm), [FIRST]);
}

#[test]
fn of_twins_the_hosts_own_is_not_given_away() {
    let twins = || told(Bed::healthy(), "vfio-pci.ids=10de:2204,10de:1aef").retouched(both_direct);
    assert_eq!(given(twins()), [SECOND], "the first one is the boot display");
    assert_eq!(given(twins().configured(FIRST, ConfiguredType::Direct)), [FIRST, SECOND]);
    let none = twins().configured(SECOND, ConfiguredType::Shared);
    assert_eq!(given(none), Vec::<String>::new());
    let not_yet = told(Bed::healthy(), "vfio-pci.ids=10de:2204,10de:1aef");
    assert_eq!(given(not_yet), Vec::<String>::new());
}

/// A rule that overrides the driver of what has the ids.
pub fn rule(address: &str) -> String {
    format!(
        "{address}SUBSYSTEM==\"pci\", ATTR{{vendor}}==\"0x10de\", ATTR{{device}}==\"0x2204\", ATTR{{driver_override}}=\"vfio-pci\"\n"
    )
}
