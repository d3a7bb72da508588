//! `when`.

use fairlead_expr::{Type, embedded_length};

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
        let source = source.trim();
        let source = match source.strip_prefix("${") {
            Some(inner) => whole(inner)?,
            None => source,
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

/// The expression of what follows `${`, when nothing follows its `}`.
fn whole(inner: &str) -> Result<&str, String> {
    let length = embedded_length(inner).map_err(|error| error.to_string())?;
    if inner.len() > length + 1 {
        return Err("has something beside ${…}: write one expression".to_owned());
    }
    Ok(inner.get(..length).unwrap_or_default())
}
