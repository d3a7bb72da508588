//! Types of operators.

use super::{Checker, Typed};
use crate::ast::{Expr, Operator};
use crate::code::{Condition, Constant, NodeKind};
use crate::error::Refusal;
use crate::types::Type;

/// Arithmetic that exists besides joining lists: operator, left, right, result. As in CEL, `int` and `double` do not mix.
static ARITHMETIC: [(Operator, Type, Type, Type); 16] = [
    (Operator::Add, Type::Int, Type::Int, Type::Int),
    (Operator::Add, Type::Double, Type::Double, Type::Double),
    (Operator::Add, Type::String, Type::String, Type::String),
    (Operator::Add, Type::Timestamp, Type::Duration, Type::Timestamp),
    (Operator::Add, Type::Duration, Type::Timestamp, Type::Timestamp),
    (Operator::Add, Type::Duration, Type::Duration, Type::Duration),
    (Operator::Subtract, Type::Int, Type::Int, Type::Int),
    (Operator::Subtract, Type::Double, Type::Double, Type::Double),
    (Operator::Subtract, Type::Timestamp, Type::Timestamp, Type::Duration),
    (Operator::Subtract, Type::Timestamp, Type::Duration, Type::Timestamp),
    (Operator::Subtract, Type::Duration, Type::Duration, Type::Duration),
    (Operator::Multiply, Type::Int, Type::Int, Type::Int),
    (Operator::Multiply, Type::Double, Type::Double, Type::Double),
    (Operator::Divide, Type::Int, Type::Int, Type::Int),
    (Operator::Divide, Type::Double, Type::Double, Type::Double),
    (Operator::Remainder, Type::Int, Type::Int, Type::Int),
];

impl Checker<'_> {
    pub(super) fn negate(&mut self, of: Expr, at: usize) -> Result<Typed, Refusal> {
        let of = self.check(of)?;
        let ty = match of.ty {
            Type::Int | Type::Double | Type::Dyn => of.ty.clone(),
            other => return Err(Refusal::new(at, format!("`-` negates int and double, not {other}"))),
        };
        if let NodeKind::Constant(Constant::Double(value)) = of.node.kind {
            return Ok(Typed::constant(Constant::Double(-value), at, ty));
        }
        Ok(Typed::new(NodeKind::Negate(of.boxed()), at, ty))
    }

    pub(super) fn binary(&mut self, operator: Operator, left: Expr, right: Expr, at: usize) -> Result<Typed, Refusal> {
        let (left, right) = (self.check(left)?, self.check(right)?);
        let ty = result_type(operator, &left.ty, &right.ty).map_err(|message| Refusal::new(at, message))?;
        let (left, right) = (left.boxed(), right.boxed());
        if operator.is_condition() {
            return Ok(Typed::condition(Condition::Comparison { operator, left, right }, at));
        }
        Ok(Typed::new(NodeKind::Arithmetic { operator, left, right }, at, ty))
    }
}

fn result_type(operator: Operator, left: &Type, right: &Type) -> Result<Type, String> {
    match operator {
        Operator::Equal | Operator::NotEqual => equality(operator, left, right),
        Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
            if is_ordered(left) && is_ordered(right) && left.comparable(right) {
                return Ok(Type::Bool);
            }
            Err(format!("`{}` cannot order {left} and {right}", operator.symbol()))
        }
        Operator::In => membership(left, right),
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            arithmetic(operator, left, right)
        }
    }
}

fn equality(operator: Operator, left: &Type, right: &Type) -> Result<Type, String> {
    if left.comparable(right) {
        return Ok(Type::Bool);
    }
    let symbol = operator.symbol();
    if matches!(left, Type::Object(_)) || matches!(right, Type::Object(_)) {
        return Err(format!("`{symbol}` does not compare objects; compare their fields"));
    }
    if *left == Type::Null || *right == Type::Null {
        return Err(format!(
            "`{symbol}` compares {left} with {right}, but that is never null; test for a key with has()"
        ));
    }
    Err(format!(
        "`{symbol}` compares {left} with {right}, which are never equal; convert one side"
    ))
}

fn is_ordered(ty: &Type) -> bool {
    !matches!(ty, Type::List(_) | Type::Map(_) | Type::Object(_) | Type::Null)
}

fn membership(left: &Type, right: &Type) -> Result<Type, String> {
    match right {
        Type::Dyn => Ok(Type::Bool),
        Type::List(element) if left.comparable(element) => Ok(Type::Bool),
        Type::List(element) => Err(format!(
            "`in` looks for {left} in a list of {element}, where it never is"
        )),
        Type::Map(_) if left.fits(&Type::String) => Ok(Type::Bool),
        Type::Map(_) => Err(format!(
            "`in` looks for {left} among the keys of a map, which are strings"
        )),
        other => Err(format!("`in` looks in a list or a map, not in {other}")),
    }
}

fn arithmetic(operator: Operator, left: &Type, right: &Type) -> Result<Type, String> {
    if operator == Operator::Add {
        match (left, right) {
            (Type::List(a), Type::List(b)) => return Ok(Type::list((**a).clone().join((**b).clone()))),
            (Type::List(_), Type::Dyn) | (Type::Dyn, Type::List(_)) => return Ok(Type::list(Type::Dyn)),
            _ => {}
        }
    }
    let mut results = ARITHMETIC
        .iter()
        .filter(|(op, a, b, _)| *op == operator && left.fits(a) && right.fits(b))
        .map(|(_, _, _, result)| result);
    match results.next() {
        Some(first) if results.all(|other| other == first) && !(*left == Type::Dyn && *right == Type::Dyn) => {
            Ok(first.clone())
        }
        Some(_) => Ok(Type::Dyn),
        None => {
            let hint = match (left, right) {
                (Type::Int, Type::Double) | (Type::Double, Type::Int) => "; convert one side with int() or double()",
                (Type::String, _) | (_, Type::String) if operator == Operator::Add => "; convert with string()",
                _ => "",
            };
            Err(format!(
                "`{}` does not apply to {left} and {right}{hint}",
                operator.symbol()
            ))
        }
    }
}
