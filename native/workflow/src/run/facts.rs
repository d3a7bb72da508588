//! What expressions of a run see.

use std::collections::BTreeMap;

use fairlead_wire::internal::PayloadRecord;
use fairlead_wire::v1::StepState;

use super::{Run, StepKey};
use crate::definition::Definition;
use crate::template::{RunFacts, Scope};
use crate::{Json, read_stored};

/// Everything that the expressions of one step may read, parsed once.
#[derive(Debug)]
pub(super) struct Facts {
    input: Json,
    outputs: BTreeMap<usize, Json>,
    states: Vec<&'static str>,
    id: String,
    workflow: String,
    tenant: String,
    agent: String,
    labels: BTreeMap<String, String>,
    create_time_unix_nanos: i64,
}

/// The list of a forEach and what its items' expressions see beside it.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) list: Vec<Json>,
    pub(super) facts: Facts,
}

/// The facts for one evaluation, with the item that it is about.
pub(super) struct Sight<'a> {
    pub(super) facts: &'a Facts,
    pub(super) item: Option<(&'a Json, u64)>,
}

impl Run {
    /// What a step's expressions may read; `reads` are the steps whose output they name.
    pub(super) fn facts(&self, reads: impl IntoIterator<Item = usize>) -> Facts {
        let run = &self.record;
        let outputs = reads.into_iter().filter_map(|at| {
            let output = self.step(StepKey::of(at))?.output.as_ref()?;
            Some((at, parse(Some(output))))
        });
        Facts {
            input: parse(run.input.as_ref()),
            outputs: outputs.collect(),
            states: (0..self.definition.steps.len())
                .map(|at| {
                    self.step(StepKey::of(at))
                        .map_or("blocked", |step| state_word(step.state()))
                })
                .collect(),
            id: run.run.clone(),
            workflow: run.workflow.clone(),
            tenant: run.tenant.clone(),
            agent: run.agent.clone(),
            labels: run
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            create_time_unix_nanos: run.create_time_unix_nanos,
        }
    }
}

/// A stored payload as a value. What is stored was JSON when it came; a run may have put it into lists since.
pub(super) fn parse(payload: Option<&PayloadRecord>) -> Json {
    payload
        .and_then(|payload| read_stored(&payload.json).ok())
        .unwrap_or(Json::Null)
}

impl Facts {
    pub(super) fn sight(&self) -> Sight<'_> {
        Sight {
            facts: self,
            item: None,
        }
    }
}

impl Scope for Sight<'_> {
    fn input(&self) -> &Json {
        &self.facts.input
    }

    fn output(&self, step: usize) -> Option<&Json> {
        self.facts.outputs.get(&step)
    }

    fn state(&self, step: usize) -> &'static str {
        self.facts.states.get(step).copied().unwrap_or("blocked")
    }

    fn run(&self) -> RunFacts<'_> {
        RunFacts {
            id: &self.facts.id,
            workflow: &self.facts.workflow,
            tenant: &self.facts.tenant,
            agent: &self.facts.agent,
            labels: &self.facts.labels,
            create_time_unix_nanos: self.facts.create_time_unix_nanos,
        }
    }

    fn item(&self) -> Option<(&Json, u64)> {
        self.item
    }
}

/// The word for a state in expressions.
pub(super) fn state_word(state: StepState) -> &'static str {
    match state {
        StepState::Unspecified | StepState::Blocked => "blocked",
        StepState::Ready => "ready",
        StepState::Leased => "leased",
        StepState::WaitingApproval => "waiting_approval",
        StepState::Waiting => "waiting",
        StepState::RetryWait => "retry_wait",
        StepState::Unknown => "unknown",
        StepState::Succeeded => "succeeded",
        StepState::Failed => "failed",
        StepState::Skipped => "skipped",
        StepState::Cancelled => "cancelled",
        StepState::Compensated => "compensated",
    }
}

/// All outputs that a template of the definition itself names.
pub(super) fn all_steps(definition: &Definition) -> std::ops::Range<usize> {
    0..definition.steps.len()
}
