//! Types of values, and the schema of the variables that an expression may use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A static type. [`Type::Dyn`] is checked at run time instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A signed 64-bit integer.
    Int,
    /// An IEEE 754 double.
    Double,
    /// UTF-8 text.
    String,
    /// Octets.
    Bytes,
    /// A moment: nanoseconds since the Unix epoch, in 64 bits (the years 1677 to 2262).
    Timestamp,
    /// A span: nanoseconds in 64 bits (about 292 years).
    Duration,
    /// A list of elements of one type.
    List(Box<Type>),
    /// A map from text to values of one type.
    Map(Box<Type>),
    /// Named fields, each with its own type.
    Object(Arc<ObjectType>),
    /// Any type; known at run time only.
    Dyn,
    /// The type of `null`.
    Null,
}

impl Type {
    /// A list of `element`.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// A map from text to `value`.
    #[must_use]
    pub fn map(value: Self) -> Self {
        Self::Map(Box::new(value))
    }

    /// An object with the fields of `object`.
    #[must_use]
    pub fn object(object: ObjectType) -> Self {
        Self::Object(Arc::new(object))
    }

    /// Whether a value of this type may stand where `wanted` is wanted. `Dyn` fits both ways; it is checked at run time.
    pub(crate) fn fits(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.fits(b),
            (a, b) => a == b,
        }
    }

    /// Whether `==` between the two can ever be true: the same type, two numbers, or unknown.
    pub(crate) fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int, Self::Double) | (Self::Double, Self::Int) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.comparable(b),
            (Self::Object(_), _) | (_, Self::Object(_)) => false,
            (a, b) => a.fits(b),
        }
    }

    /// The type of a place that holds either: the common type, or `Dyn`.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::List(a), Self::List(b)) => Self::list(a.join(*b)),
            (Self::Map(a), Self::Map(b)) => Self::map(a.join(*b)),
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Map(value) => write!(f, "map(string, {value})"),
            Self::Object(object) => f.write_str(object.name()),
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// Named fields, such as those of `request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectType {
    name: String,
    fields: BTreeMap<String, Type>,
}

impl ObjectType {
    /// An object type without fields. `name` is what messages call it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            fields: BTreeMap::new(),
        }
    }

    /// Adds or replaces a field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, ty: Type) -> Self {
        self.fields.insert(field.into(), ty);
        self
    }

    /// What messages call this type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of one field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Type> {
        self.fields.get(name)
    }

    /// The names of all fields, sorted.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }
}

/// The variables that an expression may use, with their types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    variables: BTreeMap<String, Type>,
}

impl Schema {
    /// A schema without variables: only constant expressions compile.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, ty: Type) -> Self {
        self.variables.insert(name.into(), ty);
        self
    }

    /// The type of one variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Type> {
        self.variables.get(name)
    }

    /// The names of all variables, sorted.
    pub fn variable_names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}
