//! The declared table of states and events, walked: every event in every state does what the table says, and what is
//! refused changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::sync::Arc;

use fairlead_wire::internal::{
    AgentTask, ApprovalTask, ChildTask, KeyState, RunRecord, StepDefinition, StepRecord, StepTask, WorkflowDefinition,
    step_task::Kind,
};
use fairlead_wire::v1::{Amount, RunState, StepEffect, StepState};
use fairlead_workflow::run::table::{
    RUN_EVENTS, RUN_STATES, Rule, RunEventKind, STEP_EVENTS, STEP_STATES, StepEventKind, run_rule, step_rule,
};
use fairlead_workflow::run::{Attempt, Bounds, Event, KeyAnswer, Refused, Resolution, Run, StepKey, Verdict};
use fairlead_workflow::{Definition, Known};

const NOW: i64 = 1_772_445_600_000_000_000;
const BOUNDS: Bounds = Bounds {
    payload_bytes: 1 << 20,
    for_each_items: 100,
};
const KEY: StepKey = StepKey { step: 0, item: 0 };

/// A workflow of the step under test and one behind it that is never reached, so that the run does not end.
fn definition(kind: Kind) -> Arc<Definition> {
    let is_agent = matches!(kind, Kind::Agent(_));
    let tested = StepDefinition {
        id: "tested".to_owned(),
        task: Some(StepTask {
            kind: Some(kind),
            effect: if is_agent { StepEffect::Read as i32 } else { 0 },
            ..StepTask::default()
        }),
        ..StepDefinition::default()
    };
    let behind = StepDefinition {
        id: "behind".to_owned(),
        needs: vec!["tested".to_owned()],
        task: Some(StepTask {
            kind: Some(Kind::Agent(AgentTask { queue: "b".to_owned() })),
            effect: StepEffect::Read as i32,
            ..StepTask::default()
        }),
        ..StepDefinition::default()
    };
    let source = WorkflowDefinition {
        name: "w".to_owned(),
        version: "00".repeat(32),
        steps: vec![tested, behind],
        unknown_tier: "high".to_owned(),
        ..WorkflowDefinition::default()
    };
    let known = Known {
        tiers: &|_| true,
        models: &|_| true,
        workflows: &|_| true,
    };
    Arc::new(Definition::compile(&source, &known).unwrap())
}

fn agent() -> Kind {
    Kind::Agent(AgentTask { queue: "a".to_owned() })
}

/// A run in a state, with the tested step in a state.
fn run(kind: Kind, run: RunState, step: StepState) -> Run {
    let record = RunRecord {
        run: "run_1".to_owned(),
        tenant: "acme".to_owned(),
        state: run as i32,
        start_time_unix_nanos: if run == RunState::Pending { NOW } else { 0 },
        ..RunRecord::default()
    };
    let tested = StepRecord {
        state: step as i32,
        epoch: 3,
        lease: "lse_3".to_owned(),
        lease_expires_at_unix_nanos: NOW + 1_000_000_000,
        approval: "apr_1".to_owned(),
        child: "run_2".to_owned(),
        idempotency_key: "k".to_owned(),
        key_state: KeyState::Claimed as i32,
        ..StepRecord::default()
    };
    let behind = StepRecord {
        step: 1,
        state: StepState::Blocked as i32,
        ..StepRecord::default()
    };
    Run::restore(definition(kind), record, vec![tested, behind], NOW)
}

/// A step event of a kind, and the kind of step that it is about.
fn step_event(kind: StepEventKind) -> (Kind, Event<'static>) {
    let attempt = Attempt {
        key: KEY,
        epoch: 3,
        lease: "lse_3",
    };
    match kind {
        StepEventKind::Lease => {
            let lease = "lse_4".to_owned();
            (
                agent(),
                Event::Lease {
                    key: KEY,
                    worker: "w",
                    agent: "bot",
                    lease,
                },
            )
        }
        StepEventKind::Attempt => (agent(), Event::Complete { attempt, output: b"1" }),
        StepEventKind::KeyResolved => (
            agent(),
            Event::KeyResolved {
                key: KEY,
                answer: KeyAnswer::Held,
            },
        ),
        StepEventKind::Approval => {
            let verdict = Verdict::Approved {
                document: b"{}",
                by: &[],
            };
            let tier = "high".to_owned();
            let kind = Kind::Approval(ApprovalTask {
                tier,
                ..ApprovalTask::default()
            });
            (
                kind,
                Event::Approval {
                    key: KEY,
                    approval: "apr_1",
                    verdict,
                },
            )
        }
        StepEventKind::Resolved => {
            let resolution = Resolution::Happened { output: b"1" };
            (
                agent(),
                Event::Resolved {
                    key: KEY,
                    approval: "apr_1",
                    resolution,
                },
            )
        }
        StepEventKind::Child => {
            let event = Event::Child {
                key: KEY,
                child: "run_2",
                state: RunState::Succeeded,
                output: b"1",
                failure: None,
                spent: Amount::default(),
            };
            let workflow = "other".to_owned();
            (Kind::Workflow(ChildTask { workflow }), event)
        }
    }
}

