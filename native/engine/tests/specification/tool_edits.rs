//! What people agree to is what runs: constraints before they are asked, edits by them, and the policy of the moment.
use fairlead_engine::Reason;
use fairlead_wire::internal::{ArgumentConstraint, Effect, PolicyRule, argument_constraint::Change};
use fairlead_wire::v1::{
    ApprovalDecision, ApprovalState, AuthorizeToolRequest, EventKind, ToolGranted, ToolPending, audit_record::Body,
};

use crate::bench::{Bench, HOUR};
use crate::tool_bench::{pay, rule, tier, with_tools};

const APPROVE: ApprovalDecision = ApprovalDecision::Approve;

fn cap(maximum: f64) -> PolicyRule {
    PolicyRule {
        arguments: vec![ArgumentConstraint {
            pointer: "/amount".to_owned(),
            change: Some(Change::Maximum(maximum)),
        }],
        ..rule("cap", &["pay"], Effect::Constrain)
    }
}

fn asks(name: &str, when: &str, tier: &str) -> PolicyRule {
    PolicyRule {
        when: when.to_owned(),
        tier: tier.to_owned(),
        ..rule(name, &["pay"], Effect::RequireApproval)
    }
}

/// Payments above 10 take one of finance, those above 100 two; more than 1000 is denied.
fn asking(extra: Option<PolicyRule>) -> Bench {
    let mut config = with_tools();
    config.approval_tiers.push(tier("legal", &[("legal", 1)]));
    config.policies.push(asks("big", "args.amount > 10", "one"));
    config.policies.push(asks("huge", "args.amount > 100", "two"));
    let mut denies = rule("too-much", &["pay"], Effect::Deny);
    "args.amount > 1000".clone_into(&mut denies.when);
    config.policies.push(denies);
    config.policies.extend(extra);
    Bench::given(config)
}

fn with_ticket(pending: &ToolPending, arguments: &str) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        ticket: pending.ticket.clone(),
        ..pay("k", arguments)
    }
}

/// What the call is to be made with, and what it says of changes.
fn arguments(granted: &ToolGranted) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let constraints = granted.constraints.as_ref().unwrap();
    (text(&constraints.arguments), text(&granted.arguments))
}

#[test]
fn people_see_the_arguments_after_constraints_and_these_are_granted() {
    let mut bench = asking(Some(cap(40.0)));
    let asked = r#"{"amount": 50, "to": "x"}"#;
    let pending = bench.pending(&pay("k", asked));
    let shown = bench.approval(&pending.approval);
    assert_eq!(shown.arguments, br#"{"amount":40,"to":"x"}"#);
    assert_eq!(
        (shown.requested_arguments, shown.changed),
        (asked.as_bytes().to_vec(), vec!["/amount".to_owned()])
    );
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.crash();
    let granted = bench.granted(&with_ticket(&pending, asked));
    let ran = r#"{"amount":40,"to":"x"}"#.to_owned();
    assert_eq!(arguments(&granted), (ran.clone(), ran));
    assert_eq!(granted.constraints.unwrap().changed, ["/amount"]);
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Consumed);
}

