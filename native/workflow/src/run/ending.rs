//! How steps and runs end: success, failure, cancellation, compensation.

use fairlead_wire::internal::KeyState;
use fairlead_wire::v1::{EventKind, Failure, RunState, StepState};

use super::advance::Turn;
use super::facts::all_steps;
use super::record::{failure, payload};
use super::{Effect, Run, StepKey, is_terminal_step};
use crate::Json;

impl Run {
    /// Puts a step or item into the state that it ends in.
    pub(super) fn end_step(&mut self, turn: &mut Turn, key: StepKey, state: StepState) {
        let now = turn.now;
        let before = self
            .step(key)
            .map_or(StepState::Unspecified, fairlead_wire::internal::StepRecord::state);
        let gives_up_key = self.step(key).is_some_and(|step| {
            step.key_state() == KeyState::Claimed && state != StepState::Succeeded && !step.compensating
        });
        let first_end = self.step(key).is_some_and(|step| step.end_time_unix_nanos == 0);
        self.edit(key, |step| {
            step.set_state(state);
            step.lease.clear();
            step.due_at_unix_nanos = 0;
            step.end_time_unix_nanos = now;
        });
        if gives_up_key {
            // INVARIANT (W7): a key is free again only when it is certain that nobody has acted under it.
            turn.effects.push(if before == StepState::Unknown {
                Effect::LoseKey { key }
            } else {
                Effect::ReleaseKey { key }
            });
        }
        if first_end {
            self.edit_run(|run| run.steps_ended = run.steps_ended.saturating_add(1));
        }
        turn.ended.push(key);
    }

    /// A step has failed for good: an item with its forEach to decide, any other step with the whole run.
    pub(super) fn fail_step(&mut self, turn: &mut Turn, key: StepKey, why: Failure) {
        self.edit(key, |step| step.failure = Some(why.clone()));
        let is_compensating = self.step(key).is_some_and(|step| step.compensating);
        self.end_step(turn, key, StepState::Failed);
        self.says(&mut turn.effects, EventKind::StepFailed, key, |event| {
            event.failure = Some(why.clone())
        });
        if is_compensating {
            let message = format!(
                "step {} could not be taken back: {} {}",
                why.step, why.code, why.message
            );
            let why = failure("COMPENSATION_FAILED", message, &why.step);
            self.edit_run(|run| {
                run.failure = Some(why);
                run.set_ends_as(RunState::Failed);
            });
        } else if !key.is_item() {
            let ends_as = if self.definition.compensate_on_failure {
                RunState::Compensated
            } else {
                RunState::Failed
            };
            self.wind_down(turn, ends_as, Some(why), "a step failed");
        }
    }

    pub(super) fn cancel(&mut self, turn: &mut Turn, reason: &str) {
        let why = failure("CANCELLED", reason, "");
        self.wind_down(turn, RunState::Cancelled, Some(why), reason);
    }

    /// From here on nothing new begins but compensation. What is leased may end, and is told to.
    pub(super) fn wind_down(&mut self, turn: &mut Turn, ends_as: RunState, why: Option<Failure>, reason: &str) {
        if matches!(self.record.state(), RunState::Cancelling) || self.is_ended() {
            return;
        }
        self.edit_run(|run| {
            run.set_state(RunState::Cancelling);
            run.set_ends_as(ends_as);
            run.failure = why;
        });
        self.says_run(&mut turn.effects, EventKind::RunCancelling, |event| {
            event.reason = reason.to_owned()
        });
        let open: Vec<StepKey> = self
            .steps()
            .filter(|(_, step)| {
                !is_terminal_step(step.state()) && !matches!(step.state(), StepState::Leased | StepState::Unknown)
            })
            .map(|(key, _)| key)
            .collect();
        for key in open {
            // The forEach itself ends when its items have.
            self.cancel_step(turn, key);
        }
        self.items.clear();
    }

    /// Ends the run when nothing is left to do.
    pub(super) fn maybe_end(&mut self, turn: &mut Turn) {
        match self.record.state() {
            RunState::Running | RunState::Waiting | RunState::Paused => {
                if self.is_going_on() {
                    return;
                }
                let all = all_steps(&self.definition).all(|at| {
                    let step = self.step(StepKey::of(at));
                    step.is_some_and(|step| matches!(step.state(), StepState::Succeeded | StepState::Skipped))
                });
                if all && self.record.state() != RunState::Paused {
                    self.finish(turn);
                }
            }
            RunState::Cancelling => self.wind_on(turn),
            _ => {}
        }
    }

    /// True while a step has not ended. Counted, because it is asked after every event.
    fn is_going_on(&self) -> bool {
        let ended = [
            StepState::Succeeded,
            StepState::Failed,
            StepState::Skipped,
            StepState::Cancelled,
            StepState::Compensated,
        ];
        let ended: u32 = ended.iter().map(|state| self.count(*state)).sum();
        (ended as usize) < self.steps.len()
    }

