use std::collections::BTreeSet;

use fairlead_plan::{Compiled, Violation};
use fairlead_wire::internal::{
    Agent, Breaker, Budget, Effect, EngineConfig, Fallback, Limits, Match, PolicyRule, Price, ProviderTimeouts,
    RateLimit, Reservations, Retry, Route, Selection, Target, WindowKind,
};

use crate::world::*;

fn violations(change: impl FnOnce(&mut EngineConfig)) -> Vec<Violation> {
    let mut config = config();
    change(&mut config);
    Compiled::compile(&config).map(|_| ()).err().unwrap_or_default()
}

fn paths(change: impl FnOnce(&mut EngineConfig)) -> BTreeSet<String> {
    violations(change).into_iter().map(|violation| violation.path).collect()
}

fn assert_paths(expected: &[&str], change: impl FnOnce(&mut EngineConfig)) {
    assert_eq!(paths(change), expected.iter().map(|path| (*path).to_owned()).collect());
}

fn valid_route() -> Route {
    route("r", &[("small", 1)], &[])
}

fn valid_budget() -> Budget {
    Budget {
        name: "b".to_owned(),
        limit_tokens: Some(1),
        window: WindowKind::Day.into(),
        ..Budget::default()
    }
}

#[test]
fn a_valid_configuration_has_none() {
    assert_paths(&[], |config| {
        config.routes = vec![valid_route()];
        config.budgets = vec![valid_budget()];
    });
}

#[test]
fn all_violations_are_found_at_once() {
    assert_paths(
        &[
            "models[0].provider",
            "routes[0].targets[0].weight",
            "budgets[0].limit",
            "policies[0].when",
            "version",
        ],
        |config| {
            config.version.clear();
            config.models[0].provider = "nobody".to_owned();
            config.routes = vec![route("r", &[("small", 0)], &[])];
            config.budgets = vec![Budget {
                limit_tokens: None,
                ..valid_budget()
            }];
            config.policies = vec![PolicyRule {
                effect: Effect::Deny.into(),
                when: "1 + 'a' == 2".to_owned(),
                ..rule("p")
            }];
        },
    );
}

#[test]
fn names_are_unique_and_not_empty() {
    assert_paths(
        &[
            "tenants[1].name",
            "tenants[0].agents[1].name",
            "providers[1].name",
            "models[3].name",
            "routes[1].name",
            "budgets[1].name",
            "rateLimits[1].name",
            "policies[1].name",
        ],
        |config| {
            let agent = Agent {
                name: "bot".to_owned(),
                ..Agent::default()
            };
            config.tenants[0].agents = vec![agent.clone(), agent];
            config.tenants.push(fairlead_wire::internal::Tenant {
                name: "acme".to_owned(),
                agents: Vec::new(),
            });
            config.providers.push(config.providers[0].clone());
            config.models.push(config.models[0].clone());
            config.routes = vec![
                Route {
                    r#match: workload("a"),
                    ..valid_route()
                },
                valid_route(),
            ];
            config.budgets = vec![valid_budget(), valid_budget()];
            let limit = RateLimit {
                name: "l".to_owned(),
                concurrent: 1,
                ..RateLimit::default()
            };
            config.rate_limits = vec![limit.clone(), limit];
            let policy = PolicyRule {
                effect: Effect::Allow.into(),
                ..rule("p")
            };
            config.policies = vec![
                policy.clone(),
                PolicyRule {
                    name: String::new(),
                    ..policy
                },
            ];
        },
    );
}

#[test]
fn references_exist() {
    assert_paths(
        &[
            "routes[0].targets[1].model",
            "routes[0].fallback.chain[0]",
            "routes[1].candidates[1]",
            "budgets[0].onExceed.downgradeTo",
            "budgets[1].onExceed.requireApproval",
            "policies[0].effect.constrain.allowedModels[1]",
            "policies[1].effect.requireApproval",
        ],
        |config| {
            config.routes = vec![
                Route {
                    r#match: workload("a"),
                    ..route("a", &[("small", 1), ("gone", 1)], &["gone"])
                },
                Route {
                    select: Selection::Best.into(),
                    candidates: strings(&["small", "gone"]),
                    ..route("b", &[], &[])
                },
            ];
            config.budgets = vec![
                Budget {
                    on_exceed: fairlead_wire::internal::OnExceed::Downgrade.into(),
                    downgrade_to: "gone".to_owned(),
                    ..valid_budget()
                },
                Budget {
                    name: "asking".to_owned(),
                    on_exceed: fairlead_wire::internal::OnExceed::RequireApproval.into(),
                    tier: "gone".to_owned(),
                    ..valid_budget()
                },
            ];
            config.policies = vec![
                PolicyRule {
                    effect: Effect::Constrain.into(),
                    allowed_models: strings(&["small", "gone"]),
                    ..rule("p")
                },
                PolicyRule {
                    effect: Effect::RequireApproval.into(),
                    tier: "gone".to_owned(),
                    ..rule("asking")
                },
            ];
        },
    );
}

