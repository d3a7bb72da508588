//! The JSON Schema that an answer has to meet.

use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// Largest compiled pattern of a schema, bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// A compiled schema. Its patterns take linear time, and no reference leaves the schema: there is nothing that would
/// fetch one.
pub(crate) struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Schema")
    }
}

impl Schema {
    /// Compiles a schema of draft 2020-12.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(PATTERN_BYTES)
                    .dfa_size_limit(PATTERN_BYTES),
            )
            .build(&schema)
            .map(Self)
            .map_err(|error| format!("is not a JSON Schema: {error}"))
    }

    /// Is the text JSON that meets the schema?
    pub(crate) fn accepts(&self, text: &str) -> bool {
        serde_json::from_str::<Value>(text).is_ok_and(|value| self.0.is_valid(&value))
    }
}
