//! What rules do to arguments: numbers are capped, values are redacted or removed. Caps go first, then redactions, then
//! removals, so that no rule meets what another one has left.
//!
//! A cap on what is absent has nothing to do. Where something of another type is, or stands in the way, such as a text
//! where the pointer wants a list, nobody can say what is capped: the call is denied.

use std::sync::Arc;

use super::json::Json;
use super::pointer::{Change, Found, Pointer};

/// What a redacted value becomes.
const REDACTED: &str = "[redacted]";
/// Most places of one constraint that are named one by one; where there are more, the constraint's pointer names them.
const MOST_PLACES: usize = 64;

/// One change of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub(crate) pointer: Pointer,
    /// As configured.
    pub(crate) text: Arc<str>,
    pub(crate) kind: Kind,
}

/// In the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Maximum(f64),
    Minimum(f64),
    Redact,
    Remove,
}

/// A cap points to something that is not a number: nobody can say what it would be capped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotANumber {
    /// JSON pointer to it.
    pub(crate) place: String,
    /// Position of the constraint among those that were given.
    pub(crate) at: usize,
}

/// Arguments after all constraints, and the pointers of what is different now.
pub(crate) fn apply<'c>(
    arguments: &mut Json,
    constraints: impl Iterator<Item = &'c Constraint> + Clone,
) -> Result<Vec<String>, NotANumber> {
    let mut changed = Vec::new();
    let passes: [fn(Kind) -> bool; 3] = [
        |kind| matches!(kind, Kind::Maximum(_) | Kind::Minimum(_)),
        |kind| kind == Kind::Redact,
        |kind| kind == Kind::Remove,
    ];
    for is_in_pass in passes {
        let in_pass = constraints.clone().enumerate();
        for (at, constraint) in in_pass.filter(|(_, one)| is_in_pass(one.kind)) {
            let mut places = Vec::new();
            constraint.pointer.visit(arguments, &mut |place, value| {
                let not_a_number = || NotANumber {
                    place: place.to_owned(),
                    at,
                };
                let change = constraint.kind.change(value).ok_or_else(not_a_number)?;
                if !matches!(change, Change::Keep) {
                    places.push(place.to_owned());
                }
                Ok(change)
            })?;
            if places.len() > MOST_PLACES {
                places = vec![constraint.text.to_string()];
            }
            for place in places {
                if !changed.contains(&place) {
                    changed.push(place);
                }
            }
        }
    }
    Ok(changed)
}

impl Kind {
    /// What becomes of a value; `None`: it is none that can be capped.
    fn change(self, found: Found<'_>) -> Option<Change> {
        let value = match (found, self) {
            (Found::Value(value), _) => value,
            (Found::InTheWay, Self::Maximum(_) | Self::Minimum(_)) => return None,
            (Found::InTheWay, Self::Redact | Self::Remove) => return Some(Change::Keep),
        };
        Some(match self {
            Self::Maximum(limit) if is_above(value, limit)? => Change::Replace(number(limit)),
            Self::Minimum(limit) if is_above(&number(limit), double(value)?).unwrap_or(true) => {
                Change::Replace(number(limit))
            }
            Self::Maximum(_) | Self::Minimum(_) => Change::Keep,
            Self::Redact if *value == Json::String(REDACTED.to_owned()) => Change::Keep,
            Self::Redact => Change::Replace(Json::String(REDACTED.to_owned())),
            Self::Remove => Change::Remove,
        })
    }
}

fn double(value: &Json) -> Option<f64> {
    value.as_double()
}

/// Whether a number is above a limit; integers are compared without rounding. `None`: it is not a number.
fn is_above(value: &Json, limit: f64) -> Option<bool> {
    let rounded = value.as_double()?;
    #[expect(
        clippy::float_cmp,
        reason = "equal after rounding is what has to be looked at closely"
    )]
    let is_close = rounded == limit;
    let exact = match value {
        Json::Number(text) if is_close => text.parse::<i128>().ok(),
        _ => None,
    };
    // The limit is an integer of at most 2^53, or the value was not written as one: compile sees to it.
    #[expect(clippy::cast_possible_truncation, reason = "a limit is within ±2^53")]
    Some(exact.map_or(rounded > limit, |exact| exact > limit as i128))
}

