//! Writers that others started: those of an earlier daemon. Whoever has the state folder is the only daemon, so that no others come
//! after it, and what it asks its own writers it knows itself. So a host of a thousand processes need not be gone through at each
//! look for who might be at a write.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::process::Writers;

/// How long it may take until the last connection of an earlier daemon has its writer, which then has its name: the service that
/// starts writers may be kept waiting by a host that boots.
const ALL_THERE_AFTER: Duration = Duration::from_secs(60);

/// The processes that are named like writers and are not ours.
#[derive(Debug)]
pub(crate) struct Others {
    began: Instant,
    named: OnceLock<Vec<u32>>,
}

impl Others {
    /// From now on it is waited for them to be there.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), named: OnceLock::new() }
    }

    /// Those that may be at a write, some of which may have ended; none where any process of the host may be: not all are there
    /// yet, or one of ours is at a write. `named` lists the processes that are named like one.
    pub(crate) fn known(
        &self,
        ours: &Writers,
        named: impl FnOnce() -> io::Result<Vec<u32>>,
    ) -> Option<&[u32]> {
        if !ours.at_rest() {
            return None;
        }
        if self.named.get().is_none() && self.began.elapsed() >= ALL_THERE_AFTER {
            let mut others = named().ok()?;
            others.retain(|pid| ours.idle() != Some(*pid));
            // Another look may have been faster, and has found the same.
            let _ = self.named.set(others);
        }
        self.named.get().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::WriterOrigin;

    #[test]
    fn they_are_looked_for_once_and_not_before_all_are_there() {
        let ours = Writers::new(WriterOrigin::Socket("/nowhere".into()));
        let mut others = Others::new();
        assert_eq!(others.known(&ours, || panic!("too early")), None);
        others.began = Instant::now().checked_sub(ALL_THERE_AFTER).unwrap();
        assert_eq!(others.known(&ours, || Err(io::ErrorKind::PermissionDenied.into())), None);
        assert_eq!(others.known(&ours, || Ok(vec![7, 8])), Some([7, 8].as_slice()));
        assert_eq!(others.known(&ours, || panic!("once")), Some([7, 8].as_slice()));
        let at_work = ours.at_work();
        assert_eq!(others.known(&ours, || panic!("once")), None, "one of ours is at something");
        drop(at_work);
        assert!(others.known(&ours, || panic!("once")).is_some());
    }
}
