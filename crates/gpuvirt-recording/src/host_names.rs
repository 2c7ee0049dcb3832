//! What a host is called, and where that stands in a text.

/// How a host is called: its name, and the first part of it where it is a full one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

/// Words of the files that a recording holds, which are no host's secret and which a reader of the recording needs.
const KERNEL_WORDS: [&str; 34] = [
    "acpi",
    "apic",
    "ctrl",
    "display",
    "dmar",
    "edge",
    "efidrm",
    "efifb",
    "eth0",
    "fasteoi",
    "gcc",
    "i915",
    "io",
    "ir",
    "kernel",
    "level",
    "linux",
    "module",
    "msi",
    "msix",
    "nvidia",
    "nvme",
    "nvrm",
    "pci",
    "simpledrm",
    "simplefb",
    "timer",
    "unix",
    "vesadrm",
    "vesafb",
    "vfio",
    "version",
    "x86",
    "xe",
];

impl HostNames {
    /// The names of a host that calls itself `name`. A number is no name of any use, and neither is a word of the kernel's
    /// or of one of the drivers in `known`: replacing those would change what the files say, and they name nobody.
    pub fn new(name: &str, known: &[String]) -> Self {
        let name = name.trim();
        let short = name.split('.').next().unwrap_or_default();
        let usable = |name: &&str| {
            let is = |word: &str| word.eq_ignore_ascii_case(name);
            name.bytes().any(|b| b.is_ascii_alphabetic())
                && name.len() > 1
                && !KERNEL_WORDS.iter().copied().any(is)
                && !known.iter().any(|word| is(word))
        };
        let mut names: Vec<String> = [name, short].into_iter().filter(usable).map(str::to_owned).collect();
        // The longer one first: the short one is a part of it.
        names.dedup();
        Self(names)
    }

    /// The same with who is asked and where, by a URI: another host's name is as telling as this one's.
    #[must_use]
    pub fn with(mut self, user_and_host: &[String]) -> Self {
        let telling = |name: &&String| {
            name.len() > 1 && !["localhost", "root"].iter().any(|plain| name.eq_ignore_ascii_case(plain))
        };
        self.0.extend(user_and_host.iter().filter(telling).cloned());
        // The longer first: a shorter one may be a part of it.
        self.0.sort_by_key(|name| std::cmp::Reverse(name.len()));
        self
    }

    /// The text without these names where they stand as words of their own, in whatever case.
    pub(crate) fn blank(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, name| blank_word(&text, name))
    }
}

/// Ends of files' and units' names, which are no domain: `node1.conf` stays one.
const ENDS: [&str; 20] = [
    "conf", "efi", "img", "iso", "json", "ko", "log", "preset", "qcow2", "raw", "rom", "rules", "service",
    "so", "sock", "socket", "tar", "timer", "toml", "xml",
];

/// Replaces a word, and the domain behind it. Letters and digits make words; all else ends them, so that `node1-vg` and
/// `node1.example.org` hold `node1`, and `node12` does not.
fn blank_word(text: &str, word: &str) -> String {
    let (lower, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    for (at, _) in lower.match_indices(&word) {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
        if at < kept || [before, after].into_iter().flatten().any(char::is_alphanumeric) {
            continue;
        }
        out.push_str(text.get(kept..at).unwrap_or_default());
        out.push_str("redacted");
        let behind = at + word.len();
        kept = behind + domain(text.get(behind..).unwrap_or_default());
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    out
}

/// How long the domain is that a text begins with: `.example.org` behind a host's name. Its last label has a letter first, and
/// is no end of a file's name.
fn domain(text: &str) -> usize {
    let mut end = 0;
    let mut at = 0;
    while let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix('.')) {
        let is_of_label = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let label = rest.split(|c| !is_of_label(c)).next().unwrap_or_default();
        if label.is_empty() {
            break;
        }
        at += 1 + label.len();
        let is_end = ENDS.iter().any(|known| known.eq_ignore_ascii_case(label));
        if label.starts_with(char::is_alphabetic) && !is_end {
            end = at;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_goes_where_it_is_a_word_and_no_driver() {
        let known = ["mlx5_core".to_owned(), "ahci".to_owned()];
        for (host, text, want) in [
            ("node1.example.org", "root@node1.example.org node1 node12", "root@redacted redacted node12"),
            ("node1", "Node1: node1-vg xnode1 node1_a", "redacted: redacted-vg xnode1 redacted_a"),
            ("vault7", "(alice@vault7.corp.example) vault7.local.", "(alice@redacted) redacted."),
            (
                "vault7",
                "vault7.corp.example.conf vault7.conf vault7.0",
                "redacted.conf redacted.conf redacted.0",
            ),
            ("vault7", "vault7.corp.vault7.example-1: vault7. vault7..x", "redacted: redacted. redacted..x"),
            ("vault7", "vault7.1.größe vault7.service", "redacted redacted.service"),
            ("gpu", "at gpu; gpus, i915gpu", "at redacted; gpus, i915gpu"),
            ("pc", "(root@pc) pci", "(root@redacted) pci"),
            ("größe", "auf größe, größer", "auf redacted, größer"),
            // These would change what the files say.
            ("nvidia", "nvidia 123 0 - Live", "nvidia 123 0 - Live"),
            ("ahci", "IR-PCI-MSI ahci", "IR-PCI-MSI ahci"),
            ("nvidia.example.org", "nvidia nvidia.example.org", "nvidia redacted"),
            ("17", "17: 0 17", "17: 0 17"),
            ("x", "x 0x", "x 0x"),
            ("", "text", "text"),
        ] {
            assert_eq!(HostNames::new(host, &known).blank(text), want, "{host}");
        }
    }
}