#[test]
fn every_event_about_a_step_does_what_the_table_says() {
    for state in STEP_STATES {
        for kind in STEP_EVENTS {
            let (task, event) = step_event(kind);
            let mut run = run(task, RunState::Running, state);
            let before = run.clone();
            let outcome = run.advance(&event, NOW, BOUNDS);
            let is_changed = run.step(KEY) != before.step(KEY);
            let case = format!("{kind:?} in {}", state.as_str_name());
            match step_rule(state, kind) {
                // An attempt that has ended is told from a repeated completion by its lease.
                Rule::Applies if matches!(state, StepState::Succeeded | StepState::Compensated) => {
                    assert!(
                        matches!(outcome, Err(Refused::LeaseLost(_))) && !is_changed,
                        "{case}: {outcome:?}"
                    );
                }
                Rule::Applies => assert!(outcome.is_ok() && is_changed, "{case}: {outcome:?}"),
                Rule::Ignored => assert!(outcome.is_ok() && !is_changed, "{case}: {outcome:?}"),
                Rule::LeaseLost => {
                    assert!(
                        matches!(outcome, Err(Refused::LeaseLost(_))) && !is_changed,
                        "{case}: {outcome:?}"
                    );
                }
                Rule::WrongState => {
                    assert!(
                        matches!(outcome, Err(Refused::WrongState(_))) && !is_changed,
                        "{case}: {outcome:?}"
                    );
                }
            }
        }
    }
}

fn run_event(kind: RunEventKind) -> Event<'static> {
    match kind {
        RunEventKind::Start => Event::Start,
        RunEventKind::Due => Event::Due,
        RunEventKind::Signal => Event::Signal {
            name: "s",
            payload: b"1",
            request: "r",
        },
        RunEventKind::Cancel => Event::Cancel { reason: "no" },
        RunEventKind::Pause => Event::Pause { reason: "wait" },
        RunEventKind::Resume => Event::Resume,
        RunEventKind::Spent => Event::Spent {
            key: None,
            amount: Amount {
                requests: 1,
                ..Amount::default()
            },
            invocation: "inv_1",
        },
        RunEventKind::Step => {
            let attempt = Attempt {
                key: KEY,
                epoch: 3,
                lease: "lse_3",
            };
            Event::Complete { attempt, output: b"1" }
        }
    }
}

#[test]
fn every_event_about_a_run_does_what_the_table_says() {
    for state in RUN_STATES {
        for kind in RUN_EVENTS {
            let mut run = run(agent(), state, StepState::Leased);
            let before = run.record().clone();
            let outcome = run.advance(&run_event(kind), NOW, BOUNDS);
            let is_changed = *run.record() != before;
            let case = format!("{kind:?} in {}", state.as_str_name());
            match run_rule(state, kind) {
                // Nothing is due: time alone changes nothing, but that a run with a leased step is not WAITING.
                Rule::Applies
                    if kind == RunEventKind::Due && !matches!(state, RunState::Pending | RunState::Waiting) =>
                {
                    assert!(outcome.is_ok() && !is_changed, "{case}: {outcome:?}");
                }
                Rule::Applies => assert!(outcome.is_ok() && is_changed, "{case}: {outcome:?}"),
                Rule::Ignored => {
                    assert!(
                        outcome.as_ref().is_ok_and(|outcome| outcome.repeated) && !is_changed,
                        "{case}: {outcome:?}"
                    );
                }
                Rule::LeaseLost => {
                    assert!(
                        matches!(outcome, Err(Refused::LeaseLost(_))) && !is_changed,
                        "{case}: {outcome:?}"
                    );
                }
                Rule::WrongState => {
                    assert!(
                        matches!(outcome, Err(Refused::WrongState(_))) && !is_changed,
                        "{case}: {outcome:?}"
                    );
                }
            }
        }
    }
}
