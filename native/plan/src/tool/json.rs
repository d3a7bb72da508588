//! JSON as a tool call has it: bounded, without duplicate names, and with numbers as they were written, because an
//! argument of 2^53 + 1 must neither be decided on nor executed as 2^53.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting of arguments.
pub const MOST_ARGUMENT_DEPTH: usize = 32;
/// Largest arguments, in bytes.
pub const MOST_ARGUMENT_BYTES: usize = 256 << 10;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that a double can hold, as it was written.
    Number(Box<str>),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Named members.
    Object(BTreeMap<String, Json>),
}

/// What is wrong with a text that should be JSON. Never has content, but for the names of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// JSON pointer to the place; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl Json {
    /// Reads a text.
    ///
    /// # Errors
    /// It is not JSON, is nested too deep, names a member twice, or has a number beyond the range of a double.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let fail = |message: &str| JsonError {
            pointer: String::new(),
            message: message.to_owned(),
        };
        let text = std::str::from_utf8(text).map_err(|_| fail("is not UTF-8"))?;
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| fail(&format!("is not JSON: line {} column {}", error.line(), error.column())))?;
        Reader { pointer: String::new() }.read(raw.get(), MOST_ARGUMENT_DEPTH)
    }

    /// Whether a text is JSON, of any depth.
    #[must_use]
    pub fn is_valid(text: &[u8]) -> bool {
        serde_json::from_slice::<&RawValue>(text).is_ok()
    }

    /// Writes the value without spaces; numbers as they were written, members by name.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => quote(text, out),
            Self::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    out.push(if at == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Self::Object(members) => {
                for (at, (name, member)) in members.iter().enumerate() {
                    out.push(if at == 0 { '{' } else { ',' });
                    quote(name, out);
                    out.push(':');
                    member.write(out);
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }

    /// The number as an integer, when it is written as one and 64 bits hold it.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The number as a double.
    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// Text in quotes, with what has to be escaped: as RFC 8785 has it, too.
pub(super) fn quote(text: &str, out: &mut String) {
    // A string can always be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// One step of a JSON pointer.
pub(super) fn push_step(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// Walks down; each level is scanned once per level above it, which the depth bounds.
struct Reader {
    pointer: String,
}

impl Reader {
    fn read(&mut self, text: &str, depth: usize) -> Result<Json, JsonError> {
        match text.as_bytes().first() {
            Some(b'{' | b'[') if depth == 0 => Err(self.fail(format!("is nested deeper than {MOST_ARGUMENT_DEPTH}"))),
            Some(b'{') => {
                let entries = serde_json::Deserializer::from_str(text)
                    .deserialize_map(EntriesVisitor)
                    .map_err(|_| self.fail("is not JSON"))?;
                let mut members = BTreeMap::new();
                for (name, raw) in entries {
                    let member = self.under(&name, |reader| reader.read(raw.get(), depth - 1))?;
                    if members.contains_key(&name) {
                        return self.under(&name, |reader| Err(reader.fail("is there twice")));
                    }
                    members.insert(name, member);
                }
                Ok(Json::Object(members))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| self.fail("is not JSON"))?;
                let items = items.into_iter().enumerate();
                let read =
                    items.map(|(at, raw)| self.under(&at.to_string(), |reader| reader.read(raw.get(), depth - 1)));
                read.collect::<Result<_, _>>().map(Json::Array)
            }
            Some(b'"') => {
                let text = serde_json::from_str(text).map_err(|_| self.fail("is not Unicode"))?;
                Ok(Json::String(text))
            }
            Some(b't') => Ok(Json::Bool(true)),
            Some(b'f') => Ok(Json::Bool(false)),
            Some(b'n') => Ok(Json::Null),
            _ if text.parse().is_ok_and(f64::is_finite) => Ok(Json::Number(text.into())),
            _ => Err(self.fail("is beyond the range of numbers")),
        }
    }

    fn under<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        push_step(&mut self.pointer, name);
        let outcome = read(self);
        self.pointer.truncate(length);
        outcome
    }

    fn fail(&self, message: impl Into<String>) -> JsonError {
        JsonError {
            pointer: self.pointer.clone(),
            message: message.into(),
        }
    }
}

/// Members in order, duplicates included.
struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn numbers_stay_as_written_and_members_are_sorted() {
        let json =
            Json::parse(br#" {"b": [1.0, 9007199254740993, -0, 1E2], "a/~": {"x": null, "t": [true, {}, []]}} "#);
        let text = json.unwrap().to_text();
        assert_eq!(
            text,
            r#"{"a/~":{"t":[true,{},[]],"x":null},"b":[1.0,9007199254740993,-0,1E2]}"#
        );
    }

    #[test]
    fn what_cannot_be_decided_on_is_refused_with_its_place() {
        let wrong = |text: &[u8]| Json::parse(text).unwrap_err();
        assert_eq!(wrong(br#"{"a": [0, {"b/c": 1, "b/c": 2}]}"#).pointer, "/a/1/b~1c");
        assert_eq!(wrong(br#"{"a": 1e400}"#).pointer, "/a");
        assert_eq!(wrong(br#"["\ud800"]"#).pointer, "/0");
        assert!(wrong(b"{\"a\": 1} x").message.starts_with("is not JSON"));
        assert!(wrong(b"\xff").message.contains("UTF-8"));
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(deep(MOST_ARGUMENT_DEPTH).as_bytes()).is_ok());
        assert!(
            wrong(deep(MOST_ARGUMENT_DEPTH + 1).as_bytes())
                .message
                .contains("deeper")
        );
        assert!(wrong(deep(100_000).as_bytes()).message.contains("deeper"));
    }
}
