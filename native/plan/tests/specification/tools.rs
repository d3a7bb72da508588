//! Rules on tool calls: what they match, what they see, who wins.
use fairlead_plan::Compiled;
use fairlead_plan::tool::{Json, ToolDecision, ToolFacts, ToolVerdict};
use fairlead_wire::internal::{
    ApprovalTier, ArgumentConstraint, Effect, EngineConfig, Match, PolicyRule, Quorum, Tool,
    argument_constraint::Change,
};
use fairlead_wire::v1::{ToolEffect, ToolRisk};

use crate::world::{NOW, config, labels, strings};

fn rule(name: &str, effect: Effect, when: &str) -> PolicyRule {
    PolicyRule {
        name: name.to_owned(),
        on: "tool.call".to_owned(),
        effect: effect as i32,
        when: when.to_owned(),
        ..PolicyRule::default()
    }
}

fn with(policies: Vec<PolicyRule>) -> EngineConfig {
    let tier = |name: &str, count| ApprovalTier {
        name: name.to_owned(),
        require: vec![Quorum {
            role: "finance".to_owned(),
            count,
        }],
        expires_after_millis: 1_000,
        ..ApprovalTier::default()
    };
    EngineConfig {
        policies,
        tools: vec![Tool {
            name: "db.*".to_owned(),
            effect: ToolEffect::Write as i32,
            risk: ToolRisk::Medium as i32,
            ..Tool::default()
        }],
        approval_tiers: vec![tier("one", 1), tier("two", 2), tier("also-two", 2)],
        ..config()
    }
}

fn decide(policies: Vec<PolicyRule>, tool: &str, arguments: &str) -> ToolDecision {
    let compiled = Compiled::compile(&with(policies)).unwrap();
    let arguments = Json::parse(arguments.as_bytes()).unwrap();
    let facts = ToolFacts {
        tenant: "acme",
        agent: "bot",
        tool,
        arguments: &arguments,
        agreed: None,
        session: "s-1",
        session_labels: &strings(&["saw_untrusted"]),
        run: "",
        step: "",
        idempotency_key: "k",
        labels: &labels(&[("team", "support")]),
    };
    compiled.decide_tool(&facts, NOW)
}

fn holds(when: &str, arguments: &str) -> bool {
    let decision = decide(vec![rule("it", Effect::Allow, when)], "db.drop", arguments);
    matches!(decision.verdict, ToolVerdict::Granted(_))
}

fn cause(decision: &ToolDecision) -> &str {
    match decision.verdict {
        ToolVerdict::Denied(cause) => cause,
        _ => "",
    }
}

#[test]
fn a_denial_comes_before_approval_before_constraints_before_permission() {
    let mut constrain = rule("constrain", Effect::Constrain, "");
    constrain.arguments = vec![ArgumentConstraint {
        pointer: "/x".to_owned(),
        change: Some(Change::Remove(true)),
    }];
    let mut ask = rule("ask", Effect::RequireApproval, "");
    "one".clone_into(&mut ask.tier);
    let mut never = rule("never", Effect::Deny, "");
    never.invariant = true;
    let mut rules = Vec::new();
    for (next, deciding) in [
        (rule("allow", Effect::Allow, ""), "allow"),
        (constrain, "constrain"),
        (ask, "ask"),
        (rule("deny", Effect::Deny, ""), "deny"),
        (never, "never"),
    ] {
        rules.push(next);
        let decision = decide(rules.clone(), "db.drop", "{}");
        assert_eq!(decision.deciding.as_deref(), Some(deciding));
        assert_eq!(decision.rules.len(), rules.len(), "all that matched are named");
    }
}

#[test]
fn of_several_tiers_the_one_with_the_most_people_decides() {
    let ask = |name: &str, tier: &str| PolicyRule {
        tier: tier.to_owned(),
        ..rule(name, Effect::RequireApproval, "")
    };
    let rules = vec![ask("a", "one"), ask("b", "two"), ask("c", "also-two")];
    let decision = decide(rules, "db.drop", "{}");
    assert_eq!(decision.deciding.as_deref(), Some("b"));
    assert!(matches!(decision.verdict, ToolVerdict::NeedsApproval(tier, _) if tier.name() == "two"));
}

