//! The admin's document against a small host.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

mod picture;

use gpuvirt_model::{Configuration, ConfiguredType, Desired, DesiredGpu, Refusal, RefusalCode};
use gpuvirt_plan::config::{Unnamed, Wanted, export, gpu_differences, host_differences, wanted};
use picture::{GPU, at, binding, function, host};

const TWIN: &str = "0000:43:00.0";

/// A host of two cards alike.
fn twins() -> gpuvirt_model::Observed {
    let mut observed = host(binding("nouveau", ""), binding("snd_hda_intel", ""));
    let mut twin = observed.gpus[&at(GPU)].clone();
    (twin.address, twin.functions) = (at(TWIN), vec![at(TWIN)]);
    observed.gpus.insert(at(TWIN), twin);
    observed.functions.insert(at(TWIN), function(TWIN, 0x03_00_00, binding("nouveau", "")));
    observed
}

fn read(gpus: &str) -> Configuration {
    let text = format!(r#"{{"apiVersion": "gpuvirt/v1", "kind": "Configuration", "gpus": [{gpus}]}}"#);
    serde_json::from_str(&text).unwrap()
}

fn stored() -> Desired {
    let identity = twins().functions[&at(GPU)].identity;
    let entry = DesiredGpu::new(at(GPU), identity, ConfiguredType::Direct);
    Desired::default().with_gpu(DesiredGpu { label: Some("render".to_owned()), ..entry })
}

fn want(gpus: &str, desired: &Desired) -> Result<Wanted, Vec<Refusal>> {
    wanted(&read(gpus), &twins(), desired, Unnamed::Kept)
}

#[track_caller]
fn only_code(result: Result<Wanted, Vec<Refusal>>) -> (RefusalCode, String) {
    let refusals = result.unwrap_err();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    (refusals[0].code, refusals[0].because.clone())
}

#[test]
fn what_is_exported_changes_nothing() {
    let desired = stored();
    let wanted = wanted(&export(&desired), &twins(), &desired, Unnamed::Forgotten).unwrap();
    assert_eq!(wanted.host, desired.host);
    assert_eq!(wanted.gpus.into_values().collect::<Vec<_>>(), desired.gpus);
    assert!(wanted.forgotten.is_empty());
}

#[test]
fn what_a_document_does_not_name_stays_and_null_takes_it_away() {
    let kept = want(r#"{"address": "41:00.0", "type": "direct"}"#, &stored()).unwrap();
    assert_eq!(gpu_differences(&kept.gpus[&at(GPU)], stored().gpu(at(GPU))), []);
    let cleared = want(r#"{"address": "41:00.0", "type": "direct", "label": null}"#, &stored()).unwrap();
    let changes = gpu_differences(&cleared.gpus[&at(GPU)], stored().gpu(at(GPU)));
    assert_eq!(changes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["label: render -> -"]);
}

#[test]
fn a_selector_means_as_many_as_it_says_or_nothing() {
    let none = Desired::default();
    let both = want(r#"{"match": {"device": "10de:1eb8", "count": 2}, "type": "direct"}"#, &none).unwrap();
    assert_eq!(both.gpus.keys().copied().collect::<Vec<_>>(), [at(GPU), at(TWIN)]);
    let one = want(r#"{"match": {"device": "10de:1eb8", "slot": "0000:43:00"}, "type": "direct"}"#, &none);
    assert_eq!(one.unwrap().gpus.keys().copied().collect::<Vec<_>>(), [at(TWIN)]);

    let (code, because) = only_code(want(r#"{"match": {"device": "10de:1eb8"}, "type": "direct"}"#, &none));
    assert_eq!(code, RefusalCode::SelectorAmbiguous);
    assert!(because.contains(GPU) && because.contains(TWIN), "{because}");
    for unmatched in [r#""device": "10de:1eb8", "count": 3"#, r#""device": "1002:73bf""#] {
        let entry = format!(r#"{{"match": {{{unmatched}}}, "type": "direct"}}"#);
        let (code, because) = only_code(want(&entry, &none));
        assert_eq!(code, RefusalCode::SelectorUnmatched);
        assert!(because.contains(GPU), "{because}");
    }
}

#[test]
fn every_entry_that_can_not_be_meant_is_refused_at_once() {
    let entries = [
        r#"{"address": "41:00.0", "type": "direct"}"#,
        r#"{"match": {"slot": "0000:41:00"}, "type": "shared"}"#,
        r#"{"address": "50:00.0", "type": "shared"}"#,
        r#"{"address": "43:00.0", "type": "direct", "label": "render", "identity": {"vendor": "10de",
            "device": "ffff", "subsystemVendor": "10de", "subsystemDevice": "12a2", "class": "030000"}}"#,
    ];
    let refusals = want(&entries.join(","), &stored()).unwrap_err();
    let codes: Vec<RefusalCode> = refusals.iter().map(|refusal| refusal.code).collect();
    let want = [RefusalCode::SelectorAmbiguous, RefusalCode::GpuNotFound, RefusalCode::IdentityChanged];
    assert_eq!(codes, want);
}

#[test]
fn a_label_may_be_that_of_several_gpus() {
    let entry = r#"{"address": "43:00.0", "type": "shared", "label": "render"}"#;
    let labels = |entries: &str| -> Vec<Option<String>> {
        want(entries, &stored()).unwrap().gpus.into_values().map(|gpu| gpu.label).collect()
    };
    assert_eq!(labels(entry), [Some("render".to_owned())]);
    let given = format!(r#"{entry}, {{"address": "41:00.0", "type": "direct", "label": null}}"#);
    assert_eq!(labels(&given), [None, Some("render".to_owned())]);
    let pruned = wanted(&read(entry), &twins(), &stored(), Unnamed::Forgotten).unwrap();
    assert_eq!(pruned.forgotten, [at(GPU)]);
}

#[test]
fn a_new_default_type_affects_whoever_follows_it() {
    let mut desired = stored();
    desired.gpus[0].graphics_type = ConfiguredType::Default;
    let mut config = read("");
    config.host.default_type = Some(ConfiguredType::SharedDirect);
    let wanted = wanted(&config, &twins(), &desired, Unnamed::Kept).unwrap();
    assert_eq!(wanted.gpus.keys().copied().collect::<Vec<_>>(), [at(GPU)]);
    let changes = host_differences(&wanted.host, &desired.host);
    assert_eq!(
        changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["defaultType: shared -> shared-direct"]
    );
}
