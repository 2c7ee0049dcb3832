//! `/proc/interrupts`: whether the platform remaps interrupts.

/// Reads the interrupt chips' names: `IR-` in front means that the interrupt goes through a remapping table; MSI
/// chips without any `IR-` means that nothing is remapped. `None`: no chip tells.
///
/// The IOMMU's own interrupts (`DMAR-MSI`, AMD's plain ones) are never remapped and alone prove nothing, but AMD
/// shows them as ordinary MSI: so one `IR-` anywhere decides.
pub fn remapped(text: &str) -> Option<bool> {
    let mut message_signalled = false;
    for line in text.lines() {
        let Some((number, rest)) = line.split_once(':') else { continue };
        let numbered = !number.trim().is_empty() && number.trim().bytes().all(|b| b.is_ascii_digit());
        if !numbered {
            continue;
        }
        let chip = rest.split_whitespace().find(|word| !word.bytes().all(|b| b.is_ascii_digit()));
        match chip {
            Some(name) if name.starts_with("IR-") => return Some(true),
            Some(name) if name.contains("MSI") && !name.starts_with("DMAR") => message_signalled = true,
            Some(_) | None => {}
        }
    }
    message_signalled.then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "           CPU0       CPU1\n";

    #[test]
    fn chips_tell_whether_interrupts_are_remapped() {
        for (lines, want) in [
            (
                "   0:   9  0  IR-IO-APIC    2-edge      timer\n 120:  0  0  DMAR-MSI    0-edge      dmar0\n",
                Some(true),
            ),
            (" 127:   0  7  IR-PCI-MSIX-0000:41:00.0    0-edge      nvidia\n", Some(true)),
            (
                "   0:   9  0   IO-APIC   2-edge      timer\n  28:   0  0 PCI-MSIX-0000:00:01.0   0-edge   x\n",
                Some(false),
            ),
            ("  26:  1  2  PCI-MSI 512000-edge      ahci[0000:00:1f.2]\n", Some(false)),
            ("   0:   9  0   IO-APIC   2-edge      timer\n", None),
            (" 120:  0  0  DMAR-MSI    0-edge      dmar0\n", None),
            ("NMI:   0  0   Non-maskable interrupts\n LOC: 1 2 IR-nonsense\n", None),
            ("", None),
        ] {
            assert_eq!(remapped(&format!("{HEAD}{lines}")), want, "{lines}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ 0-9:A-Z\\-\n]{0,200}") { let _ = remapped(&text); }
    }
}