/// A limit as JSON; whole numbers without a fraction.
fn number(limit: f64) -> Json {
    Json::Number(format!("{limit}").into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn constraint(text: &str, kind: Kind) -> Constraint {
        Constraint {
            pointer: Pointer::parse(text).unwrap(),
            text: text.into(),
            kind,
        }
    }

    fn applied(json: &str, constraints: &[Constraint]) -> Result<(String, Vec<String>), NotANumber> {
        let mut json = Json::parse(json.as_bytes()).unwrap();
        let changed = apply(&mut json, constraints.iter())?;
        Ok((json.to_text(), changed))
    }

    fn is(text: &str, changed: &[&str]) -> Result<(String, Vec<String>), NotANumber> {
        Ok((text.to_owned(), changed.iter().map(|one| (*one).to_owned()).collect()))
    }

    #[test]
    fn a_number_is_capped_and_any_other_keeps_its_spelling() {
        let caps = [
            constraint("/a", Kind::Maximum(100.0)),
            constraint("/b", Kind::Minimum(0.5)),
        ];
        assert_eq!(
            applied(r#"{"a":1e3,"b":0,"c":1.0}"#, &caps),
            is(r#"{"a":100,"b":0.5,"c":1.0}"#, &["/a", "/b"])
        );
        assert_eq!(
            applied(r#"{"a":1e2,"b":0.50}"#, &caps),
            is(r#"{"a":1e2,"b":0.50}"#, &[])
        );
        assert_eq!(
            applied(r#"{"x":1}"#, &caps),
            is(r#"{"x":1}"#, &[]),
            "what is absent stays absent"
        );
    }

    #[test]
    fn an_integer_is_not_rounded_to_its_cap() {
        let cap = [constraint("/a", Kind::Maximum(9_007_199_254_740_992.0))];
        assert_eq!(
            applied(r#"{"a":9007199254740993}"#, &cap),
            is(r#"{"a":9007199254740992}"#, &["/a"])
        );
        assert_eq!(
            applied(r#"{"a":9007199254740992}"#, &cap),
            is(r#"{"a":9007199254740992}"#, &[])
        );
    }

    #[test]
    fn a_cap_on_anything_but_a_number_has_no_answer() {
        let cap = [
            constraint("/note", Kind::Redact),
            constraint("/items/*/price", Kind::Maximum(1.0)),
        ];
        let not_at = |place: &str| {
            Err(NotANumber {
                place: place.to_owned(),
                at: 1,
            })
        };
        assert_eq!(
            applied(r#"{"items":[{"price":0},{"price":"9"}]}"#, &cap),
            not_at("/items/1/price")
        );
        for (json, place) in [
            (r#"{"items":"[{price:9}]"}"#, "/items"),
            (r#"{"items":["9"]}"#, "/items/0"),
            (r#"{"items":[[{"price":9}]]}"#, "/items/0"),
            (r#"{"items":null}"#, "/items"),
        ] {
            assert_eq!(applied(json, &cap), not_at(place), "{json}");
        }
        let members = applied(r#"{"items":{"a":{"price":9}}}"#, &cap);
        assert_eq!(members, is(r#"{"items":{"a":{"price":1}}}"#, &["/items/a/price"]));
        assert_eq!(applied(r#"{"items":[]}"#, &cap), is(r#"{"items":[]}"#, &[]));
    }

    #[test]
    fn redaction_and_removal_do_not_get_in_the_way_of_caps() {
        let all = [
            constraint("/card", Kind::Redact),
            constraint("/note", Kind::Remove),
            constraint("/card", Kind::Maximum(5.0)),
        ];
        assert_eq!(
            applied(r#"{"card":4111,"note":{"x":1}}"#, &all),
            is(r#"{"card":"[redacted]"}"#, &["/card", "/note"])
        );
    }

    #[test]
    fn many_places_are_named_by_their_pattern() {
        let list = vec!["9"; MOST_PLACES + 1].join(",");
        let changed = applied(
            &format!(r#"{{"a":[{list}]}}"#),
            &[constraint("/a/*", Kind::Maximum(1.0))],
        )
        .unwrap()
        .1;
        assert_eq!(changed, ["/a/*"]);
    }
}
