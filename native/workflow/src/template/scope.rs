//! What a run shows to the expressions of its definition.

use std::collections::BTreeMap;

use fairlead_plan::tool::Json;

/// The data of a run while an expression is evaluated.
pub trait Scope {
    /// Input of the run.
    fn input(&self) -> &Json;

    /// Output of a step by its place in the definition; `None`: it has none, such as a skipped one.
    fn output(&self, step: usize) -> Option<&Json>;

    /// State of a step, lower-case such as `succeeded`.
    fn state(&self, step: usize) -> &'static str;

    /// The run itself.
    fn run(&self) -> RunFacts<'_>;

    /// Item and position from 0, for a task of a `forEach`.
    fn item(&self) -> Option<(&Json, u64)>;
}

/// Facts about a run.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// Id of the run.
    pub id: &'a str,
    /// Name of the workflow.
    pub workflow: &'a str,
    /// Tenant.
    pub tenant: &'a str,
    /// Agent that started it; empty when an operator did.
    pub agent: &'a str,
    /// Labels.
    pub labels: &'a BTreeMap<String, String>,
    /// When it was started, Unix nanoseconds.
    pub create_time_unix_nanos: i64,
}
