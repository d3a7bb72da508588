//! Functions and methods.

use std::borrow::Cow;

use crate::code::Function;
use crate::error::{EvalErrorKind, Fault};
use crate::meter::Meter;
use crate::time::{self, Civil};
use crate::value::Value;

/// 2^63: the first double above every `i64`; its negative is the lowest `i64`.
const ABOVE_INT: f64 = 9_223_372_036_854_775_808.0;

/// Functions of one operand.
pub(super) fn call<'a>(function: Function, operand: Value<'a>, meter: &mut Meter, at: u32) -> Result<Value<'a>, Fault> {
    match &operand {
        Value::Str(text) => meter.charge_text(text.len(), at)?,
        Value::Bytes(octets) => meter.charge_text(octets.len(), at)?,
        _ => {}
    }
    let result = match function {
        Function::Size => size(&operand),
        Function::LowerAscii => recase(operand, |c| c.is_ascii_uppercase(), str::to_ascii_lowercase),
        Function::UpperAscii => recase(operand, |c| c.is_ascii_lowercase(), str::to_ascii_uppercase),
        Function::ToInt => to_int(&operand),
        Function::ToDouble => to_double(&operand),
        Function::ToText => to_text(operand),
        Function::ToDuration => to_duration(&operand),
        Function::ToTimestamp => to_timestamp(&operand),
        Function::FullYear
        | Function::Month
        | Function::Date
        | Function::DayOfMonth
        | Function::DayOfWeek
        | Function::DayOfYear
        | Function::Hours
        | Function::Minutes
        | Function::Seconds
        | Function::Milliseconds => time_part(function, &operand),
    };
    result.map_err(|kind| Fault::new(at, kind))
}

type Outcome<'a> = Result<Value<'a>, EvalErrorKind>;

fn size<'a>(operand: &Value<'_>) -> Outcome<'a> {
    let size = match operand {
        Value::Str(text) => text.chars().count(),
        Value::Bytes(octets) => octets.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(wrong(other)),
    };
    i64::try_from(size).map(Value::Int).map_err(|_| EvalErrorKind::Overflow)
}

/// Text that has nothing to change stays borrowed.
fn recase<'a>(operand: Value<'a>, changes: fn(char) -> bool, convert: fn(&str) -> String) -> Outcome<'a> {
    match operand {
        Value::Str(text) if text.contains(changes) => Ok(Value::Str(Cow::Owned(convert(&text)))),
        Value::Str(text) => Ok(Value::Str(text)),
        other => Err(wrong(&other)),
    }
}

fn to_int<'a>(operand: &Value<'_>) -> Outcome<'a> {
    match operand {
        Value::Int(value) => Ok(Value::Int(*value)),
        // Towards zero; NaN is in no range.
        Value::Double(value) if (-ABOVE_INT..ABOVE_INT).contains(value) => Ok(Value::Int(*value as i64)),
        Value::Double(_) => Err(EvalErrorKind::Overflow),
        Value::Str(text) => text
            .parse()
            .map(Value::Int)
            .map_err(|_| invalid("not a valid int", text)),
        Value::Timestamp(nanos) => Ok(Value::Int(nanos.div_euclid(time::SECOND))),
        other => Err(wrong(other)),
    }
}

fn to_double<'a>(operand: &Value<'_>) -> Outcome<'a> {
    match operand {
        Value::Double(value) => Ok(Value::Double(*value)),
        // Beyond 2^53 to the nearest double, as in CEL.
        Value::Int(value) => Ok(Value::Double(*value as f64)),
        Value::Str(text) => text
            .parse()
            .map(Value::Double)
            .map_err(|_| invalid("not a valid double", text)),
        other => Err(wrong(other)),
    }
}

fn to_text(operand: Value<'_>) -> Outcome<'_> {
    let text = match operand {
        Value::Str(text) => return Ok(Value::Str(text)),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => format_double(value),
        Value::Bytes(octets) => match std::str::from_utf8(&octets) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                return Err(EvalErrorKind::InvalidConversion {
                    what: "these bytes are not UTF-8 text",
                    start: None,
                });
            }
        },
        Value::Timestamp(nanos) => time::format_timestamp(nanos),
        Value::Duration(nanos) => time::format_duration(nanos),
        other => return Err(wrong(&other)),
    };
    Ok(Value::Str(Cow::Owned(text)))
}

/// The shortest text that reads back as the same double; with an exponent when it would be long.
fn format_double(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() || (1e-5..1e21).contains(&magnitude) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

fn to_duration<'a>(operand: &Value<'_>) -> Outcome<'a> {
    match operand {
        Value::Duration(nanos) => Ok(Value::Duration(*nanos)),
        Value::Str(text) => time::parse_duration(text)
            .map(Value::Duration)
            .ok_or_else(|| invalid("not a valid duration", text)),
        other => Err(wrong(other)),
    }
}

fn to_timestamp<'a>(operand: &Value<'_>) -> Outcome<'a> {
    match operand {
        Value::Timestamp(nanos) => Ok(Value::Timestamp(*nanos)),
        Value::Int(seconds) => seconds
            .checked_mul(time::SECOND)
            .map(Value::Timestamp)
            .ok_or(EvalErrorKind::Overflow),
        Value::Str(text) => time::parse_timestamp(text)
            .map(Value::Timestamp)
            .ok_or_else(|| invalid("not a valid timestamp", text)),
        other => Err(wrong(other)),
    }
}

/// As in CEL, months, days of the month (except `getDate`) and days of the year count from 0, weekdays from Sunday = 0.
/// Of a duration, it is the whole span in that unit.
fn time_part<'a>(function: Function, operand: &Value<'_>) -> Outcome<'a> {
    let part = match operand {
        Value::Timestamp(nanos) => {
            let civil = Civil::of(*nanos);
            match function {
                Function::FullYear => civil.year,
                Function::Month => civil.month - 1,
                Function::Date => civil.day,
                Function::DayOfMonth => civil.day - 1,
                Function::DayOfWeek => civil.weekday,
                Function::DayOfYear => civil.day_of_year - 1,
                Function::Hours => civil.of_day / time::HOUR,
                Function::Minutes => civil.of_day / time::MINUTE % 60,
                Function::Seconds => civil.of_day / time::SECOND % 60,
                _ => civil.of_day / 1_000_000 % 1_000,
            }
        }
        Value::Duration(nanos) => match function {
            Function::Hours => nanos / time::HOUR,
            Function::Minutes => nanos / time::MINUTE,
            Function::Seconds => nanos / time::SECOND,
            _ => return Err(wrong(operand)),
        },
        other => return Err(wrong(other)),
    };
    Ok(Value::Int(part))
}

fn wrong(operand: &Value<'_>) -> EvalErrorKind {
    EvalErrorKind::TypeMismatch(format!("this function does not work on {}", operand.kind()))
}

fn invalid(what: &'static str, text: &str) -> EvalErrorKind {
    // Facts can be long and private; the start is enough to find the mistake.
    let start: String = text.chars().take(32).collect();
    EvalErrorKind::InvalidConversion {
        what,
        start: Some(start),
    }
}
