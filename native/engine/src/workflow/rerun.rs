//! RerunRun: a new run with the results of an ended one, up to a step.
use std::sync::Arc;

use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{KeyState, RequestRecord, RerunRun, RunRecord, StepRecord};
use fairlead_wire::v1::{Amount, RerunRunResponse, Run as RunView, StepState};
use fairlead_workflow::Definition;
use fairlead_workflow::run::Run;
use prost::Message;

use super::definitions::compile_stored;
use super::record::shown;
use super::start::invalid;
use crate::amount;
use crate::command::{Applied, Caller, Refusal};
use crate::engine::{Engine, UnitBuilder};
use crate::keys;
use crate::rejection::{Reason, Rejection};
use crate::unit::{Write, family};

impl Engine {
    /// Makes a new run that copies what had succeeded before the step: nothing of it is paid or done again.
    pub fn rerun_run(&mut self, now: UnixNanos, caller: Caller<'_>, command: &RerunRun) -> Applied<RunView> {
        match self.try_rerun(now, caller, command) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_rerun(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        command: &RerunRun,
    ) -> Result<Applied<RunView>, Refusal> {
        let now = self.tick(now)?;
        let request = command
            .request
            .as_ref()
            .ok_or_else(|| invalid("request", "is required"))?;
        let old = command.run.as_ref().ok_or_else(|| invalid("run", "is required"))?;
        if !caller.agent.is_empty() && old.tenant != caller.tenant {
            let message = format!("there is no run `{}`", request.name);
            return Err(Rejection::new(Reason::NotFound, message)
                .with("run", &request.name)
                .into());
        }
        if !fairlead_workflow::run::is_terminal_run(old.state()) {
            let message = format!("run `{}` has not ended: cancel it first, or wait", request.name);
            return Err(Rejection::new(Reason::InvalidState, message)
                .with("run", &request.name)
                .into());
        }
        let definition = self.rerun_definition(command, old, request.current_definition)?;
        let again = self.runs_again(&definition, command, &request.from_step)?;
        let copied = copied(&definition, command, &again)?;
        let bytes: usize = copied
            .iter()
            .filter_map(|step| step.output.as_ref())
            .map(|output| output.json.len())
            .sum();
        self.has_room_for_run(&old.tenant, bytes)?;
        let avoided = copied
            .iter()
            .filter_map(|step| step.spent)
            .fold(amount::ZERO, amount::add_saturating);
        let id = keys::new_id(now, self.chain.head(), "run");
        let run = keys::run_name(&id);
        let record = RunRecord {
            root: run.clone(),
            session: if old.session == old.run {
                run.clone()
            } else {
                old.session.clone()
            },
            run,
            tenant: old.tenant.clone(),
            agent: caller.agent.to_owned(),
            operator: caller.operator.to_owned(),
            workflow: definition.name.to_string(),
            workflow_version: definition.version.to_string(),
            labels: old.labels.clone(),
            priority: old.priority,
            input: old.input.clone(),
            cost_avoided: (avoided != Amount::default()).then_some(avoided),
            rerun_of: old.run.clone(),
            rerun_from: request.from_step.clone(),
            create_time_unix_nanos: now,
            ..RunRecord::default()
        };
        let mut unit = UnitBuilder::new();
        let fallback = shown(&record);
        self.begin_run(&mut unit, now, id, Run::with_results(definition, record, copied));
        let view = self.runs.get(&id).map_or(fallback, |open| shown(open.run.record()));
        if !command.request_key.is_empty() {
            unit.writes.push(first_answer(now, command, &view));
        }
        Ok(Applied::done(view, Some(self.seal(unit, self.is_step_power()))))
    }

    fn rerun_definition(
        &self,
        command: &RerunRun,
        old: &RunRecord,
        current: bool,
    ) -> Result<Arc<Definition>, Rejection> {
        if current {
            return self.runs.workflows.get(&old.workflow).cloned().ok_or_else(|| {
                let message = format!("workflow `{}` is not in the configuration any more", old.workflow);
                Rejection::new(Reason::InvalidState, message).with("workflow", &old.workflow)
            });
        }
        if let Some(kept) = self.runs.kept.get(&old.workflow_version) {
            return Ok(Arc::clone(kept));
        }
        let source = command
            .definition
            .as_ref()
            .ok_or_else(|| invalid("definition", "is required"))?;
        compile_stored(source)
            .map(Arc::new)
            .map_err(|message| Rejection::new(Reason::InvalidState, message))
    }

    /// Which steps run again: the named one and all behind it, or all that have no result.
    fn runs_again(&self, definition: &Definition, command: &RerunRun, from: &str) -> Result<Vec<bool>, Rejection> {
        if !from.is_empty() {
            let Some(at) = definition.step_index(from) else {
                return Err(invalid(
                    "from_step",
                    &format!("workflow `{}` has no step `{from}`", definition.name),
                ));
            };
            let mut again = definition.downstream(at);
            if let Some(one) = again.get_mut(at) {
                *one = true;
            }
            return Ok(again);
        }
        let mut again = vec![false; definition.steps.len()];
        for at in 0..definition.steps.len() {
            let has_result = result_of(definition, command, at).is_some();
            if !has_result && let Some(one) = again.get_mut(at) {
                *one = true;
            }
        }
        for at in 0..definition.steps.len() {
            if again.get(at).copied().unwrap_or(false) {
                for (one, behind) in again.iter_mut().zip(definition.downstream(at)) {
                    *one |= behind;
                }
            }
        }
        Ok(again)
    }
}

/// Remembers the answer for the request id.
fn first_answer(now: i64, command: &RerunRun, view: &RunView) -> Write {
    let answer = RerunRunResponse {
        run: Some(view.clone()),
        cost_avoided: view.cost_avoided,
    };
    let record = RequestRecord {
        digest: command.request_digest.clone(),
        answer: answer.encode_to_vec(),
        time_unix_nanos: now,
        ..RequestRecord::default()
    };
    Write::put(family::REQUESTS, command.request_key.clone(), record.encode_to_vec())
}

/// The old run's record of a step that has a result or was skipped, by the step's id: the definition may be another one.
fn result_of<'a>(definition: &Definition, command: &'a RerunRun, at: usize) -> Option<&'a StepRecord> {
    let id = &*definition.steps.get(at)?.id;
    let steps = &command.definition.as_ref()?.steps;
    let old = u32::try_from(steps.iter().position(|step| step.id == id)?).ok()?;
    command.steps.iter().find(|step| {
        step.step == old && step.item == 0 && matches!(step.state(), StepState::Succeeded | StepState::Skipped)
    })
}

fn copied(definition: &Definition, command: &RerunRun, again: &[bool]) -> Result<Vec<StepRecord>, Rejection> {
    let mut copied = Vec::new();
    for (at, step) in definition.steps.iter().enumerate() {
        if again.get(at).copied().unwrap_or(true) {
            continue;
        }
        let Some(old) = result_of(definition, command, at) else {
            let message = format!(
                "step `{}` has no result to copy: rerun from it, or from a step before it",
                step.id
            );
            return Err(Rejection::new(Reason::InvalidState, message).with("step", &*step.id));
        };
        copied.push(StepRecord {
            step: u32::try_from(at).unwrap_or(u32::MAX),
            state: old.state,
            input: old.input.clone(),
            output: old.output.clone(),
            idempotency_key: old.idempotency_key.clone(),
            key_state: KeyState::Unspecified as i32,
            replayed: true,
            spent: old.spent,
            start_time_unix_nanos: old.start_time_unix_nanos,
            end_time_unix_nanos: old.end_time_unix_nanos,
            ..StepRecord::default()
        });
    }
    Ok(copied)
}
