//! How steps begin: conditions, rendered inputs, keys, gates and waits.

use fairlead_wire::internal::KeyState;
use fairlead_wire::v1::{EventKind, StepState};

use super::advance::Turn;
use super::facts::{Facts, Sight};
use super::record::{failure, payload};
use super::{Effect, Run, StepKey, is_terminal_step};
use crate::definition::{ModelDef, TaskDef, TaskKind, WaitDef};
use crate::{Json, RenderError};

/// Why a step cannot begin.
pub(super) struct CannotBegin {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl From<RenderError> for CannotBegin {
    fn from(error: RenderError) -> Self {
        Self {
            code: "EXPRESSION_FAILED",
            message: error.to_string(),
        }
    }
}

impl Run {
    /// Begins the steps whose needs have all ended: those behind `from`, or all.
    pub(super) fn unlock(&mut self, turn: &mut Turn, from: Option<StepKey>) {
        let definition = std::sync::Arc::clone(&self.definition);
        let behind: Vec<usize> = match from.map(|key| definition.steps.get(key.index())) {
            Some(Some(step)) => step.dependants.clone(),
            Some(None) => Vec::new(),
            None => (0..definition.steps.len()).collect(),
        };
        for at in behind {
            if !self.may_begin(false) {
                return;
            }
            let key = StepKey::of(at);
            let Some(step) = definition.steps.get(at) else { continue };
            let is_blocked = self.step(key).is_some_and(|step| step.state() == StepState::Blocked);
            let is_free = step.needs.iter().all(|need| {
                let need = self
                    .step(StepKey::of(*need))
                    .map(fairlead_wire::internal::StepRecord::state);
                need.is_some_and(is_terminal_step)
            });
            if is_blocked && is_free {
                self.begin(turn, key);
            }
        }
    }

    fn begin(&mut self, turn: &mut Turn, key: StepKey) {
        let definition = std::sync::Arc::clone(&self.definition);
        let Some(step) = definition.steps.get(key.index()) else {
            return;
        };
        let unread = step.reads.iter().find(|read| {
            let read = self.step(StepKey::of(**read));
            read.is_none_or(|read| read.state() == StepState::Skipped)
        });
        if let Some(unread) = unread {
            let id = definition.steps.get(*unread).map_or("", |step| &*step.id);
            self.skip(turn, key, &format!("it reads the output of `{id}`, which was skipped"));
            return;
        }
        let facts = self.facts(step.reads.iter().copied());
        if let Some(when) = &step.when {
            match when.holds(&definition, &facts.sight()) {
                Ok(true) => {}
                Ok(false) => return self.skip(turn, key, "its condition is false"),
                Err(error) => return self.cannot_begin(turn, key, error.into()),
            }
        }
        if step.for_each.is_some() {
            self.begin_items(turn, key, facts);
        } else {
            let sight = facts.sight();
            self.begin_task(turn, key, &step.task, &sight);
        }
    }

    fn skip(&mut self, turn: &mut Turn, key: StepKey, reason: &str) {
        self.end_step(turn, key, StepState::Skipped);
        self.says(&mut turn.effects, EventKind::StepSkipped, key, |event| {
            event.failure = Some(failure("", reason, ""));
        });
    }

    /// Begins a step or an item with what it is defined to do.
    pub(super) fn begin_task(&mut self, turn: &mut Turn, key: StepKey, task: &TaskDef, sight: &Sight<'_>) {
        if let Err(cannot) = self.try_begin_task(turn, key, task, sight) {
            self.cannot_begin(turn, key, cannot);
        }
    }

    fn try_begin_task(
        &mut self,
        turn: &mut Turn,
        key: StepKey,
        task: &TaskDef,
        sight: &Sight<'_>,
    ) -> Result<(), CannotBegin> {
        let definition = std::sync::Arc::clone(&self.definition);
        let input = match &task.kind {
            TaskKind::Model(model) => model_input(&definition, model, sight)?,
            TaskKind::Approval { show, .. } => show.render(&definition, sight)?,
            TaskKind::Wait(_) => Json::Null,
            TaskKind::Agent { .. } | TaskKind::Workflow { .. } => task.input.render(&definition, sight)?,
        };
        if let Some(schema) = &task.input_schema {
            schema.check(&input).map_err(|error| CannotBegin {
                code: "INPUT_INVALID",
                message: format!(
                    "the input does not fit its schema at `{}`: {}",
                    error.pointer, error.message
                ),
            })?;
        }
        let idempotency_key = match &task.key {
            Some(template) => template.render_key(&definition, sight)?,
            None => String::new(),
        };
        let text = input.to_text().into_bytes();
        if text.len() > turn.bounds.payload_bytes {
            return Err(CannotBegin {
                code: "PAYLOAD_TOO_LARGE",
                message: format!(
                    "the input has {} bytes, limits.payloadBytes allows {}",
                    text.len(),
                    turn.bounds.payload_bytes
                ),
            });
        }
        let now = turn.now;
        let total = task.timeouts.total_nanos;
        self.edit(key, |step| {
            step.input = (!matches!(task.kind, TaskKind::Wait(_))).then(|| payload(text.clone()));
            if total > 0 && step.total_expires_at_unix_nanos == 0 {
                step.total_expires_at_unix_nanos = now.saturating_add(total);
            }
            step.idempotency_key.clone_from(&idempotency_key);
            step.set_key_state(if idempotency_key.is_empty() {
                KeyState::Unspecified
            } else {
                KeyState::Unresolved
            });
        });
        match &task.kind {
            TaskKind::Agent { .. } | TaskKind::Model(_) => self.make_ready(turn, key),
            TaskKind::Approval { tier, title, .. } => {
                let title = match title {
                    Some(title) => title.render_text(&definition, sight)?,
                    None => String::new(),
                };
                self.edit(key, |step| {
                    step.set_state(StepState::WaitingApproval);
                    step.start_time_unix_nanos = now;
                });
                turn.effects.push(Effect::OpenApproval {
                    key,
                    tier: tier.to_string(),
                    title,
                    document: text,
                    unknown: false,
                });
            }
            TaskKind::Wait(wait) => self.begin_wait(turn, key, wait, sight)?,
            TaskKind::Workflow { workflow } => {
                self.edit(key, |step| {
                    step.set_state(StepState::Waiting);
                    step.epoch += 1;
                    step.attempts += 1;
                    if step.start_time_unix_nanos == 0 {
                        step.start_time_unix_nanos = now;
                    }
                });
                turn.effects.push(Effect::StartChild {
                    key,
                    workflow: workflow.to_string(),
                    input: text,
                });
            }
        }
        Ok(())
    }

