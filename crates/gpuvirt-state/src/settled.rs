//! Changes that are settled before the disk knows their files by their names.
//!
//! A rename or a removal is on the disk when its file system has committed it: several writes, in the moment in which what a
//! change stirs up keeps the disk and the processors busy. So what says that a change is settled is written over as many bytes of
//! its intent, which have their place on the disk since before the first write (fdatasync(2): no metadata that is needed to
//! read them changes). The names follow when the file system commits, or the next change does; after a power cut in
//! between the next start gives them.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use gpuvirt_model::PciAddress;
use uuid::Uuid;

use crate::read::{open_trusted, read_trusted};
use crate::{StateError, atomic, journal};

/// What an intent with room for a mark begins with; the mark comes next.
const BEFORE: &str = "{\n  \"version\": 1,\n  \"settled\": \"";

/// The mark of documents: which they are, told by their text (RFC 9562, version 5).
pub(crate) fn mark_of(text: &[u8]) -> Uuid {
    Uuid::new_v5(&Uuid::nil(), text)
}

/// Notes in a GPU's intent that documents of this text settle it, durably.
///
/// # Errors
/// Any [`StateError`] about the file, and where it does not begin as we write it: then the names must be made durable instead.
pub(crate) fn mark(journal: &Path, gpu: PciAddress, text: &str) -> Result<(), StateError> {
    let path = journal.join(journal::file_name(gpu));
    let in_place = |error: io::Error| StateError::io("marking", &path)(error);
    let file = open_trusted(&path, OpenOptions::new().read(true).write(true))?;
    let (file, _) = file.ok_or_else(|| in_place(io::ErrorKind::NotFound.into()))?;
    let open = format!("{BEFORE}{}\"", Uuid::nil());
    let mut found = vec![0; open.len()];
    file.read_exact_at(&mut found, 0).map_err(in_place)?;
    if found != open.as_bytes() {
        return Err(in_place(io::ErrorKind::InvalidData.into()));
    }
    let put = |mark: Uuid| {
        file.write_all_at(mark.to_string().as_bytes(), BEFORE.len() as u64).and_then(|()| file.sync_data())
    };
    put(mark_of(text.as_bytes())).map_err(|error| {
        // It may be there all the same, and what it says may be taken back.
        let _ = put(Uuid::nil());
        in_place(error)
    })
}

/// Gives the names that a power cut took: what was staged for a marked intent takes its place, and the intent goes. What
/// can't be understood, or is marked with other documents, is left as it is, for whoever recovers; says whether there was none.
///
/// # Errors
/// Any [`StateError`] about documents that a mark may mean.
pub(crate) fn finish((dir, name): (&Path, &str), journal: &Path) -> Result<bool, StateError> {
    let mut all = true;
    let says = |path: &Path, mark: Uuid| match read_trusted(path) {
        Ok(text) => Ok(text.is_some_and(|text| mark_of(text.as_bytes()) == mark)),
        Err(StateError::Corrupt { .. }) => Ok(false),
        Err(unread) => Err(unread),
    };
    for path in journal::files(journal)? {
        let (gpu, mark) = match journal::settled_by(&path) {
            Ok(Some(settled)) => settled,
            Ok(None) => continue,
            Err(_) => {
                all = false;
                continue;
            }
        };
        if says(&atomic::staged_path(dir, name), mark)? {
            atomic::unstage(dir, name)?;
        }
        if says(&dir.join(name), mark)? {
            atomic::sync_dir(dir)?;
            journal::close(journal, gpu)?;
        } else {
            all = false;
        }
    }
    Ok(all)
}
