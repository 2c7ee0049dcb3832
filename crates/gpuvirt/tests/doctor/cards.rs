//! GPUs: group, driver, reset, power, display, windows, virtual functions, and what was asked for.

use gpuvirt_model::{
    Bar, ConfiguredType, DriverName, FindingCode as F, GraphicsType, Holder, Holders, HostDriver,
    HostDriverKind, Observed, Reading, Severity as S, Via,
};

use super::bed::{Bed, Case, FIRST, SECOND, at};

fn change(observed: &mut Observed, address: &str, with: impl FnOnce(&mut gpuvirt_model::Function)) {
    with(observed.functions.get_mut(&at(address)).unwrap());
}

/// The whole card on vfio-pci, as after `gpu set --type direct`.
pub fn direct(observed: &mut Observed, gpu: &str) {
    let card = observed.gpus.get_mut(&at(gpu)).unwrap();
    (card.on_vfio, card.host_driver) = (true, false);
    for address in card.functions.clone() {
        observed.functions.get_mut(&address).unwrap().binding.driver = Some(DriverName::vfio_pci());
    }
}

/// A process has the second card open.
pub fn held(observed: &mut Observed, command: &str) {
    let via = Via::Fd { fd: 7, path: "/dev/dri/card1".to_owned() };
    let holder = Holder::Process { pid: 4242, command: command.to_owned(), via, container: None };
    let holders = Holders { seen: vec![holder], unseen: None };
    observed.gpus.get_mut(&at(SECOND)).unwrap().holders = holders;
}

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

/// The second card has no driver, these are installed, and NVIDIA's is loaded.
fn loaded(bed: Bed, drivers: &str) -> Bed {
    let bed = waits_for_driver(bed, "x/y.ko");
    bed.file("/lib/modules/6.12.0-test/modules.dep", &format!("x/vfio-pci.ko:\n{drivers}"))
        .file("/sys/module/nvidia/initstate", "live\n")
}

/// The second card is an Arc that the host is to use. i915 is loaded, for the graphics in the processor; xe is not.
fn waits_for_xe(bed: Bed) -> Bed {
    bed.device(SECOND, "A: vendor=0x10de", "A: vendor=0x8086")
        .device(SECOND, "A: modalias=pci:v000010DE", "A: modalias=pci:v00008086")
        .configured(SECOND, ConfiguredType::Shared)
        .file(
            "/lib/modules/6.12.0-test/modules.dep",
            "x/vfio-pci.ko:\nkernel/drivers/gpu/drm/i915/i915.ko:\nupdates/dkms/xe.ko:\n",
        )
        .file("/sys/module/i915/initstate", "live\n")
        .absent("/sys/module/xe/initstate")
        .retouched(|observed| change(observed, SECOND, |function| function.binding.driver = None))
}

#[test]
fn no_other_driver_is_woken_where_one_is_loaded() {
    let bed = loaded(Bed::healthy(), "x/nvidia.ko:\nkernel/x/nouveau.ko:\n")
        .absent("/sys/module/nouveau/initstate")
        .file("/etc/modprobe.d/nvidia.conf", "blacklist nouveau\n");
    let found = bed.examine().findings;
    let remedy: Vec<&str> = found.iter().flat_map(|finding| &finding.remedy).map(String::as_str).collect();
    let probe = format!("echo {SECOND} > /sys/bus/pci/drivers_probe");
    assert!(remedy.iter().any(|line| line.starts_with(&probe)), "{remedy:#?}");
    assert!(remedy.iter().all(|line| !line.contains("modprobe") && !line.contains("nouveau")), "{remedy:#?}");
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
    [platform(), asked_for(), windows()].into_iter().flatten().collect()
}

