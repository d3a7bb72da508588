//! JSON as expressions see it. Nothing is copied.

use std::collections::BTreeMap;

use fairlead_expr::{ForeignList, ForeignMap, List, Map, Value};

use super::json::Json;

impl Json {
    /// The value, borrowed. A number is an int when it is written as one and 64 bits hold it, else a double. Lists and
    /// objects are foreign data of the types `Vec<Json>` and `BTreeMap<String, Json>`.
    #[must_use]
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            // An integer that 64 bits do not hold is still a number that can be compared.
            Self::Number(_) => self
                .as_int()
                .map_or_else(|| self.as_double().map_or(Value::Null, Value::Double), Value::Int),
            Self::String(text) => Value::str(text),
            Self::Array(items) => Value::List(List::foreign::<Items>(items)),
            Self::Object(members) => Value::Map(Map::foreign::<Members>(members)),
        }
    }
}

/// Members of a JSON object as a map.
struct Members;

impl ForeignMap for Members {
    type Data = BTreeMap<String, Json>;

    fn get<'a>(data: &'a Self::Data, key: &str) -> Option<Value<'a>> {
        data.get(key).map(Json::as_value)
    }

    fn len(data: &Self::Data) -> usize {
        data.len()
    }

    fn keys(data: &Self::Data) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(data.keys().map(String::as_str))
    }
}

/// A JSON array as a list.
struct Items;

impl ForeignList for Items {
    type Data = Vec<Json>;

    fn get(data: &Self::Data, index: usize) -> Option<Value<'_>> {
        data.get(index).map(Json::as_value)
    }

    fn len(data: &Self::Data) -> usize {
        data.len()
    }
}
