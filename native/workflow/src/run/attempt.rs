//! Attempts: lease, heartbeat, result, failure, lost lease.
//!
//! INVARIANT (W2): whatever is said about an attempt counts only with its epoch and its lease.

use fairlead_wire::internal::{KeyState, OnUnknown};
use fairlead_wire::v1::{EventKind, Failure, RunState, StepEffect, StepState};

use super::advance::Turn;
use super::record::{failure, payload};
use super::table::StepEventKind;
use super::{Attempt, Effect, Event, KeyAnswer, Refused, Run, StepKey};
use crate::definition::TaskKind;
use crate::read_payload;

/// When a paused run's child is looked at again.
const PAUSED_RETRY_NANOS: i64 = 1_000_000_000;
/// Most invocations that a step names.
const MOST_INVOCATIONS: usize = 16;

impl Run {
    pub(super) fn lease(
        &mut self,
        turn: &mut Turn,
        key: StepKey,
        worker: &str,
        agent: &str,
        lease: String,
    ) -> Result<(), Refused> {
        if self.queue(key).is_none() {
            return Err(Refused::WrongState(format!(
                "step {} cannot be leased now",
                self.name(key)
            )));
        }
        let Some(timeouts) = self.step_def(key).map(|step| step.task.timeouts) else {
            return Err(Refused::WrongState("there is no such step".to_owned()));
        };
        let now = turn.now;
        self.edit(key, |step| {
            step.set_state(StepState::Leased);
            step.epoch = step.epoch.saturating_add(1);
            step.attempts = step.attempts.saturating_add(1);
            step.lease = lease;
            worker.clone_into(&mut step.worker);
            step.lease_expires_at_unix_nanos = now.saturating_add(timeouts.lease_nanos.max(1));
            step.attempt_expires_at_unix_nanos = if timeouts.attempt_nanos > 0 {
                now.saturating_add(timeouts.attempt_nanos)
            } else {
                0
            };
            step.due_at_unix_nanos = 0;
            if step.start_time_unix_nanos == 0 {
                step.start_time_unix_nanos = now;
            }
        });
        let input = self.step(key).and_then(|step| step.input.clone()).unwrap_or_default();
        self.says(&mut turn.effects, EventKind::StepLeased, key, |event| {
            agent.clone_into(&mut event.worker_agent);
            event.content_digest = input.digest;
            event.content_bytes = i64::try_from(input.size_bytes).unwrap_or(i64::MAX);
        });
        Ok(())
    }

    /// The step of an attempt, when it is the current one.
    fn current(&self, attempt: Attempt<'_>) -> Result<StepKey, Refused> {
        self.allowed(attempt.key, StepEventKind::Attempt)
            .map_err(|refused| match refused {
                // Whether there is such a step is nobody's business who has no lease.
                Refused::WrongState(_) => self.lost("there is no such attempt"),
                lost => lost,
            })?;
        let Some(step) = self.step(attempt.key) else {
            return Err(self.lost("there is no such attempt"));
        };
        if step.state() != StepState::Leased {
            return Err(self.lost("the attempt has ended"));
        }
        if step.epoch != attempt.epoch || step.lease != attempt.lease {
            return Err(self.lost("there is a later attempt"));
        }
        Ok(attempt.key)
    }

    pub(super) fn heartbeat(&mut self, turn: &mut Turn, attempt: Attempt<'_>) -> Result<(), Refused> {
        let key = self.current(attempt)?;
        let lease = self.lease_nanos(key);
        let now = turn.now;
        self.edit(key, |step| {
            step.lease_expires_at_unix_nanos = now.saturating_add(lease.max(1));
        });
        Ok(())
    }

    pub(super) fn complete(&mut self, turn: &mut Turn, attempt: Attempt<'_>, output: &[u8]) -> Result<(), Refused> {
        if let Some(step) = self.step(attempt.key)
            && matches!(step.state(), StepState::Succeeded | StepState::Compensated)
            && !attempt.lease.is_empty()
            && step.completed_lease == attempt.lease.as_bytes()
        {
            turn.outcome.repeated = true;
            return Ok(());
        }
        let key = self.current(attempt)?;
        let output = if output.is_empty() { b"null" } else { output };
        match self.checked(turn, key, output) {
            Ok(()) => {
                let lease = attempt.lease.as_bytes().to_vec();
                self.edit(key, |step| step.completed_lease = lease);
                self.succeed(turn, key, output.to_vec());
            }
            Err(why) => {
                turn.outcome.refused_output = Some(why.clone());
                let final_failure = why.code == "PAYLOAD_TOO_LARGE";
                self.attempt_failed(turn, key, why, final_failure, 0);
            }
        }
        Ok(())
    }

