//! Values of expressions to JSON and text, within the allowance of the rendering.

use std::collections::BTreeMap;

use fairlead_expr::Value;
use fairlead_plan::tool::Json;

use super::bounds::Allowance;

/// A value as JSON, nested at most `depth` deep. Lists and objects that come from JSON keep the spelling of their
/// numbers.
pub(super) fn json(value: &Value<'_>, allowance: &mut Allowance, depth: usize) -> Result<Json, String> {
    let json = match value {
        Value::List(list) => match list.foreign_data::<Vec<Json>>() {
            Some(items) => return copy_items(items, allowance, depth),
            None => {
                let depth = below(depth)?;
                allowance.bytes(brackets(list.len()))?;
                let items = list.iter().map(|item| json(&item, allowance, depth));
                return items.collect::<Result<_, _>>().map(Json::Array);
            }
        },
        Value::Map(map) => match map.foreign_data::<BTreeMap<String, Json>>() {
            Some(members) => return copy_members(members, allowance, depth),
            None => {
                let depth = below(depth)?;
                allowance.bytes(brackets(map.len()))?;
                let mut members = BTreeMap::new();
                for key in map.keys() {
                    allowance.bytes(quoted_length(&key) + 1)?;
                    let member = map.get(&key).unwrap_or(Value::Null);
                    members.insert(key.into_owned(), json(&member, allowance, depth)?);
                }
                return Ok(Json::Object(members));
            }
        },
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(number) => Json::Number(number.to_string().into()),
        Value::Double(number) => Json::Number(double(*number)?.into()),
        Value::Str(text) => {
            allowance.bytes(quoted_length(text))?;
            return Ok(Json::String(text.to_string()));
        }
        Value::Timestamp(_) | Value::Duration(_) => Json::String(value.time_text().unwrap_or_default()),
        Value::Bytes(_) | Value::Object(_) => return Err(no_value(value)),
    };
    allowance.bytes(scalar_length(&json))?;
    Ok(json)
}

/// JSON as it is.
pub(super) fn copy(json: &Json, allowance: &mut Allowance, depth: usize) -> Result<Json, String> {
    match json {
        Json::Array(items) => copy_items(items, allowance, depth),
        Json::Object(members) => copy_members(members, allowance, depth),
        scalar => {
            allowance.bytes(scalar_length(scalar))?;
            Ok(scalar.clone())
        }
    }
}

fn copy_items(items: &[Json], allowance: &mut Allowance, depth: usize) -> Result<Json, String> {
    let depth = below(depth)?;
    allowance.bytes(brackets(items.len()))?;
    let items = items.iter().map(|item| copy(item, allowance, depth));
    items.collect::<Result<_, _>>().map(Json::Array)
}

fn copy_members(members: &BTreeMap<String, Json>, allowance: &mut Allowance, depth: usize) -> Result<Json, String> {
    let depth = below(depth)?;
    allowance.bytes(brackets(members.len()))?;
    let mut copied = BTreeMap::new();
    for (name, member) in members {
        allowance.bytes(quoted_length(name) + 1)?;
        copied.insert(name.clone(), copy(member, allowance, depth)?);
    }
    Ok(Json::Object(copied))
}

/// Adds a value to a text: strings and times as they are, everything else as compact JSON.
pub(super) fn push(value: &Value<'_>, allowance: &mut Allowance, out: &mut String) -> Result<(), String> {
    match value {
        Value::Str(text) => push_text(text, allowance, out),
        Value::Timestamp(_) | Value::Duration(_) => push_text(&value.time_text().unwrap_or_default(), allowance, out),
        other => {
            // What it takes is charged while it is made.
            out.push_str(&json(other, allowance, crate::MOST_PAYLOAD_DEPTH)?.to_text());
            Ok(())
        }
    }
}

/// As [`push`], for JSON as it is.
pub(super) fn push_json(json: &Json, allowance: &mut Allowance, out: &mut String) -> Result<(), String> {
    match json {
        Json::String(text) => push_text(text, allowance, out),
        other => {
            out.push_str(&copy(other, allowance, crate::MOST_PAYLOAD_DEPTH)?.to_text());
            Ok(())
        }
    }
}

/// Adds text as it is.
pub(super) fn push_text(text: &str, allowance: &mut Allowance, out: &mut String) -> Result<(), String> {
    allowance.bytes(text.len())?;
    out.push_str(text);
    Ok(())
}

/// The depth that is left inside of a list or object.
pub(super) fn below(depth: usize) -> Result<usize, String> {
    depth
        .checked_sub(1)
        .ok_or_else(|| format!("the result is nested deeper than {}", crate::MOST_PAYLOAD_DEPTH))
}

/// Brackets, and the commas between so many elements.
pub(super) fn brackets(elements: usize) -> usize {
    2 + elements.saturating_sub(1)
}

/// Length of a text in quotes, with what is escaped.
pub(super) fn quoted_length(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    });
    2 + escaped.sum::<usize>()
}

fn scalar_length(json: &Json) -> usize {
    match json {
        Json::Bool(false) => 5,
        Json::Number(text) => text.len(),
        Json::String(text) => quoted_length(text),
        _ => 4,
    }
}

/// A double that was calculated: the shortest text that reads back as the same, and never as an integer.
fn double(number: f64) -> Result<String, String> {
    if number.is_finite() {
        Ok(format!("{number:?}"))
    } else {
        Err(format!("the result is {number}, which JSON does not have"))
    }
}

fn no_value(value: &Value<'_>) -> String {
    format!("the result has {} in it, which JSON does not have", value.kind())
}