#[test]
fn expressions_see_the_call_the_catalogue_and_the_session() {
    assert!(holds(
        "args.n == 9007199254740993 && args.list[1].deep == 'x'",
        r#"{"n": 9007199254740993, "list": [0, {"deep": "x"}]}"#
    ));
    assert!(holds(
        "args.half < 1.0 && args.big > 9.0e18",
        r#"{"half": 0.5, "big": 99999999999999999999}"#
    ));
    assert!(holds(
        "tool.name == 'db.drop' && tool.effect == 'write' && tool.risk == 'medium' && tool.riskLevel == 2",
        "{}"
    ));
    assert!(holds("session.id == 's-1' && 'saw_untrusted' in session.labels", "{}"));
    assert!(holds(
        "request.idempotencyKey == 'k' && !has(request.run) && labels.team == 'support'",
        "{}"
    ));
    assert!(!holds("has(args.missing)", "{}"));
}

#[test]
fn a_rule_that_cannot_be_decided_denies() {
    let decision = decide(vec![rule("it", Effect::Allow, "args.amount > 10")], "db.drop", "{}");
    assert_eq!(cause(&decision), "expression_failed");
}

#[test]
fn an_unknown_tool_is_destructive_and_no_rule_is_no_permission() {
    let risky = vec![rule(
        "it",
        Effect::Deny,
        "tool.riskLevel == 4 && tool.effect == 'side_effect'",
    )];
    assert_eq!(cause(&decide(risky, "rm", "{}")), "rule");
    assert_eq!(cause(&decide(Vec::new(), "db.drop", "{}")), "default");
}

#[test]
fn a_rule_matches_tools_by_name_or_prefix() {
    let matching = |tools: &[&str]| PolicyRule {
        r#match: Some(Match {
            tools: strings(tools),
            ..Match::default()
        }),
        ..rule("it", Effect::Allow, "")
    };
    let fits = |tools: &[&str], tool: &str| !decide(vec![matching(tools)], tool, "{}").rules.is_empty();
    assert!(fits(&["db.*"], "db.drop") && fits(&["x", "db.drop"], "db.drop"));
    assert!(!fits(&["db.*"], "mail.send") && !fits(&["db"], "db.drop"));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_path() {
    let mut broken = with(vec![
        PolicyRule {
            tier: "nobody".to_owned(),
            ..rule("tier", Effect::RequireApproval, "")
        },
        rule("nothing", Effect::Constrain, ""),
        rule("types", Effect::Allow, "tool.riskLevel == 'high'"),
        PolicyRule {
            r#match: Some(Match {
                models: strings(&["gpt"]),
                ..Match::default()
            }),
            ..rule("model", Effect::Allow, "")
        },
    ]);
    broken.tools[0].argument_schema = r#"{"$ref": "https://example.com/schema.json"}"#.to_owned();
    broken.approval_tiers[0].require.clear();
    let violations = Compiled::compile(&broken).unwrap_err();
    let paths: Vec<&str> = violations.iter().map(|one| one.path.as_str()).collect();
    for path in [
        "policies[0].effect.requireApproval",
        "policies[1].effect.constrain",
        "policies[2].when",
        "policies[3].match.model",
        "tools[0].arguments",
        "approvals.tiers[0].require",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
}

#[test]
fn tiers_do_not_escalate_in_a_circle() {
    let escalating = |to: [&str; 3]| {
        let mut config = with(Vec::new());
        for (tier, to) in config.approval_tiers.iter_mut().zip(to) {
            to.clone_into(&mut tier.escalate_to);
        }
        let refused = Compiled::compile(&config).err().unwrap_or_default();
        let said = refused.into_iter().map(|one| (one.path, one.message));
        said.collect::<Vec<_>>()
    };
    let path = |at: usize| format!("approvals.tiers[{at}].onExpire.escalateTo");
    assert_eq!(escalating(["two", "also-two", ""]), []);
    assert_eq!(
        escalating(["nobody", "", ""]),
        [(path(0), "there is no approval tier `nobody`".to_owned())]
    );
    assert_eq!(
        escalating(["one", "", ""]),
        [(path(0), "escalates in a circle: one → one".to_owned())]
    );
    let round = escalating(["two", "also-two", "two"]);
    assert_eq!(
        round,
        [
            (path(1), "escalates in a circle: two → also-two → two".to_owned()),
            (path(2), "escalates in a circle: also-two → two → also-two".to_owned()),
        ],
        "what only leads into it is not in it"
    );
}
