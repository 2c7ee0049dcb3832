//! What keeps code from running: Secure Boot, lockdown, SELinux, AppArmor.

use gpuvirt_model::health::SecurityHealth;
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::parse::pci;
use crate::paths;

pub(super) fn read(reader: Reader<'_>) -> SecurityHealth {
    let is_on = |text: Option<String>| text.is_some_and(|text| text.ends_with('\u{1}'));
    SecurityHealth {
        // A machine that was not booted by UEFI has none.
        secure_boot: reader.text(paths::SECURE_BOOT).map(is_on),
        lockdown: reader.text(paths::LOCKDOWN).map(|text| text.and_then(|text| chosen(&text))),
        selinux: reader.text(paths::SELINUX_ENFORCE).map(|text| text.is_some_and(|text| text.trim() == "1")),
        // `0 0`: now, and after the next commit.
        hooks_unconfined: reader.text(paths::SELINUX_HOOKS).map(|text| Some(!text?.starts_with('0'))),
        apparmor_hooks: apparmor_hooks(reader),
    }
}

/// The word in brackets: `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

/// Whether the profile of libvirt's daemon has a rule for hooks: `/etc/libvirt/hooks/** rmix,`.
fn apparmor_hooks(reader: Reader<'_>) -> Fact<Option<bool>> {
    let on = reader.text(paths::APPARMOR);
    let is_on = on.known().and_then(|text| pci::flag(text.as_deref()?));
    if is_on != Some(true) {
        return on.map(|_| None);
    }
    let profiles = paths::APPARMOR_LIBVIRT.map(|path| reader.text(path));
    let there = profiles.into_iter().find(|profile| !matches!(profile.value, Reading::Known(None)));
    let judged = |profile: Fact<Option<String>>| {
        profile.map(|text| text.map(|text| text.contains("/etc/libvirt/hooks/")))
    };
    there.map_or_else(|| on.map(|_| None), judged)
}
