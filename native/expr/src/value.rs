//! Values: what facts show to an expression and what an expression gives back.

use std::borrow::Cow;
use std::fmt;

use crate::compare;
use crate::facts::{Fields, List, Map};
use crate::meter::Meter;
use crate::time;
use crate::types::Type;

/// A value. Text, octets and containers are borrowed from the facts or the program where that is possible.
///
/// `==` between values is the language's: numbers compare across `int` and `double`, values of different kinds are
/// different. [`Display`](fmt::Display) writes a value as an expression would.
// A tag of a whole word keeps every payload aligned. With a tag of one byte, the `bool` beside it makes moves overlap in
// part with the writes before them, which the processor cannot forward: evaluation took 1.4 times as long.
#[derive(Clone)]
#[repr(u64)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// Octets.
    Bytes(Cow<'a, [u8]>),
    /// Nanoseconds since the Unix epoch.
    Timestamp(i64),
    /// Nanoseconds.
    Duration(i64),
    /// A list.
    List(List<'a>),
    /// A map with text keys.
    Map(Map<'a>),
    /// An object with named fields.
    Object(&'a dyn Fields),
}

impl<'a> Value<'a> {
    /// Borrowed text.
    #[must_use]
    pub fn str(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }

    /// The name of this value's kind, as messages use it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Str(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Object(_) => "object",
        }
    }

    /// The text of a timestamp (RFC 3339, UTC) or duration (seconds, such as `5400s`), as `string()` gives it; `None` for
    /// other kinds.
    #[must_use]
    pub fn time_text(&self) -> Option<String> {
        match self {
            Self::Timestamp(nanos) => Some(time::format_timestamp(*nanos)),
            Self::Duration(nanos) => Some(time::format_duration(*nanos)),
            _ => None,
        }
    }

    /// Whether this value has the outer shape of `ty`; elements are not looked at.
    pub(crate) fn is(&self, ty: &Type) -> bool {
        matches!(
            (self, ty),
            (_, Type::Dyn)
                | (Self::Null, Type::Null)
                | (Self::Bool(_), Type::Bool)
                | (Self::Int(_), Type::Int)
                | (Self::Double(_), Type::Double)
                | (Self::Str(_), Type::String)
                | (Self::Bytes(_), Type::Bytes)
                | (Self::Timestamp(_), Type::Timestamp)
                | (Self::Duration(_), Type::Duration)
                | (Self::List(_), Type::List(_))
                | (Self::Map(_), Type::Map(_))
                | (Self::Object(_), Type::Object(_))
        )
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        compare::equal(self, other, &mut Meter::unlimited(), 0).unwrap_or(false)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            // Debug keeps the ".0" that tells a double from an int.
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::Bytes(octets) => write!(f, "b\"{}\"", octets.escape_ascii()),
            Self::Timestamp(nanos) => write!(f, "timestamp(\"{}\")", time::format_timestamp(*nanos)),
            Self::Duration(nanos) => write!(f, "duration(\"{}\")", time::format_duration(*nanos)),
            Self::List(list) => f.debug_list().entries(list.iter()).finish(),
            Self::Map(map) => {
                let entries = map
                    .keys()
                    .map(|key| (key.to_string(), map.get(&key).unwrap_or(Self::Null)));
                f.debug_map().entries(entries).finish()
            }
            Self::Object(_) => f.write_str("object"),
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}
