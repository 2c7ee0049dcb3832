//! The paths of the API, with names from outside percent-encoded.
//!
//! | method and path | answers |
//! |---|---|
//! | `GET /v1/gpus`, `/v1/gpus/{gpu}` | `List<GpuDocument>` (kinds `GpuList`, `Gpu`) |
//! | `GET /v1/profiles[?gpu=]` | `List<ProfileDocument>` (`ProfileList`) |
//! | `GET /v1/mig[?gpu=]` | `List<MigDocument>` (`MigList`) |
//! | `GET /v1/vgpus`, `/v1/vgpus/{id}` | `List<VgpuDocument>` (`VgpuList`, `Vgpu`) |
//! | `GET /v1/vms`, `/v1/vms/{name}` | `List<VmDocument>` (`VmList`, `Vm`) |
//! | `GET /v1/gpus/{gpu}/xml`, `/v1/vgpus/{id}/xml`, `/v1/vms/{name}/xml` | `XmlDocument` (`Xml`) |
//! | `GET /v1/vms/{name}/migration` | `List<MigrationDocument>` (`Migration`) |
//! | `POST /v1/vms/{name}/start` with `VmStart`, `POST /v1/vms/{name}/adopt` with `VmAdopt` | `Change` |
//! | `PUT /v1/vms/{name}/guest-driver` with `VmGuestDriver` | `Change` |
//! | `POST /v1/hook` with `HookCall`, for libvirt's hook alone | `HookAnswer` |
//! | `GET /v1/capacity[?profile=]` | `List<Capacity>` (`CapacityList`) |
//! | `GET /v1/host` | `List<HostDocument>` (`Host`) |
//! | `PUT /v1/host` with `SetHost` | `Change` |
//! | `POST /v1/host/refresh` | `Change` |
//! | `PUT /v1/gpus/{gpu}/cordon` with `SetCordon` | `Change` |
//! | `GET /v1/status` | `StatusDocument` (`Status`) |
//! | `GET /v1/doctor[?gpu=]` | `DoctorDocument` (`Doctor`) |
//! | `GET /v1/testimony`, for snapshots | `TestimonyDocument` (`Testimony`) |
//! | `GET /v1/events[?after=N][&waitSeconds=S]` | `EventList` |
//! | the same with `Accept: text/event-stream` | `Event`s and `EventsLost` as they come |
//! | `GET /v1/openapi.json` | all of this as an OpenAPI document |
//! | `GET /metrics` | numbers for Prometheus (OpenMetrics) |
//! | `POST /v1/recover` | `Change` |
//! | `GET /v1/config` | `Configuration` |
//! | `POST /v1/config` with `ApplyConfig` | `ConfigChange` |
//! | `PUT /v1/gpus/{gpu}/type` with `SetType` | `Change` |
//! | `DELETE /v1/gpus/{gpu}/configuration` | `Change` |
//! | `POST /v1/vgpus` with `CreateVgpu`, `DELETE /v1/vgpus/{id}[?dryRun=true]` | `Change` |
//! | `POST /v1/vgpus/remove` with `RemoveVgpus` | `Change` |
//! | `PUT /v1/vgpus/{id}/params` with `SetVgpuParams` | `Change` |
//! | `POST /v1/gpus/{gpu}/gpu-instances` with `CreateGpuInstances` | `Change` |
//! | `DELETE /v1/gpus/{gpu}/gpu-instances[/{id}][?dryRun=true]` | `Change` |
//! | `POST /v1/vms/{name}/devices` with `VmAdd`, `POST /v1/vms/{name}/devices/remove` with `VmRemove` | `Change` |
//!
//! Listings show what the kernel told of since they were last made, and at most two seconds of what it tells nobody
//! (attributes that others write, processes that open a device); `Cache-Control: no-cache` asks for a look at the host.
//!
//! A change may carry `Idempotency-Key`, a UUID: asked for again with it, by a client that lost the answer, it is made
//! once and the first answer is given again.
//!
//! A single document is a list of one item. Every error is an `ApiError` with the status of its kind.

