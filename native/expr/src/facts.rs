//! Borrowed facts: how callers show their own data to an expression without copying it.
//!
//! - [`Variables`] is the top level; [`Fields`] is an object such as `request`. Implement them on your own types.
//! - Text maps and lists of the standard library are used as they are: [`Map::strings`], [`List::strings`].
//! - Other containers of your own: [`MapView`], [`ListView`].
//! - Containers of another crate (a protobuf `Struct`) cannot implement a trait of this crate. Describe them with a
//!   [`ForeignMap`] or [`ForeignList`] instead: an empty type of yours that says how to read a `&Data`. Only the reference
//!   is carried; nothing is wrapped, boxed or copied.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::code::Constant;
use crate::value::Value;

/// The variables of one evaluation.
pub trait Variables {
    /// The value of a variable, or `None` when it has no value, which is an error for the expression that reads it.
    fn variable(&self, name: &str) -> Option<Value<'_>>;
}

/// An object with named fields.
pub trait Fields {
    /// The value of a field, or `None` when it has no value, which is an error for the expression that reads it.
    fn field(&self, name: &str) -> Option<Value<'_>>;

    /// What `has(object.name)` answers. Override it when reading an unset field gives a default.
    fn has_field(&self, name: &str) -> bool {
        self.field(name).is_some()
    }
}

/// A map with text keys, borrowed.
pub trait MapView {
    /// The value of a key.
    fn get(&self, key: &str) -> Option<Value<'_>>;
    /// The number of keys.
    fn len(&self) -> usize;
    /// All keys, always in the same order.
    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_>;
    /// Whether there are no keys.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A list, borrowed.
pub trait ListView {
    /// The element at a position from 0.
    fn get(&self, index: usize) -> Option<Value<'_>>;
    /// The number of elements.
    fn len(&self) -> usize;
    /// Whether there are no elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How to read a map type of another crate. See the module's introduction.
pub trait ForeignMap: 'static {
    /// The other crate's type.
    type Data: 'static;
    /// The value of a key.
    fn get<'a>(data: &'a Self::Data, key: &str) -> Option<Value<'a>>;
    /// The number of keys.
    fn len(data: &Self::Data) -> usize;
    /// All keys, always in the same order.
    fn keys(data: &Self::Data) -> Box<dyn Iterator<Item = &str> + '_>;
}

/// How to read a list type of another crate. See the module's introduction.
pub trait ForeignList: 'static {
    /// The other crate's type.
    type Data: 'static;
    /// The element at a position from 0.
    fn get(data: &Self::Data, index: usize) -> Option<Value<'_>>;
    /// The number of elements.
    fn len(data: &Self::Data) -> usize;
}

/// A map value: borrowed from facts or from the program, or made by the expression.
#[derive(Clone)]
pub struct Map<'a>(Maps<'a>);

#[derive(Clone)]
enum Maps<'a> {
    Strings(&'a BTreeMap<String, String>),
    View(&'a dyn MapView),
    Foreign(&'a dyn Any, &'static dyn ErasedMap),
    Constant(&'a BTreeMap<Box<str>, Constant>),
    /// With its number of elements, those of owned lists and maps inside included.
    Owned(Rc<BTreeMap<Cow<'a, str>, Value<'a>>>, u64),
}

impl<'a> Map<'a> {
    /// A map from text to text.
    #[must_use]
    pub fn strings(map: &'a BTreeMap<String, String>) -> Self {
        Self(Maps::Strings(map))
    }

    /// A map of the caller's own type.
    #[must_use]
    pub fn view(map: &'a dyn MapView) -> Self {
        Self(Maps::View(map))
    }

    /// A map of another crate's type, read by `F`.
    #[must_use]
    pub fn foreign<F: ForeignMap>(data: &'a F::Data) -> Self {
        Self(Maps::Foreign(data, const { &Reader::<F>(PhantomData) }))
    }

    /// The data of [`Map::foreign`], when this is such a map of that type.
    #[must_use]
    pub fn foreign_data<D: Any>(&self) -> Option<&'a D> {
        match self.0 {
            Maps::Foreign(data, _) => data.downcast_ref(),
            _ => None,
        }
    }

    /// A map of values.
    #[must_use]
    pub fn owned(map: BTreeMap<Cow<'a, str>, Value<'a>>) -> Self {
        let owned = owned_elements(map.values());
        Self(Maps::Owned(Rc::new(map), owned))
    }

    /// The number of elements that are not borrowed, at any depth.
    pub(crate) fn owned_elements(&self) -> u64 {
        match self.0 {
            Maps::Owned(_, owned) => owned,
            _ => 0,
        }
    }

    pub(crate) fn constant(map: &'a BTreeMap<Box<str>, Constant>) -> Self {
        Self(Maps::Constant(map))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        match &self.0 {
            Maps::Strings(map) => map.get(key).map(|text| Value::Str(Cow::Borrowed(text))),
            Maps::View(map) => map.get(key),
            Maps::Foreign(data, reader) => reader.get(*data, key),
            Maps::Constant(map) => map.get(key).map(Constant::value),
            Maps::Owned(map, _) => map.get(key).cloned(),
        }
    }

    /// Whether there is a value for the key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        match &self.0 {
            Maps::Strings(map) => map.contains_key(key),
            Maps::Constant(map) => map.contains_key(key),
            Maps::Owned(map, _) => map.contains_key(key),
            Maps::View(_) | Maps::Foreign(..) => self.get(key).is_some(),
        }
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Maps::Strings(map) => map.len(),
            Maps::View(map) => map.len(),
            Maps::Foreign(data, reader) => reader.len(*data),
            Maps::Constant(map) => map.len(),
            Maps::Owned(map, _) => map.len(),
        }
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All keys, always in the same order.
    #[must_use]
    pub fn keys<'s>(&'s self) -> Box<dyn Iterator<Item = Cow<'a, str>> + 's> {
        match &self.0 {
            Maps::Strings(map) => Box::new(map.keys().map(|key| Cow::Borrowed(key.as_str()))),
            Maps::View(map) => Box::new(map.keys().map(Cow::Borrowed)),
            Maps::Foreign(data, reader) => Box::new(reader.keys(*data).map(Cow::Borrowed)),
            Maps::Constant(map) => Box::new(map.keys().map(|key| Cow::Borrowed(&**key))),
            Maps::Owned(map, _) => Box::new(map.keys().cloned()),
        }
    }
}

