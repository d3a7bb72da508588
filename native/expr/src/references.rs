//! What an expression reads: the paths into its variables, as far as its text tells.

use crate::code::{Comprehension, Condition, Constant, Node, NodeKind};
use crate::program::Program;

/// One step of a [`Reference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStep<'p> {
    /// `.name` or `["name"]`.
    Field(&'p str),
    /// `[0]`.
    Index(i64),
}

/// A variable and the way into it, such as `steps.parse.output`. What follows a position that is only known at run time,
/// as in `list[index].name`, is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'p> {
    /// Name of the variable.
    pub variable: &'p str,
    /// The way from there; empty: the whole variable.
    pub path: Vec<PathStep<'p>>,
    /// Whether only `has()` asks for it. What is above the last step is read all the same.
    pub is_test: bool,
    /// Bytes from the start of the source.
    pub offset: usize,
}

impl Program {
    /// Every reference, in the order of the source, repetitions included.
    #[must_use]
    pub fn references(&self) -> Vec<Reference<'_>> {
        let mut found = Vec::new();
        walk(self.root(), &mut found);
        found
    }

    /// The reference that is the whole expression; `None` when it calculates anything.
    #[must_use]
    pub fn as_reference(&self) -> Option<Reference<'_>> {
        reference(self.root())
    }
}

fn reference(node: &Node) -> Option<Reference<'_>> {
    let (of, step) = match &node.kind {
        NodeKind::Variable(name) => {
            return Some(Reference {
                variable: name,
                path: Vec::new(),
                is_test: false,
                offset: node.at as usize,
            });
        }
        NodeKind::Select { of, field } => (of, PathStep::Field(field)),
        NodeKind::Index { of, index } => match &index.kind {
            NodeKind::Constant(Constant::Text(key)) => (of, PathStep::Field(key)),
            NodeKind::Constant(Constant::Int(position)) => (of, PathStep::Index(*position)),
            _ => return None,
        },
        _ => return None,
    };
    let mut found = reference(of)?;
    found.path.push(step);
    Some(found)
}

/// Recursion is bounded by the depth of the tree, which the parser bounds.
fn walk<'p>(node: &'p Node, found: &mut Vec<Reference<'p>>) {
    if let Some(reference) = reference(node) {
        found.push(reference);
        return;
    }
    match &node.kind {
        NodeKind::Constant(_) | NodeKind::Variable(_) | NodeKind::Item => {}
        NodeKind::Select { of, .. } | NodeKind::Negate(of) | NodeKind::Call { operand: of, .. } => walk(of, found),
        NodeKind::Index { of, index } => both(of, index, found),
        NodeKind::Conditional {
            condition,
            then,
            otherwise,
        } => {
            walk(condition, found);
            both(then, otherwise, found);
        }
        NodeKind::Arithmetic { left, right, .. } => both(left, right, found),
        NodeKind::List(nodes) => nodes.iter().for_each(|node| walk(node, found)),
        NodeKind::Map(entries) => entries.iter().for_each(|(key, value)| both(key, value, found)),
        NodeKind::Comprehension(comprehension) => {
            let Comprehension {
                range, condition, body, ..
            } = &**comprehension;
            walk(range, found);
            if let Some(condition) = condition {
                walk(condition, found);
            }
            walk(body, found);
        }
        NodeKind::Condition(condition) => walk_condition(condition, found),
    }
}

fn walk_condition<'p>(condition: &'p Condition, found: &mut Vec<Reference<'p>>) {
    match condition {
        Condition::Not(of) => walk(of, found),
        Condition::And(operands) | Condition::Or(operands) => operands.iter().for_each(|node| walk(node, found)),
        Condition::Comparison { left, right, .. } => both(left, right, found),
        Condition::Has { of, field } => match reference(of) {
            Some(mut tested) => {
                tested.path.push(PathStep::Field(field));
                tested.is_test = true;
                found.push(tested);
            }
            None => walk(of, found),
        },
        Condition::Search { text, part, .. } => both(text, part, found),
        Condition::Matches { text, .. } => walk(text, found),
    }
}

fn both<'p>(left: &'p Node, right: &'p Node, found: &mut Vec<Reference<'p>>) {
    walk(left, found);
    walk(right, found);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::types::{ObjectType, Schema, Type};

    fn compile(source: &str) -> Program {
        let step = Type::object(ObjectType::new("a step").with("output", Type::Dyn));
        let steps = ObjectType::new("steps").with("a", step.clone()).with("b-c", step);
        let schema = Schema::new()
            .with("steps", Type::object(steps))
            .with("input", Type::Dyn);
        Program::compile(source, &schema, Type::Dyn).unwrap()
    }

    fn shown(reference: &Reference<'_>) -> String {
        let mut text = reference.variable.to_owned();
        for step in &reference.path {
            match step {
                PathStep::Field(name) => text.push_str(&format!(".{name}")),
                PathStep::Index(position) => text.push_str(&format!("[{position}]")),
            }
        }
        if reference.is_test {
            format!("has({text})")
        } else {
            text
        }
    }

    #[test]
    fn every_path_is_found_wherever_it_stands() {
        for (source, expected) in [
            (r#"steps["b-c"].output.list[0].x"#, vec!["steps.b-c.output.list[0].x"]),
            (
                "has(steps.a.output) ? steps.a.output : input.x",
                vec!["has(steps.a.output)", "steps.a.output", "input.x"],
            ),
            ("input.list[input.at].name", vec!["input.list", "input.at"]),
            (
                "input.l.map(x, x.a > int(steps.a.output), [x, {input.k: -input.n}])",
                vec!["input.l", "steps.a.output", "input.k", "input.n"],
            ),
            (
                "[steps.a].exists(s, !(s.output == input.y || input.z.matches('q') && 'q' in [string(input.w)]))",
                vec!["steps.a", "input.y", "input.z", "input.w"],
            ),
            (
                "has((input.c ? input.d : input.e).f) && input.g.startsWith(input.h)",
                vec!["input.c", "input.d", "input.e", "input.g", "input.h"],
            ),
            ("1 + 2", vec![]),
        ] {
            let program = compile(source);
            let found: Vec<_> = program.references().iter().map(shown).collect();
            assert_eq!(found, expected, "{source}");
        }
    }

    #[test]
    fn only_an_expression_that_calculates_nothing_is_a_reference() {
        let whole = |source: &str| compile(source).as_reference().as_ref().map(shown);
        assert_eq!(whole("(input.a)[1]"), Some("input.a[1]".to_owned()));
        assert_eq!(whole("input.a + 1"), None);
        assert_eq!(whole("input[input.a]"), None);
    }
}
