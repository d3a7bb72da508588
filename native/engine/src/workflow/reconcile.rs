//! Reconciliation: what is derived from runs, compared with the runs; what does not fit is repaired, on record.
//!
//! Nothing here is needed while the machine is right. It is the answer to what nobody has thought of: a run without
//! anything that will come (W3), a step that waits for an approval or a child that is not there any more.
use fairlead_plan::UnixNanos;
use fairlead_wire::v1::{EventKind, Failure, RunEvent, RunState, StepState, audit_record::Body};
use fairlead_workflow::run::{Event, Resolution, StepKey, Verdict};

use crate::command::Applied;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, RunId};

/// Most runs that one command repairs.
const MOST_REPAIRED: usize = 256;

/// What is wrong with a step.
enum Wrong {
    /// The approval that it waits for is not open.
    Approval,
    /// The approval that says what became of it is not open.
    Resolution,
    /// Its child run is not open.
    Child,
}

impl Engine {
    /// Compares and repairs; returns how many repairs there were. Repeat until 0.
    pub fn reconcile(&mut self, now: UnixNanos) -> Applied<u64> {
        let now = match self.tick(now) {
            Ok(now) => now,
            Err(rejection) => return Applied::refused(rejection),
        };
        let found: Vec<(RunId, StepKey, Wrong)> = self
            .runs
            .ids()
            .flat_map(|id| self.wrong_with(id))
            .take(MOST_REPAIRED)
            .collect();
        if found.is_empty() {
            return Applied::done(0, None);
        }
        let repaired = found.len() as u64;
        let mut unit = UnitBuilder::new();
        for (id, key, wrong) in found {
            self.repair(&mut unit, now, &id, key, &wrong);
        }
        Applied::done(repaired, Some(self.seal(unit, true)))
    }

    fn wrong_with(&self, id: &RunId) -> Vec<(RunId, StepKey, Wrong)> {
        let Some(open) = self.runs.get(id) else {
            return Vec::new();
        };
        let is_open = |approval: &str| keys::approval_id(approval).is_some_and(|id| self.approvals.get(&id).is_some());
        open.run
            .steps()
            .filter_map(|(key, step)| match step.state() {
                StepState::WaitingApproval if !is_open(&step.approval) => Some((*id, key, Wrong::Approval)),
                StepState::Unknown if step.finish == 0 && !is_open(&step.approval) => {
                    Some((*id, key, Wrong::Resolution))
                }
                StepState::Waiting if !step.child.is_empty() => {
                    let child = keys::run_id(&step.child).and_then(|child| self.runs.get(&child));
                    child.is_none().then_some((*id, key, Wrong::Child))
                }
                _ => None,
            })
            .collect()
    }

    fn repair(&mut self, unit: &mut crate::engine::UnitBuilder, now: i64, id: &RunId, key: StepKey, wrong: &Wrong) {
        let Some(open) = self.runs.get(id) else { return };
        let name = open.run.name(key);
        let step = open.run.step(key).cloned().unwrap_or_default();
        let what = match wrong {
            Wrong::Approval => format!("step {name} waited for an approval that is not open"),
            Wrong::Resolution => format!("step {name} waited for people who were not asked"),
            Wrong::Child => format!("step {name} waited for a child run that is not open"),
        };
        let record = RunEvent {
            run: open.run.record().run.clone(),
            workflow: open.run.record().workflow.clone(),
            workflow_version: open.run.record().workflow_version.clone(),
            state: open.run.record().state,
            reason: what.clone(),
            ..RunEvent::default()
        };
        self.append_run(unit, now, id, EventKind::RunRepaired, Body::Run(record));
        let failure = Failure {
            code: "REPAIRED".to_owned(),
            message: what.clone(),
            step: name,
        };
        let event = match wrong {
            Wrong::Approval => Event::Approval {
                key,
                approval: &step.approval,
                verdict: Verdict::Expired,
            },
            Wrong::Resolution => Event::Resolved {
                key,
                approval: &step.approval,
                resolution: Resolution::Stop { reason: &what },
            },
            Wrong::Child => Event::Child {
                key,
                child: &step.child,
                state: RunState::Failed,
                output: b"null",
                failure: Some(&failure),
                spent: crate::amount::ZERO,
            },
        };
        // A refusal says that an earlier repair of the same run has dealt with it.
        let _ = self.drive(unit, now, id, &event);
    }
}