/// A list value: borrowed from facts or from the program, or made by the expression.
#[derive(Clone)]
pub struct List<'a>(Lists<'a>);

#[derive(Clone)]
enum Lists<'a> {
    Strings(&'a [String]),
    View(&'a dyn ListView),
    Foreign(&'a dyn Any, &'static dyn ErasedList),
    Constant(&'a [Constant]),
    /// With its number of elements, those of owned lists and maps inside included.
    Owned(Rc<[Value<'a>]>, u64),
}

impl<'a> List<'a> {
    /// A list of texts.
    #[must_use]
    pub fn strings(list: &'a [String]) -> Self {
        Self(Lists::Strings(list))
    }

    /// A list of the caller's own type.
    #[must_use]
    pub fn view(list: &'a dyn ListView) -> Self {
        Self(Lists::View(list))
    }

    /// A list of another crate's type, read by `F`.
    #[must_use]
    pub fn foreign<F: ForeignList>(data: &'a F::Data) -> Self {
        Self(Lists::Foreign(data, const { &Reader::<F>(PhantomData) }))
    }

    /// The data of [`List::foreign`], when this is such a list of that type.
    #[must_use]
    pub fn foreign_data<D: Any>(&self) -> Option<&'a D> {
        match self.0 {
            Lists::Foreign(data, _) => data.downcast_ref(),
            _ => None,
        }
    }

    /// A list of values.
    #[must_use]
    pub fn owned(list: Vec<Value<'a>>) -> Self {
        let owned = owned_elements(&list);
        Self(Lists::Owned(list.into(), owned))
    }

    /// The number of elements that are not borrowed, at any depth.
    pub(crate) fn owned_elements(&self) -> u64 {
        match self.0 {
            Lists::Owned(_, owned) => owned,
            _ => 0,
        }
    }

    pub(crate) fn constant(list: &'a [Constant]) -> Self {
        Self(Lists::Constant(list))
    }

    /// The element at a position from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        match &self.0 {
            Lists::Strings(list) => list.get(index).map(|text| Value::Str(Cow::Borrowed(text))),
            Lists::View(list) => list.get(index),
            Lists::Foreign(data, reader) => reader.get(*data, index),
            Lists::Constant(list) => list.get(index).map(Constant::value),
            Lists::Owned(list, _) => list.get(index).cloned(),
        }
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Lists::Strings(list) => list.len(),
            Lists::View(list) => list.len(),
            Lists::Foreign(data, reader) => reader.len(*data),
            Lists::Constant(list) => list.len(),
            Lists::Owned(list, _) => list.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).map_while(|index| self.get(index))
    }
}

fn owned_elements<'v, 'a: 'v>(values: impl IntoIterator<Item = &'v Value<'a>>) -> u64 {
    let elements = |value: &Value<'_>| match value {
        Value::List(list) => list.owned_elements(),
        Value::Map(map) => map.owned_elements(),
        _ => 0,
    };
    values.into_iter().fold(0, |sum: u64, value| {
        sum.saturating_add(1).saturating_add(elements(value))
    })
}

/// Reads foreign data whose type was erased. The type always matches, because only `foreign` pairs the two.
struct Reader<F>(PhantomData<fn() -> F>);

trait ErasedMap {
    fn get<'a>(&self, data: &'a dyn Any, key: &str) -> Option<Value<'a>>;
    fn len(&self, data: &dyn Any) -> usize;
    fn keys<'a>(&self, data: &'a dyn Any) -> Box<dyn Iterator<Item = &'a str> + 'a>;
}

impl<F: ForeignMap> ErasedMap for Reader<F> {
    fn get<'a>(&self, data: &'a dyn Any, key: &str) -> Option<Value<'a>> {
        F::get(data.downcast_ref()?, key)
    }

    fn len(&self, data: &dyn Any) -> usize {
        data.downcast_ref().map_or(0, F::len)
    }

    fn keys<'a>(&self, data: &'a dyn Any) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        match data.downcast_ref() {
            Some(data) => F::keys(data),
            None => Box::new(std::iter::empty()),
        }
    }
}

trait ErasedList {
    fn get<'a>(&self, data: &'a dyn Any, index: usize) -> Option<Value<'a>>;
    fn len(&self, data: &dyn Any) -> usize;
}

impl<F: ForeignList> ErasedList for Reader<F> {
    fn get<'a>(&self, data: &'a dyn Any, index: usize) -> Option<Value<'a>> {
        F::get(data.downcast_ref()?, index)
    }

    fn len(&self, data: &dyn Any) -> usize {
        data.downcast_ref().map_or(0, F::len)
    }
}
