//! What each route answers.

use gpuvirt_api::{
    Capacity, DoctorDocument, ErrorKind, GpuDocument, HostDocument, List, MigDocument, MigrationDocument,
    ProfileDocument, StatusDocument, VgpuDocument, VmDocument, XmlDocument, route,
};
use gpuvirt_model::{AssignmentPolicy, RefusalCode};
use gpuvirt_plan::migration::Answer;
use serde::de::DeserializeOwned;

use crate::fakes::{AUDIO, Daemon, GPU, ODD_NAME, Script, VGPU, as_other, as_root};
use crate::http::{get, send};

fn list<T: DeserializeOwned>(daemon: &Daemon, path: &str, kind: &str) -> List<T> {
    let answer = get(&daemon.socket(), path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    assert!(answer.head.contains("application/json"), "{answer:?}");
    let list: List<T> = serde_json::from_value(answer.json()).unwrap();
    assert_eq!((list.api_version.as_str(), list.kind.as_str()), ("gpuvirt/v1", kind), "{path}");
    assert_eq!(list.oddities, ["an oddity"]);
    assert!(list.domains_unknown.is_none());
    list
}

#[test]
fn gpus_are_listed_and_found_by_every_name() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    let gpus: List<GpuDocument> = list(&daemon, route::GPUS, "GpuList");
    assert_eq!(gpus.items[0].address, GPU);
    assert_eq!(gpus.items[0].vms.known().unwrap().len(), 2);
    for name in ["0000:41:00.0", "41:00.0", "0000%3A41%3A00.0", "left%20card", &AUDIO.to_string()] {
        let gpu: List<GpuDocument> = list(&daemon, &format!("/v1/gpus/{name}"), "Gpu");
        assert_eq!(gpu.items, gpus.items, "{name}");
    }
}

#[test]
fn profiles_vgpus_and_vms_are_listed() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    for path in ["/v1/profiles", "/v1/profiles?gpu=41:00.0", "/v1/profiles?gpu=left+card"] {
        let profiles: List<ProfileDocument> = list(&daemon, path, "ProfileList");
        assert_eq!((profiles.items.len(), profiles.items[0].consumed), (1, 1), "{path}");
    }
    let vgpus: List<VgpuDocument> = list(&daemon, route::VGPUS, "VgpuList");
    let vgpu: List<VgpuDocument> = list(&daemon, &route::vgpu(VGPU.into()), "Vgpu");
    assert_eq!(vgpus.items, vgpu.items);
    assert!(!vgpu.items[0].ours, "nobody recorded it as made by us");
    let vms: List<VmDocument> = list(&daemon, route::VMS, "VmList");
    assert_eq!(vms.items.len(), 2);
    for (path, index) in [
        (route::vm("web"), 0),
        (route::vm(ODD_NAME), 1),
        ("/v1/vms/00000000-0000-0000-0000-000000000002".to_owned(), 1),
    ] {
        let vm: List<VmDocument> = list(&daemon, &path, "Vm");
        assert_eq!(vm.items, vms.items[index..=index], "{path}");
    }
}

#[test]
fn a_domains_xml_is_served_without_its_secrets() {
    for identify in [as_root, as_other] {
        let daemon = Daemon::start_with(Script::default(), identify);
        for name in ["web", ODD_NAME] {
            let answer = get(&daemon.socket(), &route::vm_xml(name));
            let document: XmlDocument = serde_json::from_value(answer.json()).unwrap();
            assert_eq!(document.xml, "<domain><graphics/></domain>");
        }
    }
}

#[test]
fn whether_a_vm_can_move_is_told_with_what_it_takes() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    let found: List<MigrationDocument> = list(&daemon, &route::vm_migration("web"), "Migration");
    let [document] = found.items.as_slice() else { panic!("{found:?}") };
    assert_eq!(document.vm, "web");
    // Nothing tells versions here, and the vGPU's driver is nobody's who saves state.
    assert_eq!(document.migration.answer, Answer::Unknown, "{document:?}");
    let what: Vec<&str> = document.migration.checks.iter().map(|check| check.what.as_str()).collect();
    assert_eq!(what, [VGPU.to_string().as_str(), "kernel", "libvirt", "QEMU"]);
}

#[test]
fn the_status_says_who_answers_and_what_is_the_matter() {
    let status = |script| -> StatusDocument {
        let daemon = Daemon::start_with(script, as_other);
        serde_json::from_value(get(&daemon.socket(), route::STATUS).json()).unwrap()
    };
    let calm = status(Script::default());
    let daemon = calm.daemon.unwrap();
    assert_eq!((daemon.pid, daemon.generation), (std::process::id(), 1));
    assert_eq!((calm.problems.len(), calm.gpus.len()), (0, 1));
    assert!(calm.gpus[0].hands_off.is_none());
    let stuck = status(Script { intent_open: true, domains_unknown: true, ..Script::default() });
    assert!(stuck.gpus[0].hands_off.as_deref().unwrap().contains("it becomes direct"));
    assert!(stuck.domains_unknown.is_some());
}

