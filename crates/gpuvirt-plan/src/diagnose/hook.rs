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

/// SELinux's part in a hook that was not run. Its boolean for hooks alone says nothing: in Fedora's policy it is for virtnetworkd,
/// while virtd_t is unconfined and virtqemud_t is permissive or confined by the policy's release
/// (policy/modules/contrib/virt.te). So it is named where a start was seen without the hook's call.
fn selinux(case: &Case<'_>) -> Option<Finding> {
    let (security, install) = (&case.health.security, &case.health.install);
    // One that is not ours or has no x is not run for that.
    let runnable = install.hook.is(&Some(true)) && !install.hook_executable.is(&false);
    if !security.selinux.is(&true) || !runnable || case.daemon.unhooked.is_empty() {
        return None;
    }
    let cause =
        format!("libvirt did not run our hook, which SELinux, enforcing, may have kept from it: {SO}");
    let found = Finding::new(FindingCode::HookBlocked, Severity::Warning, Subject::Host, cause)
        .seen(security.selinux.shows("1"))
        .seen(unhooked(case))
        .remedy(format!("{DENIED} # what is denied"))
        .remedy(format!(
            "{DENIED} | audit2allow -M gpuvirt-hook; semodule -i gpuvirt-hook.pp # allows what was denied"
        ));
    if !security.hooks_unconfined.is(&Some(false)) {
        return Some(found);
    }
    Some(found.seen(security.hooks_unconfined.shows("off")).remedy(
        "setsebool -P virt_hooks_unconfined on # where the policy lets it help: Fedora's is for virtnetworkd",
    ))
}

/// What SELinux denied of hooks in the last ten minutes.
const DENIED: &str = "ausearch -m avc -ts recent | grep hook";

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
