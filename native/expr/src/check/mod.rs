//! The static type check. It turns the syntax tree into the compiled tree, or says what does not fit and where.

mod calls;
mod macros;
mod operators;

use std::collections::BTreeMap;

use crate::ast::{Expr, ExprKind};
use crate::code::{Condition, Constant, Node, NodeKind, Shape};
use crate::error::Refusal;
use crate::types::{Schema, Type};

/// Most names that a message lists.
const MOST_NAMES: usize = 32;

/// Checks a whole expression whose result is used as `expected`. Gives its code and its own type.
pub(crate) fn check(expr: Expr, schema: &Schema, expected: &Type) -> Result<(Node, Type), Refusal> {
    let at = expr.at;
    let typed = Checker { schema, item: None }.check(expr)?;
    if !typed.ty.fits(expected) {
        let message = format!("the expression gives {}, but {expected} is expected here", typed.ty);
        return Err(Refusal::new(at, message));
    }
    Ok((typed.node, typed.ty))
}

/// A compiled node with the type of its value.
struct Typed {
    node: Node,
    ty: Type,
}

impl Typed {
    fn new(kind: NodeKind, at: usize, ty: Type) -> Self {
        // A source is at most 4 KiB, so its offsets fit.
        Self {
            node: Node {
                kind,
                at: u32::try_from(at).unwrap_or(u32::MAX),
                shape: Shape::of(&ty),
            },
            ty,
        }
    }

    fn constant(constant: Constant, at: usize, ty: Type) -> Self {
        Self::new(NodeKind::Constant(constant), at, ty)
    }

    fn condition(condition: Condition, at: usize) -> Self {
        Self::new(NodeKind::Condition(condition), at, Type::Bool)
    }

    fn boxed(self) -> Box<Node> {
        Box::new(self.node)
    }

    /// Refuses a value that cannot be a bool; `what` names it in the message.
    fn require_bool(self, at: usize, what: &str) -> Result<Node, Refusal> {
        if self.ty.fits(&Type::Bool) {
            return Ok(self.node);
        }
        Err(Refusal::new(at, format!("{what} must be bool, not {}", self.ty)))
    }
}

struct Checker<'s> {
    schema: &'s Schema,
    /// Name and type of the comprehension's variable, inside of one.
    item: Option<(String, Type)>,
}

