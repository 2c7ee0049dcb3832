//! The parameters of a live vGPU, where its driver has a file for them.

use std::io;

use gpuvirt_model::{Reading, Unknown, VgpuId, VgpuParams};

use crate::files::{Files, shown};
use crate::paths;

/// Reads them; none where there is no such file.
pub(super) fn read(
    files: Files<'_>,
    vgpu: VgpuId,
    oddities: &mut Vec<String>,
) -> Option<Reading<VgpuParams>> {
    let path = paths::vgpu_params(vgpu);
    let what = match files.text(&path) {
        Ok(text) => match text.parse() {
            Ok(params) => return Some(Reading::Known(params)),
            Err(_) => format!("{path}: {} makes no sense", shown(&text)),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(e) => format!("{path}: {e}"),
    };
    oddities.push(what.clone());
    Some(Reading::Unknown(Unknown::Unreadable { what }))
}
