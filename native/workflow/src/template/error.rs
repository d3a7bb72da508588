//! Why a template or condition could not be evaluated.

use std::fmt;

/// Longest part of an expression in a message.
const MOST_SHOWN_CHARACTERS: usize = 200;

/// A rendering that failed. Has nothing of the run's data but names of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderError {
    /// JSON pointer to the place in the template; empty: the whole.
    pub pointer: String,
    /// The expression without `${}`; empty when it is not about one.
    pub expression: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.expression.is_empty() {
            let shown: String = self.expression.chars().take(MOST_SHOWN_CHARACTERS).collect();
            let more = if shown.len() < self.expression.len() { "…" } else { "" };
            write!(f, "${{{shown}{more}}} ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "at {} ", self.pointer)?;
        }
        if self.expression.is_empty() && self.pointer.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "cannot be rendered: {}", self.message)
    }
}

impl std::error::Error for RenderError {}
