//! What is read for the listing of profiles alone tells the same of them as what is read of the whole host.

use std::path::Path;
use std::sync::Arc;

use gpuvirt_api::ProfileDocument;
use gpuvirt_host::{GpuRules, LinuxHost, ObserveScope};
use gpuvirt_model::Desired;
use gpuvirt_recording::RecordedHost;

#[test]
fn a_look_at_offers_alone_shows_the_same_profiles_on_every_recorded_host() {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hosts");
    let mut offered = 0;
    for file in std::fs::read_dir(hosts).unwrap() {
        let file = file.unwrap().path();
        let Ok(recording) = RecordedHost::open(&file) else { continue };
        let extra = recording.manifest().map(|manifest| manifest.extra_gpus.clone()).unwrap_or_default();
        let host = LinuxHost::new(Arc::new(recording), GpuRules { extra, ..GpuRules::default() });
        let profiles = |scope| {
            let observed = host.observe_scope(scope).unwrap();
            (
                ProfileDocument::all(&observed, &Desired::default()),
                observed.vgpus.into_keys().collect::<Vec<_>>(),
            )
        };
        let alone = profiles(ObserveScope::Offers);
        assert_eq!(alone, profiles(ObserveScope::WithoutHolders), "{}", file.display());
        offered += alone.0.len();
    }
    assert!(offered > 15, "{offered} profiles: the recorded hosts offer more");
}
