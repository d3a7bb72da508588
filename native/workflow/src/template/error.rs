//! Why a template or condition could not be evaluated.

use std::fmt;

/// Longest part of an expression, and of what is wrong with it, in a text.
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
        let message = start(&self.message);
        match (self.expression.as_str(), self.pointer.as_str()) {
            ("", "") => write!(f, "{message}"),
            ("", pointer) => write!(f, "at {pointer} cannot be rendered: {message}"),
            (expression, "") => write!(f, "${{{}}} cannot be rendered: {message}", start(expression)),
            (expression, pointer) => write!(
                f,
                "${{{}}} at {pointer} cannot be rendered: {message}",
                start(expression)
            ),
        }
    }
}

fn start(text: &str) -> String {
    let start: String = text.chars().take(MOST_SHOWN_CHARACTERS).collect();
    if start.len() < text.len() { start + "…" } else { start }
}

impl std::error::Error for RenderError {}
