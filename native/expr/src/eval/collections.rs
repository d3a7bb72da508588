//! Lists and maps: literals and elements.
//!
//! INVARIANT: a list or map that an expression makes has at most as many elements as the program may take steps, those inside of it
//! included. Steps alone do not bound it, because an element can be used twice without a copy; whoever walks through the
//! result would pay for each use.

use std::collections::BTreeMap;

use super::{Frame, eval};
use crate::code::Node;
use crate::error::{EvalErrorKind, Fault};
use crate::facts::{List, Map};
use crate::meter::Meter;
use crate::value::Value;

pub(super) fn list_literal<'a>(nodes: &'a [Node], frame: &mut Frame<'a>, at: u32) -> Result<Value<'a>, Fault> {
    let mut values = Vec::with_capacity(nodes.len());
    for node in nodes {
        values.push(eval(node, frame)?);
    }
    made_list(values, &frame.meter, at)
}

/// A list that the expression made.
pub(super) fn made_list<'a>(values: Vec<Value<'a>>, meter: &Meter, at: u32) -> Result<Value<'a>, Fault> {
    let list = List::owned(values);
    meter.within_size(list.owned_elements(), at)?;
    Ok(Value::List(list))
}

pub(super) fn map_literal<'a>(entries: &'a [(Node, Node)], frame: &mut Frame<'a>, at: u32) -> Result<Value<'a>, Fault> {
    let mut map = BTreeMap::new();
    for (key, value) in entries {
        let key_at = key.at;
        let key = match eval(key, frame)? {
            Value::Str(key) => key,
            other => {
                return Err(Fault::mismatch(
                    key_at,
                    format!("the keys of a map are strings, not {}", other.kind()),
                ));
            }
        };
        let value = eval(value, frame)?;
        if map.contains_key(&key) {
            return Err(Fault::new(key_at, EvalErrorKind::DuplicateKey(key.into_owned())));
        }
        map.insert(key, value);
    }
    let map = Map::owned(map);
    frame.meter.within_size(map.owned_elements(), at)?;
    Ok(Value::Map(map))
}

/// `of[index]`.
pub(super) fn element<'a>(of: &Value<'a>, index: &Value<'_>, at: u32) -> Result<Value<'a>, Fault> {
    let position = match index {
        Value::Int(index) => Some(*index),
        // Numbers of untyped facts are doubles; a whole one may be a position.
        Value::Double(index) if index.fract() == 0.0 && index.abs() < 9e15 => Some(*index as i64),
        _ => None,
    };
    match (of, index, position) {
        (Value::Map(map), Value::Str(key), _) => map.get(key).ok_or_else(|| no_such_key(key, at)),
        (Value::List(list), _, Some(index)) => usize::try_from(index)
            .ok()
            .and_then(|position| list.get(position))
            .ok_or_else(|| Fault::new(at, EvalErrorKind::IndexOutOfRange { index, len: list.len() })),
        _ => Err(Fault::mismatch(
            at,
            format!("{} cannot be indexed by {}", of.kind(), index.kind()),
        )),
    }
}

#[cold]
pub(super) fn no_such_key(key: &str, at: u32) -> Fault {
    Fault::new(at, EvalErrorKind::NoSuchKey(key.to_owned()))
}

#[cold]
pub(super) fn no_fields(of: &Value<'_>, field: &str, at: u32) -> Fault {
    Fault::mismatch(at, format!("{} has no fields, so not `{field}`", of.kind()))
}
