//! What takes cards for vfio-pci by what they are: of twins, and of a card that is alone of its kind.

use gpuvirt_model::{ConfiguredType, FindingCode as F, Hostdev, Severity as S};

use super::bed::{Bed, Case, FIRST, SECOND, at};
use super::cards::direct;
use super::kept::{INFO, told};

const CONF: &str = "/etc/modprobe.d/vfio.conf";

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("twins by ids in the initramfs", F::TakenById, S::Warning, |bed: Bed| {
            with_initramfs_tools(bed, "vfio_iommu_type1\nvfio_pci ids=10de:2204,10de:1aef\n")
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
        .says("a later one there says otherwise"),
        case("ids in a file, and others on the command line", F::IdsUnheeded, S::Warning, |bed| {
            told(unlike(bed), "vfio-pci.ids=8086:1533").file(CONF, "options vfio-pci ids=10de:2204\n")
        })
        .says("/proc/cmdline says otherwise"),
        case(
            "ids of twins, and the initramfs loads vfio-pci with others",
            F::IdsUnheeded,
            S::Warning,
            |bed| {
                with_initramfs_tools(bed, "vfio_pci ids=8086:1533\nvfio_pci ids=10de:2204\n")
                    .file(CONF, "options vfio-pci ids=10de:2204\n")
            },
        )
        .says("do not take 0000:02:00.0: /etc/initramfs-tools/modules says otherwise"),
        case("ids behind the line that loads vfio-pci in the initramfs", F::IdsUnheeded, S::Warning, |bed| {
            with_initramfs_tools(bed, "vfio_pci\nvfio_pci ids=10de:2204\n")
        })
        .says("an earlier line of that file loads vfio-pci"),
        case("ids of two models, of which a later value has one", F::IdsUnheeded, S::Warning, |bed| {
            told(unlike(bed).device(FIRST, "boot_vga=1", "boot_vga=0"), "vfio-pci.ids=10de:2204")
                .file(CONF, "options vfio-pci ids=10de:2204,10de:2206\n")
                .retouched(|observed| direct(observed, SECOND))
        })
        .says("do not take 0000:01:00.0: /proc/cmdline says otherwise")
        .also(&[F::TakenById]),
        case("ids, and a misspelt value that counts", F::IdsUnheeded, S::Warning, |bed| {
            told(unlike(bed), "vfio-pci.ids=10de-2204").file(CONF, "options vfio-pci ids=10de:2204\n")
        }),
    ]
}

fn with_initramfs_tools(bed: Bed, modules: &str) -> Bed {
    bed.file("/usr/sbin/update-initramfs", "").file("/etc/initramfs-tools/modules", modules)
}

/// vfio-pci is part of the kernel.
fn built_in(bed: Bed) -> Bed {
    bed.file("/lib/modules/6.12.0-test/modules.builtin", "kernel/drivers/vfio/pci/vfio-pci.ko\n")
}

#[test]
fn ids_that_nobody_waits_for_are_no_finding() {
    let found = |bed: Bed| {
        let codes: Vec<F> = bed.examine().findings.iter().map(|finding| finding.code).collect();
        codes.iter().filter(|code| **code == F::IdsUnheeded).count()
    };
    let ids = "options vfio-pci ids=10de:2204\n";
    let twice = || told(Bed::healthy(), "vfio-pci.ids=10de:2204").file(CONF, ids);
    assert_eq!(found(twice()), 0, "the later value says the same");
    assert_eq!(found(built_in(twice())), 0);
    let idle = |bed: Bed| built_in(bed).file(CONF, ids);
    let alone = || idle(unlike(Bed::healthy()));
    assert_eq!(found(alone()), 1);
    assert_eq!(found(alone().file("/etc/modprobe.d/a.conf", ids)), 1, "once a card");
    assert_eq!(found(alone().configured(SECOND, ConfiguredType::Shared)), 0, "configured here");
    assert_eq!(found(alone().retouched(|observed| direct(observed, SECOND))), 0, "taken all the same");
    let twins = || idle(Bed::healthy());
    assert_eq!(found(twins()), 1);
    assert_eq!(found(twins().configured(FIRST, ConfiguredType::Direct)), 0, "the other is the host's");
    assert_eq!(found(twins().retouched(|observed| direct(observed, FIRST))), 0, "the other is the host's");
    assert_eq!(found(alone().file("/etc/udev/rules.d/10-vfio.rules", &rule(""))), 0, "udev takes it");
    let other = built_in(Bed::healthy()).file(CONF, "options vfio-pci ids=8086:1533\n");
    assert_eq!(found(other), 0, "no card of this host");
    let of_screen = built_in(unlike(Bed::healthy())).file(CONF, "options vfio-pci ids=10de:2206\n");
    assert_eq!(found(of_screen), 0, "the host's screen");
}

#[test]
fn ids_are_judged_by_who_reads_them() {
    let found = |bed: Bed| {
        let codes: Vec<F> = bed.examine().findings.iter().map(|finding| finding.code).collect();
        (codes.contains(&F::TakenById), codes.contains(&F::IdsUnheeded))
    };
    let ids = "options vfio-pci ids=10de:2204\n";
    let switched_off = told(unlike(Bed::healthy()), "vfio-pci.ids=").file(CONF, ids);
    assert_eq!(found(switched_off), (false, false), "an empty value is a switch");
    let by_libvirt = built_in(unlike(Bed::healthy())).file(CONF, ids).vm("games", |domain, _| {
        domain.config = vec![Hostdev::Pci { address: at(SECOND), managed: true }];
    });
    assert_eq!(found(by_libvirt), (false, false), "libvirt takes it");
    let gone = unlike(Bed::healthy()).file("/etc/initramfs-tools/modules", "vfio_pci ids=8086:1533\n");
    let gone = gone.absent("/usr/sbin/update-initramfs");
    assert_eq!(found(gone.file(CONF, ids)), (true, false), "initramfs-tools is not installed");
    let behind = || told(unlike(Bed::healthy()), "vfio-pci.ids=8086:1533 -- vfio-pci.ids=10de:2204");
    assert_eq!(found(behind()), (true, false), "kmod reads it");
    assert_eq!(found(built_in(behind())), (false, false), "nobody does");
}

#[test]
fn a_remedy_takes_away_the_line_without_effect_and_no_other() {
    let remedies = |bed: Bed| {
        let found = bed.examine().findings;
        found.into_iter().find(|finding| finding.code == F::IdsUnheeded).unwrap().remedy
    };
    let of_words =
        |words| remedies(told(unlike(Bed::healthy()).absent(INFO).file("/usr/sbin/update-grub", ""), words));
    let apart = of_words("vfio-pci.ids=10de:2204 vfio-pci.ids=8086:1533");
    assert!(apart.iter().any(|line| line.contains(r"s/\bvfio-pci\.ids=10de:2204\b//")), "{apart:?}");
    let longer = of_words("vfio-pci.ids=10de:2204 vfio-pci.ids=10de:2204:1:1,8086:1533");
    assert!(longer.iter().all(|line| !line.starts_with("sed ")), "{longer:?}");
    assert!(longer.iter().any(|line| line.contains("drop vfio-pci.ids=10de:2204 from")), "{longer:?}");
    let lines = "options vfio-pci ids=10de:2204\noptions vfio-pci ids=10de:1aef\n";
    let of_lines = remedies(unlike(Bed::healthy()).file(CONF, lines));
    let want = "take the ids out of the line `options vfio-pci ids=10de:2204` of /etc/modprobe.d/vfio.conf: they do nothing";
    assert!(of_lines.iter().any(|line| line == want), "{of_lines:?}");
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
