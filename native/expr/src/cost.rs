//! The static cost: how many steps an evaluation takes at most, as far as the text of the expression tells.
//!
//! Collections and texts whose size is only known at run time are assumed to have [`limits::ASSUMED_ELEMENTS`] elements and
//! [`limits::ASSUMED_TEXT_BYTES`] bytes. The charges are the ones of `eval`; larger facts are caught by its step counter.

use crate::ast::Operator;
use crate::code::{Comprehension, ComprehensionKind, Condition, Constant, Function, Node, NodeKind, Shape};
use crate::limits;
use crate::meter::text_steps;

/// The steps of a node, and the size of its value.
#[derive(Clone, Copy)]
struct Estimate {
    steps: u64,
    /// Number of elements.
    length: u64,
    /// Number of elements, those of lists and maps inside included.
    elements: u64,
    /// Length of the text, or of the longest text inside.
    bytes: u64,
    /// Whether text was made by the expression, so that using it again copies it. Text of facts is borrowed.
    made: bool,
}

/// The size of a value that comes from facts.
const ASSUMED: Estimate = Estimate {
    steps: 0,
    length: limits::ASSUMED_ELEMENTS,
    elements: limits::ASSUMED_ELEMENTS,
    bytes: limits::ASSUMED_TEXT_BYTES,
    made: false,
};

/// A number or a bool.
const SCALAR: Estimate = Estimate {
    steps: 0,
    length: 0,
    elements: 0,
    bytes: 0,
    made: false,
};

impl Estimate {
    fn after(self, steps: u64) -> Self {
        Self {
            steps: self.steps.saturating_add(steps),
            ..self
        }
    }

    /// A value that may be one or the other, without their steps.
    fn or(self, other: Self) -> Self {
        Self {
            steps: 0,
            length: self.length.max(other.length),
            elements: self.elements.max(other.elements),
            bytes: self.bytes.max(other.bytes),
            made: self.made || other.made,
        }
    }

    /// A collection with one more element, and the steps of making it.
    fn with_element(self, element: Self) -> Self {
        let elements = self.elements.saturating_add(element.elements).saturating_add(1);
        Self {
            length: self.length.saturating_add(1),
            elements,
            ..self.or(element)
        }
        .after(self.steps)
        .after(element.steps)
    }

    /// Steps of copying the text.
    fn copy(self) -> u64 {
        if self.made { text_steps(self.bytes) } else { 0 }
    }

    /// Steps of comparing with another value: only the smaller of the two is walked through.
    fn compared(self, other: Self) -> u64 {
        let elements = self.elements.min(other.elements);
        let text = text_steps(self.bytes.min(other.bytes));
        text.saturating_add(elements.saturating_mul(text.saturating_add(1)))
    }

    /// Steps of looking for this value in a collection.
    fn searched_in(self, collection: Self) -> u64 {
        // A scalar or text is compared with the elements themselves; a collection with what is inside of them, too.
        let compared = if self.elements == 0 {
            collection.length
        } else {
            collection.elements
        };
        let each = 1_u64.saturating_add(text_steps(self.bytes.min(collection.bytes)));
        compared.saturating_mul(each)
    }

    fn within(self, shape: Shape) -> Self {
        match shape {
            Shape::Scalar => SCALAR.after(self.steps),
            Shape::Text => Self {
                length: 0,
                elements: 0,
                ..self
            },
            Shape::Collection => self,
        }
    }
}

/// The steps of a whole expression.
pub(crate) fn steps(node: &Node) -> u64 {
    estimate(node, ASSUMED).steps
}

/// `item` is the size of the comprehension variable around the node.
fn estimate(node: &Node, item: Estimate) -> Estimate {
    let value = match &node.kind {
        NodeKind::Constant(constant) => size_of(constant),
        NodeKind::Variable(_) => ASSUMED,
        NodeKind::Item => item.after(item.copy()),
        NodeKind::Select { of, .. } => {
            let of = estimate(of, item);
            let value = ASSUMED.or(of);
            value.after(of.steps).after(value.copy())
        }
        NodeKind::Index { of, index } => {
            let of = estimate(of, item);
            let value = ASSUMED.or(of);
            value
                .after(of.steps)
                .after(estimate(index, item).steps)
                .after(value.copy())
        }
        NodeKind::Negate(of) => SCALAR.after(estimate(of, item).steps),
        NodeKind::Conditional {
            condition,
            then,
            otherwise,
        } => {
            let (then, otherwise) = (estimate(then, item), estimate(otherwise, item));
            then.or(otherwise)
                .after(estimate(condition, item).steps)
                .after(then.steps.max(otherwise.steps))
        }
        NodeKind::Arithmetic { operator, left, right } => {
            arithmetic(*operator, estimate(left, item), estimate(right, item), node.shape)
        }
        NodeKind::List(nodes) => collection(nodes, item),
        NodeKind::Map(entries) => collection(entries.iter().flat_map(|(key, value)| [key, value]), item),
        NodeKind::Call { function, operand } => call(*function, estimate(operand, item)),
        NodeKind::Condition(condition) => SCALAR.after(condition_steps(condition, item)),
        NodeKind::Comprehension(comprehension) => each(comprehension, item),
    };
    value.after(1).within(node.shape)
}

