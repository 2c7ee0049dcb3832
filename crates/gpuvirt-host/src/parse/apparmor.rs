//! AppArmor's profiles, as far as libvirt's hooks care: which files a profile lets be executed, which file it includes, and
//! whether it is enforced. It reads the rules that people write for hooks, not the language.

/// Whether a profile lets this file be executed.
pub fn executes(text: &str, file: &str) -> bool {
    lines(text).any(|line| rule(line).is_some_and(|(path, modes)| may_execute(modes) && matches(path, file)))
}

/// Whether a profile includes a file of the folder of profiles, `local/usr.sbin.libvirtd` (`#include` is the old form).
pub fn includes(text: &str, file: &str) -> bool {
    let mut words = text.lines().map(str::trim).filter_map(|line| {
        let line = line.strip_prefix('#').unwrap_or(line).strip_prefix("include")?;
        let path = line.trim().trim_start_matches("if exists").trim();
        Some(path.split('#').next().unwrap_or_default().trim())
    });
    let name = |word: &str| word.trim_matches(['<', '>', '"']).trim_start_matches("/etc/apparmor.d/") == file;
    words.any(name)
}

/// Whether the profile itself says that it blocks nothing: `flags=(complain)`, `flags=(unconfined)`.
pub fn blocks_nothing(text: &str) -> bool {
    let header = lines(text).find(|line| line.ends_with('{'));
    let flags = header.and_then(|line| line.split_once("flags=(")?.1.split_once(')'));
    flags.is_some_and(|(flags, _)| {
        flags.split([',', ' ']).any(|flag| matches!(flag, "complain" | "unconfined"))
    })
}

/// How a program's profile is loaded, out of the kernel's list (`libvirtd (enforce)`); none: it is not.
pub fn loaded_mode<'a>(list: &'a str, program: &str) -> Option<&'a str> {
    list.lines().find_map(|line| {
        let (name, mode) = line.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
        (name == program || name.strip_prefix("/usr/sbin/") == Some(program)).then_some(mode)
    })
}

/// The lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let said = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    said.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The path and the permissions of a rule of files that allows something.
fn rule(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_suffix(',')?;
    let said = line.split("->").next().unwrap_or_default();
    let mut words = said.split_whitespace().filter(|word| !matches!(*word, "audit" | "allow" | "file"));
    let (first, second) = (words.next()?, words.next()?);
    match [first, second].map(|word| word.trim_matches('"').starts_with('/')) {
        [true, false] => Some((first.trim_matches('"'), second)),
        [false, true] if first != "deny" && first != "owner" => Some((second.trim_matches('"'), first)),
        _ => None,
    }
}

fn may_execute(modes: &str) -> bool {
    modes.contains('x')
}

/// Whether a path of a rule is this file, with the patterns at its end that rules of hooks have.
fn matches(pattern: &str, file: &str) -> bool {
    // Alternatives and sets below /etc are taken for the file: what is not understood is no alarm.
    if let Some((head, _)) = pattern.split_once(['{', '[', '?', '@']) {
        return head.starts_with("/etc/") && file.starts_with(head);
    }
    if let Some(folder) = pattern.strip_suffix("**") {
        return file.len() > folder.len() && file.starts_with(folder);
    }
    if let Some(folder) = pattern.strip_suffix('*') {
        return file.strip_prefix(folder).is_some_and(|name| !name.is_empty() && !name.contains('/'));
    }
    pattern == file
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: &str = "/etc/libvirt/hooks/qemu.d/50-gpuvirt";

    #[test]
    fn a_rule_lets_a_hook_run_and_a_comment_does_not() {
        for (text, want) in [
            ("  /etc/libvirt/hooks/** rmix,\n", true),
            ("  \"/etc/libvirt/hooks/**\" rmix, # ours\n", true),
            ("  /etc/libvirt/hooks/** PUx -> other,\n", true),
            ("  /etc/libvirt/hooks/qemu.d/* ix,\n", true),
            ("  rix /etc/libvirt/hooks/qemu.d/50-gpuvirt,\n", true),
            ("  /etc/** rix,\n", true),
            ("  /etc/libvirt/hooks/{qemu,qemu.d/**} rmix,\n", true),
            ("  /{usr/,}lib/udev/scsi_id PUx,\n", false),
            ("  # /etc/libvirt/hooks/** rmix,\n", false),
            ("  #/etc/libvirt/hooks/** rmix,\n", false),
            ("  deny /etc/libvirt/hooks/** x,\n", false),
            ("  audit deny /etc/libvirt/hooks/** x,\n", false),
            ("  /etc/libvirt/hooks/** r,\n", false),
            ("  /etc/libvirt/hooks/qemu rmix,\n", false),
            ("  /etc/libvirt/hooks/* rmix,\n", false),
            ("  /** rwmkl,\n", false),
            ("  /usr/bin/* PUx,\n", false),
            ("", false),
        ] {
            assert_eq!(executes(text, HOOK), want, "{text}");
        }
    }

    #[test]
    fn both_forms_of_an_include_are_read() {
        let local = "local/usr.sbin.libvirtd";
        for text in
            ["  #include <local/usr.sbin.libvirtd>\n", "include if exists <local/usr.sbin.libvirtd>\n"]
        {
            assert!(includes(text, local), "{text}");
        }
        for text in ["# include <local/usr.sbin.libvirtd>\n", "include <local/usr.sbin.virtqemud>\n", "x\n"] {
            assert!(!includes(text, local), "{text}");
        }
    }

    #[test]
    fn only_the_profiles_own_flags_count() {
        let header = |flags: &str| {
            format!(
                "# flags=(complain) {{\n@{{X}}=\"y\"\nprofile libvirtd /usr/sbin/libvirtd {flags}{{\n  profile c flags=(complain) {{\n"
            )
        };
        assert!(blocks_nothing(&header("flags=(attach_disconnected,complain) ")));
        assert!(
            blocks_nothing(&header("flags=(complain) ")) && blocks_nothing(&header("flags=(unconfined) "))
        );
        assert!(!blocks_nothing(&header("flags=(attach_disconnected) ")) && !blocks_nothing(&header("")));
    }

    #[test]
    fn the_kernels_list_says_how_a_profile_is_loaded() {
        let list =
            "/usr/sbin/libvirtd (complain)\nlibvirtd//qemu_bridge_helper (enforce)\nvirtqemud (enforce)\n";
        assert_eq!(loaded_mode(list, "libvirtd"), Some("complain"));
        assert_eq!(loaded_mode(list, "virtqemud"), Some("enforce"));
        assert_eq!(loaded_mode("other (enforce)\n", "virtqemud"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}(\n\\PC{0,40}){0,3}") {
            let _ = (executes(&text, HOOK), includes(&text, "local/x"), blocks_nothing(&text), loaded_mode(&text, "x"));
        }
    }
}
