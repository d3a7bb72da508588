use fairlead_plan::{DenyCause, Verdict};
use fairlead_wire::internal::{ApprovalTier, Effect, PolicyRule, Quorum};

use crate::world::*;

fn world(rules: Vec<PolicyRule>) -> World {
    let mut config = config();
    config.routes = vec![route("all", &[("large", 1)], &["medium", "small"])];
    config.policies = rules;
    World::new(&config)
}

fn with(name: &str, effect: Effect) -> PolicyRule {
    PolicyRule {
        effect: effect.into(),
        ..rule(name)
    }
}

#[test]
fn without_a_matching_rule_the_default_decides() {
    let allowed = world(vec![]).decide(&call());
    assert_eq!((allowed.verdict, allowed.deciding_rule), (Verdict::Allowed, None));
    let mut config = config();
    config.defaults.insert("model.call".to_owned(), "deny".to_owned());
    let denied = World::new(&config).decide(&call());
    assert_eq!(
        denied.verdict,
        Verdict::Denied {
            rule: None,
            cause: DenyCause::Default
        }
    );
    assert!(denied.plan.is_empty());
}

#[test]
fn an_allow_lets_through_what_the_default_denies() {
    let mut config = config();
    config.defaults.insert("model.call".to_owned(), "deny".to_owned());
    config.policies = vec![PolicyRule {
        r#match: workload("chat"),
        ..with("chat", Effect::Allow)
    }];
    config.routes = vec![route("all", &[("large", 1)], &[])];
    let world = World::new(&config);
    let decision = world.decide(&call());
    assert_eq!(
        (&decision.verdict, world.deciding(&decision)),
        (&Verdict::Allowed, Some("chat"))
    );
    let other = fairlead_plan::CallFacts {
        workload: "code",
        ..call()
    };
    assert!(matches!(world.decide(&other).verdict, Verdict::Denied { .. }));
}

#[test]
fn a_deny_wins_over_allow_and_constrain_wherever_it_stands() {
    let constrain = PolicyRule {
        max_output_tokens: 10,
        ..with("short", Effect::Constrain)
    };
    let world = world(vec![
        with("open", Effect::Allow),
        constrain,
        with("closed", Effect::Deny),
    ]);
    let decision = world.decide(&call());
    assert_eq!(
        decision.verdict,
        Verdict::Denied {
            rule: decision.deciding_rule,
            cause: DenyCause::Rule
        }
    );
    assert_eq!(world.deciding(&decision), Some("closed"));
    assert_eq!(world.rules(&decision), ["open", "short", "closed"]);
    assert_eq!(decision.reason, "policy rule `closed` denies the call");
}

#[test]
fn an_invariant_is_named_before_an_earlier_deny() {
    let invariant = PolicyRule {
        invariant: true,
        ..with("never", Effect::Deny)
    };
    let world = world(vec![with("closed", Effect::Deny), invariant]);
    assert_eq!(world.deciding(&world.decide(&call())), Some("never"));
}

#[test]
fn constraints_add_up_to_the_tightest() {
    let longer = PolicyRule {
        max_output_tokens: 900,
        allowed_models: strings(&["medium", "large"]),
        ..with("a", Effect::Constrain)
    };
    let shorter = PolicyRule {
        max_output_tokens: 300,
        allowed_models: strings(&["small", "medium"]),
        ..with("b", Effect::Constrain)
    };
    for rules in [vec![longer.clone(), shorter.clone()], vec![shorter, longer]] {
        let world = world(rules);
        let decision = world.decide(&call());
        assert_eq!(world.plan(&decision), ["medium"]);
        assert_eq!((decision.max_output_tokens, decision.policy_clamped), (300, true));
        assert_eq!(
            world.dropped(&decision),
            [("large", "DROP_REASON_POLICY"), ("small", "DROP_REASON_POLICY")]
        );
    }
}

#[test]
fn a_limit_above_what_is_asked_clamps_nothing() {
    let world = world(vec![PolicyRule {
        max_output_tokens: 900,
        ..with("short", Effect::Constrain)
    }]);
    let decision = world.decide(&fairlead_plan::CallFacts {
        max_output_tokens: 900,
        ..call()
    });
    assert_eq!((decision.max_output_tokens, decision.policy_clamped), (900, false));
}

#[test]
fn no_allowed_model_is_a_denial_by_the_rule() {
    let world = world(vec![
        PolicyRule {
            allowed_models: strings(&["small"]),
            ..with("a", Effect::Constrain)
        },
        PolicyRule {
            allowed_models: strings(&["medium"]),
            ..with("b", Effect::Constrain)
        },
    ]);
    let decision = world.decide(&call());
    assert_eq!(
        decision.verdict,
        Verdict::Denied {
            rule: decision.deciding_rule,
            cause: DenyCause::NoAllowedModel
        }
    );
    assert_eq!(decision.dropped.len(), 3);
}

#[test]
fn a_limit_below_what_the_call_insists_on_is_a_denial() {
    let world = world(vec![PolicyRule {
        max_output_tokens: 50,
        ..with("short", Effect::Constrain)
    }]);
    let insists = fairlead_plan::CallFacts {
        min_output_tokens: 51,
        ..call()
    };
    let decision = world.decide(&insists);
    assert_eq!(
        decision.verdict,
        Verdict::Denied {
            rule: decision.deciding_rule,
            cause: DenyCause::OutputBelowMinimum
        }
    );
    let wishes = world.decide(&call());
    assert_eq!(
        (wishes.max_output_tokens, wishes.min_output_tokens),
        (50, 50),
        "the default minimum gives way"
    );
}

