//! The variables of one evaluation. Nothing of the run's data is copied.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fairlead_expr::{Fields, Map, PathStep, Reference, Value, Variables};
use fairlead_plan::tool::Json;

use super::scope::{RunFacts, Scope};
use crate::definition::Definition;

/// `input`, `steps`, `run`, `item` and `index`.
pub(crate) struct RunVariables<'a> {
    scope: &'a dyn Scope,
    steps: Steps<'a>,
    run: Run<'a>,
}

impl<'a> RunVariables<'a> {
    pub(crate) fn new(definition: &'a Definition, scope: &'a dyn Scope) -> Self {
        Self {
            scope,
            steps: Steps { definition, scope },
            run: Run(scope.run()),
        }
    }

    /// The JSON that a reference names; `None`: it names something else.
    pub(crate) fn json(&self, reference: &Reference<'_>) -> Option<&Json> {
        let (mut json, path) = match (reference.variable, reference.path.as_slice()) {
            ("input", path) => (self.scope.input(), path),
            ("item", path) => (self.scope.item()?.0, path),
            ("steps", [PathStep::Field(id), PathStep::Field("output"), path @ ..]) => {
                (self.scope.output(self.steps.definition.step_index(id)?)?, path)
            }
            _ => return None,
        };
        for step in path {
            json = match (json, step) {
                (Json::Object(members), PathStep::Field(name)) => members.get(*name)?,
                (Json::Array(items), PathStep::Index(at)) => items.get(usize::try_from(*at).ok()?)?,
                _ => return None,
            };
        }
        Some(json)
    }
}

impl Variables for RunVariables<'_> {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "input" => self.scope.input().as_value(),
            "steps" => Value::Object(&self.steps),
            "run" => Value::Object(&self.run),
            "item" => self.scope.item()?.0.as_value(),
            "index" => Value::Int(i64::try_from(self.scope.item()?.1).ok()?),
            _ => return None,
        })
    }
}

struct Steps<'a> {
    definition: &'a Definition,
    scope: &'a dyn Scope,
}

impl Fields for Steps<'_> {
    /// A step with its state and, when there is one, its output.
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let step = self.definition.step_index(name)?;
        let mut fields = BTreeMap::from([(Cow::Borrowed("state"), Value::str(self.scope.state(step)))]);
        if let Some(output) = self.scope.output(step) {
            fields.insert(Cow::Borrowed("output"), output.as_value());
        }
        Some(Value::Map(Map::owned(fields)))
    }
}

struct Run<'a>(RunFacts<'a>);

impl Fields for Run<'_> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let run = &self.0;
        Some(match name {
            "id" => Value::str(run.id),
            "workflow" => Value::str(run.workflow),
            "tenant" => Value::str(run.tenant),
            "agent" => Value::str(run.agent),
            "labels" => Value::Map(Map::strings(run.labels)),
            "createTime" => Value::Timestamp(run.create_time_unix_nanos),
            _ => return None,
        })
    }

    /// An operator's run has no agent.
    fn has_field(&self, name: &str) -> bool {
        match name {
            "agent" => !self.0.agent.is_empty(),
            _ => self.field(name).is_some(),
        }
    }
}