    /// Whether a result may be the step's.
    pub(super) fn checked(&self, turn: &Turn, key: StepKey, output: &[u8]) -> Result<(), Failure> {
        let name = self.name(key);
        if output.len() > turn.bounds.payload_bytes {
            let message = format!(
                "the output has {} bytes, limits.payloadBytes allows {}",
                output.len(),
                turn.bounds.payload_bytes
            );
            return Err(failure("PAYLOAD_TOO_LARGE", message, &name));
        }
        let invalid = |pointer: &str, message: &str| {
            let message = format!("the output is not valid at `{pointer}`: {message}");
            failure("OUTPUT_INVALID", message, &name)
        };
        let value = read_payload(output).map_err(|error| invalid(&error.pointer, &error.message))?;
        let is_compensating = self.step(key).is_some_and(|step| step.compensating);
        let schema = self.step_def(key).and_then(|step| step.task.output_schema.as_ref());
        match schema {
            Some(schema) if !is_compensating => schema
                .check(&value)
                .map_err(|error| invalid(&error.pointer, &error.message)),
            _ => Ok(()),
        }
    }

    pub(super) fn fail(&mut self, turn: &mut Turn, attempt: Attempt<'_>, event: &Event<'_>) -> Result<(), Refused> {
        let key = self.current(attempt)?;
        let Event::Fail {
            code,
            message,
            non_retryable,
            outcome_unknown,
            retry_after_nanos,
            returned,
            ..
        } = event
        else {
            return Ok(());
        };
        let why = failure(code, *message, &self.name(key));
        if *returned {
            let is_winding_down = self.is_winding_down(key);
            // What no record says could not be found to be erased.
            let message = if is_winding_down { "" } else { *message };
            self.edit(key, |step| {
                step.attempts = step.attempts.saturating_sub(1);
                step.failure = Some(Failure {
                    message: message.to_owned(),
                    ..why
                });
            });
            if is_winding_down {
                self.cancel_step(turn, key);
            } else {
                self.make_ready(turn, key);
                let colon = if message.is_empty() { "" } else { ": " };
                let said = format!("given back before it began{colon}{message}");
                self.says(&mut turn.effects, EventKind::StepRetried, key, |event| {
                    event.failure = Some(failure(code, said, ""));
                });
            }
        } else if *outcome_unknown {
            self.outcome_unknown(turn, key, why);
        } else {
            self.attempt_failed(turn, key, why, *non_retryable, *retry_after_nanos);
        }
        Ok(())
    }

    fn is_winding_down(&self, key: StepKey) -> bool {
        self.record.state() == RunState::Cancelling && !self.step(key).is_some_and(|step| step.compensating)
    }

    /// An attempt did not end well: there is another one, or the step has failed.
    pub(super) fn attempt_failed(
        &mut self,
        turn: &mut Turn,
        key: StepKey,
        why: Failure,
        non_retryable: bool,
        retry_after_nanos: i64,
    ) {
        let Some(retry) = self.step_def(key).map(|step| step.task.retry.clone()) else {
            return;
        };
        let attempts = self.step(key).map_or(0, |step| step.attempts);
        let is_last = attempts >= retry.attempts.max(1);
        if non_retryable || is_last || retry.non_retryable.contains(&why.code) || self.is_winding_down(key) {
            return self.fail_step(turn, key, why);
        }
        let wait = backoff_nanos(retry.initial_nanos, retry.max_nanos, attempts).max(retry_after_nanos);
        let at = turn.now.saturating_add(wait);
        self.edit(key, |step| {
            step.set_state(StepState::RetryWait);
            step.lease.clear();
            step.due_at_unix_nanos = at.max(1);
            step.failure = Some(why.clone());
        });
        self.says(&mut turn.effects, EventKind::StepRetried, key, |event| {
            event.failure = Some(why);
            event.due_at_unix_nanos = at;
        });
    }

