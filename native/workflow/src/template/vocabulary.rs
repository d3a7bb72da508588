//! The names that expressions of a definition may use, and their types.

use std::collections::BTreeMap;

use fairlead_expr::{ObjectType, Schema, Type};

/// Variables of a definition's expressions.
pub(crate) struct Vocabulary {
    plain: Schema,
    with_item: Schema,
    /// Place of each step by its id.
    pub(crate) ids: BTreeMap<Box<str>, usize>,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) vocabulary: &'a Vocabulary,
    /// Steps that have ended before; `None`: nobody knows, because the needs go round in a circle.
    pub(crate) ended: Option<&'a [bool]>,
    /// The step that it belongs to; `None`: the workflow.
    pub(crate) step: Option<usize>,
    /// Whether there is an item.
    pub(crate) has_item: bool,
}

impl Vocabulary {
    pub(crate) fn new(ids: BTreeMap<Box<str>, usize>) -> Self {
        let step = ObjectType::new("a step")
            .with("output", Type::Dyn)
            .with("state", Type::String);
        let step = Type::object(step);
        let steps = ids
            .keys()
            .fold(ObjectType::new("steps"), |object, id| object.with(&**id, step.clone()));
        let run = ["id", "workflow", "tenant", "agent"]
            .into_iter()
            .fold(ObjectType::new("run"), |object, field| object.with(field, Type::String))
            .with("labels", Type::map(Type::String))
            .with("createTime", Type::Timestamp);
        let plain = Schema::new()
            .with("input", Type::Dyn)
            .with("steps", Type::object(steps))
            .with("run", Type::object(run));
        Self {
            with_item: plain.clone().with("item", Type::Dyn).with("index", Type::Int),
            plain,
            ids,
        }
    }

    pub(crate) fn schema(&self, has_item: bool) -> &Schema {
        if has_item { &self.with_item } else { &self.plain }
    }
}
