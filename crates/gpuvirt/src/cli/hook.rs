//! `gpuvirt hook ...`: libvirt's, not for people.

use std::ffi::OsString;

use clap::Args;

/// What libvirt hands to a hook, without a driver's name and the domain's.
const BESIDE_THE_NAME: usize = 3;

/// What libvirt hands to a hook.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// libvirt's driver: `qemu`
    pub driver: String,
    /// The domain's name, the operation, the sub-operation, and what libvirt adds
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

impl HookArgs {
    /// The line as the wrapper types it, `gpuvirt hook DRIVER [--] NAME OPERATION ...`, taken without the grammar: that would
    /// find its options among them where a VM is called like one. An earlier wrapper, which the admin may have kept, types
    /// no `--`, and a VM may be called that.
    pub fn of_wrapper(line: &[OsString]) -> Option<Self> {
        let [_, verb, driver, arguments @ ..] = line else { return None };
        let (verb, driver) = (verb.to_str()?, driver.to_string_lossy());
        if verb != "hook" || driver.starts_with('-') {
            return None;
        }
        let arguments = match arguments {
            [dashes, rest @ ..] if dashes == "--" && rest.len() > BESIDE_THE_NAME => rest,
            all => all,
        };
        // A name is looked at by nobody: the document has it.
        let arguments = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Some(Self { driver: driver.into_owned(), arguments })
    }
}
