//! One event, one outcome.

use fairlead_wire::v1::{EventKind, RunState, StepState};

use super::table::{Rule, StepEventKind, run_rule, step_rule};
use super::{Bounds, Effect, Event, Outcome, Refused, Run, StepKey, Timer};

/// What one event gathers on its way.
pub(super) struct Turn {
    pub(super) now: i64,
    pub(super) bounds: Bounds,
    pub(super) effects: Vec<Effect>,
    /// Steps and items that have ended, and what comes behind them has not been looked at yet. A list and no recursion:
    /// ten thousand items may end in one turn.
    pub(super) ended: Vec<StepKey>,
    pub(super) outcome: Outcome,
}

impl Run {
    /// Takes an event. Deterministic: run, event, time and bounds decide alone.
    ///
    /// # Errors
    /// The event cannot be taken; nothing has changed.
    pub fn advance(&mut self, event: &Event<'_>, now: i64, bounds: Bounds) -> Result<Outcome, Refused> {
        match run_rule(self.record.state(), event.run_kind()) {
            Rule::Applies => {}
            Rule::Ignored => {
                return Ok(Outcome {
                    repeated: true,
                    run_state: self.record.state(),
                    ..Outcome::default()
                });
            }
            Rule::LeaseLost => return Err(self.lost("the run has ended")),
            Rule::WrongState => return Err(self.wrong_run()),
        }
        let mut turn = Turn {
            now,
            bounds,
            effects: Vec::new(),
            ended: Vec::new(),
            outcome: Outcome::default(),
        };
        self.take(&mut turn, event)?;
        self.settle(&mut turn);
        if self.header_changed || !self.changed.is_empty() {
            self.edit_run(|run| run.revision += 1);
        }
        Ok(Outcome {
            effects: turn.effects,
            run_state: self.record.state(),
            ..turn.outcome
        })
    }

    fn take(&mut self, turn: &mut Turn, event: &Event<'_>) -> Result<(), Refused> {
        match event {
            Event::Start => self.start(turn),
            Event::Lease {
                key,
                worker,
                agent,
                lease,
            } => {
                self.allowed(*key, StepEventKind::Lease)?;
                return self.lease(turn, *key, worker, agent, lease.clone());
            }
            Event::Heartbeat(attempt) => return self.heartbeat(turn, *attempt),
            Event::Complete { attempt, output } => return self.complete(turn, *attempt, output),
            Event::Fail { attempt, .. } => return self.fail(turn, *attempt, event),
            Event::KeyResolved { key, answer } => {
                if self.allowed(*key, StepEventKind::KeyResolved)? {
                    self.key_resolved(turn, *key, *answer);
                }
            }
            Event::Due => self.time_passed(turn),
            Event::ApprovalOpened { key, approval } => {
                self.edit(*key, |step| step.approval.clone_from(approval));
                if self
                    .step(*key)
                    .is_some_and(|step| step.state() == StepState::WaitingApproval)
                {
                    self.says(&mut turn.effects, EventKind::StepWaiting, *key, |event| {
                        event.waits_for.clone_from(approval);
                    });
                }
            }
            Event::Approval { key, approval, verdict } => {
                if self.allowed(*key, StepEventKind::Approval)? && self.waits_for(*key, approval) {
                    self.decided(turn, *key, *verdict);
                }
            }
            Event::Resolved {
                key,
                approval,
                resolution,
            } => {
                if self.allowed(*key, StepEventKind::Resolved)? && self.waits_for(*key, approval) {
                    self.resolved(turn, *key, *resolution);
                }
            }
            Event::Signal { name, payload, request } => self.signal(turn, name, payload, request),
            Event::Child {
                key,
                child,
                state,
                output,
                failure,
                spent,
            } => {
                let is_this = self.step(*key).is_some_and(|step| step.child == *child);
                if self.allowed(*key, StepEventKind::Child)? && is_this {
                    self.child_ended(turn, *key, *state, output, *failure, *spent);
                }
            }
            Event::Spent {
                key,
                amount,
                invocation,
            } => self.spend(*key, *amount, invocation),
            Event::Cancel { reason } => self.cancel(turn, reason),
            Event::Pause { reason } => {
                self.edit_run(|run| run.set_state(RunState::Paused));
                self.says_run(&mut turn.effects, EventKind::RunPaused, |event| {
                    event.reason = (*reason).to_owned()
                });
            }
            Event::Resume => {
                self.edit_run(|run| run.set_state(RunState::Waiting));
                self.refresh_state();
                self.says_run(&mut turn.effects, EventKind::RunResumed, |_| {});
                self.unlock(turn, None);
                let waiting: Vec<StepKey> = self.in_state(StepState::Waiting).filter(|key| !key.is_item()).collect();
                for key in waiting {
                    self.begin_more_items(turn, key);
                }
            }
        }
        Ok(())
    }

