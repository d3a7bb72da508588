//! HeartbeatStep, CompleteStep, CompleteSteps, FailStep.
use fairlead_plan::UnixNanos;
use fairlead_wire::v1::{
    AttemptRef, CompleteStepRequest, CompleteStepResponse, CompleteStepsRequest, CompleteStepsResponse,
    CompletionOutcome, FailStepRequest, FailStepResponse, Failure, HeartbeatStepRequest, HeartbeatStepResponse,
    RunState, StepCompletion, StepState,
};
use fairlead_workflow::run::{Attempt, Event, Outcome, Refused, StepKey};

use super::lease::MOST_LEASED;
use super::start::invalid;
use crate::admit::timestamp;
use crate::command::{Applied, Caller, Refusal, StepResult};
use crate::engine::{Engine, UnitBuilder};
use crate::erasable;
use crate::keys::{self, RunId};
use crate::rejection::{Reason, Rejection};
use crate::validate::MOST_DETAIL_CHARS;

/// Longest code of a failure.
const MOST_CODE_CHARS: usize = 64;
/// Longest message of a failure.
const MOST_MESSAGE_CHARS: usize = 4096;
/// Longest wait that a worker may ask for before the next attempt: 30 days.
const MOST_RETRY_AFTER_NANOS: i64 = 30 * 86_400 * 1_000_000_000;

/// An attempt of an open run.
struct Found<'a> {
    id: RunId,
    attempt: Attempt<'a>,
}

