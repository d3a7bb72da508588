//! Equality and order of values.
//!
//! Numbers compare by their mathematical value across `int` and `double`, without rounding. Values of different kinds are
//! not equal, and have no order. Text is ordered by code points, which for UTF-8 is the order of its bytes.

use std::cmp::Ordering;

use crate::error::Fault;
use crate::limits;
use crate::meter::{Meter, text_steps};
use crate::value::Value;

/// Whether two values are equal.
pub(crate) fn equal(a: &Value<'_>, b: &Value<'_>, meter: &mut Meter, at: u32) -> Result<bool, Fault> {
    equal_within(a, b, meter, at, limits::MAX_DATA_DEPTH)
}

fn equal_within(a: &Value<'_>, b: &Value<'_>, meter: &mut Meter, at: u32, depth: usize) -> Result<bool, Fault> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Fault::mismatch(
            at,
            format!("cannot compare data nested deeper than {}", limits::MAX_DATA_DEPTH),
        ));
    };
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Double(a), Value::Double(b)) => a == b,
        (Value::Int(a), Value::Double(b)) | (Value::Double(b), Value::Int(a)) => {
            compare_int_double(*a, *b) == Some(Ordering::Equal)
        }
        (Value::Str(a), Value::Str(b)) => {
            meter.charge(text_steps(a.len().min(b.len()) as u64), at)?;
            a == b
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.charge(text_steps(a.len().min(b.len()) as u64), at)?;
            a == b
        }
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                meter.charge(1, at)?;
                if !equal_within(&a, &b, meter, at, depth)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for key in a.keys() {
                meter.charge(1, at)?;
                let (Some(a), Some(b)) = (a.get(&key), b.get(&key)) else {
                    return Ok(false);
                };
                if !equal_within(&a, &b, meter, at, depth)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

/// The order of two values: `None` when a NaN is compared.
pub(crate) fn order(a: &Value<'_>, b: &Value<'_>, meter: &mut Meter, at: u32) -> Result<Option<Ordering>, Fault> {
    Ok(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Double(b)) => compare_int_double(*a, *b),
        (Value::Double(a), Value::Int(b)) => compare_int_double(*b, *a).map(Ordering::reverse),
        (Value::Str(a), Value::Str(b)) => {
            meter.charge(text_steps(a.len().min(b.len()) as u64), at)?;
            Some(a.cmp(b))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.charge(text_steps(a.len().min(b.len()) as u64), at)?;
            Some(a.cmp(b))
        }
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => {
            return Err(Fault::mismatch(
                at,
                format!("cannot order {} and {}", a.kind(), b.kind()),
            ));
        }
    })
}

/// Exact comparison: converting the integer to a double would round it above 2^53.
fn compare_int_double(int: i64, double: f64) -> Option<Ordering> {
    /// 2^63: the first double above every `i64`; its negative is the lowest `i64`.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        return None;
    }
    if double >= ABOVE {
        return Some(Ordering::Less);
    }
    if double < -ABOVE {
        return Some(Ordering::Greater);
    }
    // In range, so the cast is exact; the fraction decides between equal whole parts.
    let whole = int.cmp(&(double.trunc() as i64));
    Some(whole.then(0.0_f64.partial_cmp(&double.fract())?))
}
