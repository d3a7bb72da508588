//! Evaluation: a walk over the compiled tree with a step counter.
//!
//! Every node charges the meter before its work, so the work of an evaluation is bounded whatever the facts are. Recursion
//! is bounded by the depth of the tree, which the parser bounds.

mod arithmetic;
mod collections;
mod comprehension;
mod conditions;
mod functions;

use std::borrow::Cow;

use crate::code::{Node, NodeKind};
use crate::error::{EvalErrorKind, Fault};
use crate::facts::Variables;
use crate::meter::Meter;
use crate::value::Value;

use conditions::eval_bool;

/// The state of one evaluation.
pub(crate) struct Frame<'a> {
    variables: &'a dyn Variables,
    /// The element that the comprehension around the current node is at.
    item: Value<'a>,
    pub(crate) meter: Meter,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(variables: &'a dyn Variables, most_steps: u64) -> Self {
        Self {
            variables,
            item: Value::Null,
            meter: Meter::new(most_steps),
        }
    }

    #[inline]
    fn variable(&self, name: &str, at: u32) -> Result<Value<'a>, Fault> {
        match self.variables.variable(name) {
            Some(value) => Ok(value),
            None => Err(Fault::new(at, EvalErrorKind::NoSuchVariable(name.to_owned()))),
        }
    }

    /// Charges for copying a text that the expression made; borrowed text is not copied.
    #[inline]
    fn charge_copy(&mut self, value: &Value<'_>, at: u32) -> Result<(), Fault> {
        match value {
            Value::Str(Cow::Owned(text)) => self.meter.charge_text(text.len(), at),
            Value::Bytes(Cow::Owned(octets)) => self.meter.charge_text(octets.len(), at),
            _ => Ok(()),
        }
    }
}

/// Evaluates a node.
pub(crate) fn eval<'a>(node: &'a Node, frame: &mut Frame<'a>) -> Result<Value<'a>, Fault> {
    let at = node.at;
    frame.meter.charge(1, at)?;
    match &node.kind {
        NodeKind::Constant(constant) => Ok(constant.value()),
        NodeKind::Variable(name) => frame.variable(name, at),
        NodeKind::Item => {
            let item = frame.item.clone();
            frame.charge_copy(&item, at)?;
            Ok(item)
        }
        NodeKind::Select { of, field } => {
            let value = match eval_operand(of, frame)? {
                Value::Map(map) => map.get(field),
                Value::Object(object) => object.field(field),
                other => return Err(collections::no_fields(&other, field, at)),
            };
            match value {
                Some(value) => {
                    frame.charge_copy(&value, at)?;
                    Ok(value)
                }
                None => Err(collections::no_such_key(field, at)),
            }
        }
        NodeKind::Index { of, index } => {
            let (of, index) = (eval_operand(of, frame)?, eval_operand(index, frame)?);
            let value = collections::element(&of, &index, at)?;
            frame.charge_copy(&value, at)?;
            Ok(value)
        }
        NodeKind::Negate(of) => arithmetic::negate(&eval(of, frame)?, at),
        NodeKind::Conditional {
            condition,
            then,
            otherwise,
        } => {
            let chosen = if eval_bool(condition, frame)? { then } else { otherwise };
            eval(chosen, frame)
        }
        NodeKind::Arithmetic { operator, left, right } => {
            let (left, right) = (eval(left, frame)?, eval(right, frame)?);
            arithmetic::calculate(*operator, left, right, &mut frame.meter, at)
        }
        NodeKind::List(nodes) => collections::list_literal(nodes, frame, at),
        NodeKind::Map(entries) => collections::map_literal(entries, frame, at),
        NodeKind::Call { function, operand } => {
            let operand = eval(operand, frame)?;
            functions::call(*function, operand, &mut frame.meter, at)
        }
        NodeKind::Comprehension(comprehension) => comprehension::eval_comprehension(comprehension, frame, at),
        NodeKind::Condition(condition) => conditions::eval_condition(condition, frame, at).map(Value::Bool),
    }
}

/// As [`eval`], for what is often a leaf: constants and variables are read without a call.
#[inline(always)]
fn eval_operand<'a>(node: &'a Node, frame: &mut Frame<'a>) -> Result<Value<'a>, Fault> {
    match &node.kind {
        NodeKind::Constant(constant) => {
            frame.meter.charge(1, node.at)?;
            Ok(constant.value())
        }
        NodeKind::Variable(name) => {
            frame.meter.charge(1, node.at)?;
            frame.variable(name, node.at)
        }
        _ => eval(node, frame),
    }
}