use std::fmt::Write as _;

use gpuvirt_model::VgpuId;

use crate::GpuSelector;

/// The header of a change's key: a UUID. A change that is asked for again with it is made once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// `/v1/gpus`
pub const GPUS: &str = "/v1/gpus";
/// `/v1/profiles`
pub const PROFILES: &str = "/v1/profiles";
/// `/v1/mig`
pub const MIG: &str = "/v1/mig";
/// `/v1/vgpus`
pub const VGPUS: &str = "/v1/vgpus";
/// `/v1/vgpus/remove`
pub const VGPU_REMOVAL: &str = "/v1/vgpus/remove";
/// `/v1/vms`
pub const VMS: &str = "/v1/vms";
/// `/v1/hook`
pub const HOOK: &str = "/v1/hook";
/// `/v1/status`
pub const STATUS: &str = "/v1/status";

/// `/v1/events`
pub const EVENTS: &str = "/v1/events";
/// `/metrics`
pub const METRICS: &str = "/metrics";
/// `/v1/config`
pub const CONFIG: &str = "/v1/config";

/// `/v1/recover`
pub const RECOVER: &str = "/v1/recover";

/// `/v1/doctor`, about one GPU when one is named.
pub fn doctor(gpu: Option<&GpuSelector>) -> String {
    let one = |gpu: &GpuSelector| format!("/v1/doctor?gpu={}", segment(&gpu.to_string()));
    gpu.map_or_else(|| "/v1/doctor".to_owned(), one)
}

/// `/v1/testimony`
pub const TESTIMONY: &str = "/v1/testimony";

/// The header by which a listener says on return which event of a stream was its last.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// `/v1/events`, those after one of them, waiting for the next for so many seconds.
pub fn events(after: u64, wait_seconds: u64) -> String {
    format!("{EVENTS}?after={after}&waitSeconds={wait_seconds}")
}

/// `/v1/host`
pub const HOST: &str = "/v1/host";
/// `/v1/host/refresh`
pub const HOST_REFRESH: &str = "/v1/host/refresh";

/// `/v1/capacity`, of one profile when one is named.
pub fn capacity(profile: Option<&str>) -> String {
    let one = |profile| format!("/v1/capacity?profile={}", segment(profile));
    profile.map_or_else(|| "/v1/capacity".to_owned(), one)
}

/// `/v1/gpus/{gpu}/cordon`
pub fn gpu_cordon(selector: &GpuSelector) -> String {
    gpu(selector) + "/cordon"
}

/// `/v1/gpus/{gpu}`
pub fn gpu(gpu: &GpuSelector) -> String {
    format!("{GPUS}/{}", segment(&gpu.to_string()))
}

/// `/v1/gpus/{gpu}/xml`
pub fn gpu_xml(selector: &GpuSelector) -> String {
    gpu(selector) + "/xml"
}

/// `/v1/gpus/{gpu}/type`
pub fn gpu_type(selector: &GpuSelector) -> String {
    gpu(selector) + "/type"
}

/// `/v1/gpus/{gpu}/configuration`
pub fn gpu_configuration(selector: &GpuSelector) -> String {
    gpu(selector) + "/configuration"
}

/// `/v1/profiles`, of one GPU when one is named.
pub fn profiles(gpu: Option<&GpuSelector>) -> String {
    gpu.map_or_else(|| PROFILES.to_owned(), |gpu| format!("{PROFILES}?gpu={}", segment(&gpu.to_string())))
}

/// `/v1/mig`, of one GPU when one is named.
pub fn mig(gpu: Option<&GpuSelector>) -> String {
    gpu.map_or_else(|| MIG.to_owned(), |gpu| format!("{MIG}?gpu={}", segment(&gpu.to_string())))
}

/// `/v1/gpus/{gpu}/gpu-instances`
pub fn gpu_instances(selector: &GpuSelector) -> String {
    gpu(selector) + "/gpu-instances"
}

