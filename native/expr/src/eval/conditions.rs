//! What gives a bool: logic, comparison, membership, tests. They are most of what rules are made of, so they are evaluated
//! without going through a [`Value`].

use super::{Frame, eval, eval_operand};
use crate::ast::Operator;
use crate::code::{Condition, Node, NodeKind, Search};
use crate::compare::{equal, order};
use crate::error::Fault;
use crate::meter::Meter;
use crate::value::Value;

/// Evaluates a node that must give a bool.
pub(super) fn eval_bool<'a>(node: &'a Node, frame: &mut Frame<'a>) -> Result<bool, Fault> {
    if let NodeKind::Condition(condition) = &node.kind {
        frame.meter.charge(1, node.at)?;
        return eval_condition(condition, frame, node.at);
    }
    match eval(node, frame)? {
        Value::Bool(value) => Ok(value),
        other => Err(Fault::mismatch(
            node.at,
            format!("a condition must be bool, not {}", other.kind()),
        )),
    }
}

/// Evaluates a condition, which is charged already.
pub(super) fn eval_condition<'a>(condition: &'a Condition, frame: &mut Frame<'a>, at: u32) -> Result<bool, Fault> {
    match condition {
        Condition::And(operands) => junction(operands, false, frame),
        Condition::Or(operands) => junction(operands, true, frame),
        Condition::Not(of) => Ok(!eval_bool(of, frame)?),
        Condition::Comparison { operator, left, right } => {
            let (left, right) = (eval_operand(left, frame)?, eval_operand(right, frame)?);
            compare(*operator, &left, &right, &mut frame.meter, at)
        }
        Condition::Has { of, field } => match eval_operand(of, frame)? {
            Value::Map(map) => Ok(map.contains_key(field)),
            Value::Object(object) => Ok(object.has_field(field)),
            other => Err(Fault::mismatch(
                at,
                format!("has() tests a field, but {} has no fields", other.kind()),
            )),
        },
        Condition::Search { search, text, part } => match (eval(text, frame)?, eval_operand(part, frame)?) {
            (Value::Str(text), Value::Str(part)) => find(*search, &text, &part, &mut frame.meter, at),
            (text, part) => {
                let message = format!("a text is searched for a text, not {} for {}", text.kind(), part.kind());
                Err(Fault::mismatch(at, message))
            }
        },
        Condition::Matches { text, pattern } => match eval(text, frame)? {
            Value::Str(text) => {
                frame.meter.charge(pattern.steps(text.len() as u64), at)?;
                Ok(pattern.is_match(&text))
            }
            other => Err(Fault::mismatch(
                at,
                format!("matches() works on string, not on {}", other.kind()),
            )),
        },
    }
}

fn find(search: Search, text: &str, part: &str, meter: &mut Meter, at: u32) -> Result<bool, Fault> {
    let work = if search == Search::Contains {
        text.len().saturating_add(part.len())
    } else {
        part.len()
    };
    meter.charge_text(work, at)?;
    Ok(match search {
        Search::StartsWith => text.starts_with(part),
        Search::EndsWith => text.ends_with(part),
        Search::Contains => text.contains(part),
    })
}

/// `&&` (decided by false) and `||` (decided by true). As in CEL, an operand that fails does not matter when another one
/// decides; otherwise the first failure is the result.
fn junction<'a>(operands: &'a [Node], decides: bool, frame: &mut Frame<'a>) -> Result<bool, Fault> {
    let mut fault = None;
    for operand in operands {
        match eval_bool(operand, frame) {
            Ok(value) if value == decides => return Ok(decides),
            Ok(_) => {}
            Err(new) if new.is_final() => return Err(new),
            Err(new) => {
                fault.get_or_insert(new);
            }
        }
    }
    fault.map_or(Ok(!decides), Err)
}

fn compare(operator: Operator, left: &Value<'_>, right: &Value<'_>, meter: &mut Meter, at: u32) -> Result<bool, Fault> {
    Ok(match operator {
        Operator::Equal => equal(left, right, meter, at)?,
        Operator::NotEqual => !equal(left, right, meter, at)?,
        // With a NaN there is no order, and all four are false.
        Operator::Less => order(left, right, meter, at)?.is_some_and(|order| order.is_lt()),
        Operator::LessEqual => order(left, right, meter, at)?.is_some_and(|order| order.is_le()),
        Operator::Greater => order(left, right, meter, at)?.is_some_and(|order| order.is_gt()),
        Operator::GreaterEqual => order(left, right, meter, at)?.is_some_and(|order| order.is_ge()),
        Operator::In => is_in(left, right, meter, at)?,
        _ => {
            return Err(Fault::mismatch(
                at,
                format!("`{}` is not a comparison", operator.symbol()),
            ));
        }
    })
}

fn is_in(left: &Value<'_>, right: &Value<'_>, meter: &mut Meter, at: u32) -> Result<bool, Fault> {
    match right {
        Value::List(list) => {
            for element in list.iter() {
                meter.charge(1, at)?;
                if equal(left, &element, meter, at)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => Ok(matches!(left, Value::Str(key) if map.contains_key(key))),
        other => Err(Fault::mismatch(
            at,
            format!("`in` looks in a list or a map, not in {}", other.kind()),
        )),
    }
}
