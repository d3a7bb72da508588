//! Names and values in records.

use std::fmt::Write;

use fairlead_wire::internal::PayloadRecord;
use fairlead_wire::v1::{EventKind, Failure, RunEvent, RunState, StepEvent};
use sha2::{Digest, Sha256};

use super::{Effect, Run, StepKey};
use crate::definition::{Definition, TaskKind};

/// Name of a step: `parse`, or `score[17]` for the item with index 17, which counts from 0.
#[must_use]
pub fn step_name(definition: &Definition, key: StepKey) -> String {
    let id = definition.steps.get(key.index()).map_or("", |step| &*step.id);
    if key.is_item() {
        format!("{id}[{}]", key.item - 1)
    } else {
        id.to_owned()
    }
}

/// The step of a name; it need not exist in a run.
#[must_use]
pub(super) fn parse_name(definition: &Definition, name: &str) -> Option<StepKey> {
    let (id, item) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((id, index)) => (id, index.parse::<u32>().ok()?.checked_add(1)?),
        None => (name, 0),
    };
    let key = StepKey::of(definition.step_index(id)?);
    Some(StepKey { item, ..key })
}

/// A payload with its digest and all its bytes.
#[must_use]
pub fn payload(json: Vec<u8>) -> PayloadRecord {
    PayloadRecord {
        digest: Sha256::digest(&json).to_vec(),
        size_bytes: json.len() as u64,
        json,
        run: String::new(),
    }
}

/// What an idempotency key of the step's own is made of where it has none: the run, the step and the purpose.
#[must_use]
pub fn ancestor_path(run: &str, step: &str, purpose: &str) -> String {
    let mut path = String::with_capacity(run.len() + step.len() + purpose.len() + 2);
    // Writing into a String cannot fail.
    let _ = write!(path, "{run}/{step}/{purpose}");
    path
}

pub(super) fn failure(code: &str, message: impl Into<String>, step: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: message.into(),
        step: step.to_owned(),
    }
}

impl Run {
    /// A record about a step, with what it is now.
    pub(super) fn step_event(&self, key: StepKey) -> StepEvent {
        let Some(step) = self.step(key) else {
            return StepEvent::default();
        };
        let queue = match self.step_def(key) {
            Some(definition) if step.compensating => definition.compensate.as_deref().unwrap_or(""),
            Some(definition) => match &definition.task.kind {
                TaskKind::Agent { queue } => queue,
                _ => "",
            },
            None => "",
        };
        StepEvent {
            run: self.record.run.clone(),
            step: self.name(key),
            state: step.state,
            epoch: step.epoch,
            attempt: step.attempts,
            queue: queue.to_owned(),
            worker: step.worker.clone(),
            idempotency_key: step.idempotency_key.clone(),
            compensation: step.compensating,
            ..StepEvent::default()
        }
    }

    /// Says something about a step, after the change.
    pub(super) fn says(
        &self,
        effects: &mut Vec<Effect>,
        kind: EventKind,
        key: StepKey,
        more: impl FnOnce(&mut StepEvent),
    ) {
        let mut event = self.step_event(key);
        more(&mut event);
        effects.push(Effect::Step(kind, event));
    }

    /// A record about the run, with what it is now.
    pub(super) fn run_event(&self) -> RunEvent {
        let run = &self.record;
        RunEvent {
            run: run.run.clone(),
            workflow: run.workflow.clone(),
            workflow_version: run.workflow_version.clone(),
            state: run.state,
            failure: run.failure.clone(),
            parent: run.parent.clone(),
            parent_step: run.parent_step.clone(),
            rerun_of: run.rerun_of.clone(),
            rerun_from: run.rerun_from.clone(),
            spent: run.spent,
            cost_avoided: run.cost_avoided,
            ..RunEvent::default()
        }
    }

    /// Says something about the run, after the change.
    pub(super) fn says_run(&self, effects: &mut Vec<Effect>, kind: EventKind, more: impl FnOnce(&mut RunEvent)) {
        let mut event = self.run_event();
        more(&mut event);
        effects.push(Effect::Run(kind, event));
    }

    /// RUNNING while a step is ready or leased, WAITING otherwise.
    pub(super) fn refresh_state(&mut self) {
        let busy =
            self.count(fairlead_wire::v1::StepState::Ready) + self.count(fairlead_wire::v1::StepState::Leased) > 0;
        let state = match self.record.state() {
            RunState::Running | RunState::Waiting if busy => RunState::Running,
            RunState::Running | RunState::Waiting => RunState::Waiting,
            _ => return,
        };
        if self.record.state() != state {
            self.edit_run(|run| run.set_state(state));
        }
    }
}
