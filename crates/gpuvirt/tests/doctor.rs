//! The doctor's findings: each provoked on a healthy host by one change, and none found without one.
//!
//! The host is a recording, read by the production code; what a recording does not hold (what is configured, libvirt's
//! definitions, the daemon's own part) is given as values.

// Helpers of tests: what is missing here is the test's own mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod doctor {
    pub mod bed;
    pub mod by_id;
    pub mod cards;
    pub mod drivers;
    pub mod guest_drivers;
    pub mod hook;
    pub mod hosts;
    pub mod kept;
    pub mod lab;
    pub mod memory;
    pub mod missing;
    pub mod power;
    pub mod remedies;
    pub mod screens;
    pub mod untranslated;
    pub mod virtual_functions;
    pub mod vms;
    pub mod whole;
}

use std::collections::BTreeSet;

use doctor::bed::{Bed, Case};
use doctor::cards::held;
use gpuvirt_model::{FindingCode, Severity};

fn cases() -> Vec<Case> {
    let cases = [
        doctor::hosts::cases(),
        doctor::by_id::cases(),
        doctor::kept::cases(),
        doctor::cards::cases(),
        doctor::missing::cases(),
        doctor::untranslated::cases(),
        doctor::virtual_functions::cases(),
        doctor::vms::cases(),
        doctor::drivers::cases(),
        doctor::power::cases(),
        doctor::screens::cases(),
        doctor::guest_drivers::cases(),
        doctor::memory::cases(),
        doctor::hook::cases(),
    ];
    cases.into_iter().flatten().collect()
}

#[test]
fn a_healthy_host_has_no_findings_and_everything_was_looked_at() {
    let diagnosis = Bed::healthy().examine();
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    // A recording holds no processes.
    let unchecked: Vec<&str> = diagnosis.unchecked.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(unchecked, ["what libvirt's daemons may lock"]);
}

