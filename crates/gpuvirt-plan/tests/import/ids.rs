//! Cards that vfio-pci takes by vendor and device.

use super::*;

const TWIN: &str = "0000:51:00.0";

/// The host with a second card of the same kind.
fn with_a_twin() -> Observed {
    let mut observed = a_host();
    observed.functions.insert(at(TWIN), picture::function(TWIN, 0x03_00_00, binding("nvidia", "")));
    observed.gpus.insert(at(TWIN), gpuvirt_model::Gpu::new(at(TWIN), vec![at(TWIN)]));
    observed
}

#[test]
fn an_override_by_address_wins_over_ids_that_take_the_twin() {
    let foreign = ForeignSetup {
        overrides: vec![over(GPU, "nvidia")],
        vfio_ids: vec![ids(0x1eb8)],
        ..ForeignSetup::default()
    };
    let found = run(&foreign, &with_a_twin());
    assert_eq!(types(&found), [(TWIN.to_owned(), ConfiguredType::Direct)]);
    assert!(found.contradictions.is_empty(), "{:?}", found.contradictions);
    let of_gpu: Vec<_> = found.traces.iter().filter(|trace| trace.gpu == Some(at(GPU))).collect();
    assert_eq!(of_gpu.len(), 2);
    assert!(of_gpu.iter().all(|trace| trace.becomes.is_none()), "{of_gpu:?}");
    assert!(of_gpu[1].note.as_ref().unwrap().contains("keeps it on nvidia"), "{of_gpu:?}");
    // Nothing is left to take for it alone: no document, and no advice to drop what takes nothing.
    let alone = run(&foreign, &a_host());
    assert!(alone.config.gpus.is_empty() && alone.afterwards.is_empty(), "{alone:?}");
}

#[test]
fn ids_mean_every_gpu_of_a_kind_and_companions_nothing() {
    let ids = |id: &str| VfioIds {
        ids: vec![id.parse().unwrap()],
        origin: Origin::line("/etc/modprobe.d/vfio.conf", 3),
        heard: true,
    };
    let with = |ids| run(&ForeignSetup { vfio_ids: vec![ids], ..ForeignSetup::default() }, &a_host());
    assert_eq!(types(&with(ids("10de:1eb8"))), direct());
    assert_eq!(types(&with(ids("10de:1eb8:10de:12a2"))), direct());
    for none in [ids("10de:1eb8:10de:1"), ids("10de:2235")] {
        let found = with(none);
        assert!(found.config.gpus.is_empty() && found.afterwards.is_empty(), "{found:?}");
        assert_eq!(found.traces[0].note.as_deref(), Some("no GPU of this host is one"));
    }
}

#[test]
fn of_several_ids_the_last_value_counts_and_who_has_the_card_now_is_told() {
    let taking = |path: &str, line: Option<usize>| {
        let origin = line.map_or_else(|| Origin::file(path), |line| Origin::line(path, line));
        VfioIds { ids: vec![PciDeviceId::of(0x10de, 0x1eb8)], origin, heard: true }
    };
    let counts = |ids: &[VfioIds]| {
        let found = run(&ForeignSetup { vfio_ids: ids.to_vec(), ..ForeignSetup::default() }, &a_host());
        let counted = found.traces.iter().filter(|trace| trace.becomes.is_some());
        counted
            .map(|trace| (trace.origin.to_string(), trace.note.clone().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let (first, last) =
        (taking("/etc/modprobe.d/aa.conf", Some(1)), taking("/usr/lib/modprobe.d/zz.conf", Some(1)));
    let (boot, early) = (taking("/proc/cmdline", None), taking("/etc/initramfs-tools/modules", Some(3)));
    let rule = taking("/etc/udev/rules.d/10.rules", Some(1));
    for (ids, counted) in [
        (vec![last.clone(), first.clone()], "/usr/lib/modprobe.d/zz.conf:1"),
        (vec![boot.clone(), VfioIds { heard: false, ..early.clone() }], "/proc/cmdline"),
        (vec![boot.clone(), last.clone()], "/proc/cmdline"),
        (vec![early, boot, first.clone()], "/etc/initramfs-tools/modules:3"),
    ] {
        assert_eq!(counts(&ids), [(counted.to_owned(), "nvidia has it now".to_owned())]);
    }
    assert_eq!(counts(&[rule, first]).len(), 2, "a rule of udev's is no parameter");
}

/// What counts, as id and origin, of values of the parameter in the order in which they are read.
fn counting(values: &[(&str, Origin)], vfio_built_in: bool) -> Vec<(String, String)> {
    let parse = |list: &str| PciDeviceId::list(list).into_iter().map(Result::unwrap).collect();
    let value =
        |(list, origin): &(&str, Origin)| VfioIds { ids: parse(list), origin: origin.clone(), heard: true };
    let vfio_ids = values.iter().map(value).collect();
    let found = run(&ForeignSetup { vfio_ids, vfio_built_in, ..ForeignSetup::default() }, &a_host());
    let heeded = |trace: &&gpuvirt_plan::import::Trace| {
        trace.note.as_ref().is_none_or(|note| !note.starts_with("not heeded"))
    };
    let said = found.traces.iter().filter(heeded);
    said.map(|trace| (trace.says.replace("vfio-pci takes ", ""), trace.origin.to_string())).collect()
}

#[test]
fn of_several_values_in_one_place_the_last_counts_and_an_empty_one_too() {
    let boot = || Origin::file("/proc/cmdline");
    let options = || Origin::line("/etc/modprobe.d/vfio.conf", 3);
    for place in [boot, options] {
        let of = |says: &str| vec![(says.to_owned(), place().to_string())];
        let found = counting(&[("10de:1eb8", place()), ("1002:73bf", place())], false);
        assert_eq!(found, of("every 1002:73bf"));
        let found = counting(&[("1002:73bf", place()), ("10de:1eb8", place())], false);
        assert_eq!(found, of("every 10de:1eb8"));
        let found = counting(&[("10de:1eb8", place()), ("", place())], false);
        assert_eq!(found, of("nothing by its ids"));
    }
    // All of one value count, and one place's empty value counts against another place.
    let both = counting(&[("10de:1eb8,10de:1aef", options())], false);
    assert_eq!(both.len(), 2, "{both:?}");
    let emptied = counting(&[("", boot()), ("10de:1eb8", options())], false);
    assert_eq!(emptied, [("nothing by its ids".to_owned(), "/proc/cmdline".to_owned())]);
}

#[test]
fn a_kernel_with_vfio_pci_built_in_heeds_its_command_line_alone() {
    let boot = ("1002:73bf", Origin::file("/proc/cmdline"));
    let options = ("10de:1eb8", Origin::line("/etc/modprobe.d/vfio.conf", 3));
    let early = ("10de:1eb8", Origin::line("/etc/initramfs-tools/modules", 3));
    let rule = ("10de:1eb8", Origin::line("/etc/udev/rules.d/10.rules", 1));
    let all = [boot.clone(), options.clone(), early.clone(), rule.clone()];
    let told = |(id, origin): &(&str, Origin)| (format!("every {id}"), origin.to_string());
    assert_eq!(counting(&all, false), [told(&early), told(&rule)]);
    assert_eq!(counting(&all, true), [told(&boot), told(&rule)]);
    assert_eq!(counting(&[options, early], true), []);
}