impl Engine {
    /// Extends a lease. In memory only: after a restart every lease has its whole length again.
    pub fn heartbeat_step(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &HeartbeatStepRequest,
    ) -> Applied<HeartbeatStepResponse> {
        match self.try_heartbeat(now, caller, request) {
            Ok(reply) => Applied::done(reply, None),
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_heartbeat(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &HeartbeatStepRequest,
    ) -> Result<HeartbeatStepResponse, Refusal> {
        let now = self.tick(now)?;
        if request.progress.chars().count() > MOST_DETAIL_CHARS {
            return Err(invalid("progress", &format!("must be at most {MOST_DETAIL_CHARS} characters")).into());
        }
        let found = self.find_attempt(caller, request.attempt.as_ref())?;
        let (id, key) = (found.id, found.attempt.key);
        let bounds = self.bounds();
        let Some(open) = self.runs.get_mut(&id) else {
            return Err(lost("the run has ended").into());
        };
        open.run
            .advance(&Event::Heartbeat(found.attempt), now, bounds)
            .map_err(|refused| refusal(&refused))?;
        let expires = open.run.step(key).map_or(0, |step| step.lease_expires_at_unix_nanos);
        let is_compensating = open.run.step(key).is_some_and(|step| step.compensating);
        let state = open.run.record().state();
        self.runs.follow(&id, &[key]);
        Ok(HeartbeatStepResponse {
            expire_time: Some(timestamp(expires)),
            cancel_requested: state == RunState::Cancelling && !is_compensating,
        })
    }

    /// Ends an attempt with a result: result, key, the steps behind it, their approvals and children, and what is leased
    /// next are one unit (W4).
    pub fn complete_step(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &CompleteStepRequest,
    ) -> Applied<CompleteStepResponse> {
        match self.try_complete_step(now, caller, request) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_complete_step(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &CompleteStepRequest,
    ) -> Result<Applied<CompleteStepResponse>, Refusal> {
        let now = self.tick(now)?;
        self.checked_wish(caller, request.next.as_ref())?;
        let found = self.find_attempt(caller, request.attempt.as_ref())?;
        let mut unit = UnitBuilder::new();
        let outcome = self.end_attempt(&mut unit, now, &found.id, found.attempt, &request.output)?;
        let power = self.is_step_power();
        if let Some(why) = outcome.refused_output {
            return Ok(Applied::recorded(refused_output(&why), self.seal(unit, power)));
        }
        let run_state = self.run_state(&found.id, &outcome);
        let leases = match &request.next {
            Some(wish) => self.lease_into(&mut unit, now, caller, wish),
            None => Vec::new(),
        };
        let reply = CompleteStepResponse {
            run_state: run_state as i32,
            leases,
        };
        if outcome.repeated && reply.leases.is_empty() {
            return Ok(Applied::replay(reply));
        }
        Ok(Applied::done(reply, Some(self.seal(unit, power))))
    }

    /// Ends several attempts with results. They share a unit; each is taken or refused by itself.
    pub fn complete_steps(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &CompleteStepsRequest,
    ) -> Applied<CompleteStepsResponse> {
        match self.try_complete_steps(now, caller, request) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_complete_steps(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &CompleteStepsRequest,
    ) -> Result<Applied<CompleteStepsResponse>, Refusal> {
        let now = self.tick(now)?;
        if request.completions.is_empty() || request.completions.len() > MOST_LEASED {
            return Err(invalid("completions", &format!("has to have 1 to {MOST_LEASED} of them")).into());
        }
        self.checked_wish(caller, request.next.as_ref())?;
        let mut unit = UnitBuilder::new();
        // From here on nothing is refused as a whole: what one of them has changed is in the unit.
        let outcomes = request.completions.iter().map(|completion| {
            self.complete_one(&mut unit, now, caller, completion)
                .unwrap_or_else(|rejection| refused_completion(&rejection))
        });
        let mut reply = CompleteStepsResponse {
            outcomes: outcomes.collect(),
            leases: Vec::new(),
        };
        if let Some(wish) = &request.next {
            reply.leases = self.lease_into(&mut unit, now, caller, wish);
        }
        if unit.writes.is_empty() {
            return Ok(Applied::replay(reply));
        }
        Ok(Applied::done(reply, Some(self.seal(unit, self.is_step_power()))))
    }

    fn complete_one(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        completion: &StepCompletion,
    ) -> Result<CompletionOutcome, Rejection> {
        let found = self.find_attempt(caller, completion.attempt.as_ref())?;
        let outcome = self.end_attempt(unit, now, &found.id, found.attempt, &completion.output)?;
        match outcome.refused_output {
            Some(why) => Err(refused_output(&why)),
            None => Ok(CompletionOutcome {
                run_state: self.run_state(&found.id, &outcome) as i32,
                ..CompletionOutcome::default()
            }),
        }
    }

    /// Ends an attempt with a result, in a unit that has more.
    pub(crate) fn end_attempt(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &RunId,
        attempt: Attempt<'_>,
        output: &[u8],
    ) -> Result<Outcome, Rejection> {
        let event = Event::Complete { attempt, output };
        self.drive(unit, now, id, &event).map_err(|refused| refusal(&refused))
    }

    /// Ends a model step in the unit of its call's settlement. An attempt that is not the current one any more changes
    /// nothing: the call is charged all the same.
    pub(crate) fn end_model_step(&mut self, unit: &mut UnitBuilder, now: i64, step: StepResult<'_>) {
        let caller = Caller::agent(step.tenant, "");
        if let Ok(found) = self.find_attempt(caller, Some(step.attempt)) {
            let _ = self.end_attempt(unit, now, &found.id, found.attempt, step.output);
        }
    }

    /// Ends an attempt without a result.
    pub fn fail_step(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &FailStepRequest,
    ) -> Applied<FailStepResponse> {
        match self.try_fail_step(now, caller, request) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_fail_step(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &FailStepRequest,
    ) -> Result<Applied<FailStepResponse>, Refusal> {
        let now = self.tick(now)?;
        let retry_after_nanos = validate_failure(request)?;
        let found = self.find_attempt(caller, request.attempt.as_ref())?;
        let mut unit = UnitBuilder::new();
        let message = self.salts.commit(&mut unit.writes, &request.message);
        let event = Event::Fail {
            attempt: found.attempt,
            code: &request.code,
            message: &message,
            non_retryable: request.non_retryable,
            outcome_unknown: request.outcome_unknown,
            retry_after_nanos,
            returned: request.returned,
        };
        let outcome = self
            .drive(&mut unit, now, &found.id, &event)
            .map_err(|refused| refusal(&refused))?;
        erasable::keep_named(&mut unit.writes);
        let key = found.attempt.key;
        let step = self.runs.get(&found.id).and_then(|open| open.run.step(key));
        let reply = FailStepResponse {
            step_state: step.map_or(StepState::Failed, fairlead_wire::internal::StepRecord::state) as i32,
            run_state: self.run_state(&found.id, &outcome) as i32,
        };
        Ok(Applied::done(reply, Some(self.seal(unit, self.is_step_power()))))
    }

    /// State of a run after an event and what followed from it; one that is not in the book any more has ended by it.
    fn run_state(&self, id: &RunId, outcome: &Outcome) -> RunState {
        self.runs
            .get(id)
            .map_or(outcome.run_state, |open| open.run.record().state())
    }

    fn find_attempt<'a>(&self, caller: Caller<'_>, attempt: Option<&'a AttemptRef>) -> Result<Found<'a>, Rejection> {
        let Some(attempt) = attempt else {
            return Err(invalid("attempt", "is required"));
        };
        let name = attempt.run.strip_prefix("runs/").unwrap_or(&attempt.run);
        let id = keys::run_id(name).ok_or_else(|| invalid("attempt.run", "is not the name of a run, runs/run_…"))?;
        // Another tenant's run is as unknown as one that has ended.
        let open = self
            .runs
            .get(&id)
            .filter(|open| *open.tenant == *caller.tenant)
            .ok_or_else(|| lost("the run has ended, or is not there"))?;
        let key: StepKey = open
            .run
            .find(&attempt.step)
            .ok_or_else(|| lost("there is no such step"))?;
        Ok(Found {
            id,
            attempt: Attempt {
                key,
                epoch: attempt.epoch,
                lease: &attempt.lease,
            },
        })
    }
}

fn validate_failure(request: &FailStepRequest) -> Result<i64, Rejection> {
    let is_code = |code: &str| {
        !code.is_empty()
            && code.len() <= MOST_CODE_CHARS
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if !is_code(&request.code) {
        let description = format!("has to be upper-case letters, digits and underscores, 1 to {MOST_CODE_CHARS}");
        return Err(invalid("code", &description));
    }
    if request.message.chars().count() > MOST_MESSAGE_CHARS {
        return Err(invalid(
            "message",
            &format!("must be at most {MOST_MESSAGE_CHARS} characters"),
        ));
    }
    let nanos = request.retry_after.as_ref().map_or(0, |after| {
        after
            .seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(after.nanos))
    });
    if !(0..=MOST_RETRY_AFTER_NANOS).contains(&nanos) {
        return Err(invalid("retry_after", "must be from 0 to 30 days"));
    }
    Ok(nanos)
}

fn lost(why: &str) -> Rejection {
    Rejection::new(Reason::LeaseLost, format!("the lease is lost: {why}"))
}

fn refusal(refused: &Refused) -> Rejection {
    match refused {
        Refused::LeaseLost(message) => Rejection::new(Reason::LeaseLost, message.clone()),
        Refused::WrongState(message) => Rejection::new(Reason::InvalidState, message.clone()),
    }
}

fn refused_completion(rejection: &Rejection) -> CompletionOutcome {
    CompletionOutcome {
        run_state: RunState::Unspecified as i32,
        reason: rejection.reason.as_str().to_owned(),
        message: rejection.message.clone(),
        metadata: rejection.metadata.clone(),
    }
}

/// What a worker hears whose result could not be taken; the attempt has failed with the same words.
fn refused_output(why: &Failure) -> Rejection {
    if why.code == "PAYLOAD_TOO_LARGE" {
        return Rejection::new(Reason::PayloadTooLarge, why.message.clone()).with("step", &why.step);
    }
    invalid("output", &why.message)
        .with("step", &why.step)
        .with("code", &why.code)
}
