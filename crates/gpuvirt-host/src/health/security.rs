//! What keeps code from running: Secure Boot, lockdown, SELinux, AppArmor.

use gpuvirt_model::Fact;
use gpuvirt_model::health::{Locker, SecurityHealth};

use super::reader::Reader;
use crate::parse::{apparmor, pci};
use crate::paths;

/// `daemons`: libvirt's, as they run.
pub(super) fn read(reader: Reader<'_>, daemons: &Fact<Vec<Locker>>) -> SecurityHealth {
    let is_on = |text: Option<String>| text.is_some_and(|text| text.ends_with('\u{1}'));
    let selinux: Fact<bool> =
        reader.text(paths::SELINUX_ENFORCE).map(|text| text.is_some_and(|text| text.trim() == "1"));
    SecurityHealth {
        // A machine that was not booted by UEFI has none.
        secure_boot: reader.text(paths::SECURE_BOOT).map(is_on),
        lockdown: reader.text(paths::LOCKDOWN).map(|text| text.and_then(|text| chosen(&text))),
        signatures_enforced: reader
            .text(paths::SIGNATURES_ENFORCED)
            .map(|text| text.is_some_and(|text| pci::flag(&text) == Some(true))),
        virtqemud_confined: virtqemud_confined(reader, &selinux, daemons),
        selinux,
        // `0 0`: now, and after the next commit.
        hooks_unconfined: reader.text(paths::SELINUX_HOOKS).map(|text| Some(!text?.starts_with('0'))),
        apparmor_hooks: apparmor_hooks(reader),
    }
}

/// Whether SELinux confines the virtqemud that runs, by the type of its process. Its own is `virtqemud_t`, which Fedora's policy
/// lets read hooks (`virt_hook_t`) and not execute them; libvirtd's `virtd_t` may.
fn virtqemud_confined(reader: Reader<'_>, selinux: &Fact<bool>, daemons: &Fact<Vec<Locker>>) -> Fact<bool> {
    if !selinux.is(&true) {
        return selinux.clone();
    }
    let virtqemud =
        |daemons: &Vec<Locker>| daemons.iter().find(|one| one.command == "virtqemud").map(|one| one.pid);
    let Some(Some(pid)) = daemons.known().map(virtqemud) else { return daemons.clone().map(|_| false) };
    let context = reader.text(&paths::process_file(pid, "attr/current"));
    Reader::understood(context.map(|text| Some(selinux_type(&text?)? == "virtqemud_t")))
}

/// The type in a context: `system_u:system_r:virtqemud_t:s0-s0:c0.c1023`, with a NUL at its end.
fn selinux_type(context: &str) -> Option<&str> {
    context.trim_end_matches(['\0', '\n']).split(':').nth(2)
}

/// The word in brackets: `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

/// Whether each enforced profile of libvirt's daemons lets hooks run: `/etc/libvirt/hooks/** rmix,`; none where no profile is
/// enforced.
fn apparmor_hooks(reader: Reader<'_>) -> Fact<Option<bool>> {
    let on = reader.text(paths::APPARMOR);
    let is_on = on.known().and_then(|text| pci::flag(text.as_deref()?));
    if is_on != Some(true) {
        return on.map(|_| None);
    }
    // For who may administrate AppArmor alone; without it the files tell.
    let loaded = reader.text(paths::APPARMOR_LOADED);
    let loaded = loaded.known().and_then(Option::as_deref);
    let judged = paths::APPARMOR_LIBVIRT.map(|path| of_profile(reader, path, loaded));
    let value = |wanted: Option<bool>| judged.iter().find(move |fact| fact.is(&wanted));
    let unknown = judged.iter().find(|fact| fact.unknown().is_some());
    let found = value(Some(false)).or_else(|| value(Some(true))).or(unknown).cloned();
    found.unwrap_or_else(|| on.map(|_| None))
}