/// `/v1/gpus/{gpu}/gpu-instances`, or one of them, for removal or for its plan alone.
pub fn gpu_instance_removal(selector: &GpuSelector, id: Option<u32>, dry_run: bool) -> String {
    let which = id.map(|id| format!("/{id}")).unwrap_or_default();
    gpu_instances(selector) + &which + if dry_run { "?dryRun=true" } else { "" }
}

/// `/v1/vgpus/{id}`
pub fn vgpu(id: VgpuId) -> String {
    format!("{VGPUS}/{}", segment(&id.to_string()))
}

/// `/v1/vgpus/{id}/xml`
pub fn vgpu_xml(id: VgpuId) -> String {
    vgpu(id) + "/xml"
}

/// `/v1/vgpus/{id}`, for removal or for its plan alone.
pub fn vgpu_removal(id: VgpuId, dry_run: bool) -> String {
    vgpu(id) + if dry_run { "?dryRun=true" } else { "" }
}

/// `/v1/vgpus/{id}/params`
pub fn vgpu_params(id: VgpuId) -> String {
    vgpu(id) + "/params"
}

/// `/v1/vms/{name}`
pub fn vm(name: &str) -> String {
    format!("{VMS}/{}", segment(name))
}

/// `/v1/vms/{name}/xml`
pub fn vm_xml(name: &str) -> String {
    vm(name) + "/xml"
}

/// `/v1/vms/{name}/migration`
pub fn vm_migration(name: &str) -> String {
    vm(name) + "/migration"
}

/// `/v1/vms/{name}/start`
pub fn vm_start(name: &str) -> String {
    vm(name) + "/start"
}

/// `/v1/vms/{name}/adopt`
pub fn vm_adopt(name: &str) -> String {
    vm(name) + "/adopt"
}

/// `/v1/vms/{name}/guest-driver`
pub fn vm_guest_driver(name: &str) -> String {
    vm(name) + "/guest-driver"
}

/// `/v1/vms/{name}/devices`
pub fn vm_devices(name: &str) -> String {
    vm(name) + "/devices"
}

/// `/v1/vms/{name}/devices/remove`
pub fn vm_device_removal(name: &str) -> String {
    vm(name) + "/devices/remove"
}

/// One segment of a path: all but RFC 3986's unreserved characters percent-encoded.
///
/// The segments `.` and `..` mean themselves to no server: their dots are encoded too.
fn segment(text: &str) -> String {
    let dots = !text.is_empty() && text.bytes().all(|b| b == b'.');
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && !dots);
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_kind_stay_one_segment() {
        for (name, want) in [
            ("web1", "/v1/vms/web1"),
            ("two words", "/v1/vms/two%20words"),
            ("a/b?c#d%", "/v1/vms/a%2Fb%3Fc%23d%25"),
            ("größe", "/v1/vms/gr%C3%B6%C3%9Fe"),
            ("..", "/v1/vms/%2E%2E"),
            ("v1.2", "/v1/vms/v1.2"),
            ("a\r\nHost: x", "/v1/vms/a%0D%0AHost%3A%20x"),
        ] {
            assert_eq!(vm(name), want);
        }
    }

    #[test]
    fn an_address_is_a_segment() {
        let selector: GpuSelector = "41:00.0".parse().unwrap();
        assert_eq!(gpu_type(&selector), "/v1/gpus/0000%3A41%3A00.0/type");
        assert_eq!(profiles(Some(&selector)), "/v1/profiles?gpu=0000%3A41%3A00.0");
        assert_eq!(profiles(None), "/v1/profiles");
        assert_eq!(capacity(Some("a b&c=d")), "/v1/capacity?profile=a%20b%26c%3Dd");
    }

    proptest::proptest! {
        #[test]
        fn a_name_never_leaves_its_segment(name in "(?s).{1,40}|[./?#%]{1,8}") {
            let path = vm(&name);
            let encoded = path.strip_prefix("/v1/vms/").unwrap();
            proptest::prop_assert!(!encoded.contains(['/', '?', '#']) && !encoded.trim_matches('.').is_empty());
            proptest::prop_assert!(encoded.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