    /// What follows from steps that have ended: the steps behind them, the join of items, the end of the run.
    fn settle(&mut self, turn: &mut Turn) {
        while let Some(key) = turn.ended.pop() {
            if key.is_item() {
                self.item_ended(turn, key);
            } else {
                self.unlock(turn, Some(key));
            }
        }
        self.maybe_end(turn);
        self.refresh_state();
    }

    fn start(&mut self, turn: &mut Turn) {
        let waits = self.record.start_time_unix_nanos > turn.now;
        self.says_run(&mut turn.effects, EventKind::RunStarted, |event| {
            if let Some(input) = &self.record.input {
                event.content_digest.clone_from(&input.digest);
                event.content_bytes = i64::try_from(input.size_bytes).unwrap_or(i64::MAX);
            }
        });
        if !waits {
            self.go(turn);
        }
    }

    fn go(&mut self, turn: &mut Turn) {
        let timeout = self.definition.timeout_nanos;
        let now = turn.now;
        self.edit_run(|run| {
            run.set_state(RunState::Running);
            run.deadline_unix_nanos = if timeout > 0 { now.saturating_add(timeout) } else { 0 };
        });
        self.unlock(turn, None);
    }

    /// Whatever is due happens, the earliest first.
    fn time_passed(&mut self, turn: &mut Turn) {
        let due: Vec<(i64, Timer)> = self
            .timers
            .iter()
            .take_while(|(at, _)| *at <= turn.now)
            .copied()
            .collect();
        for (at, timer) in due {
            // An earlier one may have changed it.
            if !self.timers.contains(&(at, timer)) {
                continue;
            }
            match timer {
                Timer::Run if self.record.state() == RunState::Pending => self.go(turn),
                Timer::Run => {
                    let why = super::record::failure("RUN_TIMEOUT", "the run took longer than its timeout", "");
                    self.wind_down(turn, RunState::Failed, Some(why), "its time is over");
                }
                Timer::Step(key) => self.step_due(turn, key),
            }
        }
    }

    /// True when the event about the step is to be looked at.
    pub(super) fn allowed(&self, key: StepKey, event: StepEventKind) -> Result<bool, Refused> {
        let Some(step) = self.step(key) else {
            return Err(Refused::WrongState("there is no such step".to_owned()));
        };
        match step_rule(step.state(), event) {
            Rule::Applies => Ok(true),
            Rule::Ignored => Ok(false),
            Rule::LeaseLost => Err(self.lost("the attempt has ended")),
            Rule::WrongState => Err(Refused::WrongState(format!(
                "step {} is {}",
                self.name(key),
                super::facts::state_word(step.state())
            ))),
        }
    }

    pub(super) fn lost(&self, why: &str) -> Refused {
        Refused::LeaseLost(format!(
            "the lease is lost: {why}; what it says about {} changes nothing",
            self.record.run
        ))
    }

    fn wrong_run(&self) -> Refused {
        let state = self.record.state().as_str_name();
        let state = state.strip_prefix("RUN_STATE_").unwrap_or(state).to_lowercase();
        Refused::WrongState(format!("{} is {state}", self.record.run))
    }

    fn waits_for(&self, key: StepKey, approval: &str) -> bool {
        self.step(key).is_some_and(|step| step.approval == approval)
    }
}
