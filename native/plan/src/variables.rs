//! What expressions on `model.call` see. Nothing is copied: values are borrowed from the call.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fairlead_expr::{Fields, ForeignList, ForeignMap, List, Map, ObjectType, Schema, Type, Value, Variables};
use prost_types::value::Kind;

use crate::facts::CallFacts;
use crate::units::UnixNanos;

/// Variables of `model.call` and their types.
pub(crate) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let labels = Type::map(Type::String);
    let attributes = Type::map(Type::Dyn);
    let request = ["model", "workload", "session", "run", "step"]
        .into_iter()
        .fold(ObjectType::new("request"), |object, field| {
            object.with(field, Type::String)
        })
        .with("labels", labels.clone())
        .with("attributes", attributes.clone())
        .with("inputTokens", Type::Int)
        .with("maxOutputTokens", Type::Int)
        .with("minQuality", Type::Double)
        .with("stream", Type::Bool)
        .with("capabilities", Type::list(Type::String));
    Schema::new()
        .with("tenant", Type::String)
        .with("agent", Type::String)
        .with("labels", labels)
        .with("attributes", attributes)
        .with("now", Type::Timestamp)
        .with("session", Type::object(session_type()))
        .with("request", Type::object(request))
});

/// The type of the variable `session`, the same for every event.
pub(crate) fn session_type() -> ObjectType {
    ObjectType::new("session")
        .with("id", Type::String)
        .with("labels", Type::list(Type::String))
}

static NO_ATTRIBUTES: BTreeMap<String, String> = BTreeMap::new();

/// The variables of one call.
pub(crate) struct CallVariables<'a> {
    request: Request<'a>,
    session: Session<'a>,
    now: UnixNanos,
}

impl<'a> CallVariables<'a> {
    pub(crate) fn new(facts: &CallFacts<'a>, now: UnixNanos) -> Self {
        Self {
            request: Request(*facts),
            session: Session {
                id: facts.session,
                labels: facts.session_labels,
            },
            now,
        }
    }
}

impl Variables for CallVariables<'_> {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        let facts = &self.request.0;
        Some(match name {
            "tenant" => Value::str(facts.tenant),
            "agent" => Value::str(facts.agent),
            "labels" => Value::Map(Map::strings(facts.labels)),
            "attributes" => attributes(facts),
            "now" => Value::Timestamp(self.now.0),
            "session" => Value::Object(&self.session),
            "request" => Value::Object(&self.request),
            _ => return None,
        })
    }
}

/// The variable `session`: the conversation and the labels that tools gave it, so that a rule can say what must not
/// come together.
pub(crate) struct Session<'a> {
    pub(crate) id: &'a str,
    pub(crate) labels: &'a [String],
}

impl Fields for Session<'_> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "id" => Value::str(self.id),
            "labels" => Value::List(List::strings(self.labels)),
            _ => return None,
        })
    }

    fn has_field(&self, name: &str) -> bool {
        match name {
            "id" => !self.id.is_empty(),
            _ => self.field(name).is_some(),
        }
    }
}

/// The variable `request`. Texts that are not set are empty, `minQuality` is 0; `has()` tells whether they are set.
struct Request<'a>(CallFacts<'a>);

impl Fields for Request<'_> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let facts = &self.0;
        Some(match name {
            "model" => Value::str(facts.model),
            "workload" => Value::str(facts.workload),
            "session" => Value::str(facts.session),
            "run" => Value::str(facts.run),
            "step" => Value::str(facts.step),
            "labels" => Value::Map(Map::strings(facts.labels)),
            "attributes" => attributes(facts),
            // The safe upper bound: a rule on size must not be dodged by giving bytes.
            "inputTokens" => Value::Int(facts.input.upper_bound().0),
            "maxOutputTokens" => Value::Int(facts.max_output_tokens),
            "minQuality" => Value::Double(facts.min_quality.unwrap_or_default()),
            "stream" => Value::Bool(facts.stream),
            "capabilities" => Value::List(List::strings(facts.capabilities)),
            _ => return None,
        })
    }

    fn has_field(&self, name: &str) -> bool {
        let facts = &self.0;
        match name {
            "model" => !facts.model.is_empty(),
            "workload" => !facts.workload.is_empty(),
            "session" => !facts.session.is_empty(),
            "run" => !facts.run.is_empty(),
            "step" => !facts.step.is_empty(),
            "attributes" => facts.attributes.is_some(),
            "maxOutputTokens" => facts.max_output_tokens > 0,
            "minQuality" => facts.min_quality.is_some(),
            _ => self.field(name).is_some(),
        }
    }
}

fn attributes<'a>(facts: &CallFacts<'a>) -> Value<'a> {
    Value::Map(match facts.attributes {
        Some(attributes) => Map::foreign::<StructView>(attributes),
        None => Map::strings(&NO_ATTRIBUTES),
    })
}

/// A protobuf `Struct` as a map.
struct StructView;

impl ForeignMap for StructView {
    type Data = prost_types::Struct;

    fn get<'a>(data: &'a Self::Data, key: &str) -> Option<Value<'a>> {
        data.fields.get(key).map(value)
    }

    fn len(data: &Self::Data) -> usize {
        data.fields.len()
    }

    fn keys(data: &Self::Data) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(data.fields.keys().map(String::as_str))
    }
}

/// A protobuf `ListValue` as a list.
struct ListValueView;

impl ForeignList for ListValueView {
    type Data = prost_types::ListValue;

    fn get(data: &Self::Data, index: usize) -> Option<Value<'_>> {
        data.values.get(index).map(value)
    }

    fn len(data: &Self::Data) -> usize {
        data.values.len()
    }
}

fn value(value: &prost_types::Value) -> Value<'_> {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => Value::Double(*number),
        Some(Kind::StringValue(text)) => Value::str(text),
        Some(Kind::BoolValue(truth)) => Value::Bool(*truth),
        Some(Kind::StructValue(fields)) => Value::Map(Map::foreign::<StructView>(fields)),
        Some(Kind::ListValue(list)) => Value::List(List::foreign::<ListValueView>(list)),
    }
}