/// One profile, with the admin's file that it includes.
fn of_profile(reader: Reader<'_>, path: &str, loaded: Option<&str>) -> Fact<Option<bool>> {
    let base = path.rsplit('/').next().unwrap_or_default();
    let program = base.rsplit('.').next().unwrap_or_default();
    // All are asked for, whatever the first one says: a snapshot records what was asked for.
    let disabled = reader.presence(&format!("{}/disable/{base}", paths::APPARMOR_PROFILES));
    let local = reader.text(&format!("{}/local/{base}", paths::APPARMOR_PROFILES));
    let enforced =
        loaded.is_none_or(|list| matches!(apparmor::loaded_mode(list, program), Some("enforce" | "kill")));
    reader.text(path).map(|text| {
        let text = text.filter(|text| enforced && !disabled.is(&true) && !apparmor::blocks_nothing(text))?;
        let local = local.known().and_then(Option::as_deref);
        let local = local.filter(|_| apparmor::includes(&text, &format!("local/{base}")));
        Some(
            [Some(text.as_str()), local]
                .into_iter()
                .flatten()
                .any(|text| apparmor::executes(text, paths::HOOK)),
        )
    })
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::Reading;

    use super::*;
    use crate::files::Files;
    use crate::plain_tree::PlainTree;

    #[test]
    fn virtqemud_is_confined_by_the_type_of_its_process() {
        let tree = PlainTree::of(&[]);
        let (sysfs, put) = (tree.sysfs(), |path: &str, text: &str| tree.put(path, text));
        let daemon =
            |command: &str| Locker { pid: 7, command: command.to_owned(), limit_kib: None, may_raise: true };
        let now = |command: &str| {
            let daemons =
                Fact { source: paths::PROC.to_owned(), value: Reading::Known(vec![daemon(command)]) };
            read(Reader::new(Files::new(&sysfs)), &daemons).virtqemud_confined
        };
        put("proc/7/attr/current", "system_u:system_r:virtqemud_t:s0-s0:c0.c1023\0");
        assert!(now("virtqemud").is(&false), "a kernel without SELinux");
        put("sys/fs/selinux/enforce", "0");
        assert!(now("virtqemud").is(&false), "it is permissive");
        put("sys/fs/selinux/enforce", "1");
        assert!(now("virtqemud").is(&true));
        assert!(now("libvirtd").is(&false), "another daemon runs VMs");
        put("proc/7/attr/current", "system_u:system_r:unconfined_service_t:s0\0");
        assert!(now("virtqemud").is(&false));
        put("proc/7/attr/current", "unconfined\n");
        assert!(now("virtqemud").unknown().is_some());
    }

    #[test]
    fn a_profile_without_the_rule_blocks_while_it_is_enforced() {
        let tree = PlainTree::of(&[]);
        let (sysfs, put) = (tree.sysfs(), |path: &str, text: &str| tree.put(path, text));
        let now = || apparmor_hooks(Reader::new(Files::new(&sysfs))).known().copied().unwrap();
        put("sys/module/apparmor/parameters/enabled", "Y\n");
        assert_eq!(now(), None, "no profile");
        let libvirtd = "etc/apparmor.d/usr.sbin.libvirtd";
        put(libvirtd, "profile libvirtd /usr/sbin/libvirtd {\n  #include <local/usr.sbin.libvirtd>\n}\n");
        assert_eq!(now(), Some(false));
        put("etc/apparmor.d/local/usr.sbin.libvirtd", "# /etc/libvirt/hooks/** rmix,\n");
        assert_eq!(now(), Some(false), "a comment is no rule");
        put("etc/apparmor.d/local/usr.sbin.libvirtd", "/etc/libvirt/hooks/** rmix,\n");
        assert_eq!(now(), Some(true));
        put("etc/apparmor.d/usr.sbin.virtqemud", "profile virtqemud /usr/sbin/virtqemud {\n}\n");
        assert_eq!(now(), Some(false), "the other daemon's");
        put("sys/kernel/security/apparmor/profiles", "libvirtd (enforce)\nvirtqemud (complain)\n");
        assert_eq!(now(), Some(true), "it only complains");
        put("sys/kernel/security/apparmor/profiles", "libvirtd (enforce)\nvirtqemud (enforce)\n");
        put("etc/apparmor.d/disable/usr.sbin.virtqemud", "");
        assert_eq!(now(), Some(true), "it is disabled");
        put(libvirtd, "profile libvirtd /usr/sbin/libvirtd {\n}\n");
        assert_eq!(now(), Some(false), "a file that nothing includes");
        put(libvirtd, "profile libvirtd /usr/sbin/libvirtd flags=(complain) {\n}\n");
        assert_eq!(now(), None);
    }
}