fn platform() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a disk in the group, not configured", F::GroupNotViable, S::Note, |bed: Bed| {
            bed.device("0000:00:1d.0", "iommu_groups/3", "iommu_groups/12")
        }),
        case("a disk in the group, for passthrough", F::GroupNotViable, S::Error, |bed| {
            bed.device("0000:00:1d.0", "iommu_groups/3", "iommu_groups/12")
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        }),
        case("no reset", F::NoResetMethod, S::Note, |bed| {
            bed.device(SECOND, "A: reset_method=flr bus\\n", "A: reset_method=\\n")
        }),
        case("Polaris", F::ResetBug, S::Note, |bed| {
            bed.retouched(|observed| {
                change(observed, SECOND, |function| {
                    (function.identity.vendor, function.identity.device) = (0x1002, 0x67df);
                });
            })
        }),
        case("all ones", F::GpuUnresponsive, S::Error, |bed| {
            bed.retouched(|observed| change(observed, SECOND, |function| function.unresponsive = true))
        }),
        case("asleep and not to be woken", F::PowerStuck, S::Error, |bed| {
            bed.device(SECOND, "A: power_state=D0\\n", "A: power_state=D3cold\\n")
        }),
        case("an error of its power", F::PowerStuck, S::Error, |bed| {
            bed.device(SECOND, "A: power_state=D0\\n", "A: power_state=error\\n")
        })
        .says("error"),
        case("a card of VFIO's without power", F::D3cold, S::Note, |bed| idle(bed, "D3cold"))
            .says("d3cold_allowed"),
        case("a card of VFIO's without power, and what vfio-pci was told", F::D3cold, S::Note, |bed| {
            idle(bed, "D3cold").file(AWAKE, "N\n")
        })
        .says(AWAKE),
        case("a wake that failed", F::PowerStuck, S::Error, |bed| {
            bed.device(SECOND, "A: power_state=D0\\n", "A: power_state=D3hot\\n").device(
                SECOND,
                "A: power/runtime_status=active\\n",
                "A: power/runtime_status=error\\n",
            )
        })
        .says("D3hot"),
        case("a driver that lockdown may refuse", F::DriverUnsigned, S::Note, |bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
                .file(SECURE_BOOT, "\u{6}\0\0\0\u{1}")
        })
        .also(&[F::NoHostDriver])
        .says("updates/dkms/nvidia.ko"),
        case("a driver that Secure Boot may refuse", F::DriverUnsigned, S::Note, |bed| {
            waits_for_driver(bed, "extra/nvidia.ko.xz").file(SECURE_BOOT, "\u{6}\0\0\0\u{1}").treated(
                |health| health.security.lockdown.value = Reading::Unknown(gpuvirt_model::Unknown::NeedsRoot),
            )
        })
        .also(&[F::NoHostDriver]),
        case("a driver that the kernel's own parameter may refuse", F::DriverUnsigned, S::Note, |bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file("/sys/module/module/parameters/sig_enforce", "Y\n")
        })
        .also(&[F::NoHostDriver]),
        case("lockdown, and nouveau kept away for the driver's sake", F::DriverUnsigned, S::Note, |bed| {
            waits_for_driver(bed, "kernel/x/nouveau.ko:\nupdates/dkms/nvidia.ko")
                .absent("/sys/module/nouveau/initstate")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
                .file("/etc/modprobe.d/nvidia.conf", "blacklist nouveau\n")
        })
        .also(&[F::NoHostDriver])
        .says("updates/dkms/nvidia.ko"),
        case("lockdown, and a driver that came with the kernel", F::NoHostDriver, S::Warning, |bed| {
            waits_for_driver(bed, "kernel/drivers/gpu/drm/nouveau/nvidia.ko")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
        }),
        case("Secure Boot without lockdown", F::NoHostDriver, S::Warning, |bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file(LOCKDOWN, "[none] integrity confidentiality\n")
                .file(SECURE_BOOT, "\u{6}\0\0\0\u{1}")
        }),
        case("lockdown, and a driver that is blacklisted", F::NoHostDriver, S::Warning, |bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
                .file("/etc/modprobe.d/blacklist.conf", "blacklist nvidia\n")
        })
        .says("blacklist nvidia"),
    ]
}

const AWAKE: &str = "/sys/module/vfio_pci/parameters/disable_idle_d3";

/// No VM has the second card, and vfio-pci lets it sleep.
fn idle(bed: Bed, state: &str) -> Bed {
    bed.device(SECOND, "A: power_state=D0\\n", &format!("A: power_state={state}\\n"))
        .device(SECOND, "A: power/runtime_status=active\\n", "A: power/runtime_status=suspended\\n")
        .configured(SECOND, ConfiguredType::Direct)
        .retouched(|observed| direct(observed, SECOND))
}

/// It sleeps as it should, or on its host driver.
pub fn asleep_and_no_harm() -> Vec<(&'static str, Bed)> {
    let bed = Bed::healthy;
    let not_allowed = idle(bed(), "D3cold").device(SECOND, "A: d3cold_allowed=1", "A: d3cold_allowed=0");
    let of_the_host = idle(bed(), "D3cold").configured(SECOND, ConfiguredType::Shared).retouched(|_| {});
    vec![
        ("a card of VFIO's that sleeps with its power", idle(bed(), "D3hot")),
        ("the power is not cut any more", not_allowed),
        ("vfio-pci keeps cards awake", idle(bed(), "D3cold").file(AWAKE, "Y\n")),
        ("a laptop's card on its host driver", of_the_host),
    ]
}

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// The second card has no driver, and this one is installed for it.
fn without_driver(bed: Bed, file: &str) -> Bed {
    bed.file(
        "/lib/modules/6.12.0-test/modules.dep",
        &format!("kernel/drivers/vfio/pci/vfio-pci.ko:\n{file}: x/y.ko\n"),
    )
    .retouched(|observed| change(observed, SECOND, |function| function.binding.driver = None))
}

