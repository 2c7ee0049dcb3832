//! libvirt's hook: there, executable, ours, let through by SELinux and AppArmor, and really run.

use gpuvirt_model::{Evidence, Finding, FindingCode, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    // Without our package there is no hook to be missed.
    if !case.health.install.daemon.is(&true) {
        return not_run(case).into_iter().collect();
    }
    let found = [
        missing(case),
        foreign(case),
        not_executable(case),
        program_missing(case),
        selinux(case),
        apparmor(case),
        not_run(case),
    ];
    found.into_iter().flatten().collect()
}

/// What follows from each of these.
const SO: &str = "starts by virsh and virt-manager are not checked, and no vGPU is made for them";

fn finding(code: FindingCode, cause: String) -> Finding {
    Finding::new(code, Severity::Error, Subject::Host, cause)
}

/// The package keeps a copy, from which the file comes again: it is a conffile, and dpkg brings none back that the admin took
/// away. libvirtd looks for hooks when it starts; running VMs go on.
fn brought_back(hook: &str) -> String {
    format!("cp -p /usr/share/gpuvirt/50-gpuvirt {hook}; systemctl try-restart libvirtd virtqemud")
}

fn missing(case: &Case<'_>) -> Option<Finding> {
    let hook = &case.health.install.hook;
    hook.is(&None).then(|| {
        finding(FindingCode::HookMissing, format!("libvirt's hook is not installed: {SO}"))
            .seen(hook.shows("not there"))
            .remedy(format!("mkdir -p /etc/libvirt/hooks/qemu.d; {}", brought_back(&hook.source)))
    })
}

fn foreign(case: &Case<'_>) -> Option<Finding> {
    let hook = &case.health.install.hook;
    hook.is(&Some(false)).then(|| {
        finding(FindingCode::HookForeign, format!("the file of our hook does not call gpuvirt: {SO}"))
            .seen(hook.shows("no word of gpuvirt in it"))
            .remedy(format!(
                "mv --backup=numbered {0} {0}-other; {1}",
                hook.source,
                brought_back(&hook.source)
            ))
    })
}

fn not_executable(case: &Case<'_>) -> Option<Finding> {
    let install = &case.health.install;
    let mode = &install.hook_executable;
    let there = matches!(install.hook.known(), Some(Some(_)));
    (there && mode.is(&false)).then(|| {
        finding(FindingCode::HookNotExecutable, format!("libvirt's hook may not be executed: {SO}"))
            .seen(mode.shows("no x among its permissions"))
            .remedy(format!("chmod 755 {}", mode.source))
    })
}

fn program_missing(case: &Case<'_>) -> Option<Finding> {
    let program = &case.health.install.command;
    let there = matches!(case.health.install.hook.known(), Some(Some(true)));
    (there && program.is(&false)).then(|| {
        finding(FindingCode::HookProgramMissing, format!("the program that the hook calls is not there: {SO}"))
            .seen(program.shows("not there"))
            .remedy("install the package gpuvirt again: libvirt's AppArmor profile lets hooks run from /usr/bin alone")
    })
}

/// What SELinux may do to the hook, before a VM is tried. libvirt chooses hooks by their mode alone (`virFileIsExecutable`), so
/// one that SELinux does not let it execute is called, fails, and the start with it: no start without a call shows this. Fedora's
/// policy lets virtqemud_t read hooks (virt_hook_t) and not execute them; virtd_t, which libvirtd is, may
/// (policy/modules/contrib/virt.te). What the policy of this host says is not to be read without writing
/// (/sys/fs/selinux/access), so whatever shows that the hook came through clears it.
fn selinux(case: &Case<'_>) -> Option<Finding> {
    let (security, install) = (&case.health.security, &case.health.install);
    // One that is not ours has a finding of its own, and one without x libvirt does not call.
    let called = install.hook.is(&Some(true)) && !install.hook_executable.is(&false);
    let confined = security.selinux.is(&true) && security.virtqemud_confined.is(&true);
    if !called || !confined || case.daemon.hook_proven != Some(false) {
        return None;
    }
    let cause = "SELinux, enforcing, confines virtqemud, and nothing shows yet that it lets it run our hook and the hook ask \
                 gpuvirtd: if not, VMs with GPUs do not start, or none does";
    let found = Finding::new(FindingCode::HookBlocked, Severity::Warning, Subject::Host, cause)
        .seen(security.selinux.shows("1"))
        .seen(virtqemud(case))
        .seen_at("gpuvirtd", "no call of the hook since it was started");
    let found = boolean(case).into_iter().fold(found, Finding::seen);
    Some(
        found
            .remedy("virsh start NAME # of a VM with a GPU: where it starts, nothing is wrong, and this is found no more")
            .remedy(format!("{DENIED} # what was denied"))
            .remedy(format!(
                "{DENIED} | audit2allow -M gpuvirt-hook; semodule -i gpuvirt-hook.pp # allows it: once more where the next \
                 start is refused, for what the hook does then"
            )),
    )
}

fn virtqemud(case: &Case<'_>) -> Evidence {
    let mut daemons = case.health.memory.lockers.known().into_iter().flatten();
    let process = daemons.find(|daemon| daemon.command == "virtqemud");
    let source = process
        .map_or_else(|| "virtqemud".to_owned(), |process| format!("/proc/{}/attr/current", process.pid));
    Evidence { source, value: "virtqemud_t".to_owned() }
}

/// The boolean that is often named for this, and is of no use.
fn boolean(case: &Case<'_>) -> Option<Evidence> {
    let boolean = &case.health.security.hooks_unconfined;
    let on = if (*boolean.known()?)? { "on" } else { "off" };
    Some(boolean.shows(format!("{on}: in Fedora's policy it is for virtnetworkd's hooks")))
}

/// What SELinux denied libvirt's daemon of hooks, and the hook of gpuvirt. Since the boot: the module that is made of it takes the
/// place of an earlier one, whose denials it must have too.
const DENIED: &str = "ausearch -m AVC -ts boot | grep -e hook -e gpuvirt";

fn apparmor(case: &Case<'_>) -> Option<Finding> {
    let hooks = &case.health.security.apparmor_hooks;
    hooks.is(&Some(false)).then(|| {
        let base = hooks.source.rsplit('/').next().unwrap_or_default();
        finding(
            FindingCode::HookBlocked,
            format!("AppArmor's profile of libvirt's daemon lets it run no hooks: {SO}"),
        )
        .seen(hooks.shows("no rule for /etc/libvirt/hooks/"))
        .remedy(format!(
            "printf '%s\\n' '/etc/libvirt/hooks/** rmix,' '/usr/bin/* PUx,' >>/etc/apparmor.d/local/{base}; \
             apparmor_parser -r {}",
            hooks.source
        ))
        .remedy("journalctl -k | grep -i 'apparmor.*denied' # what is denied")
    })
}

/// libvirt looks for hooks when it starts: older ones never look again.
fn not_run(case: &Case<'_>) -> Option<Finding> {
    (!case.daemon.unhooked.is_empty()).then(|| {
        finding(
            FindingCode::HookNotRun,
            format!("libvirt started VMs with our devices and did not run our hook: {SO}"),
        )
        .seen(unhooked(case))
        .remedy("systemctl try-restart libvirtd virtqemud # one that found no hooks at its start looks for none later")
        .remedy("ls -l /etc/libvirt/hooks/qemu.d")
    })
}

fn unhooked(case: &Case<'_>) -> Evidence {
    let value = format!("started without a hook's call: {}", case.daemon.unhooked.join(", "));
    Evidence { source: "gpuvirtd".to_owned(), value }
}
