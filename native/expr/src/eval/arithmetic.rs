//! `+ - * / %` and unary minus. Integers, timestamps and durations are checked; doubles follow IEEE 754.

use std::borrow::Cow;

use super::collections::made_list;
use crate::ast::Operator;
use crate::error::{EvalErrorKind, Fault};
use crate::meter::Meter;
use crate::value::Value;

pub(super) fn negate<'a>(of: &Value<'_>, at: u32) -> Result<Value<'a>, Fault> {
    match of {
        Value::Int(value) => checked(value.checked_neg(), at).map(Value::Int),
        Value::Double(value) => Ok(Value::Double(-value)),
        other => Err(Fault::mismatch(
            at,
            format!("`-` negates int and double, not {}", other.kind()),
        )),
    }
}

fn add<'a>(left: Value<'a>, right: Value<'a>, meter: &mut Meter, at: u32) -> Result<Value<'a>, Fault> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => checked(a.checked_add(b), at).map(Value::Int),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::Str(a), Value::Str(b)) => {
            meter.charge_text(a.len().saturating_add(b.len()), at)?;
            let mut text = a.into_owned();
            text.push_str(&b);
            Ok(Value::Str(Cow::Owned(text)))
        }
        (Value::List(a), Value::List(b)) => {
            meter.charge((a.len() as u64).saturating_add(b.len() as u64), at)?;
            made_list(a.iter().chain(b.iter()).collect(), meter, at)
        }
        (Value::Timestamp(a), Value::Duration(b)) | (Value::Duration(b), Value::Timestamp(a)) => {
            checked(a.checked_add(b), at).map(Value::Timestamp)
        }
        (Value::Duration(a), Value::Duration(b)) => checked(a.checked_add(b), at).map(Value::Duration),
        (a, b) => Err(does_not_apply(Operator::Add, &a, &b, at)),
    }
}

pub(super) fn calculate<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
    meter: &mut Meter,
    at: u32,
) -> Result<Value<'a>, Fault> {
    if operator == Operator::Add {
        return add(left, right, meter, at);
    }
    match (operator, &left, &right) {
        (_, Value::Int(a), Value::Int(b)) => integers(operator, *a, *b, at).map(Value::Int),
        (Operator::Subtract, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Operator::Multiply, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        (Operator::Divide, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        (Operator::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => {
            checked(a.checked_sub(*b), at).map(Value::Duration)
        }
        (Operator::Subtract, Value::Timestamp(a), Value::Duration(b)) => {
            checked(a.checked_sub(*b), at).map(Value::Timestamp)
        }
        (Operator::Subtract, Value::Duration(a), Value::Duration(b)) => {
            checked(a.checked_sub(*b), at).map(Value::Duration)
        }
        (_, a, b) => Err(does_not_apply(operator, a, b, at)),
    }
}

fn integers(operator: Operator, a: i64, b: i64, at: u32) -> Result<i64, Fault> {
    let result = match operator {
        Operator::Divide | Operator::Remainder if b == 0 => return Err(Fault::new(at, EvalErrorKind::DivisionByZero)),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
        _ => return Err(does_not_apply(operator, &Value::Int(a), &Value::Int(b), at)),
    };
    checked(result, at)
}

fn checked(result: Option<i64>, at: u32) -> Result<i64, Fault> {
    result.ok_or_else(|| Fault::new(at, EvalErrorKind::Overflow))
}

fn does_not_apply(operator: Operator, left: &Value<'_>, right: &Value<'_>, at: u32) -> Fault {
    let hint = match (left, right) {
        (Value::Int(_), Value::Double(_)) | (Value::Double(_), Value::Int(_)) => {
            "; convert one side with int() or double()"
        }
        _ => "",
    };
    Fault::mismatch(
        at,
        format!(
            "`{}` does not apply to {} and {}{hint}",
            operator.symbol(),
            left.kind(),
            right.kind()
        ),
    )
}
