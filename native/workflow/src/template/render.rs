//! Templates with a run's data.

use std::collections::BTreeMap;

use fairlead_plan::tool::{Json, push_pointer_step};

use super::bounds::{Allowance, MOST_KEY_BYTES};
use super::convert::{self, below, brackets, quoted_length};
use super::error::RenderError;
use super::expression::Expression;
use super::parse::Piece;
use super::scope::Scope;
use super::variables::RunVariables;
use super::{Node, Template};
use crate::definition::Definition;
use crate::payload::MOST_PAYLOAD_DEPTH;

impl Template {
    /// The value.
    ///
    /// # Errors
    /// An expression failed, or the result is beyond the bounds.
    pub fn render(&self, definition: &Definition, scope: &dyn Scope) -> Result<Json, RenderError> {
        Rendering::new(definition, scope).node(&self.root, MOST_PAYLOAD_DEPTH)
    }

    /// The value as a text: a string as it is, everything else as compact JSON.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_text(&self, definition: &Definition, scope: &dyn Scope) -> Result<String, RenderError> {
        let mut rendering = Rendering::new(definition, scope);
        match &*self.root {
            Node::Expression(expression) => {
                let mut out = String::new();
                rendering.push(expression, &mut out)?;
                Ok(out)
            }
            Node::Text(pieces) => rendering.pieces(pieces),
            other => match rendering.node(other, MOST_PAYLOAD_DEPTH)? {
                Json::String(text) => Ok(text),
                json => Ok(json.to_text()),
            },
        }
    }

    /// The value as an idempotency key. What is missing must not make the key of another action, so nothing of it may be
    /// null, a list or an object.
    ///
    /// # Errors
    /// As [`Template::render`]; also when the key is empty or longer than 512 bytes.
    pub fn render_key(&self, definition: &Definition, scope: &dyn Scope) -> Result<String, RenderError> {
        let mut rendering = Rendering::new(definition, scope);
        let expressions = match &*self.root {
            Node::Expression(expression) => vec![expression],
            Node::Text(pieces) => pieces.iter().filter_map(Piece::expression).collect(),
            _ => Vec::new(),
        };
        for expression in expressions {
            let part = rendering.evaluate(expression, MOST_PAYLOAD_DEPTH)?;
            let kind = match part {
                Json::Null => "null",
                Json::Array(_) => "a list",
                Json::Object(_) => "an object",
                _ => continue,
            };
            return Err(rendering.fail(
                Some(expression),
                format!("is {kind}, which is no part of an idempotency key"),
            ));
        }
        let key = self.render_text(definition, scope)?;
        if key.is_empty() || key.len() > MOST_KEY_BYTES {
            let message = format!(
                "the idempotency key has {} bytes: it must have 1 to {MOST_KEY_BYTES}",
                key.len()
            );
            return Err(rendering.fail(None, message));
        }
        Ok(key)
    }
}

struct Rendering<'a> {
    variables: RunVariables<'a>,
    allowance: Allowance,
    pointer: String,
}

impl<'a> Rendering<'a> {
    fn new(definition: &'a Definition, scope: &'a dyn Scope) -> Self {
        Self {
            variables: RunVariables::new(definition, scope),
            allowance: Allowance::new(),
            pointer: String::new(),
        }
    }

    /// Recursion is bounded by `depth`.
    fn node(&mut self, node: &Node, depth: usize) -> Result<Json, RenderError> {
        match node {
            Node::Constant(json) => {
                convert::copy(json, &mut self.allowance, depth).map_err(|message| self.fail(None, message))
            }
            Node::Expression(expression) => self.evaluate(expression, depth),
            Node::Text(pieces) => {
                let text = self.pieces(pieces)?;
                // The text itself is charged; in JSON it has quotes and escapes, too.
                self.charge(quoted_length(&text) - text.len())?;
                Ok(Json::String(text))
            }
            Node::Array(nodes) => {
                let depth = below(depth).map_err(|message| self.fail(None, message))?;
                self.charge(brackets(nodes.len()))?;
                let nodes = nodes.iter().enumerate();
                let items =
                    nodes.map(|(at, node)| self.under(&at.to_string(), |rendering| rendering.node(node, depth)));
                items.collect::<Result<_, _>>().map(Json::Array)
            }
            Node::Object(nodes) => {
                let depth = below(depth).map_err(|message| self.fail(None, message))?;
                self.charge(brackets(nodes.len()))?;
                let mut members = BTreeMap::new();
                for (name, node) in nodes {
                    self.charge(quoted_length(name) + 1)?;
                    let member = self.under(name, |rendering| rendering.node(node, depth))?;
                    members.insert(name.to_string(), member);
                }
                Ok(Json::Object(members))
            }
        }
    }

    fn pieces(&mut self, pieces: &[Piece]) -> Result<String, RenderError> {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => convert::push_text(text, &mut self.allowance, &mut out)
                    .map_err(|message| self.fail(None, message))?,
                Piece::Expression(expression) => self.push(expression, &mut out)?,
            }
        }
        Ok(out)
    }

    fn push(&mut self, expression: &Expression, out: &mut String) -> Result<(), RenderError> {
        expression
            .text(&self.variables, &mut self.allowance, out)
            .map_err(|message| self.fail(Some(expression), message))
    }

    fn evaluate(&mut self, expression: &Expression, depth: usize) -> Result<Json, RenderError> {
        expression
            .json(&self.variables, &mut self.allowance, depth)
            .map_err(|message| self.fail(Some(expression), message))
    }

    fn charge(&mut self, bytes: usize) -> Result<(), RenderError> {
        self.allowance.bytes(bytes).map_err(|message| self.fail(None, message))
    }

    fn under<T>(&mut self, name: &str, render: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        push_pointer_step(&mut self.pointer, name);
        let outcome = render(self);
        self.pointer.truncate(length);
        outcome
    }

    fn fail(&self, expression: Option<&Expression>, message: impl Into<String>) -> RenderError {
        RenderError {
            pointer: self.pointer.clone(),
            expression: expression.map(Expression::source).unwrap_or_default().to_owned(),
            message: message.into(),
        }
    }
}
