//! Reading a body into common words: values by their path, and a list of what has no words.

use std::fmt;

use serde_json::value::RawValue;

use crate::json::Members;
use crate::neutral::{Place, Raw, Untranslatable};

/// Most fields of tuning that are listed; what comes after them is of the same kind (a cache hint on every message).
const LISTED: usize = 256;

/// Where a value stands.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The body.
    Root,
    /// A member.
    Key(&'p Path<'p>, &'p str),
    /// An element.
    Item(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(crate) fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    pub(crate) fn item(&'p self, index: usize) -> Self {
        Self::Item(self, index)
    }

    pub(crate) fn place(&self) -> Place {
        Place(self.to_string())
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => formatter.write_str(&printable(key)),
            Self::Key(parent, key) => write!(formatter, "{parent}.{}", printable(key)),
            Self::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// Keys come from outside and go into records: short and without control characters.
fn printable(key: &str) -> String {
    key.chars().filter(|one| !one.is_control()).take(64).collect()
}

/// What has no words, in the order in which it was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsaid(Vec<Untranslatable>);

impl Unsaid {
    /// Goes on after what was found before.
    pub(crate) fn new(found: Vec<Untranslatable>) -> Self {
        Self(found)
    }

    pub(crate) fn tuning(&mut self, field: impl fmt::Display) {
        if self.0.len() < LISTED {
            self.0.push(Untranslatable::tuning(field.to_string()));
        }
    }

    pub(crate) fn essential(&mut self, field: impl fmt::Display) {
        self.0.push(Untranslatable::essential(field.to_string()));
    }

    /// Lists the members that are not `known`. A field that nobody here has heard of tunes: dialects grow by options
    /// with a default, while new kinds of content come with a new `type`, which is essential where it is read.
    pub(crate) fn unknown(&mut self, members: &Members<'_>, path: &Path<'_>, known: &[&str]) {
        for (key, value) in members.iter() {
            if !known.contains(&key) && value.get() != "null" {
                self.tuning(path.key(key));
            }
        }
    }

    /// Lists members that are there, as what is never left out.
    pub(crate) fn refuse(&mut self, members: &Members<'_>, path: &Path<'_>, keys: &[&str]) {
        for key in keys {
            if members.get(key).is_some_and(|value| !is_off(value)) {
                self.essential(path.key(key));
            }
        }
    }

    /// An object; anything else is listed as essential.
    pub(crate) fn object<'a>(&mut self, value: &'a RawValue, path: &Path<'_>) -> Option<Members<'a>> {
        let members = Members::parse(value.get().as_bytes()).ok();
        if members.is_none() {
            self.essential(path);
        }
        members
    }

    /// The elements of an array; anything else is listed as essential.
    pub(crate) fn list<'a>(&mut self, value: &'a RawValue, path: &Path<'_>) -> Vec<&'a RawValue> {
        serde_json::from_str(value.get()).unwrap_or_else(|_other| {
            self.essential(path);
            Vec::new()
        })
    }

    /// A text; anything else is listed as essential.
    pub(crate) fn text(&mut self, value: &RawValue, path: &Path<'_>) -> Option<String> {
        let text = string(value);
        if text.is_none() {
            self.essential(path);
        }
        text
    }

    /// A member that is a text and has to be there.
    pub(crate) fn required(&mut self, members: &Members<'_>, path: &Path<'_>, key: &str) -> Option<String> {
        let text = members.get(key).and_then(string);
        if text.is_none() {
            self.essential(path.key(key));
        }
        text
    }

    pub(crate) fn into_inner(self) -> Vec<Untranslatable> {
        self.0
    }
}

/// A text, when it is one.
pub(crate) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A member that is a text.
pub(crate) fn text_of(members: &Members<'_>, key: &str) -> Option<String> {
    members.get(key).and_then(string)
}

/// A member as it stands.
pub(crate) fn raw_of(members: &Members<'_>, key: &str) -> Option<Raw> {
    members.get(key).map(Raw::of)
}

/// A member that is `true`.
pub(crate) fn is_true(members: &Members<'_>, key: &str) -> bool {
    members.get(key).is_some_and(|value| value.get() == "true")
}

/// `false` and what is empty ask for nothing.
pub(crate) fn is_off(value: &RawValue) -> bool {
    matches!(value.get(), "false" | "null" | "\"\"")
        || matches!(
            value.get().as_bytes(),
            [b'[', between @ .., b']'] | [b'{', between @ .., b'}'] if between.trim_ascii().is_empty()
        )
}
