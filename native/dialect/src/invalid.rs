//! A request that is refused before anything is decided about it.

use std::fmt;

use crate::json::ObjectError;

/// Why a request is refused before anything is decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    /// Path of the field, such as `messages` or `stream_options.include_usage`; empty for the body itself.
    pub field: String,
    /// What is wrong and what to do; contains no content.
    pub message: String,
}

impl InvalidRequest {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }

    /// `field` is no object, or not a sound one.
    pub(crate) fn object(field: &str, error: &ObjectError) -> Self {
        match error {
            ObjectError::NotJson { line, column } => {
                Self::new(field, format!("is not valid JSON (line {line}, column {column})"))
            }
            ObjectError::NotAnObject => Self::new(field, "must be a JSON object"),
            ObjectError::DuplicateKey(key) => {
                let key: String = key.chars().filter(|one| !one.is_control()).take(64).collect();
                let path = if field.is_empty() {
                    key
                } else {
                    format!("{field}.{key}")
                };
                Self::new(path, "is given twice")
            }
        }
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(formatter, "the body {}", self.message)
        } else {
            write!(formatter, "{} {}", self.field, self.message)
        }
    }
}

impl std::error::Error for InvalidRequest {}
