//! Every operation of the API, as data.

use gpuvirt_model::Configuration;
use schemars::{Schema, SchemaGenerator};

use crate::event::{EventList, EventsLost};
use crate::{
    ApplyConfig, Capacity, Change, ConfigChange, CreateGpuInstances, CreateVgpu, DoctorDocument, GpuDocument,
    HookAnswer, HookCall, HostDocument, List, MigDocument, MigrationDocument, ProfileDocument, RemoveVgpus,
    SetCordon, SetHost, SetType, SetVgpuParams, StatusDocument, TestimonyDocument, VgpuDocument, VmAdd,
    VmAdopt, VmDocument, VmGuestDriver, VmRemove, VmStart, XmlDocument,
};

/// The schema of a type; its definition is kept by the generator.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a call answers.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// A document of ours.
    Json(Shape),
    /// A document of ours, or a stream of others, for who asks for one.
    OrStream(Shape, Shape),
    /// A document of others.
    Any,
    /// Text of a media type.
    Text(&'static str),
}

/// One method of one path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// What a client must know besides.
    pub(super) more: &'static str,
    /// The keys of the query.
    pub(super) query: &'static [&'static str],
    pub(super) body: Option<Shape>,
    pub(super) answer: Answer,
}

impl Operation {
    const fn new(
        call: (&'static str, &'static str),
        id: &'static str,
        summary: &'static str,
        answer: Answer,
    ) -> Self {
        let (method, path) = call;
        Self { method, path, id, summary, more: "", query: &[], body: None, answer }
    }

    const fn query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    const fn body(mut self, body: Shape) -> Self {
        self.body = Some(body);
        self
    }

    const fn more(mut self, more: &'static str) -> Self {
        self.more = more;
        self
    }
}

const CHANGE: Answer = Answer::Json(|s| s.subschema_for::<Change>());

