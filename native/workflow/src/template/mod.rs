//! Templates: JSON whose strings may have `${…}` in them. The expressions are CEL over a run's data.
//!
//! A string that is exactly one `${…}` becomes the value of the expression, with its type. In any other string each
//! `${…}` becomes text. `$${` stands for `${`. Names of members are taken as they are.
//!
//! INVARIANT: rendering is bounded and gives the same for the same data. A result has at most [`MOST_RENDERED_BYTES`] and
//! is nested at most [`MOST_PAYLOAD_DEPTH`](crate::MOST_PAYLOAD_DEPTH) deep, and the expressions of one template together
//! take at most [`bounds::MOST_STEPS`] steps; each is charged before it is done.

mod bounds;
mod condition;
mod convert;
mod error;
mod expression;
mod parse;
mod render;
mod scope;
mod variables;
mod vocabulary;

use std::collections::BTreeMap;

use fairlead_plan::tool::Json;

pub use bounds::MOST_RENDERED_BYTES;
pub use condition::Condition;
pub use error::RenderError;
pub use scope::{RunFacts, Scope};
pub(crate) use vocabulary::{Place, Vocabulary};

use expression::Expression;
use parse::Piece;

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    root: Box<Node>,
    reads: Vec<usize>,
    reads_item: bool,
}

/// A value of a template.
#[derive(Debug)]
enum Node {
    /// Without expressions.
    Constant(Json),
    /// `"${…}"`.
    Expression(Expression),
    /// A string with something beside an expression.
    Text(Box<[Piece]>),
    Array(Box<[Node]>),
    Object(BTreeMap<Box<str>, Node>),
}

/// What a template gives, as far as its text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A string.
    Text,
    /// A list.
    List,
    /// Something else that is neither.
    Other,
    /// Known only when it is rendered.
    Unknown,
}

impl Template {
    /// A template of a value without expressions.
    #[must_use]
    pub(crate) fn constant(value: Json) -> Self {
        Self {
            root: Box::new(Node::Constant(value)),
            reads: Vec::new(),
            reads_item: false,
        }
    }

    /// The steps whose output it needs, by their place in the definition, sorted. An expression that asks
    /// `has(steps.ID.output)` copes without that output, so the step is not one of them.
    #[must_use]
    pub fn reads(&self) -> &[usize] {
        &self.reads
    }

    /// Whether it reads `item` or `index`.
    pub(crate) fn reads_item(&self) -> bool {
        self.reads_item
    }

    pub(crate) fn shape(&self) -> Shape {
        match &*self.root {
            Node::Constant(Json::String(_)) | Node::Text(_) => Shape::Text,
            Node::Constant(Json::Array(_)) | Node::Array(_) => Shape::List,
            Node::Constant(_) | Node::Object(_) => Shape::Other,
            Node::Expression(expression) => expression.shape(),
        }
    }
}
