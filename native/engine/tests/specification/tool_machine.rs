//! Random histories of tool calls, with crashes: T1 a key never has two open or succeeded grants, A1 an approval is
//! consumed at most once, T2 and A2 what is recovered is what was there, A4 what is granted is what people agreed to.
use std::collections::{BTreeMap, BTreeSet};

use fairlead_wire::internal::{ArgumentConstraint, Effect, PolicyRule, argument_constraint::Change};
use fairlead_wire::v1::authorize_tool_response::Outcome;
use fairlead_wire::v1::{
    ApprovalDecision, ApprovalState, AuthorizeToolRequest, EventKind, ToolCallState, ToolGranted, ToolOutcome,
    audit_record::Body,
};
use proptest::prelude::*;

use crate::bench::{Bench, MINUTE};
use crate::tool_bench::{ended, open, pay, rule, tier, with_tools};

#[derive(Debug, Clone)]
enum Step {
    Call {
        key: u8,
        is_read: bool,
        is_big: bool,
    },
    Return {
        ticket: usize,
    },
    Complete {
        grant: usize,
        outcome: ToolOutcome,
    },
    Vote {
        approval: usize,
        operator: &'static str,
        decision: ApprovalDecision,
    },
    Edit {
        approval: usize,
        operator: &'static str,
        n: i64,
    },
    /// A rule caps what it lets through, or does not.
    Cap(Option<i64>),
    Wait(i64),
    Expire,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(ToolOutcome::Succeeded),
        Just(ToolOutcome::Failed),
        Just(ToolOutcome::Unknown)
    ];
    let decision = prop_oneof![4 => Just(ApprovalDecision::Approve), 1 => Just(ApprovalDecision::Reject)];
    prop_oneof![
        6 => (0..3_u8, any::<bool>(), any::<bool>()).prop_map(|(key, is_read, is_big)| Step::Call { key, is_read, is_big }),
        4 => any::<usize>().prop_map(|ticket| Step::Return { ticket }),
        4 => (any::<usize>(), outcome).prop_map(|(grant, outcome)| Step::Complete { grant, outcome }),
        4 => (any::<usize>(), prop_oneof![Just("asha"), Just("ben"), Just("cem")], decision)
            .prop_map(|(approval, operator, decision)| Step::Vote { approval, operator, decision }),
        2 => (any::<usize>(), prop_oneof![Just("asha"), Just("ben")], 1..100_i64)
            .prop_map(|(approval, operator, n)| Step::Edit { approval, operator, n }),
        1 => prop_oneof![Just(None), (1..60_i64).prop_map(Some)].prop_map(Step::Cap),
        2 => (0..40_i64).prop_map(|minutes| Step::Wait(minutes * MINUTE)),
        1 => Just(Step::Expire),
        2 => Just(Step::Crash),
    ]
}

#[derive(Default)]
struct Agent {
    tickets: Vec<AuthorizeToolRequest>,
    approvals: Vec<String>,
    grants: Vec<String>,
}

fn pick<T: Clone>(of: &[T], at: usize) -> Option<T> {
    (!of.is_empty()).then(|| of[at % of.len()].clone())
}

impl Agent {
    fn ask(&mut self, bench: &mut Bench, request: &AuthorizeToolRequest) {
        match bench.authorize(request).map(|answer| answer.outcome) {
            Ok(Some(Outcome::Granted(granted))) => {
                check_agreed(bench, request, &granted);
                self.grants.push(granted.grant);
            }
            Ok(Some(Outcome::Pending(pending))) => {
                self.approvals.push(pending.approval);
                self.tickets.push(AuthorizeToolRequest {
                    ticket: pending.ticket,
                    ..request.clone()
                });
            }
            _ => {}
        }
    }

