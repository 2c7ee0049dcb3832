//! The intent of a change that begins, on the disk before the file is that says it.
//!
//! A new file is on the disk when its file system has committed its blocks, and then its name: two commits that every change would
//! wait for. This file's blocks are there since it was made, and what is written over others is on the disk by one write
//! and one flush (fdatasync(2): no metadata that is needed to read it changes). The file of the intent follows while the change is
//! made, and then this one says nothing again. What a power cut leaves in between is an intent like any other.
//!
//! ```text
//! <which text it is, told by itself> <its length>\n<text>, and what was there before up to the file's fixed length
//! ```

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use uuid::Uuid;

use crate::read::{open_trusted, read_bytes};
use crate::settled::mark_of;
use crate::{StateError, atomic, journal};

const NAME: &str = ".ahead";
/// Room for a plan of some hundred steps; a longer one waits for its own file.
const ROOM: usize = 32 << 10;
const HEAD: usize = 46;

fn head(mark: Uuid, length: usize) -> String {
    format!("{mark} {length:8}\n")
}

/// A file that says something. It is to be made to say nothing again.
pub(crate) struct Ahead(File);

/// Writes this text, durably. None: it can't be, or is too long; then whoever wants it durable has to wait for a file of its own.
///
/// # Errors
/// [`StateError::Io`] where it may say the text by now, and nothing else can be made of it.
pub(crate) fn put(dir: &Path, text: &str) -> Result<Option<Ahead>, StateError> {
    if HEAD + text.len() > ROOM {
        return Ok(None);
    }
    let Ok(Some(ahead)) = open(dir) else { return Ok(None) };
    let whole = head(mark_of(text.as_bytes()), text.len()) + text;
    let written = ahead.0.write_all_at(whole.as_bytes(), 0).and_then(|()| ahead.0.sync_data());
    match written {
        Ok(()) => Ok(Some(ahead)),
        Err(_) => ahead.clear(dir).map(|()| None),
    }
}

/// The file; none where there is none with its place on the disk.
fn open(dir: &Path) -> Result<Option<Ahead>, StateError> {
    let file = open_trusted(&dir.join(NAME), OpenOptions::new().write(true))?;
    // One that was cut short has no blocks there.
    Ok(file.filter(|(_, metadata)| metadata.len() == ROOM as u64).map(|(file, _)| Ahead(file)))
}

impl Ahead {
    /// Says nothing any more, durably. What can't be made to say nothing goes: it must not be believed later.
    ///
    /// # Errors
    /// [`StateError::Io`] where it may be there still.
    pub(crate) fn clear(&self, dir: &Path) -> Result<(), StateError> {
        let nothing = head(Uuid::nil(), 0);
        let cleared = self.0.write_all_at(nothing.as_bytes(), 0).and_then(|()| self.0.sync_data());
        cleared.or_else(|_| atomic::remove(dir, NAME))
    }
}

/// Says nothing any more, durably.
///
/// # Errors
/// As [`Ahead::clear`].
pub(crate) fn clear(dir: &Path) -> Result<(), StateError> {
    match open(dir) {
        Ok(Some(ahead)) => ahead.clear(dir),
        Ok(None) | Err(_) => atomic::remove(dir, NAME),
    }
}

/// Brings what a power cut took of an intent: where its file is not there, was cut off or is of the change before, it is written, and
/// otherwise made durable. Then, and where there is none yet, there is a file that says nothing; where there is no room
/// for it, changes wait for their own.
///
/// # Errors
/// Any [`StateError`]: what says something that can't be understood stays as it is.
pub(crate) fn recover((dir, journal): (&Path, &Path)) -> Result<(), StateError> {
    if let Some(text) = found(dir)? {
        let plan = journal::parse_intent(&dir.join(NAME), &text)?;
        journal::restore(journal, &plan, &text)?;
        clear(dir)?;
    }
    if open(dir)?.is_none() {
        let _ = atomic::replace(dir, NAME, &[b' '; ROOM]);
    }
    Ok(())
}

/// The text that it says; none where that was cut off while it was written: then nothing was done for it yet.
fn found(dir: &Path) -> Result<Option<String>, StateError> {
    let Some((whole, _)) = read_bytes(&dir.join(NAME))? else { return Ok(None) };
    Ok(said(&whole))
}

