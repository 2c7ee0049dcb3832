//! docs/openapi.json against what the command really asks and is really answered, in its golden folders.

// A test says what is wrong by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

const FOLDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cli");
/// Answers that are wrong on purpose.
const WRONG: &[&str] = &["bad-answer"];

fn document() -> Value {
    serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap()
}

/// The operation that takes a call: a fixed path before one with a parameter.
fn operation<'a>(document: &'a Value, method: &str, target: &str) -> &'a Value {
    let path = target.split('?').next().unwrap();
    let fits = |template: &str| {
        let (have, want): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
        have.len() == want.len() && have.iter().zip(&want).all(|(h, w)| w.starts_with('{') || h == w)
    };
    let paths = document["paths"].as_object().unwrap();
    let candidates = paths.iter().filter(|(template, _)| fits(template));
    let found = candidates.min_by_key(|(template, _)| template.matches('{').count());
    let found = found.and_then(|(_, methods)| methods.get(method.to_lowercase()));
    found.unwrap_or_else(|| panic!("no operation takes {method} {target}"))
}

fn body_schema(operation: &Value) -> &Value {
    &operation["requestBody"]["content"]["application/json"]["schema"]
}

/// Why `value` is not what `schema` says, by the keywords that our schemas use; patterns and formats are not looked at.
fn problem(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let Some(schema) = schema.as_object() else {
        return (schema == &Value::Bool(false)).then(|| format!("{value} is not allowed"));
    };
    let names = |rule: &Value| -> Vec<String> {
        rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let known = |name: &String| schema.get("properties").is_some_and(|fields| fields.get(name).is_some());
    schema.iter().find_map(|(keyword, rule)| match keyword.as_str() {
        "$ref" => {
            let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
            let target = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
            problem(document, target, value).map(|why| format!("{pointer}: {why}"))
        }
        "type" => (!is_of_type(rule, value)).then(|| format!("{value} is not of type {rule}")),
        "const" => (rule != value).then(|| format!("{value} is not {rule}")),
        "enum" => {
            let fits = rule.as_array().unwrap().contains(value);
            (!fits).then(|| format!("{value} is none of {rule}"))
        }
        "allOf" => rule.as_array().unwrap().iter().find_map(|one| problem(document, one, value)),
        "anyOf" | "oneOf" => {
            let all = rule.as_array().unwrap().iter().map(|one| problem(document, one, value));
            let all: Vec<_> = all.collect();
            let fitting = all.iter().filter(|why| why.is_none()).count();
            let sound = if keyword == "oneOf" { fitting == 1 } else { fitting > 0 };
            (!sound).then(|| format!("{value} fits {fitting} of {keyword}: {all:?}"))
        }
        "items" => value.as_array()?.iter().find_map(|item| problem(document, rule, item)),
        "required" => {
            let fields = value.as_object()?;
            names(rule)
                .into_iter()
                .find(|name| !fields.contains_key(name))
                .map(|name| format!("{name} is missing"))
        }
        "properties" => value.as_object()?.iter().find_map(|(name, value)| {
            problem(document, rule.get(name)?, value).map(|why| format!("{name}: {why}"))
        }),
        "additionalProperties" => {
            let mut others = value.as_object()?.iter().filter(|(name, _)| !known(name));
            others.find_map(|(name, value)| Some(format!("{name}: {}", problem(document, rule, value)?)))
        }
        _ => None,
    })
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no JSON type {other}"),
    };
    match rule {
        Value::String(name) => is(name),
        names => names.as_array().unwrap().iter().filter_map(Value::as_str).any(is),
    }
}

/// A call as a folder's `requests` has it: a line with method and path, then the body's.
struct Call {
    method: String,
    target: String,
    body: Option<Value>,
}

fn calls(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('{') {
            calls.last_mut().unwrap().body = Some(serde_json::from_str(line).unwrap());
        } else {
            let (method, target) = line.split_once(' ').unwrap();
            calls.push(Call { method: method.to_owned(), target: target.to_owned(), body: None });
        }
    }
    calls
}

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDERS).unwrap().map(|entry| entry.unwrap().path());
    let usable = |folder: &PathBuf| !WRONG.iter().any(|wrong| folder.ends_with(wrong));
    entries.filter(|folder| folder.join("requests").is_file() && usable(folder)).collect()
}

#[test]
fn requests_and_answers_are_as_the_document_says() {
    let document = document();
    let (mut asked, mut answered) = (0, 0);
    for folder in folders() {
        let replies = fs::read_to_string(folder.join("replies.json")).unwrap_or_else(|_| "[]".to_owned());
        let replies: Vec<Value> = serde_json::from_str(&replies).unwrap();
        let calls = calls(&fs::read_to_string(folder.join("requests")).unwrap());
        for (index, call) in calls.iter().enumerate() {
            let operation = operation(&document, &call.method, &call.target);
            let schema = body_schema(operation);
            assert_eq!(schema.is_null(), call.body.is_none(), "{}: {}", folder.display(), call.target);
            if let Some(body) = &call.body {
                assert_eq!(problem(&document, schema, body), None, "{}", folder.display());
                asked += 1;
            }
            let Some(reply) = replies.get(index) else { continue };
            let answer = match reply["status"].as_u64() {
                Some(200) => &operation["responses"]["200"],
                _ => &document["components"]["responses"]["Error"],
            };
            if reply.get("text").is_some() {
                // Text has no schema of ours; that it may be text is said.
                assert!(answer["content"].as_object().unwrap().keys().all(|kind| !kind.ends_with("json")));
                continue;
            }
            let schema = &answer["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{}", folder.display());
            assert_eq!(problem(&document, schema, &reply["body"]), None, "{}", folder.display());
            answered += 1;
        }
    }
    assert!(asked >= 20 && answered >= 30, "{asked} bodies and {answered} answers are too few");
}

#[test]
fn what_the_daemon_refuses_is_not_in_the_document() {
    let document = document();
    for (method, target, body) in [
        ("PUT", "/v1/gpus/a/type", r#"{"type": "passthrough"}"#),
        ("PUT", "/v1/gpus/a/type", r#"{"type": "direct", "dryrun": true}"#),
        ("PUT", "/v1/gpus/a/cordon", "{}"),
        ("POST", "/v1/vms/web/devices", r#"{"device": "disk"}"#),
        ("POST", "/v1/vgpus", r#"{"profile": 3}"#),
    ] {
        let schema = body_schema(operation(&document, method, target));
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(problem(&document, schema, &body).is_some(), "{method} {target} with {body}");
    }
}
