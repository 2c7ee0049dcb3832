//! The parameters of a vGPU (`nvidia/vgpu_params`): one line, read back. A single space clears them.

use std::io;
use std::time::Duration;

use gpuvirt_model::{VgpuId, VgpuParams};

use super::settle::{State, not_as_planned, settle_blocking};
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::paths;

/// Sets all parameters at once: what the file says afterwards is what the driver took.
pub(super) fn set(
    files: Files<'_>,
    vgpu: VgpuId,
    (from, to): (&VgpuParams, &VgpuParams),
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("setting the parameters of vGPU {vgpu} to {:?}", to.to_string());
    let path = paths::vgpu_params(vgpu);
    let now = read(files, &path, &what)?;
    if now == *to {
        return Ok(());
    }
    if now != *from {
        return Err(not_as_planned(&what, format!("they are {:?} by now", now.to_string())));
    }
    let line = if to.is_empty() { " ".to_owned() } else { to.to_string() };
    let written = files.sysfs.write_that_may_block(&path, line.as_bytes(), deadline);
    settle_blocking(&what, written, || match read(files, &path, "reading them back") {
        Ok(now) if now == *to => State::Reached,
        Ok(now) => State::NotYet(format!("they are {:?}", now.to_string())),
        Err(e) => State::NotYet(e.to_string()),
    })
}

fn read(files: Files<'_>, path: &str, what: &str) -> Result<VgpuParams, HostError> {
    let refused = |source: io::Error| HostError::Refused { what: what.to_owned(), source };
    let text = files.text(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => refused(io::Error::new(e.kind(), format!("its driver has no {path}"))),
        _ => refused(e),
    })?;
    text.parse().map_err(|_| refused(io::Error::other(format!("{path} is {}", shown(&text)))))
}
