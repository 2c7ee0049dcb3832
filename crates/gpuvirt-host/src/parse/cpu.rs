//! `/proc/cpuinfo`: what the first processor says of itself. All of one host are alike in what matters here.

use gpuvirt_model::health::CpuFeatures;

/// Reads the first processor's lines; none where they are no x86 processor's.
pub fn features(text: &str) -> Option<CpuFeatures> {
    let mut features = CpuFeatures::default();
    let mut has_flags = false;
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim() {
            "vendor_id" => features.vendor = value.trim().to_owned(),
            "flags" => {
                has_flags = true;
                let has = |flag: &str| value.split_whitespace().any(|word| word == flag);
                (features.vmx, features.svm, features.hypervisor) =
                    (has("vmx"), has("svm"), has("hypervisor"));
            }
            // `39 bits physical, 48 bits virtual`
            "address sizes" => {
                features.physical_bits = value.split_whitespace().next().and_then(|bits| bits.parse().ok());
            }
            _ => {}
        }
    }
    has_flags.then_some(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_processor_speaks_for_all() {
        let text = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vmx_ hypervisor vmx\n\
                    address sizes\t: 39 bits physical, 48 bits virtual\n\nprocessor\t: 1\nflags\t\t: svm\n";
        let want = CpuFeatures {
            vendor: "GenuineIntel".to_owned(),
            vmx: true,
            svm: false,
            hypervisor: true,
            physical_bits: Some(39),
        };
        assert_eq!(features(text), Some(want));
        assert_eq!(features("processor\t: 0\nFeatures\t: fp asimd\n"), None);
        assert_eq!(features(""), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(flags|address sizes|\\PC){0,4}[:\n ]\\PC{0,40}") {
            let _ = features(&text);
        }
    }
}
