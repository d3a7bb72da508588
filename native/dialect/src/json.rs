//! JSON without loss: the members of an object as they stand in the text, and edits that leave the rest alone.
//!
//! Values stay raw, so number spellings, escapes, order and spacing of everything that is not edited reach the
//! provider as the client wrote them.

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a text is not the object it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectError {
    /// Not JSON; line and column from 1.
    NotJson { line: usize, column: usize },
    /// JSON, but not an object.
    NotAnObject,
    /// The same key twice.
    DuplicateKey(String),
}

/// The members of an object, borrowed from its text.
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl<'a> Members<'a> {
    /// Parses an object and refuses duplicate keys: which of the two counts is not the same everywhere, so a policy
    /// could see another value than the provider.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, ObjectError> {
        let members: Members<'a> = serde_json::from_slice(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => ObjectError::NotAnObject,
            _ => ObjectError::NotJson {
                line: error.line(),
                column: error.column(),
            },
        })?;
        let mut keys: Vec<&str> = members.0.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        let twice = keys.iter().zip(keys.iter().skip(1)).find(|(one, other)| one == other);
        match twice {
            Some((key, _)) => Err(ObjectError::DuplicateKey((*key).to_owned())),
            None => Ok(members),
        }
    }

    /// The value of a key; `null` counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.get_or_null(key).filter(|value| value.get() != "null")
    }

    /// The value of a key, also when it is `null`.
    pub(crate) fn get_or_null(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a value stands in the text it was parsed from.
pub(crate) fn range_in(text: &[u8], value: &RawValue) -> Range<usize> {
    let start = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start.saturating_add(value.get().len())
}

/// Nesting deeper than `limit`? Counts brackets outside strings, so it needs no valid JSON and no stack.
pub(crate) fn deeper_than(text: &[u8], limit: usize) -> bool {
    let mut depth: usize = 0;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Edits of a text, applied at once.
#[derive(Debug, Default)]
pub(crate) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Replaces a range; an empty range inserts.
    pub(crate) fn replace(&mut self, range: Range<usize>, with: String) {
        self.0.push((range, with));
    }

    /// The edited text; the same bytes when there is nothing to edit. Ranges do not overlap; insertions at the same
    /// place keep their order.
    pub(crate) fn apply(mut self, text: &Bytes) -> Bytes {
        if self.0.is_empty() {
            return text.clone();
        }
        self.0.sort_by_key(|(range, _)| range.start);
        let added: usize = self.0.iter().map(|(_, with)| with.len()).sum();
        let mut edited = BytesMut::with_capacity(text.len().saturating_add(added));
        let mut from = 0;
        for (range, with) in &self.0 {
            edited.extend_from_slice(text.get(from..range.start).unwrap_or_default());
            edited.extend_from_slice(with.as_bytes());
            from = range.end;
        }
        edited.extend_from_slice(text.get(from..).unwrap_or_default());
        edited.freeze()
    }
}

/// A string as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn members_keep_their_text_and_place() {
        let text = br#" { "a" : 1.50 , "b":{"c":[ ]} } "#;
        let members = Members::parse(text).unwrap();
        let b = members.get("b").unwrap();
        assert_eq!(b.get(), r#"{"c":[ ]}"#);
        assert_eq!(&text[range_in(text, b)], br#"{"c":[ ]}"#);
        assert_eq!(members.get("a").unwrap().get(), "1.50");
    }

    #[test]
    fn what_is_no_object_says_so() {
        assert_eq!(Members::parse(b"[1]").err(), Some(ObjectError::NotAnObject));
        assert_eq!(Members::parse(b"\"x\"").err(), Some(ObjectError::NotAnObject));
        assert!(matches!(
            Members::parse(b"{\"a\":").err(),
            Some(ObjectError::NotJson { .. })
        ));
        assert!(matches!(
            Members::parse(b"{} x").err(),
            Some(ObjectError::NotJson { .. })
        ));
        assert!(matches!(Members::parse(b"").err(), Some(ObjectError::NotJson { .. })));
        assert!(matches!(
            Members::parse(b"{\"a\":\"\xff\"}").err(),
            Some(ObjectError::NotJson { .. })
        ));
        // The same key, once spelled with an escape.
        assert_eq!(
            Members::parse(br#"{"a":1,"\u0061":2}"#).err(),
            Some(ObjectError::DuplicateKey("a".to_owned()))
        );
    }

    #[test]
    fn depth_counts_outside_strings_only() {
        assert!(!deeper_than(br#"{"a":"[[[[[\"[[["}"#, 1));
        assert!(deeper_than(b"[[[", 2));
        assert!(!deeper_than(b"[[]][[]]", 2));
    }
}
