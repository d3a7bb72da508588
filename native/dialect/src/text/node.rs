//! A value of a JSON text that knows where it stands.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Unreadable;
use crate::json::Members;

/// A value, borrowed from the text.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(&'a RawValue);

impl<'a> Node<'a> {
    /// The whole text.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(text).map(Self).map_err(|_other| Unreadable)
    }

    pub(super) fn raw(self) -> &'a RawValue {
        self.0
    }

    /// The members of an object. A key given twice is unreadable: which of the two the client takes is not known.
    pub(super) fn object(self) -> Result<Object<'a>, Unreadable> {
        Members::parse(self.0.get().as_bytes())
            .map(Object)
            .map_err(|_other| Unreadable)
    }

    /// The elements; none unless it is an array.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.0.get()).unwrap_or_default();
        items.into_iter().map(Self)
    }

    /// The elements that are objects, numbered.
    pub(super) fn objects(self) -> impl Iterator<Item = (i64, Result<Object<'a>, Unreadable>)> {
        (0..)
            .zip(self.items())
            .filter(|(_, item)| item.is_object())
            .map(|(at, item)| (at, item.object()))
    }

    /// The text of a string.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if !self.0.get().starts_with('"') {
            return None;
        }
        serde_json::from_str::<String>(self.0.get()).ok().map(Cow::Owned)
    }

    pub(super) fn is_object(self) -> bool {
        self.0.get().starts_with('{')
    }

    /// An object without members.
    pub(super) fn is_empty(self) -> bool {
        self.0
            .get()
            .bytes()
            .all(|byte| matches!(byte, b'{' | b'}') || byte.is_ascii_whitespace())
    }
}

/// An object's members.
pub(super) struct Object<'a>(Members<'a>);

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        self.0.get(key).map(Node)
    }

    /// A member that is an object.
    pub(super) fn object(&self, key: &str) -> Result<Option<Object<'a>>, Unreadable> {
        self.get(key)
            .filter(|value| value.is_object())
            .map(Node::object)
            .transpose()
    }

    /// The objects in a member that is an array.
    pub(super) fn objects(&self, key: &str) -> impl Iterator<Item = (i64, Result<Object<'a>, Unreadable>)> {
        self.get(key).into_iter().flat_map(Node::objects)
    }

    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key)?.text()
    }

    /// A number, such as an index.
    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.raw().get().parse().ok()
    }
}