    fn finish(&mut self, turn: &mut Turn) {
        match self.output() {
            Ok(output) if output.len() > turn.bounds.payload_bytes => {
                let message = format!(
                    "the output of the run has {} bytes, limits.payloadBytes allows {}",
                    output.len(),
                    turn.bounds.payload_bytes
                );
                self.edit_run(|run| run.failure = Some(failure("PAYLOAD_TOO_LARGE", message, "")));
                self.end(turn, RunState::Failed);
            }
            Ok(output) => {
                self.edit_run(|run| run.output = Some(payload(output)));
                self.end(turn, RunState::Succeeded);
            }
            Err(why) => {
                self.edit_run(|run| run.failure = Some(why));
                self.end(turn, RunState::Failed);
            }
        }
    }

    /// The run's output: its template, or the outputs of the steps that nothing comes behind.
    fn output(&self) -> Result<Vec<u8>, Failure> {
        let definition = &self.definition;
        let value = match &definition.output {
            Some(template) => {
                let facts = self.facts(template.reads().iter().copied());
                template
                    .render(definition, &facts.sight())
                    .map_err(|error| failure("EXPRESSION_FAILED", error.to_string(), ""))?
            }
            None => {
                let last = definition
                    .steps
                    .iter()
                    .enumerate()
                    .filter(|(_, step)| step.dependants.is_empty());
                let outputs = last.filter_map(|(at, step)| {
                    let output = self.step(StepKey::of(at))?.output.as_ref()?;
                    Some((step.id.to_string(), super::facts::parse(Some(output))))
                });
                Json::Object(outputs.collect())
            }
        };
        if let Some(schema) = &definition.output_schema {
            schema.check(&value).map_err(|error| {
                let message = format!(
                    "the run's output does not fit its schema at `{}`: {}",
                    error.pointer, error.message
                );
                failure("OUTPUT_INVALID", message, "")
            })?;
        }
        Ok(value.to_text().into_bytes())
    }

    /// Winding down: waits for what is leased or unknown, then takes back what was done, the last first.
    fn wind_on(&mut self, turn: &mut Turn) {
        let ends_as = self.record.ends_as();
        let forced_unknown =
            |step: &fairlead_wire::internal::StepRecord| step.state() == StepState::Unknown && step.finish > 0;
        let begun = [StepState::Leased, StepState::Ready, StepState::RetryWait];
        if begun.iter().any(|state| self.count(*state) > 0) {
            return;
        }
        let is_busy = self.steps().any(|(_, step)| match step.state() {
            StepState::Unknown => !forced_unknown(step),
            StepState::Waiting => !step.child.is_empty() && self.record.children.contains(&step.child),
            _ => false,
        });
        if is_busy {
            return;
        }
        let compensates = matches!(ends_as, RunState::Cancelled | RunState::Compensated);
        let next = self
            .steps()
            .filter(|(key, step)| {
                (step.state() == StepState::Succeeded || forced_unknown(step))
                    && !step.replayed
                    && self.is_compensable(*key)
            })
            .max_by_key(|(_, step)| step.finish)
            .map(|(key, _)| key);
        if let (true, Some(key)) = (compensates, next) {
            self.edit(key, |step| {
                step.compensating = true;
                step.attempts = 0;
                step.completed_lease.clear();
                step.total_expires_at_unix_nanos = 0;
            });
            self.make_ready(turn, key);
            // It has no bound in the queue: what was done has to be taken back whenever a worker comes.
            self.edit(key, |step| step.due_at_unix_nanos = 0);
            return;
        }
        let unknown: Vec<StepKey> = self.in_state(StepState::Unknown).collect();
        for key in unknown {
            self.end_step(turn, key, StepState::Failed);
        }
        let was_compensated = self.count(StepState::Compensated) > 0;
        self.end(
            turn,
            match ends_as {
                RunState::Cancelled | RunState::Compensated if was_compensated => RunState::Compensated,
                RunState::Cancelled => RunState::Cancelled,
                _ => RunState::Failed,
            },
        );
    }

    /// Steps with a queue that takes their results back; items of a forEach one by one, and not the whole again.
    fn is_compensable(&self, key: StepKey) -> bool {
        let step = self.step_def(key);
        step.is_some_and(|step| step.compensate.is_some() && (step.for_each.is_none() || key.is_item()))
    }

    fn end(&mut self, turn: &mut Turn, state: RunState) {
        let now = turn.now;
        let keep = self.definition.keep_for_nanos;
        self.edit_run(|run| {
            run.set_state(state);
            run.end_time_unix_nanos = now;
            run.delete_time_unix_nanos = if keep > 0 { now.saturating_add(keep) } else { 0 };
            run.signals.clear();
        });
        self.items.clear();
        turn.ended.clear();
        self.says_run(&mut turn.effects, EventKind::RunEnded, |event| {
            if let Some(output) = &self.record.output {
                event.content_digest.clone_from(&output.digest);
                event.content_bytes = i64::try_from(output.size_bytes).unwrap_or(i64::MAX);
            }
        });
        turn.effects.push(Effect::Ended);
    }
}