#[test]
fn a_condition_decides_whether_a_rule_matches() {
    let when = |source: &str| {
        world(vec![PolicyRule {
            when: source.to_owned(),
            ..with("closed", Effect::Deny)
        }])
    };
    let denies = |source: &str| matches!(when(source).decide(&call()).verdict, Verdict::Denied { .. });
    assert!(denies("request.inputTokens > 999 && request.workload == 'chat'"));
    assert!(!denies("request.inputTokens > 1000"));
    assert!(denies("tenant == 'acme' && agent == 'bot' && !request.stream"));
    assert!(denies("!has(request.minQuality) && request.minQuality == 0.0"));
    assert!(denies("!has(labels.tier) && !has(attributes.amount)"));
    assert!(denies("size(request.capabilities) == 0"));
    assert!(denies("now > timestamp('2023-01-01T00:00:00Z')"));
}

#[test]
fn attributes_are_seen_with_their_types() {
    use prost_types::value::Kind;
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let inner = prost_types::Struct {
        fields: [("city".to_owned(), value(Kind::StringValue("Kyiv".to_owned())))].into(),
    };
    let list = prost_types::ListValue {
        values: vec![value(Kind::NumberValue(1.0)), value(Kind::BoolValue(true))],
    };
    let fields = [
        ("amount".to_owned(), value(Kind::NumberValue(12.5))),
        ("address".to_owned(), value(Kind::StructValue(inner))),
        ("list".to_owned(), value(Kind::ListValue(list))),
        ("nothing".to_owned(), value(Kind::NullValue(0))),
    ];
    let attributes = prost_types::Struct { fields: fields.into() };
    let source = "attributes.amount > 12 && attributes.address.city == 'Kyiv' && attributes.list[1] == true \
                  && attributes.nothing == null && size(request.attributes) == 4";
    let world = world(vec![PolicyRule {
        when: source.to_owned(),
        ..with("closed", Effect::Deny)
    }]);
    let decision = world.decide(&fairlead_plan::CallFacts {
        attributes: Some(&attributes),
        ..call()
    });
    assert_eq!(
        decision.verdict,
        Verdict::Denied {
            rule: decision.deciding_rule,
            cause: DenyCause::Rule
        }
    );
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses_whatever_its_effect() {
    for effect in [Effect::Allow, Effect::Deny] {
        let world = world(vec![
            with("open", Effect::Allow),
            PolicyRule {
                when: "labels.tier == 'free'".to_owned(),
                ..with("tier", effect)
            },
        ]);
        let decision = world.decide(&call());
        let Verdict::Denied {
            rule,
            cause: DenyCause::ExpressionFailed { error },
        } = &decision.verdict
        else {
            panic!("{:?}", decision.verdict);
        };
        assert_eq!(world.compiled.policy(rule.unwrap()).unwrap().name.as_ref(), "tier");
        assert!(error.contains("tier"), "{error}");
    }
}

#[test]
fn ten_thousand_rules_decide_like_the_few_that_match() {
    let mut rules: Vec<PolicyRule> = (0..10_000)
        .map(|at| PolicyRule {
            r#match: workload(&format!("w{at}")),
            ..with(&format!("r{at}"), Effect::Deny)
        })
        .collect();
    rules.push(PolicyRule {
        r#match: workload("ch*"),
        max_output_tokens: 7,
        ..with("short", Effect::Constrain)
    });
    let world = world(rules);
    let decision = world.decide(&call());
    assert_eq!((world.rules(&decision), decision.max_output_tokens), (vec!["short"], 7));
}

#[test]
fn people_are_asked_where_nothing_denies_and_under_every_constraint() {
    let tier = |name: &str, count| ApprovalTier {
        name: name.to_owned(),
        require: vec![Quorum {
            role: "finance".to_owned(),
            count,
        }],
        expires_after_millis: 1_000,
        ..ApprovalTier::default()
    };
    let asks = |name: &str, tier: &str| PolicyRule {
        tier: tier.to_owned(),
        ..with(name, Effect::RequireApproval)
    };
    let world = |extra: Option<PolicyRule>| {
        let mut config = config();
        config.defaults.insert("model.call".to_owned(), "deny".to_owned());
        config.routes = vec![route("all", &[("large", 1)], &[])];
        config.approval_tiers = vec![tier("one", 1), tier("two", 2), tier("also-two", 2)];
        config.policies = vec![
            PolicyRule {
                max_output_tokens: 10,
                ..with("short", Effect::Constrain)
            },
            asks("first", "one"),
            asks("strictest", "two"),
            asks("as-strict", "also-two"),
        ];
        config.policies.extend(extra);
        World::new(&config)
    };
    let asked = world(None);
    let decision = asked.decide(&call());
    assert_eq!((&decision.verdict, decision.max_output_tokens), (&Verdict::Allowed, 10));
    assert_eq!(asked.deciding(&decision), Some("strictest"));
    let (_, tier) = decision.approval.unwrap();
    assert_eq!(asked.compiled.tier_at(tier).unwrap().name(), "two");
    let denied = world(Some(with("no", Effect::Deny))).decide(&call());
    assert!(matches!(denied.verdict, Verdict::Denied { .. }) && denied.approval.is_none());
}
