//! A file of somebody else's folder that others read while it is replaced, as node_exporter reads its text files.
//!
//! It is no state of ours: nothing here ever reads it.

use std::path::Path;

use crate::{StateError, atomic};

/// Makes `path` hold `text`: whole or not at all, readable by all. Its folder must exist; a link by that name is replaced.
///
/// The temporary file beside it begins with a dot and does not end as the file does, so that nobody takes it for one.
///
/// # Errors
/// [`StateError::Io`]: what was there stands.
pub fn replace_textfile(path: &Path, text: &str) -> Result<(), StateError> {
    let named = path.file_name().and_then(|name| name.to_str());
    let Some(name) = named else {
        let error = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(StateError::io("writing", path)(error));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    atomic::replace(folder, name, text.as_bytes())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test makes the links
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_link_is_replaced_and_what_it_led_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, victim) = (dir.path().join("x.prom"), dir.path().join("victim"));
        fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, &file).unwrap();
        replace_textfile(&file, "a 1\n").unwrap();
        replace_textfile(&file, "a 2\n").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert!(fs::symlink_metadata(&file).unwrap().is_file());
        assert_eq!(fs::read_to_string(&file).unwrap(), "a 2\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_can_not_be_the_file_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        for odd in ["absent/x.prom", "folder", "folder/..", "/"] {
            let path = dir.path().join(odd);
            let error = replace_textfile(&path, "a 1\n").unwrap_err();
            assert!(matches!(error, StateError::Io { doing: "writing", .. }), "{odd}: {error}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
