//! `GET /v1/models`: what a caller can put into `model`.
//!
//! That is every physical model and every name that a route takes literally, as far as it can be told without a call: a
//! route for other tenants or agents is not shown, nor a model that an unconditional rule takes away from the caller.
//! What conditions decide is decided by the call.
//!
//! OpenAI's list is whole; Anthropic's comes in pages (`limit`, `after_id`, `before_id`), as its SDKs ask for them.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use fairlead_engine::{Caller, FieldViolation, Reason, Rejection};
use fairlead_wire::internal::{Effect, EngineConfig, Match, PolicyRule};
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tonic::body::Body;

use super::Family;
use crate::front::Front;
use crate::model::Refused;
use crate::refusal;
use crate::serve::entry::Entry;

/// Who serves a name that a route decides about.
const ROUTED: &str = "fairlead";

/// Entries of a page, when the client does not say.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;

pub(super) fn list(front: &Arc<Front>, entry: &Entry, family: Family, query: &str) -> Result<Response<Body>, Refused> {
    let running = front.core.running();
    let usable = usable(&running.config, entry.identity.caller());
    let list = match family {
        Family::OpenAi => {
            let data: Vec<Value> = usable.into_iter().map(|(name, owner)| object(name, owner)).collect();
            json!({"object": "list", "data": data})
        }
        Family::Anthropic => page(&usable.into_keys().collect::<Vec<_>>(), query)?,
    };
    Ok(super::json(StatusCode::OK, list.to_string()))
}

pub(super) fn get(front: &Arc<Front>, entry: &Entry, family: Family, name: &str) -> Result<Response<Body>, Refused> {
    let running = front.core.running();
    match usable(&running.config, entry.identity.caller()).get_key_value(&*decoded(name)) {
        Some((name, owner)) => {
            let object = match family {
                Family::OpenAi => object(name, owner),
                Family::Anthropic => anthropic_object(name),
            };
            Ok(super::json(StatusCode::OK, object.to_string()))
        }
        None => Err(refusal::of(Reason::NoRoute, "there is no such model").into()),
    }
}

fn object(name: &str, owner: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": owner})
}

fn anthropic_object(name: &str) -> Value {
    json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
}

/// A page of names that are in order: after or before a name, which need not be there any more.
fn page(names: &[&str], query: &str) -> Result<Value, Refused> {
    let (mut limit, mut after, mut before) = (PAGE, None, None);
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decoded(value);
        match key {
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
                    .ok_or_else(|| invalid("limit", "must be a number from 1 to 1000"))?;
            }
            "after_id" => after = Some(value),
            "before_id" => before = Some(value),
            _ => {}
        }
    }
    let (part, has_more) = match (after, before) {
        (Some(_), Some(_)) => return Err(invalid("before_id", "cannot be given together with after_id").into()),
        (None, Some(before)) => {
            let all = names.split_at(names.partition_point(|name| *name < &*before)).0;
            let rest = all.len().saturating_sub(limit);
            (all.split_at(rest).1, rest > 0)
        }
        (after, None) => {
            let gone = after.map_or(0, |after| names.partition_point(|name| *name <= &*after));
            let all = names.split_at(gone).1;
            (all.split_at(limit.min(all.len())).0, all.len() > limit)
        }
    };
    let data: Vec<Value> = part.iter().map(|name| anthropic_object(name)).collect();
    Ok(json!({"data": data, "has_more": has_more, "first_id": part.first(), "last_id": part.last()}))
}

/// Names may contain a slash, which a client encodes.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn invalid(field: &str, description: &str) -> Rejection {
    Rejection::invalid(vec![FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    }])
}

/// Names and who serves them, in name order.
fn usable<'a>(config: &'a EngineConfig, caller: Caller<'_>) -> BTreeMap<&'a str, &'a str> {
    let mut names = BTreeMap::new();
    for route in &config.routes {
        let Some(matched) = &route.r#match else { continue };
        if is_for(matched, caller) {
            names.extend(
                matched
                    .models
                    .iter()
                    .filter(|name| !is_glob(name))
                    .map(|name| (name.as_str(), ROUTED)),
            );
        }
    }
    // A physical name wins: it says who serves it.
    let taken = |name: &str| config.policies.iter().any(|rule| takes_away(rule, name, caller));
    names.extend(
        config
            .models
            .iter()
            .filter(|model| !taken(&model.name))
            .map(|model| (model.name.as_str(), model.provider.as_str())),
    );
    names
}

