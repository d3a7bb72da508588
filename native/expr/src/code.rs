//! The compiled tree: type-checked, with literals folded and regular expressions built.

use std::collections::BTreeMap;

use crate::ast::Operator;
use crate::facts::{List, Map};
use crate::pattern::Pattern;
use crate::types::Type;
use crate::value::Value;

/// A value that is known when the expression is compiled.
#[derive(Debug)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Timestamp(i64),
    Duration(i64),
    List(Box<[Constant]>),
    Map(BTreeMap<Box<str>, Constant>),
}

impl Constant {
    /// The value, borrowed from the program.
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(text) => Value::str(text),
            Self::Timestamp(nanos) => Value::Timestamp(*nanos),
            Self::Duration(nanos) => Value::Duration(*nanos),
            Self::List(list) => Value::List(List::constant(list)),
            Self::Map(map) => Value::Map(Map::constant(map)),
        }
    }
}

/// A node, its place in the source for messages, and the shape of its value for the static cost.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) at: u32,
    pub(crate) shape: Shape,
}

/// What about a value can be large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing: a number, a bool, a time.
    Scalar,
    /// Its text or octets.
    Text,
    /// Both its number of elements and the text in them.
    Collection,
}

impl Shape {
    pub(crate) fn of(ty: &Type) -> Self {
        match ty {
            Type::Bool | Type::Int | Type::Double | Type::Timestamp | Type::Duration | Type::Null => Self::Scalar,
            Type::String | Type::Bytes => Self::Text,
            Type::List(_) | Type::Map(_) | Type::Object(_) | Type::Dyn => Self::Collection,
        }
    }
}

#[derive(Debug)]
pub(crate) enum NodeKind {
    Constant(Constant),
    Variable(Box<str>),
    /// The variable of the comprehension around it. There is at most one, because comprehensions do not nest.
    Item,
    Select {
        of: Box<Node>,
        field: Box<str>,
    },
    Index {
        of: Box<Node>,
        index: Box<Node>,
    },
    Negate(Box<Node>),
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    /// `+ - * / %`.
    Arithmetic {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Call {
        function: Function,
        operand: Box<Node>,
    },
    Comprehension(Box<Comprehension>),
    /// What always gives a bool.
    Condition(Condition),
}

/// Logic, comparison and tests.
#[derive(Debug)]
pub(crate) enum Condition {
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    /// `== != < <= > >= in`.
    Comparison {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    /// `has(of.field)`.
    Has {
        of: Box<Node>,
        field: Box<str>,
    },
    Search {
        search: Search,
        text: Box<Node>,
        part: Box<Node>,
    },
    Matches {
        text: Box<Node>,
        pattern: Pattern,
    },
}

/// How a text is looked for in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    StartsWith,
    EndsWith,
    Contains,
}

/// `range.kind(variable, condition, body)`.
#[derive(Debug)]
pub(crate) struct Comprehension {
    pub(crate) kind: ComprehensionKind,
    pub(crate) range: Node,
    /// Elements for which this is false are left out; only `map` with three arguments has one.
    pub(crate) condition: Option<Node>,
    pub(crate) body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComprehensionKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// A function or method of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    LowerAscii,
    UpperAscii,
    ToInt,
    ToDouble,
    ToText,
    ToDuration,
    ToTimestamp,
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}
