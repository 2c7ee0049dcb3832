//! Our documents, in memory: what the disk takes, and where a daemon dies over them.

use std::io;

use gpuvirt_engine::ports::{PortError, Store};
use gpuvirt_model::{Desired, Records};
use gpuvirt_plan::Plan;

use super::{World, port};

impl Store for World {
    fn load(&self) -> Result<(Desired, Records), PortError> {
        let files = self.files();
        Ok((files.desired, files.records))
    }

    fn commit(&self, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.may_die_here();
        let mut files = self.files.lock().unwrap();
        if files.commit_fails {
            return Err(port("storing", io::Error::from(io::ErrorKind::StorageFull)));
        }
        if (&files.desired, &files.records) != (desired, records) {
            self.is_stored()?;
        }
        (files.desired, files.records) = (desired.clone(), records.clone());
        Ok(())
    }

    fn open_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.may_die_here();
        let mut files = self.files.lock().unwrap();
        assert!(files.intents.iter().all(|open| open.gpu != plan.gpu || plan.continues(open)));
        if !files.intents.contains(plan) {
            self.is_stored()?;
        }
        let noted_more = files.intents.iter().any(|open| open.gpu == plan.gpu);
        files.intents.retain(|open| open.gpu != plan.gpu);
        files.intents.push(plan.clone());
        let mut intended = self.intended.lock().unwrap();
        if noted_more {
            intended.pop();
        }
        intended.push(plan.clone());
        Ok(())
    }

    fn open_journal_expecting(
        &self,
        plan: &Plan,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), PortError> {
        self.open_journal(plan)?;
        let expected = (desired.clone(), records.clone());
        self.expected.lock().unwrap().insert(plan.gpu, expected);
        Ok(())
    }

    fn commit_settling(&self, plan: &Plan, desired: &Desired, records: &Records) -> Result<(), PortError> {
        let expected = self.expected.lock().unwrap().remove(&plan.gpu);
        let came_true = expected.map(|expected| expected == (desired.clone(), records.clone()));
        self.came_true.lock().unwrap().push(came_true);
        self.commit(desired, records)
    }

    fn open_intents(&self) -> Result<Vec<Plan>, PortError> {
        Ok(self.files().intents)
    }

    fn close_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.may_die_here();
        self.files.lock().unwrap().intents.retain(|open| open.gpu != plan.gpu);
        Ok(())
    }
}

impl World {
    /// Something new is to be on the disk.
    fn is_stored(&self) -> Result<(), PortError> {
        match self.disk_takes.lock().unwrap().as_mut() {
            Some(0) => Err(port("storing", io::Error::from(io::ErrorKind::StorageFull))),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Something is to be stored, or an intent to be forgotten.
    fn may_die_here(&self) {
        let mut left = self.dies_before_storing.lock().unwrap();
        match *left {
            Some(0) => {
                drop(left);
                std::panic::panic_any("the daemon dies here");
            }
            Some(stored) => *left = Some(stored - 1),
            None => {}
        }
    }
}
