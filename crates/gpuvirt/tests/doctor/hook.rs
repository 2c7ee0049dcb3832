//! libvirt's hook, and what keeps it away.

use gpuvirt_model::{FindingCode as F, Reading, Severity as S, Unknown};

use super::bed::{Bed, Case};

const HOOK: &str = "/etc/libvirt/hooks/qemu.d/50-gpuvirt";
pub const PROFILE: &str = "/etc/apparmor.d/usr.sbin.libvirtd";
pub const LOCAL: &str = "/etc/apparmor.d/local/usr.sbin.libvirtd";
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";

/// The profile of libvirtd as Debian has it, without its rule for hooks.
pub fn confined(bed: Bed) -> Bed {
    bed.file(
        PROFILE,
        "profile libvirtd /usr/sbin/libvirtd {\n  /** rwmkl,\n  #include <local/usr.sbin.libvirtd>\n}\n",
    )
}

/// AppArmor's profile has no rule, and blocks nothing.
pub fn confined_in_name() -> Vec<(&'static str, Bed)> {
    let bed = || confined(Bed::healthy());
    let complains = "profile libvirtd /usr/sbin/libvirtd flags=(complain) {\n}\n";
    vec![
        ("the rule is the admin's own", bed().file(LOCAL, "/etc/libvirt/hooks/** rmix,\n")),
        ("the profile complains", Bed::healthy().file(PROFILE, complains)),
        ("the profile is loaded to complain", bed().file(LOADED, "libvirtd (complain)\n")),
        ("the profile is not loaded", bed().file(LOADED, "other (enforce)\n")),
        ("the profile is disabled", bed().file("/etc/apparmor.d/disable/usr.sbin.libvirtd", "")),
    ]
}

/// SELinux as Fedora has it: enforcing, and its boolean for hooks off. Nothing shows that the hook gets through.
fn enforcing(bed: Bed) -> Bed {
    let mut bed = bed
        .file("/sys/fs/selinux/enforce", "1")
        .file("/sys/fs/selinux/booleans/virt_hooks_unconfined", "0 0")
        .treated(|health| health.security.virtqemud_confined.value = Reading::Known(true));
    bed.daemon.hook_proven = Some(false);
    bed
}

/// SELinux that lets the hook through, that does not enforce, or that does not confine the daemon that runs VMs.
pub fn let_through() -> Vec<(&'static str, Bed)> {
    let bed = || enforcing(Bed::healthy());
    let mut called = bed();
    called.daemon.hook_proven = Some(true);
    let mut unasked = bed();
    unasked.daemon.hook_proven = None;
    let libvirtd = bed().treated(|health| health.security.virtqemud_confined.value = Reading::Known(false));
    let unknown = bed().treated(|health| {
        health.security.virtqemud_confined.value = Reading::Unknown(Unknown::NotRecorded);
    });
    vec![
        ("SELinux, and a hook that called", called),
        ("SELinux, and nobody who could have been called", unasked),
        ("SELinux, and libvirtd", libvirtd),
        ("SELinux, and nobody knows how it confines", unknown),
        ("SELinux, permissive", bed().file("/sys/fs/selinux/enforce", "0")),
        ("no SELinux", bed().absent("/sys/fs/selinux/enforce")),
    ]
}

#[test]
fn of_selinux_both_denials_are_looked_for() {
    let found = enforcing(Bed::healthy()).examine().findings;
    let lines: Vec<&str> = found.iter().flat_map(|one| &one.remedy).map(String::as_str).collect();
    let asks = lines.iter().filter(|line| line.starts_with("ausearch")).collect::<Vec<_>>();
    assert!(
        asks.len() == 2 && asks.iter().all(|line| line.contains("grep -e hook -e gpuvirt")),
        "{lines:#?}"
    );
    // Each module takes the place of the one before: it is made of all denials so far.
    assert!(asks.iter().all(|line| line.contains("-ts boot")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("setsebool")), "{lines:#?}");
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("no hook", F::HookMissing, S::Error, |bed: Bed| bed.absent(HOOK)),
        case("another's hook", F::HookForeign, S::Error, |bed| bed.file(HOOK, "another program\n")),
        case("a hook without x", F::HookNotExecutable, S::Error, |bed| {
            bed.treated(|health| health.install.hook_executable.value = Reading::Known(false))
        }),
        case("half an installation", F::HookProgramMissing, S::Error, |bed| bed.absent("/usr/bin/gpuvirt")),
        case("SELinux that confines virtqemud", F::HookBlocked, S::Warning, enforcing)
            .says("VMs with GPUs do not start, or none does"),
        case("AppArmor", F::HookBlocked, S::Error, |bed| bed.file(PROFILE, "profile libvirtd {\n}\n")),
        case("AppArmor, with the rule in a comment", F::HookBlocked, S::Error, |bed| {
            confined(bed).file(LOCAL, "# /etc/libvirt/hooks/** rmix,\n")
        }),
        case("AppArmor, as it is loaded", F::HookBlocked, S::Error, |bed| {
            confined(bed).file(LOADED, "libvirtd (enforce)\n")
        }),
        case("a start without the hook", F::HookNotRun, S::Error, |mut bed| {
            bed.daemon.unhooked = vec!["games".to_owned()];
            bed
        }),
        case(
            "a start without the hook, which has no x: SELinux has no part in that",
            F::HookNotRun,
            S::Error,
            |bed| {
                let mut bed = enforcing(bed);
                bed.daemon.unhooked = vec!["games".to_owned()];
                bed.treated(|health| health.install.hook_executable.value = Reading::Known(false))
            },
        )
        .also(&[F::HookNotExecutable]),
    ]
}
