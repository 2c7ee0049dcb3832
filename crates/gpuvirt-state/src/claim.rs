//! The list of functions that are claimed early in a boot, and whether the initramfs has it.
//!
//! ```text
//! /etc/gpuvirt/claims                       what is wanted; on the root file system, for it is read before any other
//! /var/lib/gpuvirt/initramfs/<kernel>       what an image was made with; written by the package's hook
//! ```
//!
//! The list is derived from `state.json` and written anew whenever that changes; losing it loses nothing. Whoever claims
//! is a script without us (`claim` of the package): the format is for a shell to read.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gpuvirt_plan::claim::Claim;

use crate::{StateError, atomic};

/// The list's first line: what it is, and its format's version.
const HEAD: &str = "# gpuvirt claims 1: written by gpuvirtd from what is configured; don't edit\n\
                    # address vendor device subsystem-vendor subsystem-device class driver\n";

/// Where the list, the notes and the images are.
#[derive(Debug, Clone)]
pub struct ClaimFiles {
    /// The folder of the list, which is named `claims`.
    pub folder: PathBuf,
    /// The folder of the notes, a file for each kernel.
    pub notes: PathBuf,
    /// The root folder below which images and hooks are.
    pub root: PathBuf,
}

const LIST: &str = "claims";

impl ClaimFiles {
    /// This machine's, with the notes in a state folder.
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: "/etc/gpuvirt".into(), notes: state_dir.join("initramfs"), root: "/".into() }
    }

    /// Makes the list hold these claims; says whether it is another one now, which [`ClaimFiles::settle`] then makes durable.
    /// Where there is nothing to claim and no list, none is made.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn write(&self, claims: &[Claim]) -> Result<bool, StateError> {
        let path = self.folder.join(LIST);
        let found = fs::read_to_string(&path).ok();
        let text = text(claims);
        if found.as_ref() == Some(&text) || (found.is_none() && claims.is_empty()) {
            return Ok(false);
        }
        if !self.folder.is_dir() {
            fs::create_dir(&self.folder).map_err(StateError::io("making the folder", &self.folder))?;
        }
        atomic::replace_soon(&self.folder, LIST, text.as_bytes())?;
        Ok(true)
    }

    /// Waits until the list is on the disk.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn settle(&self) -> Result<(), StateError> {
        atomic::settle(&self.folder, LIST)
    }

    /// Why this kernel's initramfs does not claim what is wanted, with what to do; none where it does, where there is no
    /// image, and where none of our hooks is installed that could put the list into one.
    pub fn stale_image(&self, kernel: &str) -> Option<String> {
        let name = Path::new(kernel);
        if name.components().count() != 1 || name.file_name().is_none() {
            return None;
        }
        let images = [format!("boot/initrd.img-{kernel}"), format!("boot/initramfs-{kernel}.img")];
        let image = images.iter().map(|image| self.root.join(image)).find(|image| image.is_file())?;
        let (_, command) =
            HOOKS.iter().find(|(files, _)| files.iter().all(|file| self.root.join(file).exists()))?;
        let wanted = lines(&self.folder.join(LIST));
        let note = self.notes.join(kernel);
        let behind = if lines(&note) != wanted {
            "was made before the present list of passthrough cards"
        } else if !wanted.is_empty() && changed(&image) < changed(&note) {
            "is older than the list of passthrough cards that was noted for it"
        } else {
            return None;
        };
        Some(format!("{} {behind}: {command}", image.display()))
    }
}

/// What must be there for an image to be made with our list, and the command that makes it.
const HOOKS: [(&[&str], &str); 2] = [
    (&["usr/share/initramfs-tools/hooks/gpuvirt", "usr/sbin/update-initramfs"], "update-initramfs -u"),
    (&["usr/lib/dracut/modules.d/90gpuvirt/module-setup.sh", "usr/bin/dracut"], "dracut -f"),
];

fn text(claims: &[Claim]) -> String {
    let mut text = HEAD.to_owned();
    for Claim { function, identity, driver } in claims {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{function} {:04x} {:04x} {:04x} {:04x} {} {driver}",
            identity.vendor,
            identity.device,
            identity.subsystem_vendor,
            identity.subsystem_device,
            identity.class
        );
    }
    text
}

/// The claims of a list, none where it can't be read.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test makes images and notes
mod tests {
    use std::time::Duration;

    use gpuvirt_model::{ClassCode, DriverName, PciAddress, PciIdentity};

    use super::*;

    fn claim() -> Claim {
        let identity = PciIdentity {
            vendor: 0x10de,
            device: 0x2204,
            subsystem_vendor: 0x1043,
            subsystem_device: 0x87d9,
            class: ClassCode(0x03_00_00),
        };
        let function = PciAddress::parse("41:00.0").unwrap();
        Claim { function, identity, driver: DriverName::vfio_pci() }
    }

    fn files(root: &Path) -> ClaimFiles {
        ClaimFiles { folder: root.join("etc/gpuvirt"), notes: root.join("notes"), root: root.to_owned() }
    }

    #[test]
    fn a_list_is_written_when_there_is_something_to_claim_and_kept_when_it_is_the_same() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let (files, list) = (files(root.path()), root.path().join("etc/gpuvirt/claims"));
        files.write(&[]).unwrap();
        assert!(!list.exists());
        files.write(&[claim()]).unwrap();
        let text = fs::read_to_string(&list).unwrap();
        assert!(text.ends_with("\n0000:41:00.0 10de 2204 1043 87d9 030000 vfio-pci\n"), "{text}");
        let written = changed(&list);
        files.write(&[claim()]).unwrap();
        assert_eq!(changed(&list), written);
        files.write(&[]).unwrap();
        assert_eq!(fs::read_to_string(&list).unwrap(), HEAD);
    }

    #[test]
    fn an_image_is_stale_when_it_was_made_with_another_list_or_before_it() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["etc", "boot", "notes", "usr/sbin", "usr/share/initramfs-tools/hooks"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let files = files(root.path());
        files.write(&[claim()]).unwrap();
        let stale = || files.stale_image("6.12.1-amd64");
        assert_eq!(stale(), None, "there is no image");
        fs::write(at("boot/initrd.img-6.12.1-amd64"), "").unwrap();
        assert_eq!(stale(), None, "no hook of ours could have put it there");
        fs::write(at("usr/share/initramfs-tools/hooks/gpuvirt"), "").unwrap();
        fs::write(at("usr/sbin/update-initramfs"), "").unwrap();
        assert!(stale().unwrap().ends_with("update-initramfs -u"));
        // What the hook does; the image is finished afterwards.
        fs::copy(at("etc/gpuvirt/claims"), at("notes/6.12.1-amd64")).unwrap();
        let image = fs::File::options().write(true).open(at("boot/initrd.img-6.12.1-amd64")).unwrap();
        let noted = changed(&at("notes/6.12.1-amd64")).unwrap();
        image.set_modified(noted + Duration::from_secs(1)).unwrap();
        assert_eq!(stale(), None);
        image.set_modified(noted - Duration::from_secs(1)).unwrap();
        assert!(stale().unwrap().contains("older"), "the image was not finished, or is another one");
        image.set_modified(noted + Duration::from_secs(1)).unwrap();
        files.write(&[]).unwrap();
        assert!(stale().is_some(), "it would claim a card that is to be the host's");
        for odd in ["../6.12", "", "/", ".."] {
            assert_eq!(files.stale_image(odd), None);
        }
    }
}
