//! What runs wait for and are made of: people, signals, time, conditions, items, children.
use fairlead_engine::Reason;
use fairlead_wire::internal::WaitTask;
use fairlead_wire::v1::{ApprovalDecision, EventKind, RunState, StepState};

use crate::bench::{Bench, DAY, HOUR, MINUTE};
use crate::workflow_bench::{agent, approval, child, for_each, wait, with, with_workflows, workflow};

#[test]
fn a_gate_waits_for_people_over_a_restart_between_two_votes() {
    let steps = vec![
        agent("risk", &[], "a"),
        approval("review", &["risk"], "two", r#"{"score":"${steps.risk.output.score}"}"#),
        with(agent("offer", &["review"], "b"), |task| {
            task.input = r#"{"by":"${steps.review.output.by}"}"#.to_owned();
        }),
    ];
    let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
    let run = bench.start("loan", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, r#"{"score":0.7}"#).unwrap();
    let asked = bench.questions().pop().unwrap();
    assert_eq!(asked.arguments, br#"{"score":0.7}"#);
    bench.answer("asha", &asked, ApprovalDecision::Approve).unwrap();
    bench.after(DAY / 48).crash();
    let again = bench.answer("asha", &bench.questions()[0].clone(), ApprovalDecision::Approve);
    assert_eq!(again.unwrap_err().reason, Reason::InvalidState, "one person votes once");
    assert_eq!(bench.run_state(&run), RunState::Waiting);
    bench
        .answer("ben", &bench.questions()[0].clone(), ApprovalDecision::Approve)
        .unwrap();
    let offer = bench.lease("b").unwrap();
    assert_eq!(offer.input, br#"{"by":["asha","ben"]}"#);
    assert!(bench.questions().is_empty());
}

#[test]
fn no_ends_the_run_and_so_does_nobody() {
    for expires in [false, true] {
        let steps = vec![approval("review", &[], "one", "{}"), agent("offer", &["review"], "b")];
        let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
        let run = bench.start("loan", "{}").name;
        let asked = bench.questions().pop().unwrap();
        if expires {
            bench.after(61 * MINUTE).due();
        } else {
            bench.answer("asha", &asked, ApprovalDecision::Reject).unwrap();
        }
        let code = bench.run(&run).failure.unwrap().code;
        assert_eq!(
            code,
            if expires {
                "APPROVAL_EXPIRED"
            } else {
                "APPROVAL_REJECTED"
            }
        );
        assert!(bench.answer("ben", &asked, ApprovalDecision::Approve).is_err());
        assert!(bench.lease("b").is_none());
    }
}

#[test]
fn a_cancelled_run_asks_nobody_any_more() {
    let steps = vec![approval("review", &[], "one", "{}")];
    let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
    let run = bench.start("loan", "{}").name;
    let asked = bench.questions().pop().unwrap();
    bench.cancel(&run).unwrap();
    assert!(bench.questions().is_empty());
    assert!(bench.answer("asha", &asked, ApprovalDecision::Approve).is_err());
    assert_eq!(bench.run_state(&run), RunState::Cancelled);
}

#[test]
fn signals_are_kept_until_a_step_waits_and_are_taken_once() {
    let signal = WaitTask {
        signal: "paid".to_owned(),
        timeout_millis: 3_600_000,
        ..WaitTask::default()
    };
    let steps = vec![agent("first", &[], "a"), wait("paid", &["first"], signal)];
    let mut bench = Bench::given(with_workflows(vec![workflow("order", steps)]));
    let early = bench.start("order", "{}").name;
    bench.signal("s-1", &early, "paid", r#"{"by":"card"}"#).unwrap();
    bench.signal("s-1", &early, "paid", r#"{"by":"card"}"#).unwrap();
    bench.crash();
    assert_eq!(bench.run(&early).signals.len(), 1, "the same request is taken once");
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, "1").unwrap();
    assert_eq!(bench.output(&early), r#"{"paid":{"by":"card"}}"#);
    assert_eq!(
        bench.signal("s-2", &early, "paid", "1").unwrap_err().reason,
        Reason::NotFound
    );

    let late = bench.start("order", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, "1").unwrap();
    assert_eq!(bench.run_state(&late), RunState::Waiting);
    bench.after(61 * MINUTE).due();
    assert_eq!(bench.run(&late).failure.unwrap().code, "WAIT_TIMEOUT");
}

#[test]
fn time_passes_over_restarts() {
    let two_hours = WaitTask {
        for_millis: 7_200_000,
        ..WaitTask::default()
    };
    let steps = vec![wait("pause", &[], two_hours), agent("then", &["pause"], "a")];
    let mut bench = Bench::given(with_workflows(vec![workflow("later", steps)]));
    bench.start("later", "{}");
    bench.after(HOUR).crash();
    bench.due();
    assert!(bench.lease("a").is_none());
    bench.after(HOUR).due();
    assert!(bench.lease("a").is_some());
}

#[test]
fn conditions_skip_steps_and_what_reads_them() {
    let steps = vec![
        agent("score", &[], "a"),
        {
            let mut review = agent("review", &["score"], "b");
            review.when = "steps.score.output.n > 3".to_owned();
            review
        },
        with(agent("reads", &["review"], "c"), |task| {
            task.input = r#"{"x":"${steps.review.output}"}"#.to_owned();
        }),
        agent("after", &["review"], "d"),
    ];
    let mut bench = Bench::given(with_workflows(vec![workflow("w", steps)]));
    let run = bench.start("w", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, r#"{"n":1}"#).unwrap();
    assert_eq!(bench.step_state(&run, 1), StepState::Skipped);
    assert_eq!(bench.step_state(&run, 2), StepState::Skipped);
    let lease = bench.lease("d").unwrap();
    bench.complete_step(&lease, "1").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
}

#[test]
fn items_are_done_side_by_side_and_joined_in_order() {
    let scored = for_each(
        with(agent("score", &[], "a"), |task| {
            task.input = r#"{"doc":"${item}"}"#.to_owned()
        }),
        r#""${input.docs}""#,
        2,
        0,
    );
    let mut bench = Bench::given(with_workflows(vec![workflow("w", vec![scored])]));
    let run = bench.start("w", r#"{"docs":["x","y","z"]}"#).name;
    let mut leases = bench.lease_many(&["a"], 10);
    assert_eq!(leases.len(), 2, "at most two at a time");
    assert_eq!(leases[1].step, "score[1]");
    leases.reverse();
    for lease in leases {
        bench.crash();
        bench.complete_step(&lease, &format!(r#""{}""#, lease.step)).unwrap();
    }
    let last = bench.lease("a").unwrap();
    assert_eq!(last.input, br#"{"doc":"z"}"#);
    bench.complete_step(&last, r#""last""#).unwrap();
    assert_eq!(bench.output(&run), r#"{"score":["score[0]","score[1]","last"]}"#);
}

#[test]
fn a_quorum_of_items_is_enough() {
    let scored = for_each(agent("score", &[], "a"), r#""${input.docs}""#, 3, 2);
    let mut bench = Bench::given(with_workflows(vec![workflow("w", vec![scored])]));
    let run = bench.start("w", r#"{"docs":[1,2,3]}"#).name;
    let leases = bench.lease_many(&["a"], 10);
    bench.fail(&leases[0], "BAD_INPUT").unwrap();
    bench.complete_step(&leases[1], "1").unwrap();
    bench.complete_step(&leases[2], "2").unwrap();
    assert_eq!(bench.output(&run), r#"{"score":[null,1,2]}"#);

    let run = bench.start("w", r#"{"docs":[1,2,3]}"#).name;
    let leases = bench.lease_many(&["a"], 10);
    bench.fail(&leases[0], "BAD_INPUT").unwrap();
    bench.fail(&leases[1], "BAD_INPUT").unwrap();
    assert_eq!(bench.run(&run).failure.unwrap().code, "ITEMS_FAILED");
    bench.fail(&leases[2], "X").unwrap_err();
    assert_eq!(bench.run_state(&run), RunState::Failed);
}

#[test]
fn ten_thousand_items_are_done() {
    let scored = for_each(agent("score", &[], "a"), r#""${input.docs}""#, 256, 0);
    let mut config = with_workflows(vec![workflow("w", vec![scored])]);
    config.limits.as_mut().unwrap().payload_bytes = 16 << 20;
    let mut bench = Bench::given(config);
    let docs: Vec<String> = (0..10_000).map(|at| at.to_string()).collect();
    let run = bench.start("w", &format!(r#"{{"docs":[{}]}}"#, docs.join(","))).name;
    bench.check_every = 500;
    loop {
        let leases = bench.lease_many(&["a"], 256);
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            bench.complete_step(&lease, "1").unwrap();
        }
    }
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
    let refused = bench.start("w", &format!(r#"{{"docs":[{},1]}}"#, docs.join(",")));
    assert_eq!(bench.run(&refused.name).failure.unwrap().code, "TOO_MANY_ITEMS");
}

#[test]
fn a_child_is_a_run_of_its_own_and_ends_with_its_parent() {
    let parent = workflow("parent", vec![child("sub", &[], "kid")]);
    let kid = workflow("kid", vec![agent("work", &[], "a")]);
    let mut bench = Bench::given(with_workflows(vec![parent, kid]));
    let run = bench.start("parent", "{}").name;
    assert_eq!(bench.runs().len(), 2);
    bench.crash();
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, "5").unwrap();
    assert_eq!(bench.output(&run), r#"{"sub":{"work":5}}"#);

    let run = bench.start("parent", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.cancel(&run).unwrap();
    assert_eq!(
        bench.run_state(&run),
        RunState::Cancelling,
        "its child has a leased step"
    );
    bench.fail(&lease, "CANCELLED").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Cancelled);
    assert_eq!(bench.engine.open_runs(), 0);
}

#[test]
fn recursion_is_bounded() {
    let mut bench = Bench::given(with_workflows(vec![workflow(
        "deep",
        vec![child("again", &[], "deep")],
    )]));
    let run = bench.start("deep", "{}").name;
    assert_eq!(bench.runs().len(), 5, "limits.runDepth is 4");
    let failure = bench.run(&run).failure.unwrap();
    assert_eq!(failure.code, "RUN_DEPTH");
    assert_eq!(bench.engine.open_runs(), 0);
}

#[test]
fn repairs_are_on_record() {
    let steps = vec![approval("review", &[], "one", "{}")];
    let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
    let run = bench.start("loan", "{}").name;
    // Somebody has lost the open approval.
    bench
        .store
        .retain(|(family, key), _| *family != fairlead_engine::family::STATE || key.get(6) != Some(&b'p'));
    bench.crash();
    let repaired = bench.engine.reconcile(fairlead_plan::UnixNanos(bench.now));
    assert_eq!(bench.take(repaired).unwrap(), 1);
    assert!(bench.kinds().contains(&EventKind::RunRepaired));
    assert_eq!(bench.run_state(&run), RunState::Failed);
    let again = bench.engine.reconcile(fairlead_plan::UnixNanos(bench.now));
    assert_eq!(bench.take(again).unwrap(), 0);
}
