//! Calls inside runs, and what they may cost.
use fairlead_engine::{Caller, Reason};
use fairlead_wire::v1::{AdmitRequest, Amount, RunState};

use crate::bench::{Bench, MINUTE, call, used};
use crate::workflow_bench::{agent, child, versioned, with, with_workflows, workflow};
use crate::workflows::chain;

fn in_run(run: &str, step: &str, request_id: &str) -> AdmitRequest {
    AdmitRequest {
        run: run.to_owned(),
        step: step.to_owned(),
        ..call(request_id, 100, 200)
    }
}

#[test]
fn a_run_has_a_budget_of_its_own_that_covers_its_children() {
    let mut parent = workflow("parent", vec![agent("own", &[], "a"), child("sub", &[], "kid")]);
    // The worst case of one call is 500.
    parent.budget = Some(Amount {
        nano_usd: 800,
        ..Amount::default()
    });
    let kid = workflow("kid", vec![agent("work", &[], "b")]);
    let mut bench = Bench::given(with_workflows(vec![versioned(parent), kid]));
    let run = bench.start("parent", "{}").name;
    let own = bench.lease("a").unwrap();
    let work = bench.lease("b").unwrap();
    assert_ne!(own.run, work.run);

    let first = bench.admit(&in_run(&work.run, "work", "r-1")).unwrap();
    let refused = bench.admit(&in_run(&own.run, "own", "r-2"));
    // What is left is enough for a shorter answer.
    assert!(refused.is_ok_and(|reply| reply.clamped));
    let refused = bench.admit(&in_run(&own.run, "own", "r-3")).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted);
    bench.crash();
    let refused = bench.admit(&in_run(&own.run, "own", "r-3")).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted);

    bench.settle(&first.invocation, vec![used("small", 100, 100)]).unwrap();
    let spent = bench.step_of(&work.run, 0).spent.unwrap();
    assert_eq!(spent.nano_usd, 300);
    bench.complete_step(&work, "1").unwrap();
    assert_eq!(
        bench.run(&run).spent.unwrap().nano_usd,
        300,
        "what a child has spent is its parent's, too"
    );
    // A reload changes nothing for a run in flight.
    bench.load(|config| config.workflows.clear());
    let refused = bench.admit(&in_run(&own.run, "own", "r-4")).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted);
}

#[test]
fn a_retry_storm_ends_at_the_budget_of_the_run() {
    let mut definition = workflow(
        "storm",
        vec![with(agent("flaky", &[], "a"), |task| {
            task.retry.as_mut().unwrap().attempts = 50;
        })],
    );
    definition.budget = Some(Amount {
        requests: 10,
        ..Amount::default()
    });
    let mut bench = Bench::given(with_workflows(vec![versioned(definition)]));
    let run = bench.start("storm", "{}").name;
    let mut calls = 0;
    while bench.run_state(&run) != RunState::Failed {
        bench.after(2 * MINUTE).due();
        let lease = bench.lease("a").unwrap();
        let id = bench.request_id();
        match bench.admit(&in_run(&lease.run, "flaky", &id)) {
            Ok(admitted) => {
                calls += 1;
                bench.settle(&admitted.invocation, vec![used("small", 10, 10)]).unwrap();
                bench.fail(&lease, "FLAKY").unwrap();
            }
            Err(rejection) => {
                assert_eq!(rejection.reason, Reason::BudgetExhausted);
                bench
                    .fail_with(&lease, "BUDGET_EXHAUSTED", |request| request.non_retryable = true)
                    .unwrap();
            }
        }
    }
    assert_eq!(calls, 10);
    assert_eq!(bench.run(&run).spent.unwrap().requests, 10);
}

#[test]
fn nothing_is_called_in_a_run_that_has_ended_or_is_another_tenants() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let lease = bench.lease("a").unwrap();
    assert!(bench.admit(&in_run(&run, "first", "r-1")).is_ok());
    let stranger = bench.admit_as(
        Caller::agent("globex", "bot"),
        &in_run(&run, "first", "r-2"),
        fairlead_engine::AdmitExtra {
            remember: true,
            ..fairlead_engine::AdmitExtra::default()
        },
    );
    assert_eq!(stranger.unwrap_err().reason, Reason::InvalidState);
    bench.cancel(&run).unwrap();
    assert_eq!(
        bench.admit(&in_run(&run, "first", "r-3")).unwrap_err().reason,
        Reason::InvalidState
    );
    bench.fail(&lease, "CANCELLED").unwrap();
    assert_eq!(
        bench.admit(&in_run(&run, "first", "r-4")).unwrap_err().reason,
        Reason::InvalidState
    );
    assert!(
        bench.admit(&in_run("run-17", "first", "r-5")).is_ok(),
        "a name of the agent's own"
    );
}