#[test]
fn each_finding_is_found_and_nothing_else() {
    let wrong: Vec<String> = cases().into_iter().filter_map(|case| case.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A snapshot of the host has them all, in the same words.
#[test]
fn each_finding_is_found_in_a_snapshot_too() {
    let healthy = Bed::healthy().examine_snapshot();
    assert!(healthy.findings.is_empty(), "{:#?}", healthy.findings);
    let mut wrong = Vec::new();
    for case in cases() {
        let bed = (case.bed)(Bed::healthy());
        let (here, there) = (bed.examine(), bed.examine_snapshot());
        if (&here.findings, &here.unchecked) != (&there.findings, &there.unchecked) {
            wrong.push(format!("{}: {here:#?} on the host, {there:#?} in its snapshot", case.what));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_finding_is_without_its_case() {
    let provoked: BTreeSet<FindingCode> = cases().iter().map(|case| case.code).collect();
    let missing: Vec<&str> =
        FindingCode::ALL.iter().filter(|code| !provoked.contains(code)).map(|code| code.as_str()).collect();
    assert!(missing.is_empty(), "no case provokes {missing:?}");
}

#[test]
fn each_finding_is_provoked_in_the_lab_or_the_lab_is_said_to_lack_something() {
    let said: Vec<FindingCode> = doctor::lab::all().into_iter().map(|(code, _)| code).collect();
    let twice: Vec<&FindingCode> =
        said.iter().filter(|code| said.iter().filter(|other| other == code).count() > 1).collect();
    assert!(twice.is_empty(), "said twice: {twice:?}");
    let missing: Vec<&str> =
        FindingCode::ALL.iter().filter(|code| !said.contains(code)).map(|code| code.as_str()).collect();
    assert!(missing.is_empty(), "tests/e2e/findings/provocations.toml has no {missing:?}");
}

/// docs/doctor.md says the same: its table is that of the file.
#[test]
fn the_table_of_the_document_is_that_of_the_file() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- provoked -->\n", "<!-- end provoked -->\n");
    let (before, rest) = text.split_once(begin).expect("the marker that begins the table");
    let (found, after) = rest.split_once(end).expect("the marker that ends the table");
    let want = doctor::lab::markdown();
    if std::env::var_os("GPUVIRT_BLESS").is_some() {
        let new = format!("{before}{begin}{want}{end}{after}");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), new.as_bytes()).unwrap();
        return;
    }
    assert!(found == want, "out of date: GPUVIRT_BLESS=1 cargo test -p gpuvirt --test doctor");
}

#[test]
fn what_goes_together_or_is_as_it_should_be_is_no_finding() {
    let mut beds = doctor::guest_drivers::without_fault();
    // The host uses a card that no VM is to have, and QEMU runs with one that a VM has.
    beds.push(("a program on the host's card", Bed::healthy().retouched(|observed| held(observed, "Xorg"))));
    let qemu = Bed::healthy().vm("games", |_, _| {}).retouched(|observed| held(observed, "qemu-system-x86"));
    beds.push(("the VM itself", qemu));
    beds.push(("nothing to claim, and nobody who does", doctor::hosts::unclaimed_and_shared()));
    beds.extend(doctor::missing::nothing_missing());
    beds.extend(doctor::hook::confined_in_name());
    beds.extend(doctor::drivers::not_missed());
    beds.extend(doctor::power::asleep_and_no_harm());
    beds.extend(doctor::kept::nothing_kept());
    beds.extend(doctor::memory::room_enough());
    beds.extend(doctor::hook::let_through());
    beds.extend(doctor::remedies::of_no_use());
    beds.extend(doctor::untranslated::translated());
    beds.extend(doctor::virtual_functions::of_vms());
    let host = "<cpu mode='host-passthrough' check='none' migratable='on'/>";
    beds.push(("a processor that has the host's address bits by itself", doctor::cards::guest_with(host)));
    let iommufd = doctor::hosts::without_iommu_driver(Bed::healthy())
        .file("/boot/config-6.12.0-test", "CONFIG_INTEL_IOMMU=y\nCONFIG_IOMMUFD_VFIO_CONTAINER=y\n");
    beds.push(("iommufd in the place of VFIO's container", iommufd));
    for (what, bed) in beds {
        let found = bed.examine().findings;
        assert!(found.is_empty(), "{what}: {found:#?}");
    }
}

/// The words that begin a line which is a command as a whole, to be copied; all else is a sentence or a piece of XML.
const COMMANDS: [&str; 34] = [
    "apparmor_parser",
    "apt",
    "audit2allow",
    "ausearch",
    "cat",
    "chmod",
    "cp",
    "dnf",
    "echo",
    "gpuvirt",
    "grep",
    "grub-mkconfig",
    "grubby",
    "journalctl",
    "kernel-install",
    "kernelstub",
    "ls",
    "lspci",
    "mkdir",
    "mkinitcpio",
    "modprobe",
    "mv",
    "nvidia-smi",
    "printf",
    "proxmox-boot-tool",
    "ps",
    "rm",
    "sed",
    "semodule",
    "systemctl",
    "udevadm",
    "update-grub",
    "update-initramfs",
    "virsh",
];

/// What a person puts in the place of a word in capitals.
fn filled_in(command: &str) -> String {
    [("DEVICE", "request-1"), ("PROFILE", "nvidia_a40-24c"), ("PACKAGE", "550.127.05")]
        .iter()
        .fold(command.to_owned(), |text, (word, value)| text.replace(word, value))
}

/// A VM whose name a shell would take for more than a name.
fn odd_name(bed: Bed) -> Bed {
    bed.vm("a; touch /tmp/owned 'b' $(id)", |domain, machine| {
        domain.config = vec![gpuvirt_model::Hostdev::Mdev { uuid: uuid::Uuid::from_u128(9) }];
        machine.devices.clear();
    })
}

#[test]
fn a_remedy_that_is_a_command_is_one_as_a_whole() {
    let beds = cases().into_iter().map(|case| (case.bed)(Bed::healthy())).chain([odd_name(Bed::healthy())]);
    let beds = beds.chain(doctor::kept::loaders().into_iter().map(|(_, bed)| bed));
    let remedies: BTreeSet<String> =
        beds.flat_map(|bed| bed.examine().findings).flat_map(|finding| finding.remedy).collect();
    let mut of_ours = 0;
    for line in &remedies {
        if !COMMANDS.iter().any(|command| line.split(' ').next() == Some(command)) {
            // A command in a sentence still has its own quotes right: nothing of it may end up outside them.
            assert!(!line.contains("touch /tmp/owned") || line.contains("'a; touch"), "{line}");
            continue;
        }
        assert!(!is_prose(line), "{line}: no command that can be copied as a whole");
        let bash = std::process::Command::new("bash").args(["-n", "-c", line]).output().unwrap();
        assert!(bash.status.success(), "{line}: {}", String::from_utf8_lossy(&bash.stderr));
        // As the shell would split it: one command a line.
        let split =
            format!("gpuvirt() {{ printf '%s\\0' gpuvirt \"$@\"; printf '\\n'; }}; {}", filled_in(line));
        for part in line.split('#').next().unwrap().split([';', '|']).map(str::trim) {
            let first = part.split(' ').next().unwrap();
            let quoted = line.contains("'a; touch") || line.contains("-e '");
            assert!(quoted || COMMANDS.contains(&first), "{line}: {first} is no command that is known here");
        }
        if !line.starts_with("gpuvirt ") {
            continue;
        }
        let said = std::process::Command::new("bash").args(["-c", &split]).output().unwrap();
        for words in String::from_utf8(said.stdout).unwrap().lines() {
            let words: Vec<&str> = words.trim_end_matches('\0').split('\0').collect();
            let parsed = <gpuvirt_command::cli::Cli as clap::Parser>::try_parse_from(&words);
            assert!(parsed.is_ok(), "{line}: {words:?}: {}", parsed.unwrap_err());
            of_ours += 1;
        }
    }
    assert!(of_ours > 12, "only {of_ours} of {remedies:#?}");
    assert!(!std::path::Path::new("/tmp/owned").exists());
}

/// What stands in a command of prose, outside quotes: no word that only a reader understands.
fn is_prose(line: &str) -> bool {
    let mut outside = String::new();
    line.split('\'').step_by(2).for_each(|part| outside.push_str(part));
    let command = outside.split(" #").next().unwrap_or_default();
    let interactive = ["systemctl edit", "systemctl --full edit"];
    command.split_whitespace().any(|word| {
        word.ends_with(':') || word.ends_with(',') || ["and", "or", "then", "with", "when"].contains(&word)
    }) || interactive.iter().any(|start| command.contains(start))
}

#[test]
fn prose_is_told_from_a_command() {
    for line in [
        "systemctl edit libvirtd: [Service] LimitMEMLOCK=infinity; systemctl restart libvirtd",
        "modprobe nvidia, then look again",
        "virsh setmem games 1G --config, or less",
    ] {
        assert!(is_prose(line), "{line}");
    }
    for line in ["printf '%s: and, or' >x", "journalctl -u gpuvirtd # when it does not start"] {
        assert!(!is_prose(line), "{line}");
    }
}

/// The hook may run when the remedy has been typed as it is.
#[test]
fn the_remedy_of_a_blocked_hook_makes_it_go() {
    let blocked = doctor::hook::confined(Bed::healthy());
    let found = blocked.examine().findings;
    assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), [FindingCode::HookBlocked]);
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("local");
    let typed = found[0].remedy[0].replace(doctor::hook::LOCAL, file.to_str().unwrap());
    let loads = format!("apparmor_parser() {{ [ \"$*\" = '-r {}' ]; }}; {typed}", doctor::hook::PROFILE);
    assert!(std::process::Command::new("bash").args(["-c", &loads]).status().unwrap().success(), "{typed}");
    let text = std::fs::read_to_string(file).unwrap();
    let after = doctor::hook::confined(Bed::healthy()).file(doctor::hook::LOCAL, &text).examine().findings;
    assert!(after.is_empty(), "{text}: {after:#?}");
}

#[test]
fn each_finding_says_from_what_and_what_to_do() {
    for case in cases() {
        for finding in (case.bed)(Bed::healthy()).examine().findings {
            assert!(!finding.evidence.is_empty() && !finding.remedy.is_empty(), "{}: {finding:?}", case.what);
            let parts = finding.evidence.iter().flat_map(|seen| [&seen.source, &seen.value]);
            for text in parts.chain(&finding.remedy).chain([&finding.cause]) {
                assert!(!text.trim().is_empty() && !text.contains("  "), "{}: {text:?}", case.what);
            }
        }
    }
}

#[test]
fn recorded_hosts_without_fault_raise_no_alarm() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hosts");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // A VM without an IOMMU is at fault, and the other file is no host.
        if name.starts_with("emulated-card") || name.ends_with(".md") {
            continue;
        }
        let diagnosis = Bed::of_file(&path).examine();
        let alarms: Vec<_> = diagnosis.findings.iter().filter(|f| f.severity > Severity::Note).collect();
        assert!(alarms.is_empty(), "{name}: {alarms:#?}");
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} recorded hosts");
}
