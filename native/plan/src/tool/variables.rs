//! What expressions on `tool.call` see. Nothing is copied: values are borrowed from the call.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fairlead_expr::{Fields, Map, ObjectType, Schema, Type, Value, Variables};
use fairlead_wire::v1::ToolRisk;

use super::catalogue::{Tool, effect_name, risk_name};
use super::json::Json;
use super::policy::ToolFacts;
use crate::units::UnixNanos;
use crate::variables::{Session, session_type};

/// Variables of `tool.call` and their types.
pub(crate) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let labels = Type::map(Type::String);
    let request = ["run", "step", "session", "idempotencyKey"]
        .into_iter()
        .fold(ObjectType::new("request"), |object, field| {
            object.with(field, Type::String)
        })
        .with("labels", labels.clone());
    let tool = ObjectType::new("tool")
        .with("name", Type::String)
        .with("effect", Type::String)
        .with("risk", Type::String)
        .with("riskLevel", Type::Int);
    Schema::new()
        .with("tenant", Type::String)
        .with("agent", Type::String)
        .with("labels", labels)
        .with("now", Type::Timestamp)
        .with("tool", Type::object(tool))
        .with("args", Type::map(Type::Dyn))
        .with("session", Type::object(session_type()))
        .with("request", Type::object(request))
});

static NO_MEMBERS: Json = Json::Object(BTreeMap::new());

/// The variables of one tool call.
pub(crate) struct ToolVariables<'a> {
    facts: ToolFacts<'a>,
    tool: ToolView<'a>,
    session: Session<'a>,
    request: Request<'a>,
    now: UnixNanos,
}

impl<'a> ToolVariables<'a> {
    pub(crate) fn new(facts: &ToolFacts<'a>, tool: &'a Tool, now: UnixNanos) -> Self {
        Self {
            facts: *facts,
            tool: ToolView { name: facts.tool, tool },
            session: Session {
                id: facts.session,
                labels: facts.session_labels,
            },
            request: Request(*facts),
            now,
        }
    }
}

impl Variables for ToolVariables<'_> {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "tenant" => Value::str(self.facts.tenant),
            "agent" => Value::str(self.facts.agent),
            "labels" => Value::Map(Map::strings(self.facts.labels)),
            "now" => Value::Timestamp(self.now.0),
            "tool" => Value::Object(&self.tool),
            "args" => match self.facts.arguments {
                arguments @ Json::Object(_) => arguments.as_value(),
                // Arguments are an object: the engine has refused anything else.
                _ => NO_MEMBERS.as_value(),
            },
            "session" => Value::Object(&self.session),
            "request" => Value::Object(&self.request),
            _ => return None,
        })
    }
}

/// The variable `tool`.
struct ToolView<'a> {
    name: &'a str,
    tool: &'a Tool,
}

impl Fields for ToolView<'_> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let risk = match self.tool.risk {
            ToolRisk::Unspecified => ToolRisk::Destructive,
            known => known,
        };
        Some(match name {
            "name" => Value::str(self.name),
            "effect" => Value::str(effect_name(self.tool.effect)),
            "risk" => Value::str(risk_name(risk)),
            // 1 low, 2 medium, 3 high, 4 destructive.
            "riskLevel" => Value::Int(i64::from(risk as i32)),
            _ => return None,
        })
    }
}

/// The variable `request`. Texts that are not set are empty; `has()` tells whether they are set.
struct Request<'a>(ToolFacts<'a>);

impl Fields for Request<'_> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let facts = &self.0;
        Some(match name {
            "run" => Value::str(facts.run),
            "step" => Value::str(facts.step),
            "session" => Value::str(facts.session),
            "idempotencyKey" => Value::str(facts.idempotency_key),
            "labels" => Value::Map(Map::strings(facts.labels)),
            _ => return None,
        })
    }

    fn has_field(&self, name: &str) -> bool {
        match self.field(name) {
            Some(Value::Str(text)) => !text.is_empty(),
            other => other.is_some(),
        }
    }
}