    /// A step of an agent or the model can be leased from now on.
    pub(super) fn make_ready(&mut self, turn: &mut Turn, key: StepKey) {
        let queue = self.step_def(key).map_or(0, |step| step.task.timeouts.queue_nanos);
        let now = turn.now;
        self.edit(key, |step| {
            step.set_state(StepState::Ready);
            step.lease.clear();
            step.lease_expires_at_unix_nanos = 0;
            step.attempt_expires_at_unix_nanos = 0;
            step.due_at_unix_nanos = if queue > 0 { now.saturating_add(queue) } else { 0 };
        });
    }

    fn begin_wait(
        &mut self,
        turn: &mut Turn,
        key: StepKey,
        wait: &WaitDef,
        sight: &Sight<'_>,
    ) -> Result<(), CannotBegin> {
        let now = turn.now;
        let mut signal = String::new();
        let due = match wait {
            WaitDef::For(nanos) => now.saturating_add(*nanos),
            WaitDef::Until(time) => {
                let text = time.render_text(&self.definition, sight)?;
                unix_nanos(&text).ok_or_else(|| CannotBegin {
                    code: "EXPRESSION_FAILED",
                    message: format!(
                        "wait.until has to be an RFC 3339 time such as 2026-11-21T18:00:00Z, not `{text}`"
                    ),
                })?
            }
            WaitDef::Signal {
                name, timeout_nanos, ..
            } => {
                if let Some(payload) = self.take_signal(name) {
                    self.edit(key, |step| step.start_time_unix_nanos = now);
                    self.succeed(turn, key, payload);
                    return Ok(());
                }
                signal = name.to_string();
                if *timeout_nanos > 0 {
                    now.saturating_add(*timeout_nanos)
                } else {
                    0
                }
            }
        };
        self.edit(key, |step| {
            step.set_state(StepState::Waiting);
            step.start_time_unix_nanos = now;
            step.due_at_unix_nanos = due;
        });
        self.says(&mut turn.effects, EventKind::StepWaiting, key, |event| {
            event.waits_for = signal;
            event.due_at_unix_nanos = due;
        });
        Ok(())
    }

    pub(super) fn cannot_begin(&mut self, turn: &mut Turn, key: StepKey, cannot: CannotBegin) {
        let why = failure(cannot.code, cannot.message, &self.name(key));
        self.fail_step(turn, key, why);
    }
}

/// The call that the sidecar is to make, as JSON: the lease has all that is needed.
fn model_input(
    definition: &crate::definition::Definition,
    model: &ModelDef,
    sight: &Sight<'_>,
) -> Result<Json, RenderError> {
    let mut call = std::collections::BTreeMap::new();
    let text = |value: &str| Json::String(value.to_owned());
    call.insert("model".to_owned(), text(&model.model));
    if let Some(prompt) = &model.prompt {
        call.insert(
            "prompt".to_owned(),
            Json::String(prompt.render_text(definition, sight)?),
        );
    }
    if let Some(messages) = &model.messages {
        call.insert("messages".to_owned(), messages.render(definition, sight)?);
    }
    if let Some(system) = &model.system {
        call.insert(
            "system".to_owned(),
            Json::String(system.render_text(definition, sight)?),
        );
    }
    call.insert("json".to_owned(), Json::Bool(model.json_output));
    if model.max_output_tokens > 0 {
        call.insert(
            "maxOutputTokens".to_owned(),
            Json::Number(model.max_output_tokens.to_string().into()),
        );
    }
    if let Some(temperature) = &model.temperature {
        call.insert("temperature".to_owned(), Json::Number(temperature.clone()));
    }
    if !model.workload.is_empty() {
        call.insert("workload".to_owned(), text(&model.workload));
    }
    Ok(Json::Object(call))
}

impl Run {
    /// What a step that begins again sees: nothing upstream has changed since.
    pub(super) fn facts_of(&self, key: StepKey) -> Facts {
        let reads = self.step_def(key).map(|step| step.reads.clone()).unwrap_or_default();
        self.facts(reads)
    }
}

/// An RFC 3339 time as Unix nanoseconds.
fn unix_nanos(text: &str) -> Option<i64> {
    let time: prost_types::Timestamp = text.trim().parse().ok()?;
    time.seconds
        .checked_mul(1_000_000_000)?
        .checked_add(i64::from(time.nanos))
}