#[test]
fn the_hosts_defaults_are_changed_and_shown() {
    let daemon = Daemon::start();
    let shown = || list::<HostDocument>(&daemon, route::HOST, "Host").items.remove(0);
    assert_eq!((shown().maintenance, shown().cordoned.len()), (false, 0));
    let change = |path, body| send(&daemon.socket(), "PUT", path, body);
    assert_eq!(
        change("/v1/host", "{\"maintenance\": true, \"assignmentPolicy\": \"consolidation\"}").status,
        200
    );
    let managed = change("/v1/gpus/41:00.0/type", "{\"type\": \"shared-direct\"}");
    assert_eq!(managed.status, 200, "{managed:?}");
    assert_eq!(change("/v1/gpus/41:00.0/cordon", "{\"cordoned\": true}").status, 200);
    let host = shown();
    assert_eq!((host.maintenance, host.assignment_policy), (true, AssignmentPolicy::Consolidation));
    assert_eq!(host.cordoned.len(), 1);
    let status = get(&daemon.socket(), route::STATUS).json();
    assert_eq!((&status["maintenance"], &status["gpus"][0]["cordoned"]), (&true.into(), &true.into()));
}

#[test]
fn capacity_is_listed_and_a_vgpu_placed() {
    let daemon = Daemon::start();
    let all: List<Capacity> = list(&daemon, "/v1/capacity", "CapacityList");
    let names: Vec<&str> = all.items.iter().map(|capacity| capacity.profile.0.as_str()).collect();
    assert!(names.contains(&"test_small"), "{names:?}");
    let one: List<Capacity> = list(&daemon, "/v1/capacity?profile=test_small", "CapacityList");
    assert_eq!(one.items.len(), 1);
    let unknown = get(&daemon.socket(), "/v1/capacity?profile=none").error();
    assert_eq!(unknown.refusals[0].code, RefusalCode::ProfileNotOffered);
    let create =
        || send(&daemon.socket(), "POST", "/v1/vgpus", "{\"profile\": \"test_small\", \"dryRun\": true}");
    let placed = create().json();
    assert_eq!(placed["placement"]["gpu"], "0000:41:00.0", "{placed}");
    send(&daemon.socket(), "PUT", "/v1/gpus/41:00.0/cordon", "{\"cordoned\": true}");
    assert_eq!(create().error().refusals[0].code, RefusalCode::NoSuitableGpu);
}

#[test]
fn what_is_absent_is_refused_by_name() {
    let daemon = Daemon::start();
    for (path, code) in [
        ("/v1/gpus/42:00.0", RefusalCode::GpuNotFound),
        ("/v1/gpus/nolabel", RefusalCode::GpuNotFound),
        ("/v1/gpus/nolabel/xml", RefusalCode::GpuNotFound),
        ("/v1/profiles?gpu=42:00.0", RefusalCode::GpuNotFound),
        ("/v1/vgpus/00000000-0000-0000-0000-000000000009", RefusalCode::VgpuNotFound),
        ("/v1/vms/nobody", RefusalCode::DomainNotFound),
        ("/v1/vms/nobody/migration", RefusalCode::DomainNotFound),
        ("/v1/vms/nobody/xml", RefusalCode::DomainNotFound),
    ] {
        let answer = get(&daemon.socket(), path);
        let error = answer.error();
        assert_eq!((answer.status, error.kind), (404, ErrorKind::Refused), "{path}");
        assert_eq!(error.refusals[0].code, code, "{path}");
        assert!(!error.refusals[0].remedy.is_empty(), "{path}");
    }
}

#[test]
fn domains_that_are_not_known_are_not_empty() {
    let script = Script { domains_unknown: true, ..Script::default() };
    let daemon = Daemon::start_with(script, as_root);
    let vms = get(&daemon.socket(), route::VMS).json();
    assert!(!vms["domainsUnknown"].is_null(), "{vms}");
    let answer = get(&daemon.socket(), "/v1/vms/web");
    let error = answer.error();
    assert_eq!((answer.status, error.kind), (503, ErrorKind::Failed));
    assert!(error.message.contains("libvirt does not answer"), "{error:?}");
}