/// All of them, in the order of the router.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(("get", "/v1/gpus"), "listGpus", "GPUs", Answer::Json(|s| s.subschema_for::<List<GpuDocument>>())),
    Operation::new(("get", "/v1/gpus/{gpu}"), "showGpu", "One GPU, as a list of one", Answer::Json(|s| s.subschema_for::<List<GpuDocument>>())),
    Operation::new(("get", "/v1/gpus/{gpu}/xml"), "gpuXml", "The hostdev fragments of a GPU", Answer::Json(|s| s.subschema_for::<XmlDocument>())),
    Operation::new(("put", "/v1/gpus/{gpu}/type"), "setGpuType", "Choose a GPU's graphics type", CHANGE).body(|s| s.subschema_for::<SetType>()).more("A GPU that has the type already is left as it is."),
    Operation::new(("delete", "/v1/gpus/{gpu}/configuration"), "unsetGpu", "Stop managing a GPU", CHANGE),
    Operation::new(("put", "/v1/gpus/{gpu}/cordon"), "setGpuCordon", "Place nothing more on a GPU, or place again", CHANGE).body(|s| s.subschema_for::<SetCordon>()),
    Operation::new(("post", "/v1/gpus/{gpu}/gpu-instances"), "createGpuInstances", "Make GPU instances (MIG)", CHANGE).body(|s| s.subschema_for::<CreateGpuInstances>()),
    Operation::new(("delete", "/v1/gpus/{gpu}/gpu-instances"), "removeGpuInstances", "Remove the GPU instances that gpuvirt made", CHANGE).query(&["dryRun"]),
    Operation::new(("delete", "/v1/gpus/{gpu}/gpu-instances/{id}"), "removeGpuInstance", "Remove one GPU instance", CHANGE).query(&["dryRun"]),
    Operation::new(("get", "/v1/host"), "showHost", "The host's defaults, as a list of one", Answer::Json(|s| s.subschema_for::<List<HostDocument>>())),
    Operation::new(("put", "/v1/host"), "setHost", "Change the host's defaults", CHANGE).body(|s| s.subschema_for::<SetHost>()),
    Operation::new(("post", "/v1/host/refresh"), "refreshHost", "Look at the host anew; what changed since the last time", CHANGE),
    Operation::new(("get", "/v1/capacity"), "listCapacity", "How many vGPUs of each profile fit", Answer::Json(|s| s.subschema_for::<List<Capacity>>())).query(&["profile"]),
    Operation::new(("get", "/v1/mig"), "listMig", "GPU instances of each GPU", Answer::Json(|s| s.subschema_for::<List<MigDocument>>())).query(&["gpu"]),
    Operation::new(("get", "/v1/profiles"), "listProfiles", "vGPU profiles", Answer::Json(|s| s.subschema_for::<List<ProfileDocument>>())).query(&["gpu"]),
    Operation::new(("get", "/v1/vgpus"), "listVgpus", "vGPUs", Answer::Json(|s| s.subschema_for::<List<VgpuDocument>>())),
    Operation::new(("post", "/v1/vgpus"), "createVgpus", "Make vGPUs: all of them, or none", CHANGE).body(|s| s.subschema_for::<CreateVgpu>()).more("Idempotent where the client chooses the uuids: asked again with the same uuid, it finds the vGPU made and answers 200, `unchanged`. Without a uuid each call makes another vGPU: choose one, so that a call whose answer was lost can be asked again."),
    Operation::new(("post", "/v1/vgpus/remove"), "removeVgpus", "Remove several vGPUs of one GPU", CHANGE).body(|s| s.subschema_for::<RemoveVgpus>()),
    Operation::new(("get", "/v1/vgpus/{uuid}"), "showVgpu", "One vGPU, as a list of one", Answer::Json(|s| s.subschema_for::<List<VgpuDocument>>())),
    Operation::new(("delete", "/v1/vgpus/{uuid}"), "removeVgpu", "Remove a vGPU that gpuvirt made", CHANGE).query(&["dryRun"]),
    Operation::new(("put", "/v1/vgpus/{uuid}/params"), "setVgpuParams", "Change a vGPU's parameters", CHANGE).body(|s| s.subschema_for::<SetVgpuParams>()),
    Operation::new(("get", "/v1/vgpus/{uuid}/xml"), "vgpuXml", "The hostdev fragment of a vGPU", Answer::Json(|s| s.subschema_for::<XmlDocument>())),
    Operation::new(("get", "/v1/vms"), "listVms", "Domains with their GPUs", Answer::Json(|s| s.subschema_for::<List<VmDocument>>())),
    Operation::new(("get", "/v1/vms/{name}"), "showVm", "One domain, as a list of one", Answer::Json(|s| s.subschema_for::<List<VmDocument>>())),
    Operation::new(("get", "/v1/vms/{name}/migration"), "vmMigration", "Whether a domain can move to another host while it runs, as a list of one", Answer::Json(|s| s.subschema_for::<List<MigrationDocument>>())),
    Operation::new(("get", "/v1/vms/{name}/xml"), "vmXml", "A domain's definition without its secrets", Answer::Json(|s| s.subschema_for::<XmlDocument>())),
    Operation::new(("post", "/v1/vms/{name}/devices"), "addVmDevice", "Give a domain a GPU, a vGPU, or a request for one", CHANGE).body(|s| s.subschema_for::<VmAdd>()),
    Operation::new(("post", "/v1/vms/{name}/devices/remove"), "removeVmDevice", "Take a device or a request from a domain", CHANGE).body(|s| s.subschema_for::<VmRemove>()),
    Operation::new(("post", "/v1/vms/{name}/start"), "startVm", "Start a domain with the devices that it asks for", CHANGE).body(|s| s.subschema_for::<VmStart>()),
    Operation::new(("post", "/v1/vms/{name}/adopt"), "adoptVm", "Note requests for the GPUs that a domain has without", CHANGE).body(|s| s.subschema_for::<VmAdopt>()).more("Idempotent: what has a request is left as it is. Nothing of what QEMU gets is changed."),
    Operation::new(("put", "/v1/vms/{name}/guest-driver"), "setVmGuestDriver", "State which driver a domain's guest has, for the doctor", CHANGE).body(|s| s.subschema_for::<VmGuestDriver>()).more("Idempotent. It changes the definition's metadata alone, and nothing of what QEMU gets."),
    Operation::new(("post", "/v1/hook"), "hook", "What libvirt's hook asks; not for other programs", Answer::Json(|s| s.subschema_for::<HookAnswer>())).body(|s| s.subschema_for::<HookCall>()),
    Operation::new(("get", "/v1/config"), "exportConfig", "What is configured", Answer::Json(|s| s.subschema_for::<Configuration>())),
    Operation::new(("post", "/v1/config"), "applyConfig", "Compare, check or carry out a configuration", Answer::Json(|s| s.subschema_for::<ConfigChange>())).body(|s| s.subschema_for::<ApplyConfig>()).more("Idempotent: a document that is in force changes nothing."),
    Operation::new(("get", "/v1/status"), "status", "How things stand", Answer::Json(|s| s.subschema_for::<StatusDocument>())),
    Operation::new(("get", "/v1/doctor"), "doctor", "What keeps GPUs from working in VMs", Answer::Json(|s| s.subschema_for::<DoctorDocument>())).query(&["gpu"]).more("Reads alone. A finding is no error of this call: it answers 200 whatever is found."),
    Operation::new(("get", "/v1/testimony"), "testimony", "What gpuvirtd knows of its host that no file shows, for snapshots", Answer::Json(|s| s.subschema_for::<TestimonyDocument>())),
    Operation::new(("get", "/v1/events"), "listEvents", "What happened after an event, waiting for the next, or as it comes", Answer::OrStream(|s| s.subschema_for::<EventList>(), |s| s.subschema_for::<EventsLost>())).query(&["after", "waitSeconds"]).more("With `Accept: text/event-stream` a stream. Else one answer, and the next by asking again after `last`: `lost`, or another `daemon` than before, means to look at everything again."),
    Operation::new(("get", "/v1/openapi.json"), "openapi", "This document", Answer::Any),
    Operation::new(("post", "/v1/recover"), "recover", "Settle what a failed undo or a crash left open", CHANGE),
    Operation::new(("get", "/metrics"), "metrics", "Numbers for Prometheus", Answer::Text("application/openmetrics-text")),
];