/// The same, and the host is to use the card.
fn waits_for_driver(bed: Bed, file: &str) -> Bed {
    without_driver(bed, file).configured(SECOND, ConfiguredType::Shared)
}

/// Nobody asked for that card, or a VM is to have it.
pub fn driver_not_missed() -> Vec<(&'static str, Bed)> {
    let locked = || {
        let bed = without_driver(Bed::healthy(), "updates/dkms/nvidia.ko");
        bed.file(LOCKDOWN, "none [integrity] confidentiality\n").file(SECURE_BOOT, "\u{6}\0\0\0\u{1}")
    };
    let direct =
        locked().configured(SECOND, ConfiguredType::Direct).retouched(|observed| direct(observed, SECOND));
    vec![
        ("a card that nobody asked for, under lockdown", locked()),
        ("a card of a VM's, under lockdown", direct),
    ]
}

/// A guest with the card's 32 GiB of windows, and this processor.
pub fn guest_with(cpu: &str) -> Bed {
    let xml = format!(
        "<domain type='kvm'><name>games</name><memory unit='GiB'>16</memory><os firmware='efi'>\
         <type machine='pc-q35-10.0'>hvm</type></os>{cpu}</domain>"
    );
    let read = gpuvirt_domain::machine(&xml).unwrap();
    let mut bed = Bed::healthy().vm("games", |_, _| {});
    let Reading::Known(machines) = &mut bed.libvirt.machines else { panic!("machines are known") };
    (machines[0].host_physical_bits, machines[0].cpu_mode) = (read.host_physical_bits, read.cpu_mode);
    bed
}

fn asked_for() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a card that is gone", F::GpuNotFound, S::Error, |mut bed: Bed| {
            bed = bed.configured(SECOND, ConfiguredType::Shared);
            bed.desired.gpus[0].address = at("0000:77:00.0");
            bed
        }),
        case("another card", F::IdentityChanged, S::Error, |mut bed| {
            bed = bed.configured(SECOND, ConfiguredType::Shared);
            bed.desired.gpus[0].identity.device = 0x1111;
            bed
        }),
        case("not direct yet", F::TypePending, S::Warning, |bed| {
            bed.configured(SECOND, ConfiguredType::Direct)
        }),
        case("NVIDIA's plain driver", F::WrongHostDriver, S::Error, |bed| {
            bed.configured(SECOND, ConfiguredType::SharedDirect).retouched(|observed| {
                let gpu = observed.gpus.get_mut(&at(SECOND)).unwrap();
                let (version, evidence) = (None, "/proc/driver/nvidia/version".to_owned());
                gpu.driver = HostDriver { kind: HostDriverKind::Plain, version, evidence };
                // As asked, so that nothing else is found.
                (gpu.live_vgpus, gpu.host_driver) = (1, true);
                assert_eq!(gpu.active_type(None), GraphicsType::SharedDirect);
            })
        }),
        case("nouveau on a card for vGPUs", F::WrongHostDriver, S::Error, |bed| {
            bed.configured(SECOND, ConfiguredType::SharedDirect)
        })
        .also(&[F::TypePending])
        .says("nouveau has it: no driver for vGPUs"),
        case("amdgpu on a card that can have virtual functions", F::WrongHostDriver, S::Error, |bed| {
            bed.device(SECOND, "A: vendor=0x10de", "A: vendor=0x1002")
                .device(SECOND, "A: modalias=pci:v000010DE", "A: modalias=pci:v00001002")
                .device(SECOND, "A: reset=", "A: sriov_totalvfs=8\\n\nA: reset=")
                .device(SECOND, "drivers/nouveau", "drivers/amdgpu")
                .configured(SECOND, ConfiguredType::SharedDirect)
        })
        .also(&[F::TypePending])
        .says("vGPUs need AMD's driver gim"),
        case("a program on the card of a VM", F::GpuInUse, S::Warning, |bed| {
            bed.vm("games", |_, _| {}).retouched(|observed| held(observed, "Xorg"))
        }),
        case("a program on a card that is lent", F::GpuInUse, S::Warning, |mut bed| {
            bed = bed.configured(SECOND, ConfiguredType::Shared);
            bed.desired.gpus[0].when = gpuvirt_model::When::Vm;
            bed.retouched(|observed| held(observed, "blender"))
        }),
        case("a blacklisted driver", F::NoHostDriver, S::Warning, |mut bed| {
            bed = bed
                .file(
                    "/lib/modules/6.12.0-test/modules.dep",
                    "kernel/drivers/vfio/pci/vfio-pci.ko:\nkernel/drivers/gpu/drm/radeon/radeon.ko:\nx/nvidia.ko:\n",
                )
                .file("/etc/modprobe.d/blacklist.conf", "blacklist nvidia\n")
                .configured(SECOND, ConfiguredType::Shared);
            bed.retouched(|observed| {
                change(observed, SECOND, |function| function.binding.driver = None);
            })
        }),
        case("a driver that is loaded and did not take its card", F::NoHostDriver, S::Warning, |bed| {
            loaded(bed, "x/nvidia.ko:\n")
        })
        .says("nvidia is loaded and did not take it"),
        case("the same, and another one is kept away for its sake", F::NoHostDriver, S::Warning, |bed| {
            loaded(bed, "x/nvidia.ko:\nkernel/x/nouveau.ko:\n")
                .absent("/sys/module/nouveau/initstate")
                .file("/etc/modprobe.d/nvidia.conf", "blacklist nouveau\n")
        })
        .says("nvidia is loaded and did not take it"),
        case(
            "another card's driver is loaded, and this one's is blacklisted",
            F::NoHostDriver,
            S::Warning,
            |bed| waits_for_xe(bed).file("/etc/modprobe.d/no.conf", "blacklist xe\n"),
        )
        .says("blacklist xe"),
        case("another card's driver is loaded, and this one's sleeps", F::NoHostDriver, S::Warning, |bed| {
            waits_for_xe(bed)
        })
        .says("xe installed and not loaded"),
        case(
            "another card's driver is loaded, and this one's may be refused",
            F::DriverUnsigned,
            S::Note,
            |bed| waits_for_xe(bed).file(LOCKDOWN, "none [integrity] confidentiality\n"),
        )
        .also(&[F::NoHostDriver])
        .says("updates/dkms/xe.ko"),
        case("a driver that a package blacklists", F::NoHostDriver, S::Warning, |mut bed| {
            bed = bed
                .file("/lib/modules/6.12.0-test/modules.dep", "x/vfio-pci.ko:\nx/nvidia.ko:\n")
                .file("/usr/lib/modprobe.d/blacklist.conf", "blacklist nvidia\n")
                .configured(SECOND, ConfiguredType::Shared);
            bed.retouched(|observed| {
                change(observed, SECOND, |function| function.binding.driver = None);
            })
        }),
        case("the boot display, for a VM", F::BootDisplay, S::Warning, |mut bed| {
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
    ]
}