#[test]
fn a_route_behind_one_that_takes_everything_is_unreachable() {
    let chat = |name| Route {
        r#match: workload("chat"),
        ..route(name, &[("small", 1)], &[])
    };
    assert_paths(&["routes[2]", "routes[3]"], |config| {
        config.routes = vec![
            chat("first"),
            Route {
                r#match: workload("code"),
                ..route("other", &[("small", 1)], &[])
            },
            chat("same"),
            Route {
                when: "request.stream".to_owned(),
                ..chat("same, with a condition")
            },
        ];
    });
    assert_paths(&["routes[1]"], |config| {
        config.routes = vec![valid_route(), chat("behind a catch-all")];
    });
    assert_paths(&["routes[1]"], |config| {
        config.routes = vec![
            Route {
                r#match: workload("*"),
                ..valid_route()
            },
            route("all", &[("small", 1)], &[]),
        ];
    });
    assert_paths(&[], |config| {
        config.routes = vec![
            Route {
                when: "request.stream".to_owned(),
                ..chat("conditional")
            },
            chat("plain"),
            Route {
                r#match: workload("cha*"),
                ..route("broader", &[("small", 1)], &[])
            },
            route("all", &[("small", 1)], &[]),
        ];
    });
}

#[test]
fn ten_thousand_routes_are_checked_without_comparing_all_pairs() {
    assert_paths(&["routes[10000]"], |config| {
        let one = |at| Route {
            r#match: workload(&format!("w{at}")),
            ..route(&format!("r{at}"), &[("small", 1)], &[])
        };
        config.routes = (0..10_000).map(one).collect();
        config.routes.push(Route {
            name: "last".to_owned(),
            ..one(77)
        });
    });
}

#[test]
fn expressions_are_type_checked_with_their_position() {
    let found = violations(|config| {
        config.routes = vec![Route {
            when: "request.nope == 1".to_owned(),
            ..valid_route()
        }];
        config.policies = vec![PolicyRule {
            effect: Effect::Deny.into(),
            when: "request.inputTokens".to_owned(),
            ..rule("p")
        }];
    });
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (found[0].path.as_str(), found[1].path.as_str()),
        ("routes[0].when", "policies[0].when")
    );
    assert!(found[0].message.starts_with("line 1, column "), "{}", found[0].message);
}

#[test]
fn a_route_has_targets_or_a_selection() {
    assert_paths(&["routes[0]"], |config| config.routes = vec![route("r", &[], &[])]);
    assert_paths(&["routes[0]"], |config| {
        config.routes = vec![Route {
            candidates: strings(&["small"]),
            ..valid_route()
        }];
    });
    assert_paths(&["routes[0]"], |config| {
        config.routes = vec![Route {
            candidates: strings(&["small"]),
            ..route("r", &[], &[])
        }];
    });
    assert_paths(&["routes[0].candidates"], |config| {
        config.routes = vec![Route {
            select: Selection::Best.into(),
            ..route("r", &[], &[])
        }];
    });
    assert_paths(&["routes[0].stickyBy"], |config| {
        config.routes = vec![Route {
            select: Selection::Best.into(),
            candidates: strings(&["small"]),
            sticky_by: "tenant".to_owned(),
            ..route("r", &[], &[])
        }];
    });
}

#[test]
fn the_parts_of_a_route_are_in_range() {
    assert_paths(
        &[
            "routes[0].targets[1].model",
            "routes[0].targets[2].weight",
            "routes[0].stickyBy",
            "routes[0].fallback.on[1]",
            "routes[0].fallback.chain[1]",
            "routes[0].retry.attempts",
            "routes[0].retry.backoff.initial",
            "routes[0].minOutputTokens",
            "routes[0].timeout",
            "routes[0].maxP99",
            "routes[0].cache.ttl",
        ],
        |config| {
            config.routes = vec![Route {
                targets: vec![
                    Target {
                        model: "small".to_owned(),
                        weight: 1,
                    },
                    Target {
                        model: "small".to_owned(),
                        weight: 1,
                    },
                    Target {
                        model: "large".to_owned(),
                        weight: 1_000_001,
                    },
                ],
                sticky_by: "planet".to_owned(),
                fallback: Some(Fallback {
                    chain: strings(&["large", "large"]),
                    on: strings(&["429", "404"]),
                }),
                retry: Some(Retry {
                    attempts: 0,
                    initial_millis: 2,
                    max_millis: 1,
                    ..Retry::default()
                }),
                min_output_tokens: -1,
                timeout_millis: u64::MAX,
                max_p99_millis: u64::MAX,
                cache_ttl_millis: u64::MAX,
                ..valid_route()
            }];
        },
    );
}

#[test]
fn literals_may_have_a_star_at_the_end_only() {
    assert_paths(
        &[
            "routes[0].match.tenant[0]",
            "routes[0].match.agent[1]",
            "routes[0].match.tool",
        ],
        |config| {
            let conditions = Match {
                tenants: strings(&["a*b"]),
                agents: strings(&["ok*", ""]),
                tools: strings(&["t"]),
                ..Match::default()
            };
            config.routes = vec![Route {
                r#match: Some(conditions),
                ..valid_route()
            }];
        },
    );
}

