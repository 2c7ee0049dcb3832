//! An error told with its causes.

use std::error::Error;

/// An error and all its causes in one line, each once: for the edge, where an error is shown.
///
/// A cause whose text the line ends with already (a transparent error) is not said again.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading state.json")]
    struct Outer(#[source] std::num::ParseIntError);

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Wrapped(#[from] Outer);

    #[test]
    fn every_cause_is_said_once() {
        let error = Wrapped::from(Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(chain(&error), "reading state.json: invalid digit found in string");
    }
}
