//! Approvals that nobody decided on in time go to another tier, which never means that time approves.
use fairlead_engine::Reason;
use fairlead_wire::internal::Effect;
use fairlead_wire::v1::{ApprovalDecision, ApprovalState, AuthorizeToolRequest, EventKind, ToolPending};

use crate::bench::{Bench, HOUR};
use crate::tool_bench::{pay, rule, tier, with_tools};

const APPROVE: ApprovalDecision = ApprovalDecision::Approve;
const CALL: &str = r#"{"amount": 50}"#;

/// Payments take two of finance; when these do not decide within an hour, one of legal.
fn asking() -> Bench {
    let mut config = with_tools();
    config.approval_tiers.push(tier("legal", &[("legal", 1)]));
    config.approval_tiers[1].escalate_to = "legal".to_owned();
    let mut asks = rule("pays", &["pay"], Effect::RequireApproval);
    asks.tier = "two".to_owned();
    config.policies.push(asks);
    Bench::given(config)
}

fn with_ticket(pending: &ToolPending) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        ticket: pending.ticket.clone(),
        ..pay("k", CALL)
    }
}

#[test]
fn another_tier_is_asked_and_its_people_are_enough() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", CALL));
    assert_eq!(bench.approval(&pending.approval).escalates_to, "legal");
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.after(HOUR);
    assert_eq!(bench.expire(), 1);
    let passed = bench.approval(&pending.approval);
    assert_eq!(
        (passed.state(), passed.tier.as_str()),
        (ApprovalState::Pending, "legal")
    );
    assert_eq!(
        (passed.missing[0].role.as_str(), passed.escalates_to.as_str()),
        ("legal", "")
    );
    assert_eq!(passed.escalated_from, ["two"]);
    bench.crash();
    let denied = bench.vote(&pending.approval, "ben", APPROVE).unwrap_err();
    assert_eq!(denied.reason, Reason::PolicyDenied, "finance is not asked any more");
    bench.vote(&pending.approval, "cem", APPROVE).unwrap();
    bench.crash();
    bench.granted(&with_ticket(&pending));
    let kinds = bench.kinds();
    assert!(kinds.contains(&EventKind::ApprovalEscalated));
}

#[test]
fn it_is_passed_on_when_it_is_looked_at_though_no_sweep_came() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", CALL));
    bench.after(HOUR);
    let late = bench.vote(&pending.approval, "asha", APPROVE).unwrap_err();
    assert_eq!(late.reason, Reason::PolicyDenied);
    assert_eq!(
        bench.approval(&pending.approval).tier,
        "legal",
        "written though the vote was refused"
    );
    let mut again = asking();
    let pending = again.pending(&pay("k", CALL));
    again.after(HOUR);
    assert_eq!(
        again.pending(&with_ticket(&pending)).ticket,
        pending.ticket,
        "the agent waits with the same ticket"
    );
    assert_eq!(
        again.vote(&pending.approval, "cem", APPROVE).unwrap().state(),
        ApprovalState::Approved
    );
}

#[test]
fn the_last_tier_ends_it() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", CALL));
    for _ in 0..2 {
        bench.after(HOUR);
        assert_eq!(bench.expire(), 1);
    }
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Expired);
    assert_eq!(bench.engine.open_approvals(), 0);
}

#[test]
fn what_was_approved_and_not_used_is_not_passed_on() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", CALL));
    for operator in ["asha", "ben"] {
        bench.vote(&pending.approval, operator, APPROVE).unwrap();
    }
    bench.after(HOUR);
    bench.expire();
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Expired);
}

#[test]
fn votes_of_people_whom_the_new_tier_asks_for_go_on_counting() {
    let mut bench = asking();
    bench.load(|config| {
        config.operators[0].roles = vec!["finance".to_owned(), "legal".to_owned()];
        config.approval_tiers[2].require[0].count = 2;
    });
    let pending = bench.pending(&pay("k", CALL));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.after(HOUR);
    bench.expire();
    assert_eq!(bench.approval(&pending.approval).missing[0].count, 1);
    bench.vote(&pending.approval, "cem", APPROVE).unwrap();
    bench.granted(&with_ticket(&pending));
}

#[test]
fn whom_the_new_tier_asks_for_may_have_agreed_before() {
    let mut bench = asking();
    bench.load(|config| config.operators[0].roles = vec!["finance".to_owned(), "legal".to_owned()]);
    let pending = bench.pending(&pay("k", CALL));
    bench.vote(&pending.approval, "asha", APPROVE).unwrap();
    bench.after(HOUR);
    bench.expire();
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Approved);
    bench.granted(&with_ticket(&pending));
}

#[test]
fn a_tier_that_was_not_asked_does_not_stand_for_the_one_that_the_policy_wants_now() {
    let mut bench = asking();
    bench.load(|config| config.policies.last_mut().unwrap().tier = "legal".to_owned());
    let pending = bench.pending(&pay("k", CALL));
    bench.vote(&pending.approval, "cem", APPROVE).unwrap();
    bench.load(|config| config.policies.last_mut().unwrap().tier = "two".to_owned());
    assert_ne!(bench.pending(&with_ticket(&pending)).ticket, pending.ticket);
}

#[test]
fn an_edit_after_it_was_passed_on_is_for_the_tier_that_is_asked_now() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", CALL));
    bench.after(HOUR);
    bench.expire();
    let edited = bench.edit(&pending.approval, "cem", r#"{"amount": 5}"#).unwrap();
    assert_eq!(edited.tier, "legal");
    bench.vote(&pending.approval, "cem", APPROVE).unwrap();
    bench.granted(&with_ticket(&pending));
}

#[test]
fn a_tier_that_is_gone_is_not_asked() {
    let mut bench = asking();
    let pending = bench.pending(&pay("k", CALL));
    bench.load(|config| {
        config.approval_tiers.pop();
        config.approval_tiers[1].escalate_to.clear();
    });
    bench.after(HOUR);
    bench.expire();
    assert_eq!(bench.approval(&pending.approval).state(), ApprovalState::Expired);
}
