//! The lab VM: commands in it, its first state, and whether it is in that state.

use std::env;
use std::process::{Command, Stdio};

use crate::{Devices, Guest, Output};

/// What commands on a lab exit with when the lab VM itself went away.
const LOST: i32 = 70;
/// What is said then: who runs the suite looks for these words (`scripts/test.d/lab.sh`).
const LOST_SAYS: &str = "the lab VM went away";

/// A script of this tree, for the lab of this test. Tests that run at once have a lab each: the first the one that
/// `GPUVIRT_LAB_NAME` names, the second that with `-2` behind its name.
fn for_our_lab(script: &str) -> Command {
    let mut command = Command::new(format!("{}/../../{script}", env!("CARGO_MANIFEST_DIR")));
    command.stdin(Stdio::null());
    let slot = env::var("NEXTEST_TEST_GLOBAL_SLOT").map_or(0, |slot| slot.parse::<u32>().expect("a number"));
    if slot > 0 {
        let first = env::var("GPUVIRT_LAB_NAME").unwrap_or_else(|_| "default".to_owned());
        command.env("GPUVIRT_LAB_NAME", format!("{first}-{}", slot + 1));
    }
    command
}

fn scripts_lab() -> Command {
    for_our_lab("scripts/lab")
}

/// Starts a lab again whose kernel panicked under an earlier test: that one failed, and the others shall not.
fn revive() {
    for (script, argument) in [("scripts/lab", "up"), ("tests/lab/deploy.sh", "--tests")] {
        let run = for_our_lab(script).arg(argument).output().expect("a script of this tree can be started");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{LOST_SAYS}, and could not be started again: {script}: {said}");
    }
}

/// How the lab's host goes down before it boots again.
#[derive(Debug, Clone, Copy)]
pub enum Reboot<'a> {
    /// `systemctl reboot`.
    Orderly,
    /// Reset at once, nothing synced.
    Reset,
    /// Its power is cut.
    PowerCut,
    /// Its power is cut, and it boots with this initramfs, a file of this machine.
    PowerCutInto(&'a str),
    /// Its power is cut, and its kernel is told these words at boot, behind the lab's own.
    Told(&'a str),
    /// Its power is cut, and the cards behind these two root ports have changed places when it boots; the next power cut
    /// without it puts them back.
    CardsSwapped(&'a str, &'a str),
}

/// The lab VM in its first state.
pub struct Lab {
    /// Its devices.
    pub devices: Devices,
    pristine: String,
}

impl Lab {
    /// The lab in its first state: no domain, no vGPU, every function with the driver it booted with, gpuvirtd
    /// running over an empty state directory.
    ///
    /// # Panics
    /// When there is no lab, or it can't be brought into that state.
    #[track_caller]
    pub fn fresh() -> Self {
        let mut lab = Self { devices: Devices::read(), pristine: String::new() };
        if lab.run("true").code == LOST {
            revive();
        }
        lab.sh("/lab/e2e/reset").expect(0);
        lab.pristine = lab.picture();
        assert_ne!(lab.pristine, "", "the lab's own scripts are not whole: tests/lab/deploy.sh --tests");
        lab
    }

    /// Runs a shell script in the lab as root.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        let output = self.run(script);
        assert_ne!(output.code, LOST, "{LOST_SAYS}: scripts/lab console\n{output}");
        output
    }

    fn run(&self, script: &str) -> Output {
        let run = scripts_lab()
            .args(["exec", "--", "bash", "-uo", "pipefail", "-c", script])
            .output()
            .expect("scripts/lab can be started");
        Output {
            command: script.to_owned(),
            code: run.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&run.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&run.stderr).into_owned(),
        }
    }

    /// Boots the lab's host again on the disk that it has, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not come back.
    #[track_caller]
    pub fn reboot(&self, how: Reboot<'_>) {
        let arguments: &[&str] = match how {
            Reboot::Orderly => &["reboot"],
            Reboot::Reset => &["reboot", "--hard"],
            Reboot::PowerCut => &["power"],
            Reboot::PowerCutInto(initramfs) => &["power", "--initrd", initramfs],
            Reboot::Told(words) => &["power", "--append", words],
            Reboot::CardsSwapped(one, other) => &["power", "--swap", one, other],
        };
        self.on_this_machine(arguments);
    }

    /// Puts libvirt's modular daemons into the lab's host, beside libvirtd; the first time they are built.
    #[track_caller]
    pub fn modular_daemons(&self) {
        self.on_this_machine(&["modular"]);
    }

    /// Installs Debian packages that the lab's image does not hold, until its disk is thrown away.
    #[track_caller]
    pub fn install(&self, packages: &[&str]) {
        self.on_this_machine(&[&["extra"], packages].concat());
    }

    /// Copies a file of the lab into a folder of this machine.
    #[track_caller]
    pub fn pull(&self, file: &str, folder: &str) {
        self.on_this_machine(&["pull", file, folder]);
    }

    #[track_caller]
    fn on_this_machine(&self, arguments: &[&str]) {
        let run = scripts_lab().args(arguments).output();
        let run = run.expect("scripts/lab can be started");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_ne!(run.status.code(), Some(LOST), "{LOST_SAYS}: {said}");
        assert!(run.status.success(), "scripts/lab {}: {said}", arguments.join(" "));
    }

    /// Runs `gpuvirt` in the lab as root.
    #[track_caller]
    pub fn gpuvirt(&self, arguments: &str) -> Output {
        self.sh(&format!("gpuvirt {arguments}"))
    }

    /// The document of a GPU.
    #[track_caller]
    pub fn gpu(&self, address: &str) -> serde_json::Value {
        let list = self.gpuvirt(&format!("gpu show {address} -o json")).expect(0).json();
        list.pointer("/items/0").cloned().unwrap_or_else(|| panic!("no item in {list}"))
    }

    /// Defines a nested guest.
    #[track_caller]
    pub fn guest(&self, name: &str, options: &str) -> Guest<'_> {
        Guest::define(self, name, options)
    }

    /// The driver and override of a function, as sysfs shows them: `vfio-pci/vfio-pci`, `-/(null)`.
    #[track_caller]
    pub fn binding(&self, address: &str) -> String {
        let device = format!("/sys/bus/pci/devices/{address}");
        self.sh(&format!(
            "d=$(readlink {device}/driver || echo -); echo ${{d##*/}}/$(cat {device}/driver_override)"
        ))
        .expect(0)
        .text()
        .to_owned()
    }

    /// Everything that gpuvirt can change on the host, as text.
    #[track_caller]
    pub fn picture(&self) -> String {
        self.sh("/lab/e2e/picture").expect(0).stdout
    }

    /// What the daemon counts, from a fresh look. The question's end is not shut: the daemon would take it for a client that left.
    #[track_caller]
    pub fn metrics(&self) -> Output {
        let question = "GET /metrics HTTP/1.1\\r\\nHost: gpuvirt\\r\\nCache-Control: no-cache\\r\\nConnection: close\\r\\n\\r\\n";
        self.sh(&format!(
            "printf '{question}' | socat -t 30 - UNIX-CONNECT:/run/gpuvirt/gpuvirt.sock,shut-none"
        ))
        .expect(0)
        .says("200 OK")
    }

    /// Fails the test unless the host is as [`Lab::fresh`] left it, definitions of guests apart: those are the test's own.
    #[track_caller]
    pub fn assert_pristine(&self) {
        let host = |picture: &str| -> Vec<String> {
            picture.lines().filter(|line| !line.starts_with("domain ")).map(str::to_owned).collect()
        };
        assert_eq!(host(&self.picture()), host(&self.pristine), "the host is not as it was");
    }
}
