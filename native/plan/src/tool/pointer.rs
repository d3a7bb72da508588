//! JSON pointers (RFC 6901) into arguments, where `*` stands for every element of a list and every member of an object.

use super::json::{Json, push_pointer_step};

/// Most steps of a pointer.
const MOST_STEPS: usize = super::json::MOST_ARGUMENT_DEPTH;

/// A pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer(Vec<String>);

/// What is on the way of a pointer.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    /// What it points to.
    Value(&'a Json),
    /// Something in which the rest of the pointer cannot be: no list or object, or a list where a name is wanted.
    InTheWay,
}

/// What to do with a value that a pointer points to.
pub(super) enum Change {
    /// It stays as it is.
    Keep,
    /// It becomes this.
    Replace(Json),
    /// It goes.
    Remove,
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(steps) = text.strip_prefix('/') else {
            return Err("must be a JSON pointer to an argument, such as /amount or /items/*/price".to_owned());
        };
        let steps: Vec<&str> = steps.split('/').collect();
        if steps.len() > MOST_STEPS {
            return Err(format!("must have at most {MOST_STEPS} steps"));
        }
        steps.into_iter().map(unescape).collect::<Result<_, _>>().map(Self)
    }

    /// Visits every value that the pointer points to, in order, with its own pointer, and changes it.
    ///
    /// # Errors
    /// The first one of `change`.
    pub(super) fn visit<E>(
        &self,
        json: &mut Json,
        change: &mut impl FnMut(&str, Found<'_>) -> Result<Change, E>,
    ) -> Result<(), E> {
        walk(json, &self.0, &mut String::new(), change).map(|_| ())
    }
}

fn unescape(step: &str) -> Result<String, String> {
    let mut out = String::with_capacity(step.len());
    let mut characters = step.chars();
    while let Some(character) = characters.next() {
        match (character, character == '~') {
            (_, false) => out.push(character),
            (_, true) => match characters.next() {
                Some('0') => out.push('~'),
                Some('1') => out.push('/'),
                _ => return Err("must write ~ as ~0 and / as ~1 inside a name".to_owned()),
            },
        }
    }
    Ok(out)
}

/// True when the value is to be removed from where it is.
fn walk<E>(
    json: &mut Json,
    steps: &[String],
    place: &mut String,
    change: &mut impl FnMut(&str, Found<'_>) -> Result<Change, E>,
) -> Result<bool, E> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(match change(place, Found::Value(json))? {
            Change::Keep => false,
            Change::Replace(next) => {
                *json = next;
                false
            }
            Change::Remove => true,
        });
    };
    let length = place.len();
    match json {
        Json::Object(members) if step == "*" => {
            let mut removed = Vec::new();
            for (name, member) in members.iter_mut() {
                push_pointer_step(place, name);
                if walk(member, rest, place, change)? {
                    removed.push(name.clone());
                }
                place.truncate(length);
            }
            for name in removed {
                members.remove(&name);
            }
        }
        Json::Object(members) => {
            if let Some(member) = members.get_mut(step) {
                push_pointer_step(place, step);
                if walk(member, rest, place, change)? {
                    members.remove(step);
                }
                place.truncate(length);
            }
        }
        Json::Array(items) if step == "*" || is_position(step) => {
            let mut removed = Vec::new();
            for (at, item) in items.iter_mut().enumerate() {
                let name = at.to_string();
                if step == "*" || *step == name {
                    push_pointer_step(place, &name);
                    if walk(item, rest, place, change)? {
                        removed.push(at);
                    }
                    place.truncate(length);
                }
            }
            for at in removed.into_iter().rev() {
                items.remove(at);
            }
        }
        _ => {
            change(place, Found::InTheWay)?;
        }
    }
    Ok(false)
}

fn is_position(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn places(pointer: &str, json: &str) -> Vec<String> {
        let mut json = Json::parse(json.as_bytes()).unwrap();
        let mut places = Vec::new();
        let visited = Pointer::parse(pointer).unwrap().visit(&mut json, &mut |place, found| {
            if let Found::Value(_) = found {
                places.push(place.to_owned());
            }
            Ok::<_, ()>(Change::Keep)
        });
        visited.unwrap();
        places
    }

    #[test]
    fn the_golden_vectors_hold() {
        let golden = include_str!("../../../../tests/golden/json_pointers.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        for vector in golden["vectors"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            let wanted: Vec<&str> = vector["places"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one.as_str().unwrap())
                .collect();
            assert_eq!(places(text("pointer"), text("json")), wanted, "{vector}");
        }
        for wrong in golden["refused"].as_array().unwrap() {
            assert!(Pointer::parse(wrong.as_str().unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_element_of_a_list_can_be_removed() {
        let mut json = Json::parse(br#"{"a": [1, 2, 3], "b": 4}"#).unwrap();
        let remove = &mut |_: &str, _: Found<'_>| Ok::<_, ()>(Change::Remove);
        Pointer::parse("/a/1").unwrap().visit(&mut json, remove).unwrap();
        assert_eq!(json.to_text(), r#"{"a":[1,3],"b":4}"#);
        Pointer::parse("/a/*").unwrap().visit(&mut json, remove).unwrap();
        Pointer::parse("/b").unwrap().visit(&mut json, remove).unwrap();
        assert_eq!(json.to_text(), r#"{"a":[]}"#);
    }
}
