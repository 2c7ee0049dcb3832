//! The host's screen: boot display, the firmware's picture, its ROM.

use gpuvirt_model::{ConfiguredType, FindingCode as F, Observed, Severity as S};

use super::bed::{Bed, Case, FIRST, SECOND};
use super::cards::{change, direct};

/// The second card is on vfio-pci, and memory is claimed so.
fn drawn(bed: Bed, claims: &str) -> Bed {
    let bed = bed.file("/proc/iomem", claims).configured(SECOND, ConfiguredType::Direct);
    bed.retouched(|observed| direct(observed, SECOND))
}

/// The second card is configured for VMs and not yet theirs, and the firmware's picture is in its memory.
fn painted(bed: Bed, retouch: fn(&mut Observed)) -> Bed {
    bed.file("/proc/iomem", "0-0 : 0000:02:00.0\n  0-0 : BOOTFB\n")
        .configured(SECOND, ConfiguredType::Direct)
        .retouched(retouch)
}

#[test]
fn where_vfio_takes_the_picture_away_itself_it_is_no_finding() {
    let codes = |bed: Bed| -> Vec<F> { bed.examine().findings.iter().map(|finding| finding.code).collect() };
    let told = |release: &'static str| {
        let bed = painted(Bed::healthy(), |_| {});
        codes(bed.file("/proc/sys/kernel/osrelease", &format!("{release}\n")))
    };
    assert_eq!(codes(painted(Bed::healthy(), |_| {})), [F::TypePending]);
    assert!(!told("6.0.0-1-amd64").contains(&F::FirmwareFramebuffer));
    assert!(told("5.19.0-1-amd64").contains(&F::FirmwareFramebuffer));
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("the boot display, for a VM", F::BootDisplay, S::Warning, |mut bed: Bed| {
            bed = bed.configured(FIRST, ConfiguredType::Shared);
            bed.desired.gpus[0].when = gpuvirt_model::When::Vm;
            bed
        })
        .says("nouveau draws on it: card0 renderD128 fb0"),
        case("the firmware's picture", F::FirmwareFramebuffer, S::Error, |bed| {
            bed.file("/proc/iomem", "0-0 : 0000:02:00.0\n  0-0 : BOOTFB\n")
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        }),
        case(
            "the firmware's picture, for a card that an older kernel's VFIO takes",
            F::FirmwareFramebuffer,
            S::Warning,
            |bed| {
                painted(bed, |observed| observed.host.kernel_release = Some("5.15.0-101-generic".to_owned()))
            },
        )
        .also(&[F::TypePending])
        .says("nouveau has not taken it over"),
        case(
            "the firmware's picture, for a kernel that nobody knows",
            F::FirmwareFramebuffer,
            S::Warning,
            |bed| {
                painted(bed, |observed| {
                    observed.host.kernel_release = None;
                    change(observed, SECOND, |function| function.binding.driver = None);
                })
            },
        )
        .also(&[F::TypePending])
        .says("no driver has taken it over"),
        case("the firmware's picture, on a 3D controller", F::FirmwareFramebuffer, S::Warning, |bed| {
            painted(bed, |observed| {
                change(observed, SECOND, |function| function.identity.class.0 = 0x03_0200);
            })
        })
        .also(&[F::IdentityChanged]),
        case("efidrm's frame buffer", F::FirmwareFramebuffer, S::Error, |bed| {
            drawn(bed, "0-0 : 0000:02:00.0\n  0-0 : efidrm\n")
        })
        .says("efidrm inside the memory of 0000:02:00.0"),
        case("vesadrm's frame buffer", F::FirmwareFramebuffer, S::Error, |bed| {
            drawn(bed, "0-0 : 0000:02:00.0\n  0-0 : vesadrm\n")
        })
        .says("vesadrm inside the memory of 0000:02:00.0"),
        case("simpledrm's frame buffer, in the firmware's", F::FirmwareFramebuffer, S::Error, |bed| {
            drawn(bed, "0-0 : 0000:02:00.0\n  0-0 : BOOTFB\n    0-0 : simpledrm\n")
        })
        .says("BOOTFB, simpledrm inside the memory of 0000:02:00.0"),
        case("the boot display's ROM", F::ShadowedRom, S::Note, |bed| {
            bed.device(SECOND, "A: reset=", "A: rom=\nA: reset=").vm("games", |_, _| {}).retouched(
                |observed| {
                    direct(observed, SECOND);
                    change(observed, FIRST, |function| function.boot_vga = Some(false));
                    change(observed, SECOND, |function| function.boot_vga = Some(true));
                },
            )
        }),
    ]
}