/// A rule without conditions on the call itself that leaves no way to use the model.
fn takes_away(rule: &PolicyRule, model: &str, caller: Caller<'_>) -> bool {
    let any = Match::default();
    let matched = rule.r#match.as_ref().unwrap_or(&any);
    let unconditional =
        rule.on == "model.call" && rule.when.is_empty() && matched.workloads.is_empty() && matched.labels.is_empty();
    if !unconditional || !is_for(matched, caller) || !holds(&matched.models, model) {
        return false;
    }
    match rule.effect() {
        Effect::Deny => true,
        Effect::Constrain => {
            !rule.allowed_models.is_empty() && !rule.allowed_models.iter().any(|allowed| allowed == model)
        }
        _ => false,
    }
}

fn is_for(matched: &Match, caller: Caller<'_>) -> bool {
    holds(&matched.tenants, caller.tenant) && holds(&matched.agents, caller.agent)
}

/// An empty list holds everything; a glob ends in `*`.
fn holds(patterns: &[String], value: &str) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => value.starts_with(prefix),
            None => pattern == value,
        })
}

fn is_glob(pattern: &str) -> bool {
    pattern.ends_with('*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use fairlead_wire::internal::{Model, Route};

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn config() -> EngineConfig {
        let model = |name: &str| Model {
            name: name.into(),
            provider: "p".into(),
            ..Model::default()
        };
        let route = |models: &[&str], tenants: &[&str]| Route {
            r#match: Some(Match {
                models: names(models),
                tenants: names(tenants),
                ..Match::default()
            }),
            ..Route::default()
        };
        EngineConfig {
            models: vec![model("m1"), model("m2"), model("m3")],
            routes: vec![
                route(&["smart", "gpt-*", "m1"], &[]),
                route(&["secret"], &["other"]),
                Route::default(),
            ],
            policies: vec![
                PolicyRule {
                    on: "model.call".into(),
                    r#match: Some(Match {
                        models: names(&["m2"]),
                        ..Match::default()
                    }),
                    effect: Effect::Deny.into(),
                    ..PolicyRule::default()
                },
                PolicyRule {
                    on: "model.call".into(),
                    r#match: Some(Match {
                        tenants: names(&["small"]),
                        ..Match::default()
                    }),
                    effect: Effect::Constrain.into(),
                    allowed_models: names(&["m1"]),
                    ..PolicyRule::default()
                },
                PolicyRule {
                    on: "model.call".into(),
                    when: "request.maxOutputTokens > 10".into(),
                    effect: Effect::Deny.into(),
                    ..PolicyRule::default()
                },
            ],
            ..EngineConfig::default()
        }
    }

    fn of(tenant: &str) -> Vec<(String, String)> {
        let config = config();
        usable(&config, Caller::agent(tenant, "bot"))
            .into_iter()
            .map(|(name, owner)| (name.to_owned(), owner.to_owned()))
            .collect()
    }

    #[test]
    fn models_and_literal_names_of_routes_are_listed() {
        let listed = of("acme");
        let expected = [("m1", "p"), ("m3", "p"), ("smart", "fairlead")];
        assert_eq!(
            listed,
            expected.map(|(name, owner)| (name.to_owned(), owner.to_owned()))
        );
    }

    #[test]
    fn anthropics_list_comes_in_pages() {
        let names = ["a", "b", "c", "d"];
        for (query, expected, more) in [
            ("", vec!["a", "b", "c", "d"], false),
            ("limit=2", vec!["a", "b"], true),
            ("limit=2&after_id=b", vec!["c", "d"], false),
            ("limit=1&before_id=c", vec!["b"], true),
            ("after_id=b%62", vec!["c", "d"], false),
            ("after_id=z", vec![], false),
        ] {
            let page = page(&names, query).unwrap();
            let ids: Vec<&str> = page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|model| model["id"].as_str().unwrap())
                .collect();
            assert_eq!((ids, &page["has_more"]), (expected.clone(), &more.into()), "{query}");
            assert_eq!(page["last_id"].as_str(), expected.last().copied(), "{query}");
        }
        for query in ["limit=0", "limit=many", "after_id=a&before_id=b"] {
            assert!(page(&names, query).is_err(), "{query}");
        }
    }

    #[test]
    fn each_tenant_sees_its_own() {
        assert!(of("other").iter().any(|(name, _)| name == "secret"));
        assert!(!of("small").iter().any(|(name, _)| name == "m3"));
    }
}
