//! The desired document from a file or standard input: read within limits, understood whole, errors with their line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use gpuvirt_api::selector::check_label;
use gpuvirt_model::Configuration;

use crate::failure::Failure;

/// The largest document.
const LIMIT: u64 = 1 << 20;

/// Reads a document, YAML or JSON.
///
/// # Errors
/// A usage error that names the file and, where there is one, the line.
pub fn read(path: &Path) -> Result<Configuration, Failure> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let wrong = |why: String| Failure::usage(format!("{name}: {why}"));
    let text = text(path).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(wrong)
}

/// Understands a document.
///
/// # Errors
/// What is wrong, with the line.
pub fn parse(text: &str) -> Result<Configuration, String> {
    // JSON's own reader knows better where JSON is broken.
    let config: Configuration = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?
    };
    config.check().map_err(|error| error.to_string())?;
    for (index, gpu) in config.gpus.iter().enumerate() {
        if let Some(label) = gpu.label.iter().flatten().next() {
            check_label(label).map_err(|error| format!("gpus[{index}]: {error}"))?;
        }
    }
    Ok(config)
}

fn text(path: &Path) -> io::Result<String> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    let amount = source.take(LIMIT + 1).read_to_string(&mut text)?;
    if amount as u64 > LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {LIMIT} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: gpuvirt/v1\nkind: Configuration\n";

    #[test]
    fn yaml_and_json_are_read() {
        let yaml = format!(
            "{HEAD}gpus:\n- address: 0000:41:00.0\n  type: direct\n  label: null\n- match: {{device: '10de:2235'}}\n  type: SharedPassthru\n"
        );
        // The type's own spelling alone: vSphere's are for the command line.
        assert!(parse(&yaml).is_err());
        let config = parse(&yaml.replace("SharedPassthru", "shared-direct")).unwrap();
        assert_eq!((config.gpus.len(), &config.gpus[0].label), (2, &Some(None)));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(parse(&json).unwrap(), config);
        let yaml = crate::yaml::to_string(&config).unwrap();
        assert_eq!(parse(&yaml).unwrap(), config);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, want) in [
            (format!("{HEAD}gpus:\n- address: 41:00.0\n  type: direct\n  colour: red\n"), "line 6"),
            (format!("{HEAD}gpus:\n- address: 41:00\n  type: direct\n"), "line 4"),
            (format!("{HEAD}gpu: []\n"), "line 3"),
            ("apiVersion: gpuvirt/v2\nkind: Configuration\n".to_owned(), "gpuvirt/v2"),
            ("apiVersion: gpuvirt/v1\nkind: Pod\n".to_owned(), "Pod"),
            ("{\n\"apiVersion\": \"gpuvirt/v1\",\n\"kind\": 3}".to_owned(), "line 3"),
            (format!("{HEAD}gpus:\n- type: direct\n"), "gpus[0]"),
            (format!("{HEAD}gpus:\n- address: 41:00.0\n  type: direct\n  label: a/b\n"), "gpus[0]"),
            (String::new(), "apiVersion"),
            ("&a [*a]".to_owned(), "invalid type"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_document_or_an_error(text in "(?s).{0,200}") {
            let _ = parse(&text);
            let _ = parse(&format!("{HEAD}{text}"));
        }
    }
}
