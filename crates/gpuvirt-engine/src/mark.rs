//! Marks in the journal: what a plan takes or makes while it runs and nothing on the host shows to be ours.
//!
//! A driver's lock is noted before it is taken: a daemon that dies behind it must give it back. One that was not to be
//! had, or was given back, is forgotten at once: whoever has it then keeps it. The number of a GPU instance is known
//! only behind its making; before, that one is being made.

use gpuvirt_plan::{Performed, Plan, Step, UnbindLock};

use crate::Engine;
use crate::apply::Failure;
use crate::ports::{PortError, StepError};

impl Engine {
    /// Notes what must be known of a step before it is begun.
    pub(crate) fn mark_before(&self, intent: &mut Plan, step: &Step) -> Result<(), Failure> {
        match step {
            Step::SetUnbindLock { function, driver, to: UnbindLock::Taken } => {
                intent.marks.locks.insert(*function, driver.clone());
            }
            Step::CreateGpuInstance { gpu, .. } => drop(intent.marks.making.insert(*gpu)),
            _ => return Ok(()),
        }
        self.note(intent)
    }

    /// Notes what came of a step.
    pub(crate) fn mark_after(
        &self,
        intent: &mut Plan,
        step: &Step,
        done: &Result<Performed, StepError>,
    ) -> Result<(), Failure> {
        match (step, done) {
            (Step::SetUnbindLock { function, to: UnbindLock::Taken, .. }, Err(_))
            | (Step::SetUnbindLock { function, to: UnbindLock::Free, .. }, Ok(_)) => {
                intent.marks.locks.remove(function);
            }
            (Step::CreateGpuInstance { gpu, .. }, Ok(Performed { instance })) => {
                intent.marks.making.remove(gpu);
                intent.marks.instances.entry(*gpu).or_default().extend(instance);
            }
            (Step::CreateGpuInstance { gpu, .. }, Err(StepError::NotAsPlanned { .. })) => {
                intent.marks.making.remove(gpu);
            }
            (Step::RemoveGpuInstance { gpu, instance, .. }, Ok(_))
                if intent.marks.made(*gpu, instance.id) =>
            {
                intent.marks.instances.entry(*gpu).or_default().remove(&instance.id);
            }
            _ => return Ok(()),
        }
        self.note(intent)
    }

    /// What is to be taken back, with all that the journal knows to be ours: whoever asks may have begun with the plan alone.
    pub(crate) fn with_marks(&self, plan: &Plan) -> Result<Plan, PortError> {
        let open = self.store.open_intents()?.into_iter().find(|open| open.gpu == plan.gpu);
        let noted = open.map(|open| open.marks).unwrap_or_default();
        Ok(Plan { marks: noted.and(&plan.marks), ..plan.clone() })
    }

    /// Notes the services that a way back stops: where it fails in the midst, the next one must start them. What is in the
    /// journal may be the first part of a change alone, which stopped none.
    pub(crate) fn mark_stopped(&self, intent: &mut Plan, back: &Plan) -> Result<(), Failure> {
        let stopped = back.steps.iter().filter_map(|step| match step {
            Step::StopService { unit, .. } => Some(unit),
            _ => None,
        });
        let stopped: Vec<_> = stopped.cloned().collect();
        if stopped.is_empty() {
            return Ok(());
        }
        let known = &mut intent.before.services;
        known.extend(stopped.into_iter().filter(|unit| !known.contains(unit)).collect::<Vec<_>>());
        self.note(intent)
    }

    /// The plan that runs may be a part of the open one, or the way back from it: only the marks and the services are new.
    fn note(&self, intent: &Plan) -> Result<(), Failure> {
        let noted = self.store.open_intents().and_then(|open| {
            match open.into_iter().find(|open| open.gpu == intent.gpu) {
                Some(mut open) => {
                    open.before.services.clone_from(&intent.before.services);
                    self.store.open_journal(&Plan { marks: intent.marks.clone(), ..open })
                }
                None => Ok(()),
            }
        });
        noted.map_err(|error| Failure::of("noting what is ours", &error))
    }
}