fn windows() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a window without a place", F::BarUnassigned, S::Error, |bed: Bed| {
            bed.device(
                SECOND,
                "0x0000004800000000 0x0000004fffffffff 0x000000000014220c",
                "0x0000000000000000 0x00000007ffffffff 0x000000002014220c",
            )
        }),
        case("a window that could be larger", F::BarResizable, S::Note, |bed| {
            bed.device(SECOND, "A: reset=", "A: resource1_resize=0000000000010000\\n\nA: reset=")
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        }),
        case("virtual functions that nobody makes again", F::LostAtReboot, S::Note, |bed| {
            bed.retouched(|observed| observed.gpus.get_mut(&at(SECOND)).unwrap().live_vfs = 4)
        })
        .says("it has 4 virtual functions, which"),
        case("vGPUs that nobody makes again", F::LostAtReboot, S::Note, |bed| {
            bed.retouched(|observed| {
                super::missing::with_two(observed);
                observed.gpus.get_mut(&at(SECOND)).unwrap().live_vgpus = 2;
            })
        })
        .says("00000000-0000-0000-0000-000000000012 (grid_t4-1b)"),
        case("a guest without room for 32 GiB", F::ApertureSmall, S::Warning, |bed| {
            bed.vm("games", |_, machine| machine.host_physical_bits = false)
        }),
        case("a guest of another processor without room", F::ApertureSmall, S::Warning, |_| {
            guest_with("<cpu mode='host-model'/>")
        }),
        case("memory on the other node", F::NumaRemote, S::Warning, |bed| {
            bed.vm("games", |_, machine| machine.memory_nodes = Some("1".to_owned()))
        }),
        case("the boot display's ROM", F::ShadowedRom, S::Note, |bed| {
            bed.device(SECOND, "A: reset=", "A: rom=\nA: reset=").vm("games", |_, _| {}).retouched(
                |observed| {
                    direct(observed, SECOND);
                    change(observed, FIRST, |function| function.boot_vga = Some(false));
                    change(observed, SECOND, |function| function.boot_vga = Some(true));
                },
            )
        }),
        case("a large window that a small one would do for", F::ApertureSmall, S::Warning, |bed| {
            bed.vm("games", |_, machine| {
                machine.host_physical_bits = false;
                machine.mmio64_mib = Some(1024);
            })
            .retouched(|observed| {
                let bars =
                    vec![Bar { index: 1, size: 64 << 30, memory: true, wide: true, prefetchable: true }];
                change(observed, SECOND, |function| function.bars = bars);
                assert!(matches!(observed.domains, Reading::Known(_)));
            })
        }),
    ]
}
