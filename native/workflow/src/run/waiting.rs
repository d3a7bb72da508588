//! Gates, waits, signals and child runs.

use fairlead_wire::internal::SignalRecord;
use fairlead_wire::v1::{Amount, EventKind, Failure, RunState, StepState};

use super::advance::Turn;
use super::attempt::add;
use super::record::{failure, payload};
use super::{Effect, Resolution, Run, StepKey, Verdict, is_terminal_step};
use crate::definition::{TaskKind, WaitDef};
use crate::{Json, read_payload};

/// Most signals that a run keeps until a step waits for them.
const MOST_SIGNALS: usize = 256;
/// Requests that are remembered, so that a repeated one is not taken twice.
const MOST_SIGNAL_REQUESTS: usize = 64;

impl Run {
    /// True when the run has room for another signal.
    #[must_use]
    pub fn takes_signals(&self) -> bool {
        self.record.signals.len() < MOST_SIGNALS
    }

    pub(super) fn signal(&mut self, turn: &mut Turn, name: &str, json: &[u8], request: &str) {
        if !request.is_empty() {
            if self.record.signal_requests.iter().any(|known| known == request) {
                turn.outcome.repeated = true;
                return;
            }
            self.edit_run(|run| {
                run.signal_requests.push(request.to_owned());
                if run.signal_requests.len() > MOST_SIGNAL_REQUESTS {
                    run.signal_requests.remove(0);
                }
            });
        }
        let json = if json.is_empty() {
            b"null".to_vec()
        } else {
            json.to_vec()
        };
        self.says_run(&mut turn.effects, EventKind::RunSignalled, |event| {
            let payload = payload(json.clone());
            name.clone_into(&mut event.signal);
            event.content_digest = payload.digest;
            event.content_bytes = i64::try_from(payload.size_bytes).unwrap_or(i64::MAX);
        });
        let waiting = self
            .in_state(StepState::Waiting)
            .find(|key| self.awaits_signal(*key, name));
        match waiting {
            Some(key) => match self.checked(turn, key, &json) {
                Ok(()) => self.succeed(turn, key, json),
                Err(why) => self.fail_step(turn, key, why),
            },
            None => self.edit_run(|run| {
                run.signals.push(SignalRecord {
                    signal: name.to_owned(),
                    payload: Some(payload(json)),
                });
            }),
        }
    }

    fn awaits_signal(&self, key: StepKey, signal: &str) -> bool {
        let kind = self.step_def(key).map(|step| &step.task.kind);
        matches!(kind, Some(TaskKind::Wait(WaitDef::Signal { name, .. })) if &**name == signal)
    }

    /// The oldest signal of a name that nobody has taken.
    pub(super) fn take_signal(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.record.signals.iter().position(|one| one.signal == name)?;
        let mut taken = None;
        self.edit_run(|run| taken = Some(run.signals.remove(at)));
        taken.and_then(|signal| signal.payload).map(|payload| payload.json)
    }

    /// The time of a wait is over.
    pub(super) fn wait_over(&mut self, turn: &mut Turn, key: StepKey) {
        let Some(TaskKind::Wait(wait)) = self.step_def(key).map(|step| &step.task.kind) else {
            return;
        };
        match wait {
            WaitDef::For(_) | WaitDef::Until(_) => self.succeed(turn, key, b"null".to_vec()),
            WaitDef::Signal {
                continue_on_timeout: true,
                ..
            } => self.succeed(turn, key, b"null".to_vec()),
            WaitDef::Signal { name, .. } => {
                let why = failure(
                    "WAIT_TIMEOUT",
                    format!("signal `{name}` did not come in time"),
                    &self.name(key),
                );
                self.fail_step(turn, key, why);
            }
        }
    }

    pub(super) fn decided(&mut self, turn: &mut Turn, key: StepKey, verdict: Verdict<'_>) {
        let Some(TaskKind::Approval { continue_on_reject, .. }) = self.step_def(key).map(|step| &step.task.kind) else {
            return;
        };
        let continues = *continue_on_reject;
        let approval = self.step(key).map(|step| step.approval.clone()).unwrap_or_default();
        let people = |by: &[String]| Json::Array(by.iter().map(|one| Json::String(one.clone())).collect());
        let refused = |reason: &str, by: &[String]| {
            object([
                ("approved", Json::Bool(false)),
                ("by", people(by)),
                ("reason", Json::String(reason.to_owned())),
            ])
        };
        let (output, code, message) = match verdict {
            Verdict::Approved { document, by } => {
                let document = read_payload(document).unwrap_or(Json::Null);
                turn.effects.push(Effect::ConsumeApproval { approval });
                let output = object([
                    ("approved", Json::Bool(true)),
                    ("by", people(by)),
                    ("document", document),
                ]);
                return self.succeed(turn, key, output);
            }
            Verdict::Rejected { reason, text, by } => {
                let message = format!("people said no: {reason}");
                (refused(text, by), "APPROVAL_REJECTED", message)
            }
            Verdict::Expired => {
                let message = "nobody decided in time".to_owned();
                (refused(&message, &[]), "APPROVAL_EXPIRED", message)
            }
        };
        if continues {
            self.succeed(turn, key, output);
        } else {
            let why = failure(code, message, &self.name(key));
            self.fail_step(turn, key, why);
        }
    }

