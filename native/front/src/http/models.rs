//! `GET /v1/models`: what a caller can put into `model`.
//!
//! That is every physical model and every name that a route takes literally, as far as it can be told without a call: a
//! route for other tenants or agents is not shown, nor a model that an unconditional rule takes away from the caller.
//! What conditions decide is decided by the call.
use std::collections::BTreeMap;
use std::sync::Arc;

use fairlead_engine::{Caller, Reason};
use fairlead_wire::internal::{Effect, EngineConfig, Match, PolicyRule};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tonic::body::Body;

use crate::front::Front;
use crate::model::Refused;
use crate::refusal;
use crate::serve::entry::Entry;

/// Who serves a name that a route decides about.
const ROUTED: &str = "fairlead";

pub(super) fn list(front: &Arc<Front>, entry: &Entry) -> Response<Body> {
    let running = front.core.running();
    let data: Vec<Value> = usable(&running.config, entry.identity.caller())
        .into_iter()
        .map(|(name, owner)| object(name, owner))
        .collect();
    super::json(StatusCode::OK, json!({"object": "list", "data": data}).to_string())
}

pub(super) fn get(front: &Arc<Front>, entry: &Entry, name: &str) -> Result<Response<Body>, Refused> {
    let running = front.core.running();
    match usable(&running.config, entry.identity.caller()).get_key_value(name) {
        Some((name, owner)) => Ok(super::json(StatusCode::OK, object(name, owner).to_string())),
        None => Err(refusal::of(Reason::NoRoute, "there is no such model").into()),
    }
}

fn object(name: &str, owner: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": owner})
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
    fn each_tenant_sees_its_own() {
        assert!(of("other").iter().any(|(name, _)| name == "secret"));
        assert!(!of("small").iter().any(|(name, _)| name == "m3"));
    }
}