impl Checker<'_> {
    fn check(&mut self, expr: Expr) -> Result<Typed, Refusal> {
        let at = expr.at;
        match expr.kind {
            ExprKind::Null => Ok(Typed::constant(Constant::Null, at, Type::Null)),
            ExprKind::Bool(value) => Ok(Typed::constant(Constant::Bool(value), at, Type::Bool)),
            ExprKind::Int(value) => Ok(Typed::constant(Constant::Int(value), at, Type::Int)),
            ExprKind::Double(value) => Ok(Typed::constant(Constant::Double(value), at, Type::Double)),
            ExprKind::Text(text) => Ok(Typed::constant(Constant::Text(text.into()), at, Type::String)),
            ExprKind::Name(name) => self.name(name, at),
            ExprKind::Select { of, field } => {
                let of = self.check(*of)?;
                let ty = field_type(&of.ty, &field, at)?;
                Ok(Typed::new(
                    NodeKind::Select {
                        of: of.boxed(),
                        field: field.into(),
                    },
                    at,
                    ty,
                ))
            }
            ExprKind::Index { of, index } => self.index(*of, *index, at),
            ExprKind::Call {
                name,
                receiver,
                arguments,
            } => self.call(name, receiver.map(|of| *of), arguments, at),
            ExprKind::Not(of) => {
                let of = self.check(*of)?.require_bool(at, "the operand of `!`")?;
                Ok(Typed::condition(Condition::Not(Box::new(of)), at))
            }
            ExprKind::Negate(of) => self.negate(*of, at),
            ExprKind::Binary { operator, left, right } => self.binary(operator, *left, *right, at),
            ExprKind::And(operands) => {
                let operands = self.operands(operands, "&&")?;
                Ok(Typed::condition(Condition::And(operands), at))
            }
            ExprKind::Or(operands) => {
                let operands = self.operands(operands, "||")?;
                Ok(Typed::condition(Condition::Or(operands), at))
            }
            ExprKind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let condition_at = condition.at;
                let condition = self
                    .check(*condition)?
                    .require_bool(condition_at, "the condition of `? :`")?;
                let (then, otherwise) = (self.check(*then)?, self.check(*otherwise)?);
                if !then.ty.fits(&otherwise.ty) {
                    let message = format!(
                        "the two results of `? :` are {} and {}; they must have the same type",
                        then.ty, otherwise.ty
                    );
                    return Err(Refusal::new(at, message));
                }
                let ty = then.ty.clone().join(otherwise.ty.clone());
                let (then, otherwise) = (then.boxed(), otherwise.boxed());
                Ok(Typed::new(
                    NodeKind::Conditional {
                        condition: Box::new(condition),
                        then,
                        otherwise,
                    },
                    at,
                    ty,
                ))
            }
            ExprKind::List(items) => self.list(items, at),
            ExprKind::Map(entries) => self.map(entries, at),
        }
    }

    fn name(&self, name: String, at: usize) -> Result<Typed, Refusal> {
        if let Some((item, ty)) = &self.item
            && *item == name
        {
            return Ok(Typed::new(NodeKind::Item, at, ty.clone()));
        }
        match self.schema.variable(&name) {
            Some(ty) => Ok(Typed::new(NodeKind::Variable(name.into()), at, ty.clone())),
            None => {
                let known = list_names(self.schema.variable_names());
                Err(Refusal::new(
                    at,
                    format!("unknown variable `{name}`; known here: {known}"),
                ))
            }
        }
    }

    fn operands(&mut self, operands: Vec<Expr>, symbol: &str) -> Result<Box<[Node]>, Refusal> {
        let what = format!("an operand of `{symbol}`");
        let check = |expr: Expr| {
            let at = expr.at;
            self.check(expr)?.require_bool(at, &what)
        };
        operands.into_iter().map(check).collect()
    }

    fn index(&mut self, of: Expr, index: Expr, at: usize) -> Result<Typed, Refusal> {
        let (of, index) = (self.check(of)?, self.check(index)?);
        // A field whose name is no word of the language, such as a step's id with a `-`.
        if let (Type::Object(_), NodeKind::Constant(Constant::Text(field))) = (&of.ty, &index.node.kind) {
            let ty = field_type(&of.ty, field, at)?;
            let kind = NodeKind::Select {
                field: field.clone(),
                of: of.boxed(),
            };
            return Ok(Typed::new(kind, at, ty));
        }
        let ty = match (&of.ty, &index.ty) {
            (Type::List(element), Type::Int | Type::Dyn) => (**element).clone(),
            (Type::Map(value), Type::String | Type::Dyn) => (**value).clone(),
            (Type::Dyn, Type::Int | Type::String | Type::Dyn) => Type::Dyn,
            (Type::List(_), other) => return Err(Refusal::new(at, format!("a list is indexed by int, not {other}"))),
            (Type::Map(_), other) => return Err(Refusal::new(at, format!("a map is indexed by string, not {other}"))),
            (Type::Object(object), _) => {
                let name = object.name();
                return Err(Refusal::new(
                    at,
                    format!("{name} is indexed by the name of a field only; write {name}.field"),
                ));
            }
            (Type::Dyn, other) => return Err(Refusal::new(at, format!("an index is int or string, not {other}"))),
            (other, _) => {
                return Err(Refusal::new(
                    at,
                    format!("{other} cannot be indexed; only lists and maps can"),
                ));
            }
        };
        Ok(Typed::new(
            NodeKind::Index {
                of: of.boxed(),
                index: index.boxed(),
            },
            at,
            ty,
        ))
    }

    fn list(&mut self, items: Vec<Expr>, at: usize) -> Result<Typed, Refusal> {
        let mut element: Option<Type> = None;
        let mut nodes = Vec::with_capacity(items.len());
        for item in items {
            let item = self.check(item)?;
            element = Some(match element {
                Some(element) => element.join(item.ty),
                None => item.ty,
            });
            nodes.push(item.node);
        }
        let ty = Type::list(element.unwrap_or(Type::Dyn));
        // A list of constants is made once, here, and borrowed by every evaluation.
        if !nodes.iter().all(|node| matches!(node.kind, NodeKind::Constant(_))) {
            return Ok(Typed::new(NodeKind::List(nodes.into()), at, ty));
        }
        let constants = nodes.into_iter().filter_map(constant_of).collect();
        Ok(Typed::constant(Constant::List(constants), at, ty))
    }

    fn map(&mut self, entries: Vec<(Expr, Expr)>, at: usize) -> Result<Typed, Refusal> {
        let mut value_type: Option<Type> = None;
        let mut nodes = Vec::with_capacity(entries.len());
        let mut literal_keys = std::collections::BTreeSet::new();
        for (key, value) in entries {
            let key_at = key.at;
            let (key, value) = (self.check(key)?, self.check(value)?);
            if !key.ty.fits(&Type::String) {
                return Err(Refusal::new(
                    key_at,
                    format!("the keys of a map are strings, not {}", key.ty),
                ));
            }
            if let NodeKind::Constant(Constant::Text(text)) = &key.node.kind
                && !literal_keys.insert(text.clone())
            {
                return Err(Refusal::new(key_at, format!("the key `{text}` is given twice")));
            }
            value_type = Some(match value_type {
                Some(ty) => ty.join(value.ty),
                None => value.ty,
            });
            nodes.push((key.node, value.node));
        }
        let ty = Type::map(value_type.unwrap_or(Type::Dyn));
        let is_constant = |node: &Node| matches!(node.kind, NodeKind::Constant(_));
        if !nodes.iter().all(|(key, value)| is_constant(key) && is_constant(value)) {
            return Ok(Typed::new(NodeKind::Map(nodes.into()), at, ty));
        }
        let constants: BTreeMap<_, _> = nodes
            .into_iter()
            .filter_map(|(key, value)| match (constant_of(key)?, constant_of(value)?) {
                (Constant::Text(key), value) => Some((key, value)),
                _ => None,
            })
            .collect();
        Ok(Typed::constant(Constant::Map(constants), at, ty))
    }
}

fn constant_of(node: Node) -> Option<Constant> {
    match node.kind {
        NodeKind::Constant(constant) => Some(constant),
        _ => None,
    }
}

/// The type of `of.field`.
fn field_type(of: &Type, field: &str, at: usize) -> Result<Type, Refusal> {
    match of {
        Type::Map(value) => Ok((**value).clone()),
        Type::Dyn => Ok(Type::Dyn),
        Type::Object(object) => object.field(field).cloned().ok_or_else(|| {
            let known = list_names(object.field_names());
            Refusal::new(
                at,
                format!("unknown field `{field}` of {}; its fields: {known}", object.name()),
            )
        }),
        other => Err(Refusal::new(at, format!("{other} has no fields, so not `{field}`"))),
    }
}

fn list_names<'n>(mut names: impl Iterator<Item = &'n str>) -> String {
    let named: Vec<_> = names.by_ref().take(MOST_NAMES).collect();
    match (named.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => named.join(", "),
        (false, more) => format!("{} and {more} more", named.join(", ")),
    }
}
