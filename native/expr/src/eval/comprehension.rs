//! `all`, `exists`, `exists_one`, `filter`, `map`.

use std::ops::ControlFlow;

use super::collections::made_list;
use super::{Frame, eval, eval_bool};
use crate::code::{Comprehension, ComprehensionKind};
use crate::error::Fault;
use crate::value::Value;

pub(super) fn eval_comprehension<'a>(
    comprehension: &'a Comprehension,
    frame: &mut Frame<'a>,
    at: u32,
) -> Result<Value<'a>, Fault> {
    let range = eval(&comprehension.range, frame)?;
    let result = match comprehension.kind {
        ComprehensionKind::All => quantify(comprehension, &range, false, frame, at),
        ComprehensionKind::Exists => quantify(comprehension, &range, true, frame, at),
        ComprehensionKind::ExistsOne => exists_one(comprehension, &range, frame, at),
        ComprehensionKind::Filter | ComprehensionKind::Map => select(comprehension, &range, frame, at),
    };
    frame.item = Value::Null;
    result
}

/// `all` (decided by false) and `exists` (decided by true). Like `&&` and `||`, they hide a failure when another element
/// decides.
fn quantify<'a>(
    comprehension: &'a Comprehension,
    range: &Value<'a>,
    decides: bool,
    frame: &mut Frame<'a>,
    at: u32,
) -> Result<Value<'a>, Fault> {
    let mut fault = None;
    let mut result = !decides;
    each(range, frame, at, |frame| match eval_bool(&comprehension.body, frame) {
        Ok(value) if value == decides => {
            result = decides;
            Ok(ControlFlow::Break(()))
        }
        Ok(_) => Ok(ControlFlow::Continue(())),
        Err(new) if new.is_final() => Err(new),
        Err(new) => {
            fault.get_or_insert(new);
            Ok(ControlFlow::Continue(()))
        }
    })?;
    match fault {
        Some(fault) if result != decides => Err(fault),
        _ => Ok(Value::Bool(result)),
    }
}

fn exists_one<'a>(
    comprehension: &'a Comprehension,
    range: &Value<'a>,
    frame: &mut Frame<'a>,
    at: u32,
) -> Result<Value<'a>, Fault> {
    let mut count = 0_usize;
    each(range, frame, at, |frame| {
        count += usize::from(eval_bool(&comprehension.body, frame)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Value::Bool(count == 1))
}

/// `filter` and `map`.
fn select<'a>(
    comprehension: &'a Comprehension,
    range: &Value<'a>,
    frame: &mut Frame<'a>,
    at: u32,
) -> Result<Value<'a>, Fault> {
    let mut selected = Vec::new();
    each(range, frame, at, |frame| {
        if comprehension.kind == ComprehensionKind::Filter {
            if eval_bool(&comprehension.body, frame)? {
                let item = frame.item.clone();
                frame.charge_copy(&item, at)?;
                selected.push(item);
            }
            return Ok(ControlFlow::Continue(()));
        }
        let wanted = match &comprehension.condition {
            Some(condition) => eval_bool(condition, frame)?,
            None => true,
        };
        if wanted {
            selected.push(eval(&comprehension.body, frame)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    made_list(selected, &frame.meter, at)
}

/// Sets `frame.item` to each element of a list, or each key of a map, until `body` breaks.
fn each<'a>(
    range: &Value<'a>,
    frame: &mut Frame<'a>,
    at: u32,
    mut body: impl FnMut(&mut Frame<'a>) -> Result<ControlFlow<()>, Fault>,
) -> Result<(), Fault> {
    let mut step = |item: Value<'a>, frame: &mut Frame<'a>| {
        frame.meter.charge(1, at)?;
        frame.charge_copy(&item, at)?;
        frame.item = item;
        body(frame)
    };
    match range {
        Value::List(list) => {
            for item in list.iter() {
                if step(item, frame)?.is_break() {
                    break;
                }
            }
            Ok(())
        }
        Value::Map(map) => {
            for key in map.keys() {
                if step(Value::Str(key), frame)?.is_break() {
                    break;
                }
            }
            Ok(())
        }
        other => Err(Fault::mismatch(
            at,
            format!("a comprehension goes over a list or a map, not {}", other.kind()),
        )),
    }
}
