//! Random histories of model calls that people are asked about, with crashes. The bench checks I1 to I3 and A2 after each step
//! and makes every decision again; here A1 and that nothing stays held are checked from the log.
use std::collections::BTreeMap;

use fairlead_engine::Reason;
use fairlead_wire::internal::{EngineConfig, OnExceed, WindowKind};
use fairlead_wire::v1::{
    AdmitRequest, ApprovalDecision, ApprovalState, ApprovalSubject, EventKind, audit_record::Body,
};
use proptest::prelude::*;

use crate::bench::{Bench, DAY, MINUTE, budget, call, money, used};
use crate::model_approvals::ruled;

#[derive(Debug, Clone)]
enum Step {
    Admit {
        id: u8,
        is_large: bool,
        output: i64,
    },
    Return(usize),
    Vote {
        which: usize,
        operator: &'static str,
        decision: ApprovalDecision,
    },
    Settle {
        which: usize,
        output: i64,
    },
    Limit(i64),
    Tier(bool),
    Wait(i64),
    Expire,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let decision = prop_oneof![5 => Just(ApprovalDecision::Approve), 1 => Just(ApprovalDecision::Reject)];
    prop_oneof![
        6 => (any::<u8>(), any::<bool>(), 1..400_i64).prop_map(|(id, is_large, output)| Step::Admit { id, is_large, output }),
        5 => any::<usize>().prop_map(Step::Return),
        6 => (any::<usize>(), prop_oneof![Just("asha"), Just("ben"), Just("cem")], decision)
            .prop_map(|(which, operator, decision)| Step::Vote { which, operator, decision }),
        4 => (any::<usize>(), 0..500_i64).prop_map(|(which, output)| Step::Settle { which, output }),
        1 => (1..8_i64).prop_map(|factor| Step::Limit(factor * 1_000)),
        1 => any::<bool>().prop_map(Step::Tier),
        3 => (0..40_i64).prop_map(|minutes| Step::Wait(minutes * MINUTE)),
        1 => Just(Step::Expire),
        2 => Just(Step::Crash),
    ]
}

/// Rules ask about calls of `large`; a run goes over its budget with consent, an hour never.
fn start() -> EngineConfig {
    let mut config = ruled();
    config.budgets[0].limit_nano_usd = Some(3_000);
    config.budgets[0].on_exceed = OnExceed::RequireApproval as i32;
    config.budgets[0].tier = "two".to_owned();
    config.approval_tiers[1].escalate_to = "legal".to_owned();
    let mut hour = budget("hour", &["tenant"], WindowKind::Hour);
    hour.limit_nano_usd = Some(20_000);
    config.budgets.push(hour);
    config
}

#[derive(Default)]
struct Agent {
    asked: Vec<(AdmitRequest, String)>,
    admitted: Vec<String>,
}

impl Agent {
    fn ask(&mut self, bench: &mut Bench, request: &AdmitRequest) {
        match bench.admit(request) {
            Ok(admitted) => self.admitted.push(admitted.invocation),
            Err(rejection) if rejection.reason == Reason::ApprovalPending => {
                let returning = AdmitRequest {
                    ticket: rejection.metadata["ticket"].clone(),
                    ..request.clone()
                };
                self.asked.push((returning, rejection.metadata["approval"].clone()));
            }
            Err(_) => {}
        }
    }

    fn take(&mut self, bench: &mut Bench, step: &Step) {
        match step {
            Step::Admit { id, is_large, output } => {
                let mut request = call(&format!("{id}-{is_large}-{output}"), 100, *output);
                request.min_output_tokens = *output;
                if *is_large {
                    "large".clone_into(&mut request.model);
                }
                self.ask(bench, &request);
            }
            Step::Return(which) if !self.asked.is_empty() => {
                let (request, _) = self.asked[which % self.asked.len()].clone();
                self.ask(bench, &request);
            }
            Step::Vote {
                which,
                operator,
                decision,
            } if !self.asked.is_empty() => {
                let (_, approval) = self.asked[which % self.asked.len()].clone();
                let _ = bench.vote(&approval, operator, *decision);
            }
            Step::Settle { which, output } if !self.admitted.is_empty() => {
                let invocation = self.admitted[which % self.admitted.len()].clone();
                let model = bench
                    .log()
                    .into_iter()
                    .filter(|record| record.kind() == EventKind::InvocationAdmitted && record.invocation == invocation)
                    .find_map(|record| match record.body {
                        Some(Body::Decision(decision)) => Some(decision.plan[0].model.clone()),
                        _ => None,
                    });
                let _ = bench.settle(&invocation, vec![used(&model.unwrap(), 100, *output)]);
            }
            Step::Return(_) | Step::Vote { .. } | Step::Settle { .. } => {}
            Step::Limit(nano_usd) => bench.load(|config| config.budgets[0].limit_nano_usd = Some(*nano_usd)),
            Step::Tier(is_two) => bench.load(|config| {
                config.policies[0].tier = if *is_two { "two" } else { "one" }.to_owned();
            }),
            Step::Wait(nanos) => {
                bench.after(*nanos);
            }
            Step::Expire => {
                bench.expire();
            }
            Step::Crash => {
                let before = (bench.budgets(), bench.engine.open_approvals());
                bench.crash();
                assert_eq!(before.1, bench.engine.open_approvals(), "A2");
                for (was, is) in before.0.iter().zip(bench.budgets()) {
                    assert_eq!(was.reserved, is.reserved, "I4");
                }
            }
        }
    }
}

/// INVARIANT (A1): every approval is used for one admission, which comes right before it in the log.
fn check_consumed(bench: &Bench) {
    let mut consumed: BTreeMap<String, usize> = BTreeMap::new();
    let log = bench.log();
    for (at, record) in log.iter().enumerate() {
        if let Some(Body::Approval(event)) = &record.body
            && event.state() == ApprovalState::Consumed
        {
            assert_eq!(event.subject(), ApprovalSubject::ModelCall);
            assert_eq!(log[at - 1].kind(), EventKind::InvocationAdmitted);
            assert_eq!(log[at - 1].invocation, record.invocation);
            *consumed.entry(event.approval.clone()).or_default() += 1;
        }
    }
    assert!(consumed.values().all(|count| *count == 1), "A1: {consumed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_invariants_hold_in_every_history(steps in proptest::collection::vec(step(), 1..60)) {
        let mut bench = Bench::given(start());
        let mut agent = Agent::default();
        for step in &steps {
            agent.take(&mut bench, step);
        }
        check_consumed(&bench);
        // Whatever was asked, nothing is held for ever.
        for _ in 0..3 {
            bench.after(DAY);
            bench.expire();
        }
        prop_assert_eq!((bench.engine.open_approvals(), bench.engine.open_reservations()), (0, 0));
        prop_assert!(bench.budgets().iter().all(|budget| money(budget.reserved) == 0));
    }
}