    fn take(&mut self, bench: &mut Bench, step: &Step) {
        match step {
            Step::Call { key, is_read, is_big } => {
                let mut request = pay(
                    &format!("k{key}-{is_read}-{is_big}"),
                    if *is_big { r#"{"n":50}"# } else { r#"{"n":1}"# },
                );
                if *is_read {
                    "search".clone_into(&mut request.tool);
                }
                self.ask(bench, &request);
            }
            Step::Return { ticket } => {
                if let Some(request) = pick(&self.tickets, *ticket) {
                    self.ask(bench, &request);
                }
            }
            Step::Complete { grant, outcome } => {
                if let Some(grant) = pick(&self.grants, *grant) {
                    let _ = bench.complete(&grant, *outcome, "1");
                }
            }
            Step::Vote {
                approval,
                operator,
                decision,
            } => {
                if let Some(approval) = pick(&self.approvals, *approval) {
                    let _ = bench.vote(&approval, operator, *decision);
                }
            }
            Step::Edit { approval, operator, n } => {
                if let Some(approval) = pick(&self.approvals, *approval) {
                    let _ = bench.edit(&approval, operator, &format!(r#"{{"n":{n}}}"#));
                }
            }
            Step::Cap(most) => bench.load(|config| {
                config.policies.retain(|rule| rule.name != "cap");
                config.policies.extend(most.map(cap));
            }),
            Step::Wait(nanos) => {
                bench.after(*nanos);
            }
            Step::Expire => {
                bench.expire();
            }
            Step::Crash => {
                let counts = (bench.engine.open_tool_calls(), bench.engine.open_approvals());
                bench.crash();
                assert_eq!(
                    counts,
                    (bench.engine.open_tool_calls(), bench.engine.open_approvals()),
                    "T2, A2"
                );
            }
        }
    }
}

/// At most so much.
fn cap(most: i64) -> PolicyRule {
    PolicyRule {
        arguments: vec![ArgumentConstraint {
            pointer: "/n".to_owned(),
            change: Some(Change::Maximum(most as f64)),
        }],
        ..rule("cap", &["pay", "search"], Effect::Constrain)
    }
}

/// INVARIANT (A4): what is granted under an approval is what two people agreed to, or the one of legal that it was passed
/// on to, and said so of its digest.
fn check_agreed(bench: &Bench, request: &AuthorizeToolRequest, granted: &ToolGranted) {
    if request.ticket.is_empty() {
        return;
    }
    let approval = bench.approval(&request.ticket.replace("tkt_", "approvals/apr_"));
    if approval.state() == ApprovalState::Withdrawn {
        return;
    }
    assert_eq!(approval.state(), ApprovalState::Consumed);
    let constraints = granted.constraints.as_ref().unwrap();
    assert_eq!(constraints.arguments, approval.arguments, "A4");
    let agreed: BTreeSet<_> = approval
        .votes
        .iter()
        .filter(|vote| vote.decision() == ApprovalDecision::Approve && vote.digest == approval.digest)
        .map(|vote| vote.operator.as_str())
        .collect();
    let asked = if approval.escalated_from.is_empty() { 2 } else { 1 };
    assert!(agreed.len() >= asked, "A4: {approval:?}");
}

/// INVARIANT (T1), from the store alone.
fn check_keys(bench: &Bench) {
    let mut standing: BTreeMap<String, usize> = BTreeMap::new();
    let calls = open(&bench.store)
        .into_iter()
        .chain(ended(&bench.store).into_iter().map(|(_, call)| call));
    for call in calls.filter(|call| matches!(call.state(), ToolCallState::Open | ToolCallState::Succeeded)) {
        *standing.entry(call.idempotency_key).or_default() += 1;
    }
    assert!(standing.values().all(|count| *count == 1), "T1: {standing:?}");
}

/// INVARIANT (A1), from the log alone.
fn check_consumed(bench: &Bench) {
    let mut consumed: BTreeMap<String, usize> = BTreeMap::new();
    for record in bench.log() {
        if record.kind() == EventKind::ApprovalEnded
            && let Some(Body::Approval(event)) = record.body
            && event.state() == ApprovalState::Consumed
        {
            *consumed.entry(event.approval).or_default() += 1;
        }
    }
    assert!(consumed.values().all(|count| *count == 1), "A1: {consumed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_invariants_hold_in_every_history(steps in proptest::collection::vec(step(), 1..60)) {
        let mut config = with_tools();
        let mut asks = rule("big", &["pay", "search"], Effect::RequireApproval);
        (asks.when, asks.tier) = ("args.n > 10".to_owned(), "two".to_owned());
        config.policies.push(asks);
        config.approval_tiers.push(tier("legal", &[("legal", 1)]));
        "legal".clone_into(&mut config.approval_tiers[1].escalate_to);
        let mut bench = Bench::given(config);
        let mut agent = Agent::default();
        for step in &steps {
            agent.take(&mut bench, step);
            check_keys(&bench);
        }
        check_consumed(&bench);
    }
}
