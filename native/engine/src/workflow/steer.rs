//! CancelRun, PauseRun, ResumeRun, SignalRun.
use fairlead_plan::UnixNanos;
use fairlead_wire::v1::{
    CancelRunRequest, PauseRunRequest, ResumeRunRequest, Run as RunView, RunState, SignalRunRequest,
};
use fairlead_workflow::read_payload;
use fairlead_workflow::run::{Event, Refused};

use super::record::shown;
use super::start::invalid;
use crate::command::{Applied, Caller, Refusal};
use crate::engine::{Engine, UnitBuilder};
use crate::erasable;
use crate::keys::{self, RunId};
use crate::rejection::{Reason, Rejection};
use crate::validate::{MOST_DETAIL_CHARS, MOST_ID_CHARS};

impl Engine {
    /// Cancels a run: nothing new begins, what is leased is told, what was done is taken back.
    pub fn cancel_run(&mut self, now: UnixNanos, caller: Caller<'_>, request: &CancelRunRequest) -> Applied<RunView> {
        let event = Event::Cancel {
            reason: &request.reason,
        };
        self.steer(now, caller, &request.name, &request.request_id, &request.reason, &event)
    }

    /// Pauses a run: nothing new begins, what is leased may end.
    pub fn pause_run(&mut self, now: UnixNanos, caller: Caller<'_>, request: &PauseRunRequest) -> Applied<RunView> {
        let event = Event::Pause {
            reason: &request.reason,
        };
        self.steer(now, caller, &request.name, &request.request_id, &request.reason, &event)
    }

    /// Resumes a paused run.
    pub fn resume_run(&mut self, now: UnixNanos, caller: Caller<'_>, request: &ResumeRunRequest) -> Applied<RunView> {
        self.steer(now, caller, &request.name, &request.request_id, "", &Event::Resume)
    }

    /// Sends a signal, which is kept until a step waits for it. The same request id is taken once.
    pub fn signal_run(&mut self, now: UnixNanos, caller: Caller<'_>, request: &SignalRunRequest) -> Applied<RunView> {
        match self.try_signal(now, caller, request) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_signal(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &SignalRunRequest,
    ) -> Result<Applied<RunView>, Refusal> {
        if request.signal.is_empty() || request.signal.chars().count() > MOST_ID_CHARS {
            return Err(invalid("signal", &format!("is required, 1 to {MOST_ID_CHARS} characters")).into());
        }
        if !request.payload.is_empty() {
            let most = self.bounds().payload_bytes;
            if request.payload.len() > most {
                let message = format!(
                    "payload has {} bytes, limits.payloadBytes allows {most}",
                    request.payload.len()
                );
                return Err(Rejection::new(Reason::PayloadTooLarge, message)
                    .with("limit", most)
                    .into());
            }
            read_payload(&request.payload)
                .map_err(|error| invalid(&format!("payload{}", error.pointer), &error.message))?;
        }
        let id = self.find_run(caller, &request.name)?;
        if self.runs.get(&id).is_some_and(|open| !open.run.takes_signals()) {
            let message = "the run has 256 signals that no step has taken: it takes no more until some are".to_owned();
            return Err(Rejection::new(Reason::QueueFull, message)
                .with("bound", "256 signals of a run")
                .into());
        }
        let event = Event::Signal {
            name: &request.signal,
            payload: &request.payload,
            request: &request.request_id,
        };
        Ok(self.steer(now, caller, &request.name, &request.request_id, "", &event))
    }

    fn steer(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        name: &str,
        request_id: &str,
        reason: &str,
        event: &Event<'_>,
    ) -> Applied<RunView> {
        match self.try_steer(now, caller, name, request_id, reason, event) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_steer(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        name: &str,
        request_id: &str,
        reason: &str,
        event: &Event<'_>,
    ) -> Result<Applied<RunView>, Refusal> {
        let now = self.tick(now)?;
        let characters = request_id.chars().count();
        if characters == 0 || characters > MOST_ID_CHARS {
            return Err(invalid("request_id", &format!("is required, 1 to {MOST_ID_CHARS} characters")).into());
        }
        if reason.chars().count() > MOST_DETAIL_CHARS {
            return Err(invalid("reason", &format!("must be at most {MOST_DETAIL_CHARS} characters")).into());
        }
        let id = self.find_run(caller, name)?;
        let mut view = self
            .runs
            .get(&id)
            .map(|open| shown(open.run.record()))
            .unwrap_or_default();
        let mut unit = UnitBuilder::new();
        let kept = self.salts.commit(&mut unit.writes, reason);
        let event = &match event {
            Event::Cancel { .. } => Event::Cancel { reason: &kept },
            Event::Pause { .. } => Event::Pause { reason: &kept },
            other => (*other).clone(),
        };
        let outcome = self
            .drive_for(&mut unit, now, caller, &id, event)
            .map_err(|refused| wrong_state(name, &refused))?;
        erasable::keep_named(&mut unit.writes);
        if outcome.repeated {
            return Ok(Applied::replay(view));
        }
        match self.runs.get(&id) {
            Some(open) => view = shown(open.run.record()),
            // It has ended by this; how is in its record, which the unit has.
            None => view.set_state(match event {
                Event::Cancel { .. } => RunState::Cancelled,
                _ => view.state(),
            }),
        }
        Ok(Applied::done(view, Some(self.seal(unit, self.is_step_power()))))
    }

    /// An open run of the caller's; operators have all.
    ///
    /// # Errors
    /// It is not there, not the caller's, or has ended: the core knows open runs only.
    pub(super) fn find_run(&self, caller: Caller<'_>, name: &str) -> Result<RunId, Rejection> {
        let not_found = || Rejection::new(Reason::NotFound, format!("there is no open run `{name}`")).with("run", name);
        let id = keys::run_id(name.strip_prefix("runs/").unwrap_or(name)).ok_or_else(not_found)?;
        let open = self.runs.get(&id).ok_or_else(not_found)?;
        if !caller.agent.is_empty() && *open.tenant != *caller.tenant {
            return Err(not_found());
        }
        Ok(id)
    }
}

pub(super) fn wrong_state(name: &str, refused: &Refused) -> Rejection {
    let reason = match refused {
        Refused::LeaseLost(_) => Reason::LeaseLost,
        Refused::WrongState(_) => Reason::InvalidState,
    };
    Rejection::new(reason, refused.to_string()).with("run", name)
}
