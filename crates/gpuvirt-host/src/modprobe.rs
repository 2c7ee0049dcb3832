//! Loading a kernel module with the system's own `modprobe`, which knows soft dependencies and the admin's options.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Where modprobe is installed, in the order of likelihood. Absolute, so that no PATH chooses for us.
const PROGRAMS: [&str; 3] = ["/usr/sbin/modprobe", "/sbin/modprobe", "/usr/bin/modprobe"];

/// How long a module's own initialisation may take: GPU drivers train links and load firmware in it.
pub(crate) const LOAD_DEADLINE: Duration = Duration::from_secs(60);

/// Loads `name`, and returns when it is loaded or cannot be.
///
/// # Errors
/// `NotFound` without modprobe, `TimedOut` when it has not ended (it is left running: the kernel can't be
/// interrupted in a module's initialisation), else what modprobe said.
pub(crate) fn load(name: &str) -> io::Result<()> {
    if !is_module_name(name) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no module name")));
    }
    let program = PROGRAMS
        .iter()
        .find(|program| Path::new(program).exists())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "modprobe is not installed"))?;
    let child = Command::new(program)
        .args(["-a", "--", name])
        // MODPROBE_OPTIONS and the like are not for a daemon to inherit.
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let (done, ended) = mpsc::channel();
    // The thread also reaps the child when it ends after the deadline.
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = ended.recv_timeout(LOAD_DEADLINE).map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("modprobe {name}: no end after {LOAD_DEADLINE:?}"))
    })??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("modprobe {name}: {}, {}", said.trim(), output.status)))
}

/// Letters, digits, `_` and `-` only: it becomes an argument of modprobe.
pub(crate) fn is_module_name(name: &str) -> bool {
    (1..64).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_modprobe_could_misread_are_refused() {
        for name in ["", "-r", "a b", "../x", "/etc/x.ko", "a\n", "é"] {
            assert!(!is_module_name(name), "{name:?}");
        }
        for name in ["vfio-pci", "vfio_iommu_type1", "8250_pci"] {
            assert!(is_module_name(name), "{name:?}");
        }
    }
}
