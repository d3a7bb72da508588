//! JSON Schemas (2020-12) of inputs and outputs.
//!
//! A schema is compiled once, with patterns in linear time; nothing is fetched for it. What a value violates is told by
//! its place and the keyword, never by the value itself: failures are recorded, and payloads may be private.

use std::fmt;

use fairlead_plan::tool::Json;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// Longest text of a schema.
pub(crate) const MOST_SCHEMA_BYTES: usize = 256 << 10;
/// Memory of one compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;
/// Longest pointer in a message; names of members can be of any length.
const MOST_POINTER_CHARACTERS: usize = 512;

/// A compiled schema.
pub struct Schema {
    validator: Validator,
}

/// What a value violates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// JSON pointer into the value; empty: the whole.
    pub pointer: String,
    /// Which part of the schema it violates.
    pub message: String,
}

impl Schema {
    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with it: too long, not JSON, not a schema, or one that refers to what it does not have.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.len() > MOST_SCHEMA_BYTES {
            return Err(format!("must be at most {MOST_SCHEMA_BYTES} bytes"));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(PATTERN_BYTES)
                    .dfa_size_limit(PATTERN_BYTES),
            );
        match options.build(&schema) {
            Ok(validator) => Ok(Self { validator }),
            Err(error) => Err(match error.instance_path().as_str() {
                "" => format!("is not a JSON Schema (2020-12): {error}"),
                pointer => format!("is not a JSON Schema (2020-12): at {}: {error}", bounded(pointer)),
            }),
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self, value: &Json) -> Result<(), SchemaError> {
        let value = plain(value);
        match self.validator.validate(&value) {
            Ok(()) => Ok(()),
            Err(error) => Err(SchemaError {
                pointer: bounded(error.instance_path().as_str()),
                message: format!("violates the schema at {}", bounded(error.schema_path().as_str())),
            }),
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => write!(f, "the value {}", self.message),
            pointer => write!(f, "the value at {pointer} {}", self.message),
        }
    }
}

impl std::error::Error for SchemaError {}

fn bounded(pointer: &str) -> String {
    let start: String = pointer.chars().take(MOST_POINTER_CHARACTERS).collect();
    if start.len() == pointer.len() {
        start
    } else {
        start + "…"
    }
}

/// The value as the validator takes it. Recursion is bounded by the depth of payloads.
fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Json::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, member)| (name.clone(), plain(member)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(schema: &str, value: &str) -> Result<(), SchemaError> {
        Schema::compile(schema)
            .unwrap()
            .check(&Json::parse(value.as_bytes()).unwrap())
    }

    #[test]
    fn a_violation_names_its_place_and_never_the_content() {
        let schema = r#"{"type": "object", "required": ["income"], "additionalProperties": false,
            "properties": {"income": {"type": "number", "minimum": 0}, "tags": {"items": {"enum": ["a", "b"]}}}}"#;
        assert_eq!(check(schema, r#"{"income": 1.5e3, "tags": ["a"]}"#), Ok(()));
        let error = check(schema, r#"{"income": 1, "tags": ["a", "hunter2"]}"#).unwrap_err();
        assert_eq!(error.pointer, "/tags/1");
        assert_eq!(
            error.to_string(),
            "the value at /tags/1 violates the schema at /properties/tags/items/enum"
        );
        let missing = check(schema, "{}").unwrap_err();
        assert_eq!(missing.to_string(), "the value violates the schema at /required");
    }

    #[test]
    fn integers_keep_their_exact_value() {
        let schema = r#"{"maximum": 9007199254740992}"#;
        assert_eq!(check(schema, "9007199254740992"), Ok(()));
        assert!(check(schema, "9007199254740993").is_err());
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let wrong = |text: &str| Schema::compile(text).unwrap_err();
        assert!(wrong("{").starts_with("is not JSON"));
        let error = wrong(r#"{"properties": {"a": {"type": "txt"}}}"#);
        assert!(
            error.starts_with("is not a JSON Schema (2020-12): at /properties/a/type: \"txt\" is not"),
            "{error}"
        );
        assert!(wrong(r#"{"pattern": "("}"#).starts_with("is not a JSON Schema"));
        assert!(wrong(r#"{"$ref": "https://example.com/schema.json"}"#).starts_with("is not a JSON Schema"));
        assert!(wrong(&" ".repeat(MOST_SCHEMA_BYTES + 1)).contains("at most"));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        for schema in [
            r##"{"$ref": "#"}"##,
            r##"{"allOf": [{"$ref": "#"}]}"##,
            r##"{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}"##,
        ] {
            // Compiling or checking may refuse it; neither may run for ever or out of the stack.
            if let Ok(schema) = Schema::compile(schema) {
                let _ = schema.check(&Json::parse(b"[1]").unwrap());
            }
        }
        let tree = r##"{"type": "array", "items": {"$ref": "#"}}"##;
        assert_eq!(check(tree, "[[], [[]]]"), Ok(()));
        assert_eq!(check(tree, "[[], [[1]]]").unwrap_err().pointer, "/1/0/0");
    }

    #[test]
    fn patterns_take_linear_time() {
        let schema = r#"{"pattern": "^(a+)+$"}"#;
        let text = format!("\"{}b\"", "a".repeat(10_000));
        assert!(check(schema, &text).is_err());
    }
}
