//! Which programs a writer runs. For a daemon that has the writer's own rights: whatever it asks for. For one that has not,
//! behind a socket: those that the rules of drivers name, in the ways in which we call them, and nothing else: a program
//! that somebody else chooses would make the writer write anything anywhere.

use gpuvirt_model::{DriverRules, PciAddress};

use crate::paths;
use crate::vendor::ProgramCall;

/// The words and options of the vendors' commands that we use. Among those that we don't is one that writes to a file.
const COMMAND_WORDS: [&str; 18] = [
    "vgpu",
    "mig",
    "-i",
    "-ghm",
    "-shm",
    "-mig",
    "-lgi",
    "-lci",
    "-lgip",
    "-lgipp",
    "-gi",
    "-cgi",
    "-C",
    "-cci",
    "-dci",
    "-dgi",
    "--query-gpu=mig.mode.current,mig.mode.pending",
    "--format=csv,noheader",
];

/// Which programs a writer runs.
pub enum Programs<'a> {
    /// Whatever is asked for.
    All,
    /// Those of the rules of drivers, which are read anew for each call; an error is why they can't be.
    OfDrivers(&'a dyn Fn() -> Result<DriverRules, String>),
}

impl Programs<'_> {
    /// Whether a call is one of them; else why not.
    pub(super) fn permit(&self, call: &ProgramCall) -> Result<(), String> {
        match self {
            Self::All => Ok(()),
            Self::OfDrivers(rules) => {
                let rules = rules().map_err(|why| format!("{call} is not run: {why}"))?;
                let none = || format!("{call} is not run: no rule of a driver names this call");
                is_of_drivers(&rules, call).then_some(()).ok_or_else(none)
            }
        }
    }
}

fn is_of_drivers(rules: &DriverRules, call: &ProgramCall) -> bool {
    let program = call.program();
    let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
    let is_service = |unit: &str| rules.iter().any(|rule| rule.services.iter().any(|s| s.as_str() == unit));
    match args.as_slice() {
        ["--no-block", "stop" | "start", unit] if program.as_str() == paths::SYSTEMCTL => is_service(unit),
        // The daemon as the program that asks the vendor's library and ends.
        ["gpu-instances", gpu] if program.as_str() == paths::DAEMON => PciAddress::parse(gpu).is_ok(),
        ["-e" | "-d", function] if rules.iter().any(|rule| rule.vf_tool.as_ref() == Some(program)) => {
            PciAddress::parse(function).is_ok()
        }
        args => {
            rules.iter().any(|rule| rule.command.as_ref() == Some(program))
                && args.iter().all(|arg| is_of_command(arg))
        }
    }
}

/// A word that we use, or a value of one: an address, a number, a profile or where it is placed.
fn is_of_command(arg: &str) -> bool {
    COMMAND_WORDS.contains(&arg) || (!arg.starts_with('-') && !arg.contains('/'))
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{DriverName, DriverRule, ProgramPath, UnitName};

    use super::*;

    fn rules() -> DriverRules {
        DriverRules::with(vec![DriverRule {
            name: DriverName::parse("labgpu").unwrap(),
            vf_tool: ProgramPath::parse("/lab/vf-tool").ok(),
            command: ProgramPath::parse("/lab/command").ok(),
            services: vec![UnitName::parse("lab-client.service").unwrap()],
        }])
    }

    fn permit(line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        let program = ProgramPath::parse(words.next().unwrap()).unwrap();
        let call = ProgramCall::new(&program, words, None).unwrap();
        Programs::OfDrivers(&|| Ok(rules())).permit(&call)
    }

    #[test]
    fn what_a_rule_names_is_run_as_we_call_it() {
        for line in [
            "/lab/vf-tool -e 0000:41:00.0",
            "/lab/vf-tool -d 0000:41:00.0",
            "/usr/lib/nvidia/sriov-manage -e 0000:41:00.0",
            "/usr/bin/nvidia-smi vgpu -i 0000:41:00.0 -shm 1",
            "/lab/command vgpu -i 0000:41:00.0 -ghm",
            "/lab/command mig -i 0000:41:00.0 -cgi 9:4 -C",
            "/lab/command mig -i 0000:41:00.0 -cgi 1g.10gb+me -C",
            "/lab/command mig -i 0000:41:00.0 -gi 7 -cci",
            "/lab/command mig -i 0000:41:00.0 -dgi -gi 7",
            "/lab/command mig -i 0000:41:00.0 -dci -gi 7",
            "/lab/command mig -i 0000:41:00.0 -lgip",
            "/lab/command mig -i 0000:41:00.0 -lgipp",
            "/lab/command mig -i 0000:41:00.0 -lgi",
            "/lab/command mig -i 0000:41:00.0 -lci",
            "/lab/command -i 0000:41:00.0 -mig 1",
            "/lab/command -i 0000:41:00.0 --query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader",
            "/usr/bin/systemctl --no-block stop lab-client.service",
            "/usr/bin/systemctl --no-block start nvidia-persistenced.service",
            "/usr/sbin/gpuvirtd gpu-instances 0000:41:00.0",
        ] {
            assert_eq!(permit(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for line in [
            "/bin/sh -c reboot",
            "/usr/bin/nvidia-smi -f /etc/passwd",
            "/usr/bin/nvidia-smi -f passwd",
            "/lab/command --filename=/etc/passwd",
            "/lab/command -i /etc/passwd",
            "/lab/vf-tool -e /etc/passwd",
            "/lab/vf-tool -x 0000:41:00.0",
            "/lab/vf-tool",
            "/usr/bin/systemctl --no-block stop libvirtd.service",
            "/usr/bin/systemctl stop lab-client.service",
            "/usr/bin/systemctl --no-block mask lab-client.service",
            "/usr/bin/systemctl poweroff",
            "/usr/sbin/gpuvirtd --config /tmp/x",
            "/usr/sbin/gpuvirtd gpu-instances all",
        ] {
            let why = permit(line).unwrap_err();
            assert!(why.contains(line) && why.contains("no rule"), "{why}");
        }
    }

    #[test]
    fn without_the_rules_nothing_is_run_unless_everything_may_be() {
        let program = ProgramPath::parse("/usr/bin/nvidia-smi").unwrap();
        let call = ProgramCall::new(&program, ["-i"], None).unwrap();
        let broken = Programs::OfDrivers(&|| Err("line 3 is wrong".to_owned())).permit(&call);
        assert!(broken.unwrap_err().contains("line 3"));
        assert_eq!(Programs::All.permit(&call), Ok(()));
    }
}
