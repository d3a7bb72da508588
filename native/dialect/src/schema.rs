//! JSON Schemas that providers enforce. Each provider enforces a part of the language only.

use std::borrow::Cow;

use serde_json::Value;

use crate::neutral::Raw;

/// Would OpenAI take this schema as `strict`? It wants every object closed and every property required; Anthropic knows
/// optional properties.
pub(crate) fn strict_at_openai(schema: &Raw) -> bool {
    serde_json::from_str(schema.text()).is_ok_and(|schema| {
        all_objects(&schema, &|members| {
            let required = members.get("required").and_then(Value::as_array);
            let properties = members.get("properties").and_then(Value::as_object);
            members.get("additionalProperties") == Some(&Value::Bool(false))
                && properties.is_none_or(|properties| {
                    properties
                        .keys()
                        .all(|key| required.is_some_and(|required| required.iter().any(|name| name == key)))
                })
        })
    })
}

/// Would closing its objects leave out more than members that nobody named? An object that names no members would have
/// to be empty, and parts of a combination would exclude each other's members.
pub(crate) fn closing_empties(schema: &Raw) -> bool {
    serde_json::from_str(schema.text()).is_ok_and(|schema| empties(&schema))
}

fn empties(schema: &Value) -> bool {
    let closed = |members: &Members| members.contains_key("additionalProperties");
    match schema {
        Value::Array(schemas) => schemas.iter().any(empties),
        Value::Object(members) => {
            let combined = |key: &&str| members.get(*key).is_some_and(|parts| !all_objects(parts, &closed));
            let elsewhere = ["allOf", "anyOf", "oneOf", "$ref"];
            let named = members.contains_key("properties") && !elsewhere.iter().any(|key| members.contains_key(*key));
            let several = members
                .get("allOf")
                .and_then(Value::as_array)
                .is_some_and(|parts| parts.len() > 1);
            (is_object(members) && !closed(members) && !named)
                || (several && combined(&"allOf"))
                || members.iter().any(|(key, value)| match (key.as_str(), value) {
                    (key, _) if is_literal(key) => false,
                    (key, Value::Object(named)) if names_schemas(key) => named.values().any(empties),
                    _ => empties(value),
                })
        }
        _ => false,
    }
}

/// The schema with every object closed, which Anthropic wants said. What matches it matches the schema as it was.
pub(crate) fn closed(schema: &Raw) -> Cow<'_, Raw> {
    let Ok(mut value) = serde_json::from_str::<Value>(schema.text()) else {
        return Cow::Borrowed(schema);
    };
    if all_objects(&value, &|members| members.contains_key("additionalProperties")) {
        return Cow::Borrowed(schema);
    }
    close(&mut value);
    match serde_json::value::to_raw_value(&value) {
        Ok(raw) => Cow::Owned(Raw::of(&raw)),
        Err(_unwritable) => Cow::Borrowed(schema),
    }
}

type Members = serde_json::Map<String, Value>;

/// True when the schema of every object is as it should be. Looks wherever schemas can be; literals (`enum`, `const`,
/// `default`, `examples`) are none.
fn all_objects(schema: &Value, good: &impl Fn(&Members) -> bool) -> bool {
    match schema {
        Value::Array(schemas) => schemas.iter().all(|schema| all_objects(schema, good)),
        Value::Object(members) => {
            (!is_object(members) || good(members))
                && members.iter().all(|(key, value)| match (key.as_str(), value) {
                    (key, _) if is_literal(key) => true,
                    (key, Value::Object(named)) if names_schemas(key) => {
                        named.values().all(|schema| all_objects(schema, good))
                    }
                    _ => all_objects(value, good),
                })
        }
        _ => true,
    }
}

fn close(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                match value {
                    _ if is_literal(key) => {}
                    Value::Object(named) if names_schemas(key) => named.values_mut().for_each(close),
                    other => close(other),
                }
            }
            if is_object(members) && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        _ => {}
    }
}

fn is_object(members: &Members) -> bool {
    let says_object = match members.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    };
    says_object || members.contains_key("properties")
}

fn is_literal(key: &str) -> bool {
    matches!(key, "enum" | "const" | "default" | "examples" | "required")
}

/// Members whose own members are schemas by name.
fn names_schemas(key: &str) -> bool {
    matches!(key, "properties" | "$defs" | "definitions" | "patternProperties")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn raw(text: &str) -> Raw {
        Raw::of(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn optional_properties_are_not_strict_at_openai() {
        for (schema, strict) in [
            (
                r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#,
                true,
            ),
            (
                r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#,
                false,
            ),
            (r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#, false),
            (r#"{"type":"object","additionalProperties":false}"#, true),
            (r#"{"type":"array","items":{"type":"object"}}"#, false),
            (r#"{"type":"string","default":{"type":"object"}}"#, true),
            // A property that is called like a keyword.
            (
                r#"{"type":"object","properties":{"properties":{"type":"string"}},"required":["properties"],"additionalProperties":false}"#,
                true,
            ),
        ] {
            assert_eq!(strict_at_openai(&raw(schema)), strict, "{schema}");
        }
    }

    #[test]
    fn free_objects_and_combinations_cannot_be_closed() {
        for (schema, empties) in [
            (r#"{"type":"object"}"#, true),
            (r#"{"type":"object","properties":{"a":{"type":"object"}}}"#, true),
            (r#"{"type":"object","properties":{"a":{"type":"string"}}}"#, false),
            (r#"{"type":"object","properties":{}}"#, false),
            (r#"{"type":"object","additionalProperties":true}"#, false),
            (
                r#"{"type":"object","properties":{},"allOf":[{"required":["a"]}]}"#,
                true,
            ),
            (r#"{"allOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}"#, true),
            (r#"{"anyOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}"#, false),
            (r#"{"enum":[{"type":"object"}]}"#, false),
        ] {
            assert_eq!(closing_empties(&raw(schema)), empties, "{schema}");
        }
    }

    #[test]
    fn objects_are_closed_and_nothing_else_changes() {
        let open = raw(
            r#"{"type":"object","properties":{"a":{"type":["object","null"],"properties":{}},"b":{"enum":[{"type":"object"}]}},"$defs":{"c":{"type":"object","additionalProperties":true}}}"#,
        );
        assert_eq!(
            closed(&open).text(),
            r#"{"type":"object","properties":{"a":{"type":["object","null"],"properties":{},"additionalProperties":false},"b":{"enum":[{"type":"object"}]}},"$defs":{"c":{"type":"object","additionalProperties":true}},"additionalProperties":false}"#
        );
        let fits = raw(r#"{ "type":"object", "additionalProperties":false, "x":1.50 }"#);
        assert_eq!(closed(&fits).text(), fits.text());
    }
}