fn size_of(constant: &Constant) -> Estimate {
    match constant {
        Constant::Text(text) => Estimate {
            bytes: text.len() as u64,
            ..SCALAR
        },
        Constant::List(list) => list.iter().map(size_of).fold(SCALAR, Estimate::with_element),
        Constant::Map(map) => map
            .iter()
            .map(|(key, value)| {
                SCALAR.or(size_of(value)).or(Estimate {
                    bytes: key.len() as u64,
                    ..SCALAR
                })
            })
            .fold(SCALAR, Estimate::with_element),
        _ => SCALAR,
    }
}

/// A list literal, or a map literal with its keys as elements too.
fn collection<'n>(nodes: impl IntoIterator<Item = &'n Node>, item: Estimate) -> Estimate {
    nodes
        .into_iter()
        .map(|node| estimate(node, item))
        .fold(SCALAR, Estimate::with_element)
}

fn condition_steps(condition: &Condition, item: Estimate) -> u64 {
    let estimate = |node| estimate(node, item);
    match condition {
        Condition::Not(of) => estimate(of).steps,
        Condition::And(operands) | Condition::Or(operands) => operands
            .iter()
            .fold(0, |sum: u64, operand| sum.saturating_add(estimate(operand).steps)),
        Condition::Comparison { operator, left, right } => {
            let (left, right) = (estimate(left), estimate(right));
            let work = if *operator == Operator::In {
                left.searched_in(right)
            } else {
                left.compared(right)
            };
            left.steps.saturating_add(right.steps).saturating_add(work)
        }
        Condition::Has { of, .. } => estimate(of).steps,
        Condition::Search { text, part, .. } => {
            let (text, part) = (estimate(text), estimate(part));
            let work = text_steps(text.bytes.saturating_add(part.bytes));
            text.steps.saturating_add(part.steps).saturating_add(work)
        }
        Condition::Matches { text, pattern } => {
            let text = estimate(text);
            text.steps.saturating_add(pattern.steps(text.bytes))
        }
    }
}

fn arithmetic(operator: Operator, left: Estimate, right: Estimate, shape: Shape) -> Estimate {
    let steps = left.steps.saturating_add(right.steps);
    if operator != Operator::Add {
        return SCALAR.after(steps);
    }
    let sum = Estimate {
        steps,
        length: left.length.saturating_add(right.length),
        elements: left.elements.saturating_add(right.elements),
        bytes: left.bytes.saturating_add(right.bytes),
        made: true,
    };
    let sum = sum.within(shape);
    sum.after(sum.length).after(text_steps(sum.bytes))
}

fn call(function: Function, operand: Estimate) -> Estimate {
    /// More than the text of any number or time.
    const CONVERTED_BYTES: u64 = 64;
    match function {
        Function::LowerAscii | Function::UpperAscii | Function::ToText => {
            let steps = operand.steps.saturating_add(text_steps(operand.bytes));
            Estimate {
                steps,
                length: 0,
                elements: 0,
                bytes: operand.bytes.max(CONVERTED_BYTES),
                made: true,
            }
        }
        _ => SCALAR.after(operand.steps).after(text_steps(operand.bytes)),
    }
}

fn each(comprehension: &Comprehension, outer: Estimate) -> Estimate {
    let range = estimate(&comprehension.range, outer);
    // An element may be any value of the facts, or as long as the longest text that the range was made of.
    let item = ASSUMED.or(range);
    let body = estimate(&comprehension.body, item);
    let condition = comprehension
        .condition
        .as_ref()
        .map_or(0, |condition| estimate(condition, item).steps);
    // Taking the element out of the range, and keeping it in a result, copies a text that was made.
    let once = 1_u64
        .saturating_add(item.copy().saturating_mul(2))
        .saturating_add(condition)
        .saturating_add(body.steps);
    let steps = range.steps.saturating_add(range.length.saturating_mul(once));
    match comprehension.kind {
        ComprehensionKind::Filter => Estimate {
            steps,
            length: range.length,
            elements: range.elements,
            ..item
        },
        ComprehensionKind::Map => {
            let elements = range.length.saturating_mul(body.elements.saturating_add(1));
            Estimate {
                steps,
                length: range.length,
                elements,
                ..body
            }
        }
        ComprehensionKind::All | ComprehensionKind::Exists | ComprehensionKind::ExistsOne => SCALAR.after(steps),
    }
}
