//! The text of a template to its compiled form, or everything that is wrong with it.

use std::collections::BTreeMap;

use fairlead_expr::{Type, embedded_length};
use fairlead_plan::tool::Json;

use super::bounds::MOST_TEMPLATE_BYTES;
use super::expression::Expression;
use super::vocabulary::Place;
use super::{Node, Template};
use crate::definition::Report;

/// Longest part of an expression in a message.
const MOST_SHOWN_CHARACTERS: usize = 60;

/// A part of a string.
#[derive(Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    Expression(Expression),
}

impl Piece {
    pub(super) fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Expression(expression) => Some(expression),
            Self::Text(_) => None,
        }
    }
}

impl Template {
    /// Compiles a text, JSON. What is wrong goes to the report with its path below `path`; the template that comes back
    /// then is of no use.
    pub(crate) fn compile(path: &str, text: &str, place: &Place<'_>, report: &mut Report) -> Self {
        if text.len() > MOST_TEMPLATE_BYTES {
            report.add(path, format!("must be at most {} KiB", MOST_TEMPLATE_BYTES >> 10));
            return Self::constant(Json::Null);
        }
        let json = match Json::parse(text.as_bytes()) {
            Ok(json) => json,
            Err(error) => {
                let steps = error.pointer.split('/').skip(1);
                let steps = steps.map(|step| step.replace("~1", "/").replace("~0", "~"));
                let path = steps.fold(path.to_owned(), |path, step| match step.parse::<usize>() {
                    Ok(at) => format!("{path}[{at}]"),
                    Err(_) => below(&path, &step),
                });
                report.add(path, error.message);
                return Self::constant(Json::Null);
            }
        };
        let mut parser = Parser {
            place,
            report,
            reads: Vec::new(),
            reads_item: false,
        };
        let root = parser.node(path, json);
        let (mut reads, reads_item) = (parser.reads, parser.reads_item);
        reads.sort_unstable();
        reads.dedup();
        Self {
            root: Box::new(root),
            reads,
            reads_item,
        }
    }
}

struct Parser<'a> {
    place: &'a Place<'a>,
    report: &'a mut Report,
    reads: Vec<usize>,
    reads_item: bool,
}

impl Parser<'_> {
    /// Recursion is bounded by the depth that `Json::parse` takes.
    fn node(&mut self, path: &str, json: Json) -> Node {
        match json {
            Json::String(text) => self.string(path, text),
            Json::Array(items) => {
                let nodes = items.into_iter().enumerate();
                let nodes: Vec<_> = nodes
                    .map(|(at, item)| self.node(&format!("{path}[{at}]"), item))
                    .collect();
                if !nodes.iter().all(is_constant) {
                    return Node::Array(nodes.into());
                }
                Node::Constant(Json::Array(nodes.into_iter().filter_map(constant).collect()))
            }
            Json::Object(members) => {
                let mut nodes = BTreeMap::new();
                for (name, member) in members {
                    let path = below(path, &name);
                    if name.contains("${") {
                        self.report
                            .add(&path, "has ${ in its name: only values may have expressions");
                    }
                    nodes.insert(name.into_boxed_str(), self.node(&path, member));
                }
                if !nodes.values().all(is_constant) {
                    return Node::Object(nodes);
                }
                let members = nodes.into_iter();
                let members = members.filter_map(|(name, node)| Some((name.into_string(), constant(node)?)));
                Node::Constant(Json::Object(members.collect()))
            }
            scalar => Node::Constant(scalar),
        }
    }

    fn string(&mut self, path: &str, text: String) -> Node {
        if !text.contains("${") {
            return Node::Constant(Json::String(text));
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.as_str();
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("$${") {
                literal.push_str("${");
                rest = after;
            } else if let Some(inside) = from.strip_prefix("${") {
                let length = match embedded_length(inside) {
                    Ok(length) => length,
                    Err(error) => {
                        self.report.add(path, format!("in {}: {error}", shown(from)));
                        return Node::Constant(Json::Null);
                    }
                };
                let source = inside.get(..length).unwrap_or_default();
                rest = inside.get(length + 1..).unwrap_or_default();
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
                }
                let is_whole = source.len() + "${}".len() == text.len();
                match Expression::compile(source, Type::Dyn, self.place) {
                    Ok(expression) => {
                        self.reads.extend(&expression.reads);
                        self.reads_item |= expression.reads_item;
                        pieces.push(Piece::Expression(expression));
                    }
                    Err(message) if is_whole => self.report.add(path, message),
                    Err(message) => {
                        let expression = shown(from.get(..length + "${}".len()).unwrap_or_default());
                        self.report.add(path, format!("in {expression}: {message}"));
                    }
                }
            } else {
                literal.push('$');
                rest = from.get(1..).unwrap_or_default();
            }
        }
        literal.push_str(rest);
        if pieces.is_empty() {
            return Node::Constant(Json::String(literal));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.into()));
        }
        match (pieces.len(), pieces.pop()) {
            (1, Some(Piece::Expression(expression))) => Node::Expression(expression),
            (_, last) => {
                pieces.extend(last);
                Node::Text(pieces.into())
            }
        }
    }
}

fn is_constant(node: &Node) -> bool {
    matches!(node, Node::Constant(_))
}

fn constant(node: Node) -> Option<Json> {
    match node {
        Node::Constant(json) => Some(json),
        _ => None,
    }
}

/// The start of an expression, for messages.
fn shown(expression: &str) -> String {
    let start: String = expression.chars().take(MOST_SHOWN_CHARACTERS).collect();
    if start.len() < expression.len() {
        start + "…"
    } else {
        start
    }
}

/// The path of a member, in YAML spelling.
fn below(path: &str, name: &str) -> String {
    if name.is_empty() || name.contains(['.', '[', ']', '"']) || name.contains(char::is_control) {
        format!("{path}[{name:?}]")
    } else {
        format!("{path}.{name}")
    }
}