    /// Nobody knows whether the last attempt has happened.
    fn outcome_unknown(&mut self, turn: &mut Turn, key: StepKey, why: Failure) {
        let Some((on_unknown, tier)) = self.step_def(key).map(|step| {
            let own = &step.task.unknown_tier;
            let tier = if own.is_empty() {
                &self.definition.source.unknown_tier
            } else {
                &**own
            };
            (step.task.on_unknown, tier.to_owned())
        }) else {
            return;
        };
        if self.step(key).is_some_and(|step| step.compensating) {
            // Taking back has to bear being done twice: docs/workflows.md says so to who writes it.
            return self.attempt_failed(turn, key, why, false, 0);
        }
        self.edit(key, |step| {
            step.set_state(StepState::Unknown);
            step.lease.clear();
            step.failure = Some(why.clone());
        });
        self.says(&mut turn.effects, EventKind::StepUnknown, key, |event| {
            event.failure = Some(why.clone())
        });
        match on_unknown {
            OnUnknown::Unspecified | OnUnknown::Ask => {
                let step = self.step(key).cloned().unwrap_or_default();
                turn.effects.push(Effect::OpenApproval {
                    key,
                    tier,
                    title: format!("what became of step {} of run {}", self.name(key), self.record.run),
                    document: step.input.unwrap_or_default().json,
                    unknown: true,
                });
            }
            OnUnknown::Retry => self.attempt_failed(turn, key, why, false, 0),
            OnUnknown::Fail => self.fail_step(turn, key, why),
            OnUnknown::Compensate => {
                let finish = self.next_finish();
                self.edit(key, |step| step.finish = finish);
                self.wind_down(
                    turn,
                    RunState::Compensated,
                    Some(why),
                    "the outcome of a step is unknown",
                );
            }
        }
    }

    /// A step's own time has come.
    pub(super) fn step_due(&mut self, turn: &mut Turn, key: StepKey) {
        let Some(step) = self.step(key) else { return };
        let now = turn.now;
        let total = step.total_expires_at_unix_nanos;
        let is_over = total > 0 && total <= now;
        match step.state() {
            StepState::Leased => self.lease_due(turn, key),
            StepState::Ready if is_over => {
                let why = failure("STEP_TIMEOUT", "all attempts together took too long", &self.name(key));
                self.fail_step(turn, key, why);
            }
            StepState::Ready => {
                let why = failure("QUEUE_TIMEOUT", "no worker took it in time", &self.name(key));
                self.fail_step(turn, key, why);
            }
            StepState::RetryWait if is_over => {
                let why = failure("STEP_TIMEOUT", "all attempts together took too long", &self.name(key));
                self.fail_step(turn, key, why);
            }
            StepState::RetryWait => self.try_again(turn, key),
            StepState::Waiting => self.wait_over(turn, key),
            _ => {}
        }
    }

    /// The wait between two attempts is over.
    fn try_again(&mut self, turn: &mut Turn, key: StepKey) {
        let workflow = match self.step_def(key).map(|step| &step.task.kind) {
            Some(TaskKind::Workflow { workflow }) => workflow.to_string(),
            _ => return self.make_ready(turn, key),
        };
        let later = turn.now.saturating_add(PAUSED_RETRY_NANOS);
        if self.record.state() == RunState::Paused {
            self.edit(key, |step| step.due_at_unix_nanos = later);
            return;
        }
        self.edit(key, |step| {
            step.set_state(StepState::Waiting);
            step.epoch = step.epoch.saturating_add(1);
            step.attempts = step.attempts.saturating_add(1);
            step.due_at_unix_nanos = 0;
            step.child.clear();
        });
        let input = self.step(key).and_then(|step| step.input.clone()).unwrap_or_default();
        turn.effects.push(Effect::StartChild {
            key,
            workflow,
            input: input.json,
        });
    }

    fn lease_due(&mut self, turn: &mut Turn, key: StepKey) {
        let lease = self.lease_nanos(key).max(1);
        let now = turn.now;
        let Some(step) = self.step(key) else { return };
        let over = |at: i64| at > 0 && at <= now;
        let (code, message, at) = if over(step.total_expires_at_unix_nanos) {
            (
                "STEP_TIMEOUT",
                "all attempts together took too long",
                step.total_expires_at_unix_nanos,
            )
        } else if over(step.attempt_expires_at_unix_nanos) {
            (
                "ATTEMPT_TIMEOUT",
                "the attempt took too long",
                step.attempt_expires_at_unix_nanos,
            )
        } else {
            (
                "LEASE_EXPIRED",
                "its worker was not heard of any more",
                step.lease_expires_at_unix_nanos,
            )
        };
        // The sweep comes in time, unless the clock jumped or the process slept; then the worker could not be heard.
        if now.saturating_sub(at) > lease {
            let until = now.saturating_add(lease);
            self.edit(key, |step| {
                step.lease_expires_at_unix_nanos = step.lease_expires_at_unix_nanos.max(until);
                if step.attempt_expires_at_unix_nanos > 0 {
                    step.attempt_expires_at_unix_nanos = step.attempt_expires_at_unix_nanos.max(until);
                }
                if step.total_expires_at_unix_nanos > 0 {
                    step.total_expires_at_unix_nanos = step.total_expires_at_unix_nanos.max(until);
                }
            });
            return;
        }
        let why = failure(code, message, &self.name(key));
        let effect = self.effect_of(key);
        let has_key = self.step(key).is_some_and(|step| !step.idempotency_key.is_empty());
        let is_compensating = self.step(key).is_some_and(|step| step.compensating);
        match effect {
            StepEffect::Pure | StepEffect::Read => {
                self.attempt_failed(turn, key, why, code == "STEP_TIMEOUT", 0);
            }
            StepEffect::Write if has_key => self.attempt_failed(turn, key, why, code == "STEP_TIMEOUT", 0),
            _ if is_compensating => self.attempt_failed(turn, key, why, false, 0),
            StepEffect::Write | StepEffect::SideEffect | StepEffect::Unspecified => {
                self.outcome_unknown(turn, key, why);
            }
        }
    }

