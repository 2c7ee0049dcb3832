//! Which program is the writer: the small one that is installed with the daemon, else the daemon itself.

use std::fs::File;
use std::io;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use gpuvirt_host::{Programs, WriterCommand, writer_main};
use nix::fcntl::OFlag;

const NAME: &str = "gpuvirt-writer";

/// The command that starts a writer. Both sides must be of one version, and an upgrade replaces the files of a daemon
/// that runs on: so each is started through what was opened when the daemon began.
pub(super) fn command() -> WriterCommand {
    let own = std::env::current_exe().ok();
    let program = own.as_deref().and_then(|own| places(own).into_iter().find_map(|path| opened(&path).ok()));
    match program {
        Some(fd) => WriterCommand { program: format!("/proc/self/fd/{fd}").into(), args: Vec::new() },
        None => WriterCommand { program: "/proc/self/exe".into(), args: vec!["writer".into()] },
    }
}

/// Where it can be: in `lib/gpuvirt` beside the folder of an installed daemon, or with it where it was built.
fn places(own: &Path) -> Vec<PathBuf> {
    let folder = own.parent();
    let installed = folder.and_then(Path::parent).map(|prefix| prefix.join("lib/gpuvirt").join(NAME));
    installed.into_iter().chain(folder.map(|folder| folder.join(NAME))).collect()
}

/// Kept open for as long as the daemon lives; a program that it starts does not get it.
fn opened(path: &Path) -> io::Result<RawFd> {
    let file = File::options().read(true).custom_flags(OFlag::O_PATH.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no file"));
    }
    Ok(file.into_raw_fd())
}

/// Our program as the writer, a child of ours with our rights: requests on standard input, answers on standard output.
///
/// # Errors
/// When one of the two fails.
pub fn be_writer() -> anyhow::Result<()> {
    Ok(writer_main(io::stdin().lock(), io::stdout().lock(), "", &Programs::All)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_one_comes_first() {
        let of =
            |own| places(Path::new(own)).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(of("/usr/sbin/gpuvirtd"), ["/usr/lib/gpuvirt/gpuvirt-writer", "/usr/sbin/gpuvirt-writer"]);
        assert_eq!(of("/gpuvirtd"), ["/gpuvirt-writer"]);
    }

    #[test]
    fn what_was_opened_is_started_whatever_has_its_name_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        std::fs::copy("/bin/true", &path).unwrap();
        let fd = opened(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::copy("/bin/false", &path).unwrap();
        let status = std::process::Command::new(format!("/proc/self/fd/{fd}")).arg0(NAME).status().unwrap();
        assert!(status.success(), "{status}");
        assert!(opened(folder.path()).is_err() && opened(&folder.path().join("none")).is_err());
    }

    use std::os::unix::process::CommandExt as _;
}