#[test]
fn prices_are_there_and_can_be_counted() {
    assert_paths(
        &[
            "models[0].price",
            "models[1].price.output",
            "models[1].price.reasoning",
            "models[2].price",
        ],
        |config| {
            config.models[0].price = None;
            config.models[1].price = Some(Price {
                output_pico: -1,
                reasoning_pico: Some(-1),
                ..Price::default()
            });
            config.models[2].price = Some(Price {
                output_pico: 1_000_000_000_000,
                ..Price::default()
            });
            config.models[2].context_tokens = 0;
            config.models[2].max_output_tokens = 100_000_000;
        },
    );
    let found = violations(|config| config.models[0].price = None);
    assert_eq!(found[0].message, "is missing: a model that costs nothing says so");
}

#[test]
fn models_and_providers_are_in_range() {
    assert_paths(
        &[
            "providers[0].kind",
            "providers[0].baseUrl",
            "providers[0].timeouts.connect",
            "providers[0].breaker.consecutiveFailures",
            "providers[0].breaker.failureRate",
            "providers[0].breaker.minimumCalls",
            "providers[0].breaker.open",
            "providers[0].breaker.window",
            "models[0].maxOutputTokens",
            "models[1].contextTokens",
            "models[1].maxOutputTokens",
            "models[1].quality",
            "models[2].upstream",
        ],
        |config| {
            let provider = &mut config.providers[0];
            provider.kind = 99;
            provider.base_url = "ftp://x".to_owned();
            provider.timeouts = Some(ProviderTimeouts {
                connect_millis: 0,
                first_byte_millis: 1,
                idle_millis: 1,
                attempt_millis: 1,
            });
            provider.breaker = Some(Breaker {
                open_millis: 2,
                max_open_millis: 1,
                ..Breaker::default()
            });
            config.models[0].max_output_tokens = 200_000;
            config.models[1].context_tokens = -1;
            config.models[1].max_output_tokens = 0;
            config.models[1].quality_per_mille = 1001;
            config.models[2].upstream.clear();
        },
    );
}

#[test]
fn budgets_are_in_range() {
    assert_paths(
        &[
            "budgets[0].limit.usd",
            "budgets[0].window",
            "budgets[0].scope[1]",
            "budgets[0].scope[2]",
            "budgets[0].alertAt[0]",
            "budgets[0].alertAt[2]",
            "budgets[1].window.rolling",
        ],
        |config| {
            config.budgets = vec![
                Budget {
                    limit_nano_usd: Some(0),
                    window: WindowKind::Unspecified.into(),
                    scope: strings(&["run", "planet", "run"]),
                    alert_at: vec![0, 50, 50],
                    ..valid_budget()
                },
                Budget {
                    name: "rolling".to_owned(),
                    window: WindowKind::Rolling.into(),
                    ..valid_budget()
                },
            ];
        },
    );
}

#[test]
fn rate_limits_limit_something() {
    assert_paths(
        &["rateLimits[0]", "rateLimits[1].burstRequests", "rateLimits[1].maxWait"],
        |config| {
            config.rate_limits = vec![
                RateLimit {
                    name: "a".to_owned(),
                    ..RateLimit::default()
                },
                RateLimit {
                    name: "b".to_owned(),
                    concurrent: 1,
                    burst_requests: 5,
                    max_wait_millis: u64::MAX,
                    ..RateLimit::default()
                },
            ];
        },
    );
}

#[test]
fn policy_rules_say_one_thing() {
    assert_paths(
        &[
            "policies[0].effect",
            "policies[1].invariant",
            "policies[2].effect.constrain",
            "policies[3].effect",
            "policies[4].on",
            "policies[5].effect.constrain.maxOutputTokens",
        ],
        |config| {
            let with = |name: &str, effect: Effect| PolicyRule {
                effect: effect.into(),
                ..rule(name)
            };
            config.policies = vec![
                rule("nothing"),
                PolicyRule {
                    invariant: true,
                    ..with("b", Effect::Allow)
                },
                with("c", Effect::Constrain),
                PolicyRule {
                    max_output_tokens: 5,
                    ..with("d", Effect::Deny)
                },
                PolicyRule {
                    on: "run.start".to_owned(),
                    ..with("e", Effect::Deny)
                },
                PolicyRule {
                    max_output_tokens: -5,
                    ..with("f", Effect::Constrain)
                },
            ];
        },
    );
}

#[test]
fn bounds_and_words_are_known() {
    assert_paths(
        &[
            "limits.requestBytes",
            "limits.budgetInstances",
            "limits.queueDepth",
            "limits.streams",
            "limits.openReservations",
            "limits.requestIds",
            "reservations.ttl",
            "durability.model.call",
            "durability.planet.call",
            "defaults.model.call",
            "audit.content",
        ],
        |config| {
            config.limits = Some(Limits::default());
            config.reservations = Some(Reservations::default());
            config.durability = labels(&[("model.call", "sometimes"), ("planet.call", "power")]);
            config.defaults = labels(&[("model.call", "maybe")]);
            config.audit_content = "all".to_owned();
        },
    );
    assert_paths(&["defaults.model.call"], |config| config.defaults.clear());
}
