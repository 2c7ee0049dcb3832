//! udev beside what is measured: a device that comes has rules run, on the same processors and under the same lock of sysfs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use crate::process::must;

/// A rule of driverctl's package: for each device of VFIO's, a vGPU among them, it starts a shell script.
const DRIVERCTLS: &str = "89-vfio-uio.rules";
/// Where rules of packages are, and where a link to nothing puts one of them out of force (udev(7)).
const PACKAGED: &str = "/usr/lib/udev/rules.d";
const OF_ADMIN: &str = "/etc/udev/rules.d";

/// What a table says where driverctl's rule is out of force.
pub const WITHOUT_DRIVERCTL: &str = "driverctl's udev rule, which starts a shell script for each VFIO device, is out of force \
                                     meanwhile: none of these ways is driverctl's, and all of them, the bare writes too, wait for it.";

/// driverctl's rule out of force, for as long as this lives.
pub struct WithoutDriverctl(bool);

impl WithoutDriverctl {
    /// From now on.
    pub fn begin() -> Result<Self> {
        let mask = Path::new(OF_ADMIN).join(DRIVERCTLS);
        if !Path::new(PACKAGED).join(DRIVERCTLS).exists() || fs::symlink_metadata(&mask).is_ok() {
            return Ok(Self(false));
        }
        symlink("/dev/null", &mask).with_context(|| format!("mask {}", mask.display()))?;
        let masked = Self(true);
        reload().map(|()| masked)
    }
}

impl Drop for WithoutDriverctl {
    fn drop(&mut self) {
        if self.0 {
            // A lab's own link: that it stays is no harm.
            let _ = fs::remove_file(Path::new(OF_ADMIN).join(DRIVERCTLS));
            let _ = reload();
        }
    }
}

fn reload() -> Result<()> {
    must("udevadm", &["control", "--reload"]).map(drop)
}

/// Waits until udev has done all that it was told of.
pub fn settle() -> Result<()> {
    must("udevadm", &["settle"]).map(drop)
}
