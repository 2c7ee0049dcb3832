//! A program with its arguments, checked.

use std::fmt;

use gpuvirt_model::{PciAddress, ProgramPath};
use serde::{Deserialize, Serialize};

/// More arguments than any call of ours has, and more text in all of them: the whole must fit into an announcement.
const MOST_ARGS: usize = 32;
const MOST_TEXT: usize = 1024;

/// A program to be run as root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCall", into = "RawCall")]
pub struct ProgramCall {
    program: ProgramPath,
    args: Vec<String>,
    function: Option<PciAddress>,
}

/// The same, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCall {
    program: ProgramPath,
    args: Vec<String>,
    function: Option<PciAddress>,
}

/// Why arguments are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{program} is not run with the arguments {args:?}: letters, digits and plain signs only, at most 1024 bytes"
)]
pub struct ProgramCallError {
    program: ProgramPath,
    args: Vec<String>,
}

impl ProgramCall {
    /// A call. `function` is the card that the program may hold locked while it runs.
    ///
    /// # Errors
    /// [`ProgramCallError`] for arguments that no call of ours has.
    pub fn new<A: Into<String>>(
        program: &ProgramPath,
        args: impl IntoIterator<Item = A>,
        function: Option<PciAddress>,
    ) -> Result<Self, ProgramCallError> {
        let args: Vec<String> = args.into_iter().map(Into::into).collect();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.+/:,=@".contains(&b);
        let text: usize = args.iter().map(String::len).sum();
        let sound = args.len() <= MOST_ARGS
            && text <= MOST_TEXT
            && args.iter().all(|arg| !arg.is_empty() && arg.bytes().all(plain));
        let program = program.clone();
        if sound { Ok(Self { program, args, function }) } else { Err(ProgramCallError { program, args }) }
    }

    /// The program.
    pub fn program(&self) -> &ProgramPath {
        &self.program
    }

    /// Its arguments.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// The function that it may hold locked.
    pub fn function(&self) -> Option<PciAddress> {
        self.function
    }
}

/// As a line for a shell: no part of it needs quotes.
impl fmt::Display for ProgramCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

impl TryFrom<RawCall> for ProgramCall {
    type Error = ProgramCallError;
    fn try_from(raw: RawCall) -> Result<Self, Self::Error> {
        Self::new(&raw.program, raw.args, raw.function)
    }
}

impl From<ProgramCall> for RawCall {
    fn from(call: ProgramCall) -> Self {
        Self { program: call.program, args: call.args, function: call.function }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_plain_text_and_few() {
        let tool = ProgramPath::parse("/usr/lib/nvidia/sriov-manage").unwrap();
        let call = ProgramCall::new(&tool, ["-e", "0000:41:00.0"], None).unwrap();
        assert_eq!(call.to_string(), "/usr/lib/nvidia/sriov-manage -e 0000:41:00.0");
        for args in [vec!["a b"], vec![""], vec!["$(x)"], vec!["a\n"], vec!["x"; 33], vec!["ä"]] {
            assert!(ProgramCall::new(&tool, args.clone(), None).is_err(), "{args:?}");
        }
        assert!(ProgramCall::new(&tool, ["x".repeat(1025)], None).is_err());
        let line = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<ProgramCall>(&line).unwrap(), call);
        assert!(serde_json::from_str::<ProgramCall>(&line.replace("-e", "-e;")).is_err());
    }
}