    pub(super) fn resolved(&mut self, turn: &mut Turn, key: StepKey, resolution: Resolution<'_>) {
        let approval = self.step(key).map(|step| step.approval.clone()).unwrap_or_default();
        let (word, failed) = match resolution {
            Resolution::Happened { output } => ("happened", self.checked(turn, key, output).err()),
            Resolution::DidNotHappen => ("did not happen", None),
            Resolution::Stop { .. } => ("stop", None),
        };
        self.says(&mut turn.effects, EventKind::StepResolved, key, |event| {
            word.clone_into(&mut event.resolution)
        });
        if !matches!(resolution, Resolution::Stop { .. }) {
            turn.effects.push(Effect::ConsumeApproval { approval });
        }
        self.edit(key, |step| step.approval.clear());
        match resolution {
            Resolution::Happened { output } => match failed {
                None => self.succeed(turn, key, output.to_vec()),
                Some(why) => self.fail_step(turn, key, why),
            },
            Resolution::DidNotHappen if self.record.state() == RunState::Cancelling => self.cancel_step(turn, key),
            Resolution::DidNotHappen => self.make_ready(turn, key),
            Resolution::Stop { reason } => {
                let why = failure("STOPPED", format!("people stopped it: {reason}"), &self.name(key));
                self.fail_step(turn, key, why);
            }
        }
    }

    /// The id of the child that a step has begun.
    pub fn set_child(&mut self, key: StepKey, child: &str) {
        self.edit(key, |step| child.clone_into(&mut step.child));
        self.edit_run(|run| run.children.push(child.to_owned()));
    }

    pub(super) fn child_ended(
        &mut self,
        turn: &mut Turn,
        key: StepKey,
        state: RunState,
        output: &[u8],
        why: Option<&Failure>,
        spent: Amount,
    ) {
        let child = self.step(key).map(|step| step.child.clone()).unwrap_or_default();
        self.edit_run(|run| {
            run.children.retain(|one| *one != child);
            add(run.spent.get_or_insert_default(), spent);
        });
        self.edit(key, |step| add(step.spent.get_or_insert_default(), spent));
        let is_winding_down = self.record.state() == RunState::Cancelling;
        if state == RunState::Succeeded {
            match self.checked(turn, key, output) {
                Ok(()) => self.succeed(turn, key, output.to_vec()),
                Err(why) => self.fail_step(turn, key, why),
            }
            return;
        }
        if is_winding_down {
            return self.cancel_step_now(turn, key);
        }
        let inner = why.cloned().unwrap_or_default();
        let code = if inner.code.is_empty() {
            "CHILD_FAILED"
        } else {
            &inner.code
        };
        let message = format!("child run {child}: {} {}", inner.step, inner.message);
        let why = failure(code, message, &self.name(key));
        self.attempt_failed(turn, key, why, false, 0);
    }

    /// Cancels a step that has not ended. A child run is asked to end first; a leased step ends with its worker.
    pub(super) fn cancel_step(&mut self, turn: &mut Turn, key: StepKey) {
        let Some(step) = self.step(key) else { return };
        if is_terminal_step(step.state()) {
            return;
        }
        if !step.approval.is_empty() && matches!(step.state(), StepState::WaitingApproval | StepState::Unknown) {
            turn.effects.push(Effect::WithdrawApproval {
                approval: step.approval.clone(),
                reason: "the step is not needed any more".to_owned(),
            });
        }
        if step.state() == StepState::Waiting && !step.child.is_empty() {
            let child = step.child.clone();
            if self.record.children.contains(&child) {
                turn.effects.push(Effect::CancelChild {
                    child,
                    reason: "the run that started it ends".to_owned(),
                });
                return;
            }
        }
        self.cancel_step_now(turn, key);
    }

    fn cancel_step_now(&mut self, turn: &mut Turn, key: StepKey) {
        self.end_step(turn, key, StepState::Cancelled);
    }
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Vec<u8> {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    Json::Object(members.collect()).to_text().into_bytes()
}
