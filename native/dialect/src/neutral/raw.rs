//! JSON that is carried, and where things stood.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON text that is carried without being understood: a schema, a number. Keeps its spelling.
#[derive(Clone)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// A copy of a text.
    #[must_use]
    pub fn of(value: &RawValue) -> Self {
        Self(value.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// As a number; `None` when it is none.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        serde_json::from_str(self.0.get()).ok()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.get())
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Path in the client's body, such as `messages[2].content[0]`, for what another dialect may have no place for. Not a
/// part of the meaning: two places are always equal, so that two conversations are equal when they say the same.
#[derive(Clone, Debug, Default)]
pub struct Place(pub String);

impl PartialEq for Place {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}
