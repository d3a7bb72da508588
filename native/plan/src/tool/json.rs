//! JSON as a tool call has it: bounded, without duplicate names, and with numbers as they were written, because an
//! argument of 2^53 + 1 must neither be decided on nor executed as 2^53.

use std::collections::BTreeMap;

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
    /// It is not JSON, is nested deeper than [`MOST_ARGUMENT_DEPTH`], names a member twice, or has a number beyond the
    /// range of a double.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        Self::parse_bounded(text, MOST_ARGUMENT_DEPTH, usize::MAX)
    }

    /// As [`Json::parse`], for a text with bounds of its own: the deepest nesting, and the most values, lists and objects
    /// included, because a value takes more memory than its text.
    ///
    /// # Errors
    /// As [`Json::parse`], and when there are more values.
    pub fn parse_bounded(text: &[u8], most_depth: usize, most_values: usize) -> Result<Self, JsonError> {
        let fail = |message: &str| JsonError {
            pointer: String::new(),
            message: message.to_owned(),
        };
        let text = std::str::from_utf8(text).map_err(|_| fail("is not UTF-8"))?;
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| fail(&format!("is not JSON: line {} column {}", error.line(), error.column())))?;
        let mut reader = Reader {
            text: raw.get(),
            at: 0,
            pointer: String::new(),
            most_depth,
            values_left: most_values,
        };
        reader.read(most_depth)
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

/// Adds one step to a JSON pointer, escaped.
pub fn push_pointer_step(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// Walks once through a text that is known to be JSON.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    pointer: String,
    most_depth: usize,
    values_left: usize,
}

impl<'t> Reader<'t> {
    /// Recursion is bounded by `depth`.
    fn read(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.values_left = match self.values_left.checked_sub(1) {
            Some(left) => left,
            None => return Err(self.fail("has too many values before this one")),
        };
        match self.next() {
            Some(b'{' | b'[') if depth == 0 => {
                let most = self.most_depth;
                Err(self.fail(format!("is nested deeper than {most}")))
            }
            Some(b'{') => self.object(depth - 1),
            Some(b'[') => self.array(depth - 1),
            Some(b'"') => self.string().map(Json::String),
            Some(b't') => Ok(self.word("true", Json::Bool(true))),
            Some(b'f') => Ok(self.word("false", Json::Bool(false))),
            Some(b'n') => Ok(self.word("null", Json::Null)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        let mut members = BTreeMap::new();
        self.at += 1;
        while self.next().is_some_and(|byte| byte != b'}') {
            let name = self.string()?;
            let member = self.under(&name, |reader| reader.read(depth))?;
            if members.contains_key(&name) {
                return self.under(&name, |reader| Err(reader.fail("is there twice")));
            }
            members.insert(name, member);
        }
        self.at += 1;
        Ok(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        self.at += 1;
        while self.next().is_some_and(|byte| byte != b']') {
            let at = items.len().to_string();
            items.push(self.under(&at, |reader| reader.read(depth))?);
        }
        self.at += 1;
        Ok(Json::Array(items))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let rest = self.rest();
        let mut is_escaped = false;
        let is_end = |byte: u8| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        };
        // Past both quotes; a text that is known to be JSON has the second one.
        let length = rest.bytes().skip(1).position(is_end).map_or(rest.len(), |at| at + 2);
        let text = serde_json::from_str(rest.get(..length).unwrap_or_default());
        self.at += length;
        text.map_err(|_| self.fail("is not Unicode"))
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let rest = self.rest();
        let length = rest
            .find(|character: char| !character.is_ascii_digit() && !"+-.eE".contains(character))
            .unwrap_or(rest.len());
        let text = rest.get(..length).unwrap_or_default();
        if !text.parse().is_ok_and(f64::is_finite) {
            return Err(self.fail("is beyond the range of numbers"));
        }
        self.at += length;
        Ok(Json::Number(text.into()))
    }

    fn word(&mut self, word: &str, value: Json) -> Json {
        self.at += word.len();
        value
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The first byte of the next value or bracket, past spaces and what separates.
    fn next(&mut self) -> Option<u8> {
        let is_between = |byte: &u8| b" \t\n\r,:".contains(byte);
        self.at += self.rest().bytes().take_while(is_between).count();
        self.rest().bytes().next()
    }

    fn under<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        push_pointer_step(&mut self.pointer, name);
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
    fn a_text_is_read_as_serde_json_reads_it() {
        for text in [
            r#"{"a\"\\":"}]\\","b" : [ "\u00e9\ud83d\ude00" , "" , -0.5e-3 ] , "c":{ },"d":[ ]}"#,
            " [ [ ] , { } , true , false , null , 0 ] ",
            "\"x\"",
            "7",
        ] {
            let read = Json::parse(text.as_bytes()).unwrap().to_text();
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&read).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_text_with_its_own_bounds() {
        let parse = |text: &str, values| Json::parse_bounded(text.as_bytes(), 2, values);
        assert!(parse("[[1, 2]]", 4).is_ok());
        assert_eq!(parse("[[1, 2]]", 3).unwrap_err().pointer, "/0/1");
        assert_eq!(parse("[[[]]]", 9).unwrap_err().message, "is nested deeper than 2");
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