#[test]
fn a_corrupt_state_is_shown_and_the_host_with_it() {
    let daemon = Daemon::start_with(Script { state_unreadable: true, ..Script::default() }, as_root);
    let gpus = get(&daemon.socket(), route::GPUS).json();
    assert_eq!(gpus["items"][0]["address"], "0000:41:00.0");
    let oddities = gpus["oddities"].to_string();
    assert!(oddities.contains("state.json, line 3"), "{oddities}");
    let problems = get(&daemon.socket(), route::STATUS).json()["problems"].to_string();
    assert!(problems.contains("state.json, line 3"), "{problems}");
    let answer = send(&daemon.socket(), "PUT", "/v1/gpus/41:00.0/type", "{\"type\": \"shared\"}");
    let refusal = answer.error().refusals.remove(0);
    assert_eq!((answer.status, refusal.code), (409, RefusalCode::StateUnreadable));
    assert!(refusal.because.contains("state.json, line 3"), "{refusal}");
}

#[test]
fn paths_and_methods_that_are_not_there_say_so_in_our_shape() {
    let daemon = Daemon::start();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v2/gpus", 404),
        ("GET", "/v1/gpus/", 404),
        ("GET", "/v1/gpus/a/b/c", 404),
        ("GET", "/v1/%67pus%00", 404),
        ("POST", "/v1/gpus", 405),
        ("DELETE", "/v1/status", 405),
        ("PATCH", "/v1/vgpus", 405),
        ("GET", "/v1/gpus/41:00.0/type", 405),
    ] {
        let answer = send(&daemon.socket(), method, path, "");
        assert_eq!((answer.status, answer.error().kind), (status, ErrorKind::Usage), "{method} {path}");
    }
}

#[test]
fn gpu_instances_are_asked_for_and_unknown_where_nothing_tells_them() {
    let daemon = Daemon::start_with(Script::default(), as_root);
    let socket = daemon.socket();
    let cards: List<MigDocument> = list(&daemon, route::MIG, "MigList");
    assert_eq!(cards.items, [], "no managed GPU here has a vendor's command");
    let path = route::mig(Some(&GPU.to_string().parse().unwrap()));
    assert_eq!(get(&socket, &path).status, 409);
    let instances = "/v1/gpus/41:00.0/gpu-instances";
    for (method, path, body, status) in [
        ("POST", instances, r#"{"profile":"1g 5gb"}"#, 400),
        ("POST", instances, r#"{"profile":"1g.5gb","count":0}"#, 400),
        ("POST", instances, r#"{"profile":"1g.5gb","count":-1}"#, 400),
        ("POST", instances, r#"{"profile":"1g.5gb","dryrun":true}"#, 400),
        ("DELETE", "/v1/gpus/41:00.0/gpu-instances/x", "", 400),
        ("DELETE", "/v1/gpus/41:00.0/gpu-instances/1?dryrun=true", "", 400),
        ("GET", "/v1/gpus/41:00.0/gpu-instances/1", "", 405),
        ("GET", "/v1/mig?cpu=1", "", 400),
        ("POST", instances, r#"{"profile":"1g.5gb","dryRun":true}"#, 409),
        ("DELETE", "/v1/gpus/41:00.0/gpu-instances?dryRun=true", "", 409),
    ] {
        let answer = send(&socket, method, path, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
    }
}

#[test]
fn a_refresh_tells_what_changed_since_the_last_one() {
    let daemon = Daemon::start();
    let refresh = || send(&daemon.socket(), "POST", route::HOST_REFRESH, "").json()["outcome"].clone();
    let said = |outcome: &serde_json::Value| outcome["value"].as_str().unwrap().to_owned();
    let first = refresh();
    assert_eq!(first["outcome"], "unchanged", "{first}");
    assert!(said(&first).contains("1 GPU; there was no earlier look"), "{first}");
    let same = refresh();
    assert!(same["outcome"] == "unchanged" && said(&same).contains("as at the last refresh"), "{same}");
    let denied = Daemon::start_with(Script::default(), as_other);
    assert_eq!(send(&denied.socket(), "POST", route::HOST_REFRESH, "").status, 403);
    assert_eq!(send(&daemon.socket(), "POST", "/v1/host/refresh?what=all", "").status, 400);
}

#[test]
fn the_doctor_answers_anybody_with_what_it_found() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    for path in [route::doctor(None), "/v1/doctor?gpu=41:00.0".to_owned()] {
        let answer = get(&daemon.socket(), &path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let found: DoctorDocument = serde_json::from_value(answer.json()).unwrap();
        assert_eq!((found.kind.as_str(), found.domains_unknown), ("Doctor", None));
        // What the fake host does not tell is said, and is no finding.
        assert!(
            found.unchecked.iter().any(|fact| fact.what == "the processor's flags"),
            "{:?}",
            found.unchecked
        );
        let worst = found.findings.iter().map(|finding| finding.severity).max();
        assert_eq!(found.worst, worst);
    }
    assert_eq!(get(&daemon.socket(), "/v1/doctor?gpu=77:00.0").status, 404);
    assert_eq!(get(&daemon.socket(), "/v1/doctor?gpus=41:00.0").status, 400);
}
