//! A workflow's definition: a DAG of steps, compiled and checked as a whole.
//!
//! INVARIANT: a [`Definition`] has no circle, every expression reads steps only that have ended before, and every step
//! whose outcome may be unknown has somebody or something that decides. So a run can only fail on its data.

mod all;
mod compile;
mod forms;
mod graph;
mod kinds;
mod report;
mod steps;

use std::collections::BTreeMap;

use fairlead_wire::internal::WorkflowDefinition;
use fairlead_wire::v1::Amount;

use crate::schema::Schema;
use crate::template::{Condition, Template};

pub use all::{compile_all, compile_config};
/// What becomes of a step whose outcome nobody knows; never `Unspecified` in a [`TaskDef`].
pub use fairlead_wire::internal::OnUnknown;
/// What running a step does; never `Unspecified` in a [`TaskDef`].
pub use fairlead_wire::v1::StepEffect;
pub(crate) use report::Report;

/// A compiled workflow. Immutable; share it in an `Arc`.
#[derive(Debug)]
pub struct Definition {
    /// Name.
    pub name: Box<str>,
    /// SHA-256 (hex) of the canonical definition.
    pub version: Box<str>,
    /// Steps in the order of the file.
    pub steps: Vec<StepDef>,
    /// Schema of the run's input.
    pub input_schema: Option<Schema>,
    /// Output; `None`: the outputs of the steps that nobody needs, by id.
    pub output: Option<Template>,
    /// Schema of the run's output.
    pub output_schema: Option<Schema>,
    /// Most that a run may cost, children included; a unit that is 0 is not limited.
    pub budget: Amount,
    /// How long an ended run is kept; 0: for ever.
    pub keep_for_nanos: i64,
    /// Longest time of a run; 0: not limited.
    pub timeout_nanos: i64,
    /// Whether a failed run is compensated.
    pub compensate_on_failure: bool,
    /// Tenants that may start it; empty: all.
    pub tenants: Vec<String>,
    /// As it came.
    pub source: WorkflowDefinition,
    /// Place of each step by its id.
    places: BTreeMap<Box<str>, usize>,
}

/// What exists beside the definition. For definitions of runs in flight, which were checked when they were loaded, every
/// question may be answered with true.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Whether there is an approval tier of that name.
    pub tiers: &'a dyn Fn(&str) -> bool,
    /// Whether a model call may name that route or model.
    pub models: &'a dyn Fn(&str) -> bool,
    /// Whether there is a workflow of that name. A definition's own name need not be known.
    pub workflows: &'a dyn Fn(&str) -> bool,
}

/// One step.
#[derive(Debug)]
pub struct StepDef {
    /// Id, unique in the workflow.
    pub id: Box<str>,
    /// Steps that have to end before, by their place.
    pub needs: Vec<usize>,
    /// Steps that need this one, sorted.
    pub dependants: Vec<usize>,
    /// Steps whose output any of its expressions needs, sorted. An expression that asks `has(steps.ID.output)` copes
    /// without that output.
    pub reads: Vec<usize>,
    /// Condition; `None`: always.
    pub when: Option<Condition>,
    /// What it does; of a `forEach`, for each item.
    pub task: TaskDef,
    /// Set for a `forEach`.
    pub for_each: Option<ForEachDef>,
    /// Worker queue that takes the step's result back.
    pub compensate: Option<Box<str>>,
}

/// What a step does.
#[derive(Debug)]
pub struct TaskDef {
    /// Kind.
    pub kind: TaskKind,
    /// Input; `{}` when the definition has none.
    pub input: Template,
    /// Schema of the input.
    pub input_schema: Option<Schema>,
    /// Schema of the output; of a `forEach`, of each item's.
    pub output_schema: Option<Schema>,
    /// What running it does.
    pub effect: StepEffect,
    /// Key under which it acts once: render it with [`Template::render_key`].
    pub key: Option<Template>,
    /// What to do when nobody knows whether it has happened.
    pub on_unknown: OnUnknown,
    /// Tier that [`OnUnknown::Ask`] asks; empty only where that cannot happen.
    pub unknown_tier: Box<str>,
    /// Attempts.
    pub retry: Retry,
    /// Times.
    pub timeouts: Timeouts,
}

/// Attempts of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Most attempts, at least 1.
    pub attempts: u32,
    /// Wait before the second attempt; doubles.
    pub initial_nanos: i64,
    /// Longest wait; not shorter than the first.
    pub max_nanos: i64,
    /// Codes that end the step at once.
    pub non_retryable: Vec<String>,
}

/// Times of a step; 0: not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// In the queue.
    pub queue_nanos: i64,
    /// Of a lease without heartbeat; never 0.
    pub lease_nanos: i64,
    /// Of one attempt.
    pub attempt_nanos: i64,
    /// Of all attempts, waits between them included.
    pub total_nanos: i64,
}

/// Kind of a task.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each step of a definition, and never moved"
)]
pub enum TaskKind {
    /// Leased by a worker of the queue.
    Agent {
        /// Queue.
        queue: Box<str>,
    },
    /// A governed model call.
    Model(ModelDef),
    /// A durable gate.
    Approval {
        /// Tier.
        tier: Box<str>,
        /// What people are shown; `{}` when the definition does not say.
        show: Template,
        /// What it is about, a text.
        title: Option<Template>,
        /// Whether a refusal or expiry is a result, not a failure.
        continue_on_reject: bool,
    },
    /// A time or a signal.
    Wait(WaitDef),
    /// A child run.
    Workflow {
        /// Name of the workflow.
        workflow: Box<str>,
    },
}

/// A governed model call. Either the prompt or the messages are set.
#[derive(Debug)]
pub struct ModelDef {
    /// Route or model.
    pub model: Box<str>,
    /// Prompt, a text.
    pub prompt: Option<Template>,
    /// Messages, a list of `{role, content}`.
    pub messages: Option<Template>,
    /// System text.
    pub system: Option<Template>,
    /// Whether the answer has to be JSON.
    pub json_output: bool,
    /// Most tokens of the answer; 0: as the route says.
    pub max_output_tokens: i64,
    /// Sampling temperature, a JSON number as written; `None`: the model's own.
    pub temperature: Option<Box<str>>,
    /// Workload, for routes.
    pub workload: Box<str>,
}

/// What a step waits for.
#[derive(Debug)]
pub enum WaitDef {
    /// So many nanoseconds.
    For(i64),
    /// An RFC 3339 time, a text.
    Until(Template),
    /// A signal.
    Signal {
        /// Name.
        name: Box<str>,
        /// Longest wait; 0: not limited.
        timeout_nanos: i64,
        /// Whether the step succeeds with null when the time is over.
        continue_on_timeout: bool,
    },
}

/// A dynamic fan-out.
#[derive(Debug)]
pub struct ForEachDef {
    /// The list.
    pub items: Template,
    /// Most items at a time.
    pub max_parallel: u32,
    /// Items that have to succeed; 0: all.
    pub quorum: u32,
}

impl Definition {
    /// The place of a step.
    #[must_use]
    pub fn step_index(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// By place, whether a step needs `index`, directly or through others. The step itself does not.
    #[must_use]
    pub fn downstream(&self, index: usize) -> Vec<bool> {
        let mut found = vec![false; self.steps.len()];
        let mut next = vec![index];
        while let Some(step) = next.pop() {
            for &dependant in self.steps.get(step).map(|step| &step.dependants).into_iter().flatten() {
                if let Some(seen @ false) = found.get_mut(dependant) {
                    *seen = true;
                    next.push(dependant);
                }
            }
        }
        found
    }
}
