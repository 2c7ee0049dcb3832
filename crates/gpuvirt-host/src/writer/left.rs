//! Writers that were left in the kernel at a deadline: to be reaped, and to be remembered, so that no second one is
//! sent after the first. And writes that are waited for yet, and take so long that whoever comes would only wait too.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gpuvirt_model::PciAddress;

use super::origin::WriterProcess;

/// From when on a write is taken to wait for the device's lock, or to hold it.
const TAKES_LONG: Duration = Duration::from_secs(1);

/// The writers that were left, and the writes that are under way.
#[derive(Debug, Default)]
pub(super) struct Left {
    left: Mutex<Vec<Waiting>>,
    under_way: Mutex<Vec<UnderWay>>,
}

#[derive(Debug, PartialEq, Eq)]
struct UnderWay {
    writer: u32,
    function: PciAddress,
    since: Instant,
}

/// A write is under way until this is dropped.
#[derive(Debug)]
pub(super) struct Mark<'a>(&'a Left, u32);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.under_way().retain(|write| write.writer != self.1);
    }
}

#[derive(Debug)]
struct Waiting {
    process: WriterProcess,
    /// The function whose lock it holds or waits for.
    function: Option<PciAddress>,
}

impl Left {
    /// Leaves one. It is asked nothing more.
    pub(super) fn add(&self, process: WriterProcess, function: Option<PciAddress>) {
        process.hang_up();
        self.lock().push(Waiting { process, function });
    }

    /// Collects those that have ended; the process of one that is still at this function, or of a write there that takes
    /// long.
    pub(super) fn at(&self, function: PciAddress) -> Option<u32> {
        let mut left = self.lock();
        left.retain_mut(|waiting| !waiting.process.has_ended());
        let left = left.iter().find(|waiting| waiting.function == Some(function));
        left.map(|waiting| waiting.process.id()).or_else(|| self.slow_at(function))
    }

    /// A write of this writer begins, at a function that it may hold locked.
    pub(super) fn begins(&self, writer: u32, function: PciAddress) -> Mark<'_> {
        self.under_way().push(UnderWay { writer, function, since: Instant::now() });
        Mark(self, writer)
    }

    fn slow_at(&self, function: PciAddress) -> Option<u32> {
        let under_way = self.under_way();
        let slow = |write: &&UnderWay| write.function == function && write.since.elapsed() >= TAKES_LONG;
        under_way.iter().find(slow).map(|write| write.writer)
    }

    /// Collects those that have ended.
    pub(super) fn reap(&self) {
        self.lock().retain_mut(|waiting| !waiting.process.has_ended());
    }

    /// Whether all that were left have ended.
    pub(super) fn is_empty(&self) -> bool {
        self.reap();
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<UnderWay>> {
        // Entries are put in and taken out whole.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_takes_long_is_told_while_it_lasts_and_at_its_function_alone() {
        let at = |text: &str| PciAddress::parse(text).unwrap();
        let (function, other) = (at("0000:41:00.0"), at("0000:42:00.0"));
        let left = Left::default();
        let (mark, quick) = (left.begins(7, function), left.begins(8, other));
        assert_eq!(left.at(function), None, "it has only just begun");
        for write in left.under_way().iter_mut().filter(|write| write.writer == 7) {
            write.since = Instant::now().checked_sub(TAKES_LONG).unwrap();
        }
        assert_eq!((left.at(function), left.at(other)), (Some(7), None));
        drop(mark);
        assert_eq!(left.at(function), None);
        drop(quick);
        assert!(left.under_way().is_empty());
    }
}
