//! Whether libvirt's daemon runs, told without connecting to it: where its socket is systemd's, whoever connects starts it.
//!
//! Its daemons keep a file with their process id while they run and take it away when they end (`virPidFileAcquire`); one
//! that is left behind by a daemon that was killed names a process that is not there any more.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Those that serve `qemu:///system`: the monolithic one, and the modular one for QEMU.
const PID_FILES: [&str; 2] = ["/run/libvirtd.pid", "/run/virtqemud.pid"];
/// The only address behind which one of them is.
pub(super) const SYSTEM: &str = "qemu:///system";

/// How long a daemon that has hung up is taken to be ending. It does so before it puts its drivers away, which takes it less than
/// a second; one that goes on for longer has only thrown us out.
const ENDING: Duration = Duration::from_secs(10);

/// The daemon that answered last, and since when it is known to have hung up.
#[derive(Debug, Default)]
pub(super) struct Met(Mutex<(Option<i32>, Option<Instant>)>);

impl Met {
    /// The one that runs at this address has answered.
    pub(super) fn answered(&self, uri: &str) {
        *self.lock() = (system(uri).and_then(running), None);
    }

    /// Whether who connects to this address finds a daemon that runs already, and is not the one that has just hung up; of other
    /// addresses that is not known, and they are taken to have one.
    pub(super) fn is_there(&self, uri: &str, hung_up: bool) -> bool {
        let Some(files) = system(uri) else { return true };
        running(files).is_some_and(|pid| !hung_up || self.stays(pid))
    }

    fn stays(&self, pid: i32) -> bool {
        let (met, since) = &mut *self.lock();
        *met != Some(pid) || since.get_or_insert_with(Instant::now).elapsed() >= ENDING
    }

    fn lock(&self) -> MutexGuard<'_, (Option<i32>, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn system(uri: &str) -> Option<impl Iterator<Item = &'static Path>> {
    (uri == SYSTEM).then(|| PID_FILES.iter().map(Path::new))
}

/// The first of them that runs.
fn running<'a>(mut pid_files: impl Iterator<Item = &'a Path>) -> Option<i32> {
    pid_files.find_map(|file| {
        let pid = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<i32>().ok());
        // 0 and below mean groups of processes.
        pid.filter(|pid| *pid > 0 && kill(Pid::from_raw(*pid), None) != Err(Errno::ESRCH))
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
            running([file.path(), &folder.path().join("none")].into_iter())
        };
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(says(&format!("{own}\n")), Some(own));
        let mut ended = std::process::Command::new("/bin/true").spawn().unwrap();
        ended.wait().unwrap();
        assert_eq!(says(&ended.id().to_string()), None, "left behind");
        for nonsense in ["", "x", "0", "-1", "99999999999999999999"] {
            assert_eq!(says(nonsense), None, "{nonsense:?}");
        }
        assert_eq!(running(std::iter::empty()), None);
        assert!(Met::default().is_there("test:///default", true), "nothing is known of others");
    }

    #[test]
    fn the_daemon_that_hung_up_is_ending_until_it_lives_on_for_longer_than_an_end_takes() {
        let met = Met::default();
        assert!(met.stays(7), "nobody answered before");
        *met.lock() = (Some(7), None);
        assert!(!met.stays(7) && !met.stays(7));
        assert!(met.stays(8), "another has come");
        met.lock().1 = Instant::now().checked_sub(ENDING);
        assert!(met.stays(7));
    }
}
