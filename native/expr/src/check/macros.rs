//! The macros: `has`, and the comprehensions `all`, `exists`, `exists_one`, `filter` and `map`.

use super::{Checker, Typed, field_type};
use crate::ast::{Expr, ExprKind};
use crate::code::{Comprehension, ComprehensionKind, Condition, NodeKind};
use crate::error::Refusal;
use crate::types::Type;

/// The comprehension that a method name stands for.
pub(super) fn comprehension_named(name: &str) -> Option<ComprehensionKind> {
    match name {
        "all" => Some(ComprehensionKind::All),
        "exists" => Some(ComprehensionKind::Exists),
        "exists_one" => Some(ComprehensionKind::ExistsOne),
        "filter" => Some(ComprehensionKind::Filter),
        "map" => Some(ComprehensionKind::Map),
        _ => None,
    }
}

impl Checker<'_> {
    /// `has(of.field)`.
    pub(super) fn has(&mut self, arguments: Vec<Expr>, at: usize) -> Result<Typed, Refusal> {
        let mut arguments = arguments.into_iter();
        let (
            Some(Expr {
                kind: ExprKind::Select { of, field },
                at: field_at,
                ..
            }),
            None,
        ) = (arguments.next(), arguments.next())
        else {
            let message = "has() takes one field, as in has(labels.tier); for other keys write \"key\" in labels";
            return Err(Refusal::new(at, message));
        };
        let of = self.check(*of)?;
        field_type(&of.ty, &field, field_at)?;
        Ok(Typed::condition(
            Condition::Has {
                of: of.boxed(),
                field: field.into(),
            },
            at,
        ))
    }

    pub(super) fn comprehension(
        &mut self,
        kind: ComprehensionKind,
        name: &str,
        range: Expr,
        arguments: Vec<Expr>,
        at: usize,
    ) -> Result<Typed, Refusal> {
        if self.item.is_some() {
            let message = format!(
                "{name}() is inside of another comprehension; they do not nest, so that every rule stays cheap"
            );
            return Err(Refusal::new(at, message));
        }
        let count = arguments.len();
        let mut arguments = arguments.into_iter();
        let variable = match arguments.next() {
            Some(Expr {
                kind: ExprKind::Name(variable),
                ..
            }) => variable,
            _ => return Err(usage(name, at)),
        };
        let (condition, body) = match (count, arguments.next(), arguments.next()) {
            (2, Some(body), None) => (None, body),
            (3, Some(condition), Some(body)) if kind == ComprehensionKind::Map => (Some(condition), body),
            _ => return Err(usage(name, at)),
        };
        let range = self.check(range)?;
        let element = match &range.ty {
            Type::List(element) => (**element).clone(),
            Type::Map(_) => Type::String,
            Type::Dyn => Type::Dyn,
            other => {
                return Err(Refusal::new(
                    at,
                    format!("{name}() goes over a list or a map, not {other}"),
                ));
            }
        };
        self.item = Some((variable, element.clone()));
        let checked = self.condition_and_body(kind, name, condition, body);
        self.item = None;
        let (condition, body) = checked?;
        let ty = match kind {
            ComprehensionKind::All | ComprehensionKind::Exists | ComprehensionKind::ExistsOne => Type::Bool,
            ComprehensionKind::Filter => Type::list(element),
            ComprehensionKind::Map => Type::list(body.ty.clone()),
        };
        let comprehension = Comprehension {
            kind,
            range: range.node,
            condition: condition.map(|typed| typed.node),
            body: body.node,
        };
        Ok(Typed::new(NodeKind::Comprehension(Box::new(comprehension)), at, ty))
    }

    /// Checks what is evaluated for each element. All but the body of `map` are conditions.
    fn condition_and_body(
        &mut self,
        kind: ComprehensionKind,
        name: &str,
        condition: Option<Expr>,
        body: Expr,
    ) -> Result<(Option<Typed>, Typed), Refusal> {
        let what = format!("the condition of {name}()");
        let mut check_condition = |expr: Expr| {
            let at = expr.at;
            let node = self.check(expr)?.require_bool(at, &what)?;
            Ok(Typed { node, ty: Type::Bool })
        };
        let condition = condition.map(&mut check_condition).transpose()?;
        let body = if kind == ComprehensionKind::Map {
            self.check(body)?
        } else {
            check_condition(body)?
        };
        Ok((condition, body))
    }
}

fn usage(name: &str, at: usize) -> Refusal {
    let what = if name == "map" { "a result" } else { "a condition" };
    Refusal::new(
        at,
        format!("{name}() takes a variable name and {what}, as in list.{name}(x, …)"),
    )
}
