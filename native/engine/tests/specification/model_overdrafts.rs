//! Model calls that people let go over a budget.
use fairlead_engine::{Reason, Rejection};
use fairlead_wire::internal::{EngineConfig, OnExceed, WindowKind};
use fairlead_wire::v1::{AdmitRequest, ApprovalDecision, ApprovalState, EventKind, audit_record::Body};

use crate::bench::{Bench, budget, call, money, usd, used};
use crate::model_approvals::{asked, back, held, ruled};

const APPROVE: ApprovalDecision = ApprovalDecision::Approve;

/// A run has 1000 nano-USD; finance may let a call go over that.
fn exceeding() -> EngineConfig {
    let mut config = ruled();
    config.policies.clear();
    config.budgets[0].limit_nano_usd = Some(1_000);
    config.budgets[0].on_exceed = OnExceed::RequireApproval as i32;
    config.budgets[0].tier = "one".to_owned();
    config
}

#[test]
fn people_may_let_a_call_go_over_a_budget_once_and_it_goes_on_record() {
    let mut bench = Bench::given(exceeding());
    // 500 of the 1000.
    bench.admit(&call("a", 100, 200)).unwrap();
    let request = call("b", 300, 200);
    let asked = asked(
        &mut bench,
        &AdmitRequest {
            min_output_tokens: 200,
            ..request.clone()
        },
    );
    let request = AdmitRequest {
        min_output_tokens: 200,
        ..request
    };
    assert_eq!(asked.rejection.metadata["price_nano_usd"], "700");
    let shown = bench.approval(&asked.approval);
    assert_eq!(shown.rule, "budgets/run");
    let document: serde_json::Value = serde_json::from_slice(&shown.arguments).unwrap();
    assert_eq!(
        document["over_budgets"][0],
        serde_json::json!({"budget": "run/instances/run=r-1", "limit_nano_usd": 1000, "spent_nano_usd": 0, "held_nano_usd": 500})
    );
    assert_eq!(held(&bench), 500, "there is no room to hold it");
    bench.vote(&asked.approval, "asha", APPROVE).unwrap();
    let admitted = bench.admit(&back(&asked, &request)).unwrap();
    assert_eq!(held(&bench), 1_200);
    let overdrafts: Vec<_> = bench
        .log()
        .into_iter()
        .filter(|one| one.kind() == EventKind::BudgetOverdraft)
        .filter_map(|one| match one.body {
            Some(Body::Budget(event)) => Some(event),
            _ => None,
        })
        .collect();
    let [event] = &overdrafts[..] else {
        panic!("{overdrafts:?}")
    };
    assert_eq!(
        (event.amount, event.reason.contains(&asked.approval)),
        (Some(usd(200)), true)
    );
    bench.crash();
    bench.engine.check_running().unwrap();
    assert_eq!(
        asked_for_again(&mut bench).reason,
        Reason::ApprovalPending,
        "once, and the next one is asked about"
    );
    bench
        .settle(&admitted.invocation, vec![used("small", 300, 200)])
        .unwrap();
    assert_eq!(money(bench.budget("run", "run=r-1").spent), 700);
    bench.engine.check_running().unwrap();
}

fn asked_for_again(bench: &mut Bench) -> Rejection {
    bench.admit(&call("z", 100, 200)).unwrap_err()
}

#[test]
fn a_smaller_answer_is_better_than_asking() {
    let mut bench = Bench::given(exceeding());
    let admitted = bench.admit(&call("a", 400, 1_000)).unwrap();
    assert_eq!((admitted.max_output_tokens, admitted.clamped), (300, true));
}

#[test]
fn other_budgets_stay_hard() {
    let mut config = exceeding();
    let mut tenant = budget("tenant", &["tenant"], WindowKind::Day);
    tenant.limit_nano_usd = Some(900);
    config.budgets.push(tenant);
    let mut bench = Bench::given(config);
    let too_much = AdmitRequest {
        min_output_tokens: 400,
        ..call("a", 300, 400)
    };
    let refused = bench.admit(&too_much).unwrap_err();
    assert_eq!(
        (refused.reason, refused.metadata["budget"].as_str()),
        (Reason::BudgetExhausted, "tenant")
    );
    bench.load(|config| config.budgets[1].limit_nano_usd = Some(2_000));
    let asked = asked(&mut bench, &too_much);
    assert_eq!(
        money(bench.budget("tenant", "-").reserved),
        1_100,
        "held where there is room"
    );
    bench.vote(&asked.approval, "asha", APPROVE).unwrap();
    bench.load(|config| config.budgets[1].limit_nano_usd = Some(1_000));
    let refused = bench.admit(&back(&asked, &too_much)).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted, "people agreed to one budget");
    assert_eq!(
        bench.approval(&asked.approval).state(),
        ApprovalState::Approved,
        "and may come back"
    );
}

#[test]
fn another_budget_without_room_is_another_question() {
    let mut config = exceeding();
    let mut tenant = budget("tenant", &["tenant"], WindowKind::Day);
    tenant.limit_nano_usd = Some(5_000);
    tenant.on_exceed = OnExceed::RequireApproval as i32;
    tenant.tier = "legal".to_owned();
    config.budgets.push(tenant);
    let mut bench = Bench::given(config);
    let request = AdmitRequest {
        min_output_tokens: 400,
        ..call("a", 300, 400)
    };
    let first = asked(&mut bench, &request);
    bench.vote(&first.approval, "asha", APPROVE).unwrap();
    bench.load(|config| config.budgets[1].limit_nano_usd = Some(1_000));
    let both = asked(&mut bench, &back(&first, &request));
    let require = bench.approval(&both.approval).require;
    let wanted: Vec<_> = require.iter().map(|one| (one.role.as_str(), one.count)).collect();
    assert_eq!(
        wanted,
        [("finance", 1), ("legal", 1)],
        "all who are asked have to agree"
    );
    bench.vote(&both.approval, "asha", APPROVE).unwrap();
    bench.vote(&both.approval, "cem", APPROVE).unwrap();
    bench.admit(&back(&both, &request)).unwrap();
    assert_eq!(
        bench
            .kinds()
            .iter()
            .filter(|kind| **kind == EventKind::BudgetOverdraft)
            .count(),
        2
    );
}
