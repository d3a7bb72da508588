//! `when`.

use fairlead_expr::Type;

use super::error::RenderError;
use super::expression::Expression;
use super::scope::Scope;
use super::variables::RunVariables;
use super::vocabulary::Place;
use crate::definition::Definition;

/// A compiled condition.
#[derive(Debug)]
pub struct Condition {
    expression: Expression,
}

impl Condition {
    /// Compiles a source, plain or inside of `${…}`.
    pub(crate) fn compile(source: &str, place: &Place<'_>) -> Result<Self, String> {
        let trimmed = source.trim();
        let source = match trimmed.strip_prefix("${") {
            Some(inner) => match inner.strip_suffix('}') {
                Some(inner) => inner,
                None => return Err("begins with ${ and does not end with }: write one expression".to_owned()),
            },
            None => trimmed,
        };
        let expression = Expression::compile(source, Type::Bool, place)?;
        Ok(Self { expression })
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// The expression failed, or gave something else than a bool.
    pub fn holds(&self, definition: &Definition, scope: &dyn Scope) -> Result<bool, RenderError> {
        let held = self.expression.holds(&RunVariables::new(definition, scope));
        held.map_err(|message| RenderError {
            pointer: String::new(),
            expression: self.expression.source().to_owned(),
            message,
        })
    }

    /// The steps whose output it needs; see [`Template::reads`](super::Template::reads).
    #[must_use]
    pub fn reads(&self) -> &[usize] {
        &self.expression.reads
    }
}
