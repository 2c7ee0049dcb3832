//! The API's OpenAPI 3.1 document, made from the wire types themselves.
//!
//! The paths are those of [`crate::route`]; the daemon's tests compare them with its router. Schemas say what is read: a
//! field with a default is not required, although answers carry it.

mod operations;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::event::STREAM;
use crate::{API_VERSION, ApiError};
use operations::{Answer, OPERATIONS, Operation};

/// The whole document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let error = schemas.subschema_for::<ApiError>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let described = described(operation, &mut schemas);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(operation.method.to_owned(), described);
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "gpuvirt", "version": API_VERSION, "description": ABOUT, "license": {
            "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" } },
        "servers": [{ "url": "http://localhost", "description": "the socket /run/gpuvirt/gpuvirt.sock" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": { "Error": { "description": ERRORS, "content": { "application/json": { "schema": error } } } },
        },
    });
    unlink(&mut document);
    document
}

/// Links of our own documentation mean nothing outside.
fn unlink(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unlink),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(text) if name == "description" => {
                *text = text.replace("[`", "`").replace("`]", "`").replace("crate::", "");
            }
            value => unlink(value),
        }),
        _ => {}
    }
}

const ABOUT: &str = "HTTP/1.1 with JSON on the daemon's Unix socket. The kernel tells who asks: reading and dry runs are \
    open to whoever may connect, changes to root, the write group of gpuvirtd.toml and whom polkit lets. \
    A query key or a field of a request that is not known is an error. A change that finds everything as asked answers \
    200 with the outcome `unchanged`: asking again is safe.";

const KEY: &str = "made by the client for this change alone: asked for again with it, by the same user, the change is made \
    once and the first answer is given again, with the header Idempotency-Replayed. The answers of changes that were made, or \
    tried and failed, are kept, 64 for each user, until the daemon ends; vGPUs get their uuids from it, so that the next daemon \
    finds mediated devices made. With another request it is answered with 422.";

const STREAMED: &str = "Server-Sent Events, with this in Accept. `data` is an Event, `id` what to say in Last-Event-ID on return. \
    Under the name `lost` it is an EventsLost: events before the next one were missed, so look at everything again. It ends after \
    the event `stopping`. Who takes nothing for 10 s is let go. Nothing is sent while nothing happens.";

const LAST: &str = "of a stream: the id of the last event that the client has; it counts more than `after`";

const ERRORS: &str = "Every error has this one shape. 400, 405, 408, 413 and 422: usage; 403: denied; 404: usage, or the one \
    refusal that says what is absent; 409: refused, with every refusal's code; 500: failed or bug; 503: a place, a helper \
    or libvirt is missing now, ask again.";

fn described(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": {
            "200": { "description": "done, found so, or shown", "content": answer(operation.answer, schemas) },
            "default": { "$ref": "#/components/responses/Error" },
        },
    });
    if let Some(fields) = described.as_object_mut() {
        if let Some(body) = operation.body {
            let content = json!({ "application/json": { "schema": body(schemas) } });
            fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        if !operation.more.is_empty() {
            fields.insert("description".to_owned(), operation.more.into());
        }
    }
    described
}

fn answer(answer: Answer, schemas: &mut SchemaGenerator) -> Value {
    match answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(schemas) } }),
        Answer::OrStream(schema, in_stream) => {
            // What the text of the stream holds is no schema of the answer, but has one.
            in_stream(schemas);
            json!({
                "application/json": { "schema": schema(schemas) },
                STREAM: { "schema": { "type": "string", "description": STREAMED } },
            })
        }
        Answer::Any => json!({ "application/json": { "schema": { "type": "object" } } }),
        Answer::Text(media_type) => json!({ media_type: { "schema": { "type": "string" } } }),
    }
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let (schema, what) = path_parameter(name);
        json!({ "name": name, "in": "path", "required": true, "description": what, "schema": schema })
    });
    let in_query = operation.query.iter().map(|name| {
        let (schema, what) = query_parameter(name);
        json!({ "name": name, "in": "query", "required": false, "description": what, "schema": schema })
    });
    // The hook's calls are libvirt's, which never asks twice.
    let changes = operation.method != "get" && operation.id != "hook";
    let key = changes.then(|| {
        json!({ "name": "Idempotency-Key", "in": "header", "required": false, "description": KEY,
        "schema": { "type": "string", "format": "uuid" } })
    });
    let listens = matches!(operation.answer, Answer::OrStream(..)).then(|| {
        json!({ "name": "Last-Event-ID", "in": "header", "required": false, "description": LAST,
        "schema": { "type": "string" } })
    });
    in_path.chain(in_query).chain(key).chain(listens).collect()
}

fn path_parameter(name: &str) -> (Value, &'static str) {
    match name {
        "gpu" => {
            (json!({ "type": "string" }), "the address of the GPU or of a companion, or the GPU's label")
        }
        "uuid" => (
            json!({ "$ref": "#/components/schemas/VgpuId" }),
            "the uuid of a mediated device, or the address of a virtual function",
        ),
        "id" => (json!({ "type": "integer", "minimum": 0 }), "the number of the GPU instance"),
        _ => (json!({ "type": "string" }), "libvirt's name of the domain"),
    }
}

fn query_parameter(name: &str) -> (Value, &'static str) {
    match name {
        "dryRun" => (json!({ "type": "boolean", "default": false }), "show the plan, write nothing"),
        "after" => (json!({ "type": "integer", "minimum": 0, "default": 0 }), "the last event that is known"),
        "waitSeconds" => (
            json!({ "type": "integer", "minimum": 0, "default": 0 }),
            "how long to wait for an event, in seconds; at most 60 are. A stream takes none",
        ),
        "gpu" => (json!({ "type": "string" }), "of this GPU alone: an address or a label"),
        _ => (json!({ "type": "string" }), "of this profile alone"),
    }
}
