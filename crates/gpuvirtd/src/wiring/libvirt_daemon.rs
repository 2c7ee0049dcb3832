//! Whether libvirt's daemon runs, told without connecting to it: where its socket is systemd's, whoever connects starts it.
//!
//! Its daemons keep a file with their process id while they run and take it away when they end (`virPidFileAcquire`); one
//! that is left behind by a daemon that was killed names a process that is not there any more.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Those that serve `qemu:///system`: the monolithic one, and the modular one for QEMU.
const PID_FILES: [&str; 2] = ["/run/libvirtd.pid", "/run/virtqemud.pid"];
/// The only address behind which one of them is.
pub(super) const SYSTEM: &str = "qemu:///system";

/// Whether who connects to this address finds a daemon that runs already; of other addresses that is not known, and they are
/// taken to have one.
pub(super) fn runs(uri: &str) -> bool {
    uri != SYSTEM || any_runs(PID_FILES.iter().map(Path::new))
}

fn any_runs<'a>(mut pid_files: impl Iterator<Item = &'a Path>) -> bool {
    pid_files.any(|file| {
        let pid = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<i32>().ok());
        // 0 and below mean groups of processes.
        pid.filter(|pid| *pid > 0).is_some_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_names_a_living_process_tells_of_a_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let says = |text: &str| {
            let mut file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            any_runs([file.path(), &folder.path().join("none")].into_iter())
        };
        assert!(says(&format!("{}\n", std::process::id())));
        let mut ended = std::process::Command::new("/bin/true").spawn().unwrap();
        ended.wait().unwrap();
        assert!(!says(&ended.id().to_string()), "left behind");
        for nonsense in ["", "x", "0", "-1", "99999999999999999999"] {
            assert!(!says(nonsense), "{nonsense:?}");
        }
        assert!(!any_runs(std::iter::empty()));
        assert!(runs("test:///default"), "nothing is known of others");
    }
}