fn said(whole: &[u8]) -> Option<String> {
    let (head, rest) = whole.split_at_checked(HEAD)?;
    let (mark, length) = std::str::from_utf8(head).ok()?.trim_end().split_once(' ')?;
    let text = rest.get(..length.trim().parse().ok()?)?;
    let is_whole = Uuid::parse_str(mark).ok()? == mark_of(text);
    // What was there before may have been cut in the midst of a character; what was written never is.
    is_whole.then(|| String::from_utf8(text.to_vec()).ok())?
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test damages files
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use gpuvirt_model::{DriverName, PciAddress};
    use gpuvirt_plan::{Marks, Plan, Snapshot, Step};

    use super::*;

    fn says(dir: &Path) -> Option<String> {
        found(dir).unwrap()
    }

    #[test]
    fn it_says_what_was_put_last_and_nothing_once_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(put(dir, "too early").unwrap().is_none());
        recover((dir, dir)).unwrap();
        assert_eq!(says(dir), None);
        let long = "lüng".repeat(1000);
        // What is left of the long one begins in the midst of a character behind one of them.
        for text in ["".to_owned(), "x".to_owned(), "xx".to_owned(), "ü".to_owned(), long.clone()] {
            let _ = put(dir, &long).unwrap().unwrap();
            let ahead = put(dir, &text).unwrap().unwrap();
            assert_eq!(says(dir), Some(text));
            ahead.clear(dir).unwrap();
            assert_eq!(says(dir), None);
        }
        assert!(put(dir, &"x".repeat(ROOM)).unwrap().is_none());
        assert_eq!(says(dir), None);
    }

    const GPU: PciAddress = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 };

    fn plan(driver: &str) -> Plan {
        Plan {
            gpu: GPU,
            purpose: format!("leaves {driver}"),
            steps: vec![Step::Unbind { function: GPU, driver: DriverName::parse(driver).unwrap() }],
            before: Snapshot::default(),
            promises: Vec::new(),
            marks: Marks::default(),
        }
    }

    fn text(plan: &Plan) -> String {
        journal::to_open(Path::new("/nowhere"), plan, None).unwrap().unwrap()
    }

    #[test]
    fn an_intent_whose_file_a_power_cut_took_is_there_again() {
        let (folder, plan, earlier) = (tempfile::tempdir().unwrap(), plan("nouveau"), text(&plan("bochs")));
        let dir = folder.path();
        let file = dir.join(journal::file_name(GPU));
        for left in [None, Some(""), Some("{\n  \"version\": 1,\n  \"pl"), Some(&earlier)] {
            let _ = fs::remove_file(&file);
            recover((dir, dir)).unwrap();
            put(dir, &text(&plan)).unwrap().unwrap();
            left.into_iter().for_each(|left| fs::write(&file, left).unwrap());
            recover((dir, dir)).unwrap();
            assert_eq!(
                journal::open_intents(dir).unwrap().as_slice(),
                std::slice::from_ref(&plan),
                "{left:?}"
            );
            assert_eq!(says(dir), None);
        }
    }

    #[test]
    fn an_intent_that_went_on_is_not_taken_back() {
        let (folder, plan) = (tempfile::tempdir().unwrap(), plan("nouveau"));
        let dir = folder.path();
        let file = dir.join(journal::file_name(GPU));
        recover((dir, dir)).unwrap();
        put(dir, &text(&plan)).unwrap().unwrap();
        let more = text(&Plan { purpose: "and then more".to_owned(), ..plan.clone() });
        fs::write(&file, &more).unwrap();
        recover((dir, dir)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), more);
    }

    #[test]
    fn what_can_not_be_understood_is_an_error_and_stays() {
        let (folder, text) = (tempfile::tempdir().unwrap(), text(&plan("nouveau")));
        let (dir, other) = (folder.path(), text.replace("\"version\": 1", "\"version\": 9"));
        recover((dir, dir)).unwrap();
        // Of another version: the file, and what was written ahead.
        put(dir, &text).unwrap().unwrap();
        fs::write(dir.join(journal::file_name(GPU)), &other).unwrap();
        assert!(matches!(recover((dir, dir)), Err(StateError::Version { .. })));
        assert_eq!(says(dir).as_ref(), Some(&text));
        put(dir, &other).unwrap().unwrap();
        assert!(matches!(recover((dir, dir)), Err(StateError::Version { .. })));
        assert_eq!(says(dir), Some(other));
        // One that others may write to.
        let modes = |mode| fs::set_permissions(dir.join(NAME), fs::Permissions::from_mode(mode)).unwrap();
        modes(0o666);
        assert!(matches!(recover((dir, dir)), Err(StateError::Untrusted { .. })));
        assert!(put(dir, &text).unwrap().is_none());
    }

    #[test]
    fn a_write_that_was_cut_off_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        recover((dir, dir)).unwrap();
        let empty = fs::read(dir.join(NAME)).unwrap();
        let _ = put(dir, "a text of some length").unwrap();
        let whole = fs::read(dir.join(NAME)).unwrap();
        for cut in 0..HEAD + 20 {
            let torn = [&whole[..cut], &empty[cut..]].concat();
            fs::write(dir.join(NAME), torn).unwrap();
            assert_eq!(says(dir), None, "{cut}");
        }
        // A file that somebody cut short has no place for it, until the next start.
        for short in ["", "short"] {
            fs::write(dir.join(NAME), short).unwrap();
            assert!(put(dir, "x").unwrap().is_none());
            recover((dir, dir)).unwrap();
            assert!(put(dir, "x").unwrap().is_some());
        }
    }
}
