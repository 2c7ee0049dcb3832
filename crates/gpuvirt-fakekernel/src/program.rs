//! Programs of the fake host: a vendor's tool and command, and the one that stops and starts services.
//!
//! They are no part of a kernel. But what they do is done to it, by calls that show in no file, so they stand here.
//! Tool and command do what NVIDIA's were seen to do; the lab's stand-ins (tests/lab/guest) do the same to the real
//! kernel.

use gpuvirt_host::{ProgramCall, ProgramEnd};
use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::inject::{Fault, On};
use crate::state::{Kernel, Process, Program, Service};
use crate::writes::{Stop, WriteResult, Written};

pub(crate) fn ended(code: i32, stdout: &str, stderr: &str) -> ProgramEnd {
    ProgramEnd { code: Some(code), signal: None, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

impl Kernel {
    /// Runs a program to its end. `Err(Stop::Blocks)` changes nothing.
    pub(crate) fn run(&mut self, call: &ProgramCall) -> Result<ProgramEnd, Stop> {
        let path = call.program().as_str();
        let Some(program) = self.programs.installed.get(path).copied() else {
            return Err(Errno::ENOENT.into());
        };
        let fault = self.faults.count_write().or_else(|| self.strike(&On::Program { path: path.to_owned() }));
        let failed = |errno: Errno| ended(1, "", &format!("failed: {errno}\n"));
        let end = match fault {
            Some(Fault::Errno(errno)) => Ok(failed(errno)),
            Some(Fault::Silent) => Ok(ended(0, "", "")),
            Some(Fault::Block) => Err(Stop::Blocks),
            Some(Fault::DoneThenErrno(errno)) => self.act(program, call).map(|_| failed(errno)),
            None => self.act(program, call),
        };
        let result = match &end {
            Ok(end) if end.is_success() => WriteResult::Done,
            Ok(_) | Err(Stop::Unmodelled | Stop::Silent) => WriteResult::Refused(Errno::EIO),
            Err(Stop::Errno(errno)) => WriteResult::Refused(*errno),
            Err(Stop::Blocks) => WriteResult::Waits,
        };
        self.log.push(Written { path: path.to_owned(), data: call.args().join(" "), result });
        end
    }

    fn act(&mut self, program: Program, call: &ProgramCall) -> Result<ProgramEnd, Stop> {
        let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
        match (program, args.as_slice()) {
            (Program::VfTool, ["-e", card]) => Ok(self.cycle_vfs(card, true)),
            (Program::VfTool, ["-d", card]) => Ok(self.cycle_vfs(card, false)),
            (Program::Command, ["vgpu", "-i", card, "-shm", on]) => Ok(self.set_mixed(card, *on == "1")),
            (Program::Command, ["vgpu", "-i", card, "-ghm"]) => Ok(self.show_mixed(card)),
            (Program::Command, ["-i", card, "-mig", on]) => Ok(self.set_mig_mode(card, *on == "1")),
            (Program::Command, ["-i", card, query, "--format=csv,noheader"])
                if query.contains("mig.mode") =>
            {
                Ok(self.show_mig_mode(card))
            }
            (Program::Command, ["mig", "-i", card, rest @ ..]) => self.mig(card, rest).ok_or_else(|| {
                self.unmodelled.insert(call.to_string());
                Stop::Unmodelled
            }),
            (Program::ServiceManager, ["--no-block", "stop", unit]) => Ok(self.stop_service(unit)),
            (Program::ServiceManager, ["--no-block", "start", unit]) => Ok(self.start_service(unit)),
            _ => {
                self.unmodelled.insert(call.to_string());
                Err(Stop::Unmodelled)
            }
        }
    }

    /// Takes the card's `unbindLock`, removes all virtual functions, makes as many as there can be, gives the lock back.
    fn cycle_vfs(&mut self, card: &str, enable: bool) -> ProgramEnd {
        let Some(pf) = PciAddress::parse(card).ok().filter(|pf| self.makes_vfs(*pf)) else {
            return ended(1, "", &format!("{card} is not a GPU with SR-IOV\n"));
        };
        if !self.take_lock(pf) {
            return ended(1, "", &format!("Cannot obtain unbindLock for {card}\n"));
        }
        let total = self.text_of(pf, "sriov_totalvfs").unwrap_or_default();
        let mut done = self.set_numvfs(pf, b"0");
        if enable && done.is_ok() {
            done = self.set_numvfs(pf, total.as_bytes());
        }
        self.mixed.remove(&pf);
        self.wipe_instances(pf);
        self.renew_vgpu_types(pf);
        self.free_lock(pf);
        match done {
            Ok(()) => {
                ended(0, &format!("{} VFs on {card}\n", if enable { "Enabling" } else { "Disabling" }), "")
            }
            Err(_) => ended(1, "", &format!("Cannot change the VFs of {card}\n")),
        }
    }

    /// Lifts the rule of one size at a time, while nothing lives on the card.
    fn set_mixed(&mut self, card: &str, on: bool) -> ProgramEnd {
        let Some(pf) = self.typed_card(card) else {
            return ended(6, "", "No devices were found\n");
        };
        if !self.takes_mixed.contains(&pf) {
            return ended(3, "", "Setting vGPU heterogeneous mode is not supported\n");
        }
        if self.has_vgpu_types(pf) {
            return ended(
                19,
                "",
                &format!("Unable to set vGPU heterogeneous mode for GPU {card}: In use by another client\n"),
            );
        }
        self.mixed.insert(pf, on);
        self.renew_vgpu_types(pf);
        let verb = if on { "Enabled" } else { "Disabled" };
        ended(0, &format!("{verb} vGPU heterogeneous mode for GPU {card}\n"), "")
    }

    fn show_mixed(&self, card: &str) -> ProgramEnd {
        let Some(pf) = self.typed_card(card) else {
            return ended(6, "", "No devices were found\n");
        };
        let mode = match (self.takes_mixed.contains(&pf), self.mixed.get(&pf)) {
            (false, _) => "N/A",
            (true, Some(true)) => "Enabled",
            (true, _) => "Disabled",
        };
        ended(0, &format!("GPU {card}\n    vGPU Heterogeneous Mode           : {mode}\n"), "")
    }

    fn typed_card(&self, card: &str) -> Option<PciAddress> {
        let pf = PciAddress::parse(card).ok()?;
        self.typed_cards.iter().any(|typed| typed.is_of(pf)).then_some(pf)
    }

    /// Adds a service and starts it.
    pub(crate) fn add_service(&mut self, unit: &str, (pid, process): (u32, Process), stubborn: bool) {
        let process = process.in_cgroup(&format!("/system.slice/{unit}"));
        self.programs.services.insert(unit.to_owned(), Service { pid, process, stubborn });
        self.start_service(unit);
    }

    fn stop_service(&mut self, unit: &str) -> ProgramEnd {
        let Some(service) = self.programs.services.get(unit) else {
            return ended(5, "", &format!("Failed to stop {unit}: Unit {unit} not loaded.\n"));
        };
        if !service.stubborn {
            let pid = service.pid;
            self.end(pid);
            self.files.take(&service_folder(unit));
            self.go_on();
        }
        ended(0, "", "")
    }

    fn start_service(&mut self, unit: &str) -> ProgramEnd {
        let Some(service) = self.programs.services.get(unit) else {
            return ended(5, "", &format!("Failed to start {unit}: Unit {unit} not found.\n"));
        };
        let (pid, process) = (service.pid, service.process.clone());
        self.start(process);
        self.files.put_text(&format!("{}/cgroup.procs", service_folder(unit)), format!("{pid}\n"));
        ended(0, "", "")
    }
}

fn service_folder(unit: &str) -> String {
    format!("/sys/fs/cgroup/system.slice/{unit}")
}