    fn effect_of(&self, key: StepKey) -> StepEffect {
        let step = self.step_def(key);
        match step.map(|step| (step.task.effect, &step.task.kind)) {
            Some((StepEffect::Unspecified, TaskKind::Model(_))) => StepEffect::Read,
            Some((effect, _)) => effect,
            None => StepEffect::SideEffect,
        }
    }

    pub(super) fn key_resolved(&mut self, turn: &mut Turn, key: StepKey, answer: KeyAnswer<'_>) {
        match answer {
            KeyAnswer::Free => {
                self.edit(key, |step| step.set_key_state(KeyState::Claimed));
            }
            KeyAnswer::Held => {
                self.edit(key, |step| step.set_key_state(KeyState::HeldByAnother));
            }
            KeyAnswer::Unknown { run } => {
                let why = failure(
                    "KEY_UNKNOWN",
                    format!("run {run} may have acted under this key: nobody has said whether it did"),
                    &self.name(key),
                );
                self.edit(key, |step| step.set_key_state(KeyState::Claimed));
                self.outcome_unknown(turn, key, why);
            }
            KeyAnswer::Recorded { run, output } => {
                self.edit(key, |step| {
                    step.replayed = true;
                    step.set_key_state(KeyState::Unspecified);
                });
                self.succeed(turn, key, output.to_vec());
                self.says(&mut turn.effects, EventKind::StepReplayed, key, |event| {
                    run.clone_into(&mut event.replayed_from);
                });
            }
        }
    }

    pub(super) fn spend(&mut self, key: Option<StepKey>, amount: fairlead_wire::v1::Amount, invocation: &str) {
        self.edit_run(|run| add(run.spent.get_or_insert_default(), amount));
        if let Some(key) = key {
            self.edit(key, |step| {
                add(step.spent.get_or_insert_default(), amount);
                if !invocation.is_empty() && step.invocations.last().is_none_or(|last| last != invocation) {
                    step.invocations.push(invocation.to_owned());
                    if step.invocations.len() > MOST_INVOCATIONS {
                        step.invocations.remove(0);
                    }
                }
            });
        }
    }

    /// A step or item has its result.
    pub(super) fn succeed(&mut self, turn: &mut Turn, key: StepKey, output: Vec<u8>) {
        let output = payload(output);
        let (digest, bytes) = (output.digest.clone(), output.size_bytes);
        let is_compensating = self.step(key).is_some_and(|step| step.compensating);
        if is_compensating {
            self.end_step(turn, key, StepState::Compensated);
            self.says(&mut turn.effects, EventKind::StepCompensated, key, |_| {});
            return;
        }
        let finish = self.next_finish();
        self.edit(key, |step| {
            step.output = Some(output);
            step.failure = None;
            step.finish = finish;
        });
        let has_key = self.step(key).is_some_and(|step| step.key_state() == KeyState::Claimed);
        self.end_step(turn, key, StepState::Succeeded);
        if has_key {
            turn.effects.push(Effect::RecordKey { key });
        }
        self.says(&mut turn.effects, EventKind::StepSucceeded, key, |event| {
            event.content_digest = digest;
            event.content_bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        });
    }

    pub(super) fn next_finish(&mut self) -> u32 {
        let finish = self.record.next_finish.saturating_add(1);
        self.edit_run(|run| run.next_finish = finish);
        finish
    }
}

/// Wait after the given number of attempts: the first one, doubled with every further one, up to the longest.
fn backoff_nanos(initial: i64, max: i64, attempts: u32) -> i64 {
    let doublings = attempts.saturating_sub(1).min(62);
    let wait = initial.saturating_mul(1_i64.checked_shl(doublings).unwrap_or(i64::MAX));
    if max > 0 { wait.min(max) } else { wait }
}

pub(super) fn add(sum: &mut fairlead_wire::v1::Amount, amount: fairlead_wire::v1::Amount) {
    sum.nano_usd = sum.nano_usd.saturating_add(amount.nano_usd);
    sum.tokens = sum.tokens.saturating_add(amount.tokens);
    sum.requests = sum.requests.saturating_add(amount.requests);
}
