//! How a word gets onto the kernel's command line or off it on this host: as commands to copy where it is known by what the
//! kernel is started, else for each way that is common.

use gpuvirt_model::health::Loader;

use super::Case;
use crate::checks::shell_word;

/// What is to become of the command line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'a> {
    /// This word is put on it.
    Add(&'a str),
    /// This word is taken off it.
    Drop(&'a str),
    /// The first word becomes the second one.
    Replace(&'a str, &'a str),
}

const GRUB_FILE: &str = "/etc/default/grub";
const KERNEL_FILE: &str = "/etc/kernel/cmdline";
const GRUB_MKCONFIG: &str = "grub-mkconfig -o /boot/grub/grub.cfg";
const REBOOT: &str = "# then reboot";

/// What to do for it, a line for each way.
pub(super) fn remedies(case: &Case<'_>, change: Change<'_>) -> Vec<String> {
    let loader = case.health.boot.loader.known().filter(|_| change.is_plain(case));
    let Some(loader) = loader else { return any_loader(change) };
    let grub = change.edit("s/^GRUB_CMDLINE_LINUX=\"/&{} /");
    let own_file = change.edit("1s/$/ {}/");
    vec![match loader {
        Loader::UpdateGrub => format!("{grub} {GRUB_FILE}; update-grub {REBOOT}"),
        Loader::ProxmoxGrub => {
            format!("{grub} {GRUB_FILE}; update-grub; proxmox-boot-tool refresh {REBOOT}")
        }
        Loader::Grubby => {
            format!("grubby --update-kernel=ALL{} {REBOOT}", change.arguments("--remove-args=", "--args="))
        }
        Loader::ProxmoxSystemdBoot => format!("{own_file} {KERNEL_FILE}; proxmox-boot-tool refresh {REBOOT}"),
        Loader::Kernelstub => {
            format!("kernelstub{} {REBOOT}", change.arguments("--delete-options ", "--add-options "))
        }
        Loader::GrubMkconfig => format!("{grub} {GRUB_FILE}; {GRUB_MKCONFIG} {REBOOT}"),
        Loader::KernelInstall { stored, image } => {
            stored_words(*stored, &own_file, &installed_anew(case, image.as_deref()))
        }
        Loader::Mkinitcpio { stored } => stored_words(*stored, &own_file, "mkinitcpio -P"),
        Loader::OwnEntries => format!(
            "{} the line options of this host's entry below loader/entries, which bootctl list names, and reboot",
            change.said()
        ),
    }]
}

/// The stored command line is edited, and told to what `then` makes.
fn stored_words(stored: bool, edit: &str, then: &str) -> String {
    let edited = format!("{edit} {KERNEL_FILE}; {then} {REBOOT}");
    if stored {
        return edited;
    }
    // As kernel-install and mkinitcpio do without that file: what the host was started with, but for the loader's own words.
    let own = r"sed -e 's/\(BOOT_IMAGE\|initrd\)=[^ ]* \?//g' /proc/cmdline";
    format!("grep -qs . {KERNEL_FILE} || {own} >{KERNEL_FILE}; {edited}")
}

/// The running kernel's entry, with what the file says now.
fn installed_anew(case: &Case<'_>, image: Option<&str>) -> String {
    let release = case.observed.host.kernel_release.as_deref().unwrap_or("RELEASE");
    let image = image.map_or_else(|| format!("/boot/vmlinuz-{release}"), str::to_owned);
    format!("kernel-install add {} {}", shell_word(release), shell_word(&image))
}

fn any_loader(change: Change<'_>) -> Vec<String> {
    let said = change.said();
    let grubby = change.arguments("--remove-args=", "--args=");
    vec![
        format!("Debian, Ubuntu: {said} GRUB_CMDLINE_LINUX in {GRUB_FILE}; update-grub; reboot"),
        format!("Arch: {said} GRUB_CMDLINE_LINUX in {GRUB_FILE}; {GRUB_MKCONFIG}; reboot"),
        format!("with mkinitcpio's unified images: {said} {KERNEL_FILE}; mkinitcpio -P; reboot"),
        format!("Fedora, RHEL: grubby --update-kernel=ALL{grubby}; reboot"),
        format!(
            "with systemd-boot: {said} {KERNEL_FILE}; kernel-install add \"$(uname -r)\" IMAGE, on Proxmox proxmox-boot-tool refresh; \
             reboot"
        ),
    ]
}

impl Change<'_> {
    /// Whether a pattern finds the word and no other: not a part of a longer one, and no quotes in it.
    fn is_plain(self, case: &Case<'_>) -> bool {
        let (Self::Drop(word) | Self::Replace(word, _)) = self else { return true };
        let goes_on = |other: &str| other.strip_prefix(word).is_some_and(|rest| rest.starts_with([',', ':']));
        !word.contains('"') && !case.health.boot.words(word).any(goes_on)
    }

    /// sed that does it in a file; `add` is its way to add the word in the place of `{}`.
    fn edit(self, add: &str) -> String {
        let script = match self {
            Self::Add(word) => add.replacen("{}", &replacement(word), 1),
            // At either end of a word: what stands in quotes, at a blank, or at the line's end.
            Self::Drop(word) => format!("s/\\b{}\\b//", pattern(word)),
            Self::Replace(word, by) => format!("s/\\b{}\\b/{}/", pattern(word), replacement(by)),
        };
        format!("sed -i -e {}", shell_word(&script))
    }

    /// Arguments of a tool that takes words off and puts words on.
    fn arguments(self, off: &str, on: &str) -> String {
        let argument = |option: &str, word: &str| format!(" {option}{}", shell_word(word));
        match self {
            Self::Add(word) => argument(on, word),
            Self::Drop(word) => argument(off, word),
            Self::Replace(word, by) => argument(off, word) + &argument(on, by),
        }
    }

    /// For people; the place comes behind it.
    fn said(self) -> String {
        match self {
            Self::Add(word) => format!("add {word} to"),
            Self::Drop(word) => format!("drop {word} from"),
            Self::Replace(word, by) => format!("make {word} {by} in"),
        }
    }
}

/// A text as sed's basic regular expression.
fn pattern(text: &str) -> String {
    escaped(text, &['.', '[', ']', '*', '^', '$', '/', '\\'])
}

/// A text as what sed puts in the place of another.
fn replacement(text: &str) -> String {
    escaped(text, &['&', '/', '\\'])
}

fn escaped(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
