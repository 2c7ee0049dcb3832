//! `/v1/openapi.json`: the API's document, generated from the wire types and compiled in as text.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::answer::Failure;
use super::input::{Nothing, Params};

const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// `GET /v1/openapi.json`
pub(super) async fn show(_: Params<Nothing>) -> Result<impl IntoResponse, Failure> {
    Ok(([(CONTENT_TYPE, "application/json")], DOCUMENT))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::DOCUMENT;

    type Calls = BTreeSet<(String, String)>;

    /// What the router's own source says: axum tells no routes.
    fn routed() -> Calls {
        let calls = include_str!("routes.rs").split(".route(\"").skip(1).flat_map(|rest| {
            let (path, rest) = rest.split_once('"').unwrap();
            let (handlers, _) = rest.split_once('\n').unwrap();
            let methods = ["get", "put", "post", "delete", "patch", "any"];
            let takes = move |method: &&str| handlers.contains(&format!("{method}("));
            methods.into_iter().filter(takes).map(|method| (path.to_owned(), method.to_owned()))
        });
        calls.collect()
    }

    fn documented() -> Calls {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let calls = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone()))
        });
        calls.collect()
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let routed = routed();
        assert!(routed.contains(&("/v1/host".to_owned(), "put".to_owned())), "{routed:?}");
        assert_eq!(documented(), routed);
    }
}
