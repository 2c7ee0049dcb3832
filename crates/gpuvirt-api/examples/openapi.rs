//! Prints the OpenAPI document of the API: `cargo xtask gen` writes it to docs/openapi.json.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(&gpuvirt_api::openapi::document())?;
    writeln!(std::io::stdout(), "{text}")
}
