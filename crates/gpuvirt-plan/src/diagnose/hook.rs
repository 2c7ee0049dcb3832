//! libvirt's hook: there, executable, ours, let through by SELinux and AppArmor, and really run.

use gpuvirt_model::{Finding, FindingCode, Severity, Subject};

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

fn selinux(case: &Case<'_>) -> Option<Finding> {
    let security = &case.health.security;
    let held_back = security.selinux.is(&true) && security.hooks_unconfined.is(&Some(false));
    held_back.then(|| {
        finding(
            FindingCode::HookBlocked,
            format!("SELinux keeps libvirt's hooks to themselves, so that ours can't ask gpuvirtd: {SO}"),
        )
        .seen(security.selinux.shows("1"))
        .seen(security.hooks_unconfined.shows("off"))
        .remedy("setsebool -P virt_hooks_unconfined on")
        .remedy("ausearch -m avc -ts recent | grep -i virt # what is denied")
    })
}

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
    let unhooked = &case.daemon.unhooked;
    (!unhooked.is_empty()).then(|| {
        finding(
            FindingCode::HookNotRun,
            format!("libvirt started VMs with our devices and did not run our hook: {SO}"),
        )
        .seen_at("gpuvirtd", format!("started without a hook's call: {}", unhooked.join(", ")))
        .remedy("systemctl try-restart libvirtd virtqemud # one that found no hooks at its start looks for none later")
        .remedy("ls -l /etc/libvirt/hooks/qemu.d")
    })
}
