//! What keeps modules from being loaded: words of the kernel's command line, lines of modprobe.d.

use gpuvirt_model::Evidence;
use gpuvirt_model::health::ModuleLine;

use super::Case;
use super::command_line::{self, Change};
use crate::checks::shell_word;

/// The kernel's own list: it refuses such a module, whoever loads it. Of several the last one counts.
const KERNELS: &str = "module_blacklist=";
/// modprobe's list, on the command line.
const MODPROBES: &str = "modprobe.blacklist=";
/// The folder in which an admin's file hides packages' ones.
const OWN: &str = "/etc/modprobe.d";

/// What keeps a module away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeper<'a> {
    pub(super) how: How,
    place: Place<'a>,
}

/// From whom it keeps the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// From everybody, until the next boot.
    Kernel,
    /// From everybody who asks modprobe.
    Install,
    /// From devices, and from who asks as udev and libvirt do (`modprobe -b`). By its name anybody may load it.
    Devices,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Word(&'a str),
    Line(&'a ModuleLine),
}

/// What keeps a module away, by the name that the kernel has for it (`_`, and no `-`); of several, what keeps it from most.
pub(super) fn keeper<'a>(case: &Case<'a>, module: &str) -> Option<Keeper<'a>> {
    let boot = &case.health.boot;
    // Both compare with the module's name as the kernel spells it: `vfio-pci` on the command line keeps nothing away.
    let names = |word: &str, list: &str| {
        word.strip_prefix(list).is_some_and(|modules| modules.split(',').any(|name| name == module))
    };
    let kernels = boot.words(KERNELS).last().filter(|word| names(word, KERNELS));
    let lines = || case.health.modules.options.known().into_iter().flatten();
    let line = |how| lines().find(move |line| of_line(&line.line, module) == Some(how));
    let word = || boot.words(MODPROBES).find(|word| names(word, MODPROBES));
    let found = kernels.map(|word| (How::Kernel, Place::Word(word)));
    let found = found.or_else(|| Some((How::Install, Place::Line(line(How::Install)?))));
    let found = found.or_else(|| Some((How::Devices, Place::Word(word()?))));
    let found = found.or_else(|| Some((How::Devices, Place::Line(line(How::Devices)?))));
    found.map(|(how, place)| Keeper { how, place })
}

/// Whether a line of modprobe.d keeps a module away. An `install` command of another kind may load it in the end.
fn of_line(line: &str, module: &str) -> Option<How> {
    let mut words = line.split(' ');
    let verb = words.next()?;
    words.next().filter(|name| name.replace('-', "_") == module)?;
    match verb {
        "blacklist" => Some(How::Devices),
        "install" => {
            let program = words.next()?.rsplit('/').next()?;
            ["false", "true"].contains(&program).then_some(How::Install)
        }
        _ => None,
    }
}

impl Keeper<'_> {
    /// The word or line, with its place.
    pub(super) fn evidence(&self, case: &Case<'_>) -> Evidence {
        match self.place {
            Place::Word(word) => case.health.boot.command_line.shows(word),
            Place::Line(line) => Evidence { source: line.file.clone(), value: line.line.clone() },
        }
    }

    /// What to do against it, and then to have the module.
    pub(super) fn remedies(&self, case: &Case<'_>, module: &str) -> Vec<String> {
        let line = match self.place {
            Place::Line(line) => line,
            Place::Word(word) => {
                let mut lines = self.dropped(case, word, module);
                if self.how == How::Devices {
                    lines.push(format!("modprobe {module} # until then: by its name it is loaded"));
                }
                return lines;
            }
        };
        let words: Vec<&str> = line.line.split(' ').take(2).collect();
        let script = format!("s/^\\s*{}\\b/#&/", words.join("\\s\\+"));
        let edit = |file: &str| format!("sed -i -e '{script}' {file}; modprobe {module}");
        let file = shell_word(&line.file);
        // A package's file comes again with its next version; one of the admin's of that name hides it.
        vec![match line.file.rsplit_once('/').filter(|(folder, _)| *folder != OWN) {
            Some((_, name)) => {
                let own = shell_word(&format!("{OWN}/{name}"));
                format!("cp {file} {own}; {}", edit(&own))
            }
            None => edit(&file),
        }]
    }

    /// The command line without the module, with the others that the word names.
    fn dropped(&self, case: &Case<'_>, word: &str, module: &str) -> Vec<String> {
        let (list, modules) = word.split_once('=').unwrap_or((word, ""));
        let others: Vec<&str> = modules.split(',').filter(|name| *name != module).collect();
        if others.is_empty() {
            return command_line::remedies(case, Change::Drop(word));
        }
        let rest = format!("{list}={}", others.join(","));
        command_line::remedies(case, Change::Replace(word, &rest))
    }
}
