//! Approvals: people decide, once, on exactly these bytes.
use fairlead_engine::Reason;
use fairlead_wire::internal::{DecideApproval, Effect};
use fairlead_wire::v1::authorize_tool_response::Outcome;
use fairlead_wire::v1::{ApprovalDecision, ApprovalState, AuthorizeToolRequest, EventKind, ToolOutcome, ToolPending};

use crate::bench::{Bench, HOUR, SAID};
use crate::tool_bench::{pay, rule, with_tools};

const APPROVE: ApprovalDecision = ApprovalDecision::Approve;
const REJECT: ApprovalDecision = ApprovalDecision::Reject;

/// Payments above 10 take one of finance, those above 100 two.
fn asking() -> Bench {
    let mut config = with_tools();
    for (name, when, tier) in [("big", "args.amount > 10", "one"), ("huge", "args.amount > 100", "two")] {
        let mut rule = rule(name, &["pay"], Effect::RequireApproval);
        (rule.when, rule.tier) = (when.to_owned(), tier.to_owned());
        config.policies.push(rule);
    }
    Bench::given(config)
}

fn with_ticket(pending: &ToolPending, arguments: &str) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        ticket: pending.ticket.clone(),
        ..pay("k", arguments)
    }
}

#[test]
fn an_approved_call_is_granted_once_with_what_people_saw() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
    assert_eq!(
        bench.pending(&pay("k", r#"{"amount": 50}"#)).ticket,
        pending.ticket,
        "asked once"
    );
    let waiting = bench.pending(&with_ticket(&pending, r#"{"amount":50}"#));
    assert_eq!(waiting, pending);
    bench.crash();
    let approval = bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    assert_eq!((approval.state(), approval.missing.len()), (ApprovalState::Approved, 0));
    bench.crash();
    let granted = bench.granted(&with_ticket(&pending, r#"{"amount":50.0}"#));
    assert_eq!(granted.constraints.unwrap().arguments, br#"{"amount": 50}"#);
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Consumed);
    bench.crash();
    let again = bench
        .authorize(&with_ticket(&pending, r#"{"amount": 50}"#))
        .unwrap_err();
    assert_eq!(again.metadata["state"], "OPEN");
    bench.complete(&granted.grant, ToolOutcome::Succeeded, "1").unwrap();
    let replayed = bench.authorize(&with_ticket(&pending, r#"{"amount": 50}"#)).unwrap();
    assert!(matches!(replayed.outcome, Some(Outcome::Replayed(_))));
    let wanted = [
        EventKind::SidecarStarted,
        EventKind::ToolPending,
        EventKind::ApprovalVoted,
        EventKind::ApprovalEnded,
        EventKind::ToolAuthorized,
        EventKind::ApprovalEnded,
    ];
    let kinds: Vec<_> = bench.kinds().into_iter().filter(|kind| wanted.contains(kind)).collect();
    assert_eq!(kinds, wanted);
}

#[test]
fn a_ticket_is_for_exactly_its_call_and_its_agent() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    let differs = bench
        .authorize(&with_ticket(&pending, r#"{"amount": 51}"#))
        .unwrap_err();
    assert_eq!(differs.violations[0].field, "arguments");
    let elsewhere = AuthorizeToolRequest {
        run: "r".to_owned(),
        ..with_ticket(&pending, r#"{"amount": 50}"#)
    };
    assert_eq!(bench.authorize(&elsewhere).unwrap_err().violations[0].field, "run");
    for (tenant, agent) in [("acme", "other"), ("globex", "bot")] {
        let caller = fairlead_engine::Caller::agent(tenant, agent);
        let stranger = bench.authorize_as(caller, &with_ticket(&pending, r#"{"amount": 50}"#));
        assert_eq!(stranger.unwrap_err().reason, Reason::NotFound);
    }
}

#[test]
fn it_takes_as_many_different_people_as_the_tier_says() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", r#"{"amount": 500}"#));
    assert_eq!(
        bench.approval(&pending.approval).tier,
        "two",
        "the tier that asks for more people"
    );
    let denied = bench.vote(&pending.approval, "cem", APPROVE).unwrap_err();
    assert_eq!(denied.reason, Reason::PolicyDenied, "no role of cem's is asked for");
    assert_eq!(
        bench.vote(&pending.approval, "nobody", APPROVE).unwrap_err().reason,
        Reason::PolicyDenied
    );
    let first = bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    assert_eq!((first.state(), first.missing[0].count), (ApprovalState::Pending, 1));
    let twice = bench.vote(&pending.approval, "asha", APPROVE).unwrap_err();
    assert_eq!(twice.reason, Reason::InvalidState);
    assert_eq!(
        bench.vote(&pending.approval, "ben", APPROVE).unwrap().state(),
        ApprovalState::Approved
    );
}

#[test]
fn one_refusal_ends_it_and_the_agent_is_told_why() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", r#"{"amount": 500}"#));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    assert_eq!(
        bench.vote(&pending.approval, "ben", REJECT).unwrap().state(),
        ApprovalState::Rejected
    );
    assert_eq!(
        bench.vote(&pending.approval, "ben", APPROVE).unwrap_err().reason,
        Reason::NotFound
    );
    let denied = bench
        .authorize(&with_ticket(&pending, r#"{"amount": 500}"#))
        .unwrap_err();
    assert_eq!(denied.reason, Reason::PolicyDenied);
    assert_eq!(
        (denied.metadata["state"].as_str(), denied.metadata["reason"].as_str()),
        ("REJECTED", "said: seen")
    );
    assert_ne!(
        bench.pending(&pay("k", r#"{"amount": 500}"#)).ticket,
        pending.ticket,
        "without it, people are asked anew"
    );
}

#[test]
fn nobody_signs_what_he_did_not_see() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
    let command = DecideApproval {
        approval: pending.approval.trim_start_matches("approvals/").to_owned(),
        decision: APPROVE as i32,
        reason: format!("{SAID} fine"),
        digest: "0".repeat(64),
        ..DecideApproval::default()
    };
    let caller = fairlead_engine::Caller::operator("asha");
    let applied = bench
        .engine
        .decide_approval(fairlead_plan::UnixNanos(bench.now), caller, &command);
    assert_eq!(bench.take(applied).unwrap_err().violations[0].field, "digest");
}

#[test]
fn an_approval_expires_by_the_sweep_and_when_it_is_looked_at() {
    for swept in [true, false] {
        let mut bench = asking();
        let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
        bench.vote(&pending.approval, "asha", APPROVE).unwrap();
        bench.after(HOUR);
        if swept {
            assert_eq!(bench.expire(), 1);
        }
        let late = bench
            .authorize(&with_ticket(&pending, r#"{"amount": 50}"#))
            .unwrap_err();
        assert_eq!(
            (late.reason, late.metadata["state"].as_str()),
            (Reason::PolicyDenied, "EXPIRED")
        );
        assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Expired);
        assert_eq!(bench.engine.open_approvals(), 0);
    }
}

#[test]
fn arguments_that_wait_for_people_have_a_bound() {
    let mut bench = asking();
    let large = format!(r#"{{"amount": 50, "note": "{}"}}"#, "x".repeat(200 << 10));
    let first = bench.pending(&pay("k", &large));
    let full = bench.authorize(&pay("k2", &large)).unwrap_err();
    assert_eq!(
        (full.reason, full.metadata["bound"].as_str()),
        (Reason::QueueFull, "limits.openApprovals")
    );
    bench.crash();
    assert!(
        bench.authorize(&pay("k2", &large)).is_err(),
        "counted again after a restart"
    );
    bench.vote(&first.approval, "asha", REJECT).unwrap();
    bench.pending(&pay("k2", &large));
}

#[test]
fn a_vote_counts_for_the_roles_that_its_operator_still_has() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.load(|config| config.operators[0].roles = vec!["legal".to_owned()]);
    let again = bench.pending(&with_ticket(&pending, r#"{"amount": 50}"#));
    assert_ne!(again.ticket, pending.ticket);
    bench.vote(&again.approval, "ben", APPROVE).unwrap();
    bench.load(|config| drop(config.operators.remove(1)));
    assert!(
        bench.pending(&with_ticket(&again, r#"{"amount": 50}"#)).ticket != again.ticket,
        "he is gone"
    );
}

#[test]
fn the_policy_of_the_moment_counts_when_an_approved_call_comes_back() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", r#"{"amount": 50}"#));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.load(|config| config.policies[1].tier = "two".to_owned());
    let stricter = bench.pending(&with_ticket(&pending, r#"{"amount": 50}"#));
    assert_ne!(stricter.ticket, pending.ticket);
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Expired);
    for operator in ["asha", "ben"] {
        bench.vote(&stricter.approval, operator, APPROVE).unwrap();
    }
    bench.load(|config| config.policies.push(rule("stop", &["pay"], Effect::Deny)));
    let denied = bench
        .authorize(&with_ticket(&stricter, r#"{"amount": 50}"#))
        .unwrap_err();
    assert_eq!(denied.metadata["rule"], "stop");
    bench.load(|config| drop(config.policies.pop()));
    bench.granted(&with_ticket(&stricter, r#"{"amount": 50}"#));
}