#[test]
fn what_nobody_changed_is_granted_byte_for_byte_and_not_said_twice() {
    let mut bench = asking(None);
    let pending = bench.pending(&pay("k", r#"{"amount": 50.0}"#));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    let granted = bench.granted(&with_ticket(&pending, r#"{"amount":50}"#));
    assert_eq!(arguments(&granted), (r#"{"amount": 50.0}"#.to_owned(), String::new()));
}

#[test]
fn a_tighter_constraint_asks_again_and_a_looser_one_grants_what_people_saw() {
    let mut bench = asking(Some(cap(40.0)));
    let asked = r#"{"amount": 50}"#;
    let pending = bench.pending(&pay("k", asked));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.load(|config| *config.policies.last_mut().unwrap() = cap(30.0));
    let response = bench.authorize(&with_ticket(&pending, asked)).unwrap();
    let reason = response.decision.unwrap().reason;
    assert!(
        reason.contains("rules change what people have agreed to at /amount"),
        "{reason}"
    );
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Expired);
    let again = bench.pending(&pay("k", asked));
    assert_eq!(bench.approval(&again.approval).arguments, br#"{"amount":30}"#);
    bench.vote(&again.approval, "asha", APPROVE).unwrap();
    bench.load(|config| drop(config.policies.pop()));
    let granted = bench.granted(&with_ticket(&again, asked));
    assert_eq!(arguments(&granted).0, r#"{"amount":30}"#, "what people saw, not more");
}

#[test]
fn a_call_that_needs_nobody_any_more_is_not_made_in_their_name_when_rules_change_it() {
    let mut bench = asking(None);
    let asked = r#"{"amount": 50}"#;
    let pending = bench.pending(&pay("k", asked));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.load(|config| {
        config.policies.retain(|rule| rule.name == "all");
        config.policies.push(cap(20.0));
    });
    let granted = bench.granted(&with_ticket(&pending, asked));
    assert_eq!(arguments(&granted).0, r#"{"amount":20}"#);
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Withdrawn);
}

#[test]
fn an_edit_takes_its_own_votes_and_the_agent_gets_the_edited_arguments() {
    let mut bench = asking(None);
    let asked = r#"{"amount": 500, "to": "x"}"#;
    let pending = bench.pending(&pay("k", asked));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    let before = bench.approval(&pending.approval).digest;
    let edited = bench
        .edit(&pending.approval, "ben", r#"{"amount": 400, "to": "x"}"#)
        .unwrap();
    assert_ne!(edited.digest, before);
    assert_eq!(
        (edited.missing[0].count, edited.tier.as_str()),
        (2, "two"),
        "votes begin anew"
    );
    assert_eq!(edited.requested_arguments, asked.as_bytes());
    bench.crash();
    bench.vote(&pending.approval, "ben", APPROVE).unwrap();
    let twice = bench.vote(&pending.approval, "ben", APPROVE).unwrap_err();
    assert_eq!(twice.reason, Reason::InvalidState, "who edits is one person, once");
    assert_eq!(
        bench.vote(&pending.approval, "asha", APPROVE).unwrap().state(),
        ApprovalState::Approved
    );
    let late = bench.edit(&pending.approval, "asha", r#"{"amount": 1}"#).unwrap_err();
    assert_eq!(late.metadata["state"], "APPROVED");
    bench.crash();
    let other = bench
        .authorize(&with_ticket(&pending, r#"{"amount": 400, "to": "x"}"#))
        .unwrap_err();
    assert_eq!(
        other.violations[0].field, "arguments",
        "the agent comes back with what it asked for"
    );
    let granted = bench.granted(&with_ticket(&pending, asked));
    let ran = r#"{"amount": 400, "to": "x"}"#.to_owned();
    assert_eq!(arguments(&granted), (ran.clone(), ran));
    let edits: Vec<_> = bench
        .log()
        .into_iter()
        .filter(|record| record.kind() == EventKind::ApprovalEdited)
        .collect();
    assert_eq!((edits.len(), edits[0].operator.as_str()), (1, "ben"));
    let Some(Body::Approval(event)) = &edits[0].body else {
        panic!("{edits:?}")
    };
    assert_eq!((&event.previous_digest, &event.digest), (&before, &edited.digest));
    assert_eq!(event.vote.as_ref().unwrap().decision(), ApprovalDecision::Edit);
}

#[test]
fn an_edit_goes_through_the_rules() {
    let mut bench = asking(Some(cap(700.0)));
    bench.load(|config| {
        config.tools[1].argument_schema =
            r#"{"type":"object","required":["amount"],"properties":{"amount":{"type":"number"}}}"#.to_owned();
    });
    let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
    let denied = bench
        .edit(&pending.approval, "asha", r#"{"amount": 5000}"#)
        .unwrap_err();
    assert_eq!(
        (denied.reason, denied.metadata["rule"].as_str()),
        (Reason::PolicyDenied, "too-much")
    );
    for (wrong, field) in [
        (r#"{"amount": "5"}"#, "edited_arguments/amount"),
        (r#"[1]"#, "edited_arguments"),
        (r#"{"amount": 50.0}"#, "edited_arguments"),
        ("", "edited_arguments"),
    ] {
        let refused = bench.edit(&pending.approval, "asha", wrong).unwrap_err();
        assert_eq!(refused.violations[0].field, field, "{wrong}");
    }
    let same = bench.approval(&pending.approval);
    assert_eq!((same.votes.len(), same.tier.as_str()), (0, "one"), "it stays as it was");
    let stricter = bench.edit(&pending.approval, "asha", r#"{"amount": 900}"#).unwrap();
    assert_eq!(
        (stricter.tier.as_str(), stricter.rule.as_str()),
        ("two", "huge"),
        "more people are asked"
    );
    assert_eq!(
        (stricter.arguments, stricter.changed),
        (br#"{"amount":700}"#.to_vec(), vec!["/amount".to_owned()])
    );
    let smaller = bench.edit(&pending.approval, "ben", r#"{"amount": 20}"#).unwrap();
    assert_eq!(smaller.tier, "two", "never fewer than were asked");
    for operator in ["asha", "ben"] {
        bench.vote(&pending.approval, operator, APPROVE).unwrap();
    }
    assert_eq!(
        arguments(&bench.granted(&with_ticket(&pending, r#"{"amount": 50}"#))).0,
        r#"{"amount": 20}"#
    );
}

#[test]
fn an_edit_that_is_for_others_asks_them() {
    let mut bench = asking(Some(asks("odd", "args.amount == 13", "legal")));
    bench.load(|config| config.policies.retain(|rule| rule.name != "big"));
    let pending = bench.pending(&pay("k", r#"{"amount": 500}"#));
    let edited = bench.edit(&pending.approval, "asha", r#"{"amount": 13}"#).unwrap();
    assert_eq!(
        (edited.tier.as_str(), edited.missing[0].role.as_str()),
        ("legal", "legal")
    );
    let denied = bench.vote(&pending.approval, "asha", APPROVE).unwrap_err();
    assert_eq!(denied.reason, Reason::PolicyDenied, "finance is not asked any more");
    bench.vote(&pending.approval, "cem", APPROVE).unwrap();
    bench.granted(&with_ticket(&pending, r#"{"amount": 500}"#));
}

#[test]
fn rules_of_the_moment_see_the_edited_arguments() {
    let mut bench = asking(None);
    let asked = r#"{"amount": 50}"#;
    let pending = bench.pending(&pay("k", asked));
    bench.edit(&pending.approval, "asha", r#"{"amount": 20}"#).unwrap();
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    let deny = |when: &str| PolicyRule {
        when: when.to_owned(),
        ..rule("stop", &["pay"], Effect::Deny)
    };
    bench.load(|config| config.policies.push(deny("args.amount == 20")));
    let denied = bench.authorize(&with_ticket(&pending, asked)).unwrap_err();
    assert_eq!(denied.metadata["rule"], "stop");
    bench.load(|config| *config.policies.last_mut().unwrap() = deny("args.amount == 50"));
    assert_eq!(
        arguments(&bench.granted(&with_ticket(&pending, asked))).0,
        r#"{"amount": 20}"#
    );
}

#[test]
fn an_edit_gives_no_more_time_and_there_is_a_most() {
    let mut bench = asking(None);
    let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
    for amount in 0..32 {
        let edited = format!(r#"{{"amount": {}}}"#, 11 + amount);
        bench.edit(&pending.approval, "asha", &edited).unwrap();
    }
    let full = bench.edit(&pending.approval, "asha", r#"{"amount": 99}"#).unwrap_err();
    assert!(full.message.contains("edited 32 times"), "{}", full.message);
    bench.after(HOUR);
    assert_eq!(bench.expire(), 1);
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Expired);
}
