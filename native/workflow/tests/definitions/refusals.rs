//! Everything that is wrong is told at once, each with its path.

use fairlead_wire::internal::{ForEach, StepRetry, StepTimeouts};
use fairlead_wire::v1::Amount;

use crate::support::{agent, for_each, refused, refuses, with, workflow};

#[test]
fn an_expression_is_told_with_its_place() {
    for (template, expected) in [
        (
            r#"{"income": "${stepz.a}"}"#,
            "steps[0].input.income: line 1, column 1: unknown variable `stepz`; known here: input, run, steps",
        ),
        (
            r#""a ${input.x} b ${run.nope}""#,
            "steps[0].input: in ${run.nope}: line 1, column 5: unknown field `nope` of run; its fields: agent, \
             createTime, id, labels, tenant, workflow",
        ),
        (
            r#"["${1 + 'a'}"]"#,
            "steps[0].input[0]: line 1, column 3: `+` does not apply to int and string; convert with string()",
        ),
        (
            r#"{"a b": "${input"}"#,
            "steps[0].input.a b: in ${input: line 1, column 6: the expression is not closed; end it with `}`",
        ),
        (r#""${}""#, "steps[0].input: line 1, column 1: the expression is empty"),
        (
            r#"{"${input.a}": 1}"#,
            "steps[0].input[\"${input.a}\"]: has ${ in its name: only values may have expressions",
        ),
        ("{", "steps[0].input: is not JSON: line 1 column 1"),
        (r#"{"a": [{"b": 1, "b": 2}]}"#, "steps[0].input.a[0].b: is there twice"),
        (
            r#""${item}""#,
            "steps[0].input: `item` and `index` are known in what a forEach does for each item, and nowhere else",
        ),
        (
            r#""${steps}""#,
            "steps[0].input: gives steps, which is no value: name one of its fields",
        ),
        (
            r#""${[run]}""#,
            "steps[0].input: gives list(run), which is no value: name one of its fields",
        ),
        (
            r#""${[steps].exists(s, s.a.state == '')}""#,
            "steps[0].input: uses `steps` as a whole: name a step and its output",
        ),
    ] {
        refuses(vec![agent("a", &[], template)], &[expected]);
    }
    let long = format!("\"{}\"", "x".repeat(64 << 10));
    refuses(
        vec![agent("a", &[], &long)],
        &["steps[0].input: must be at most 64 KiB"],
    );
}

#[test]
fn lists_of_untyped_values_can_be_compared() {
    let template = r#""${input.list.filter(x, x.id == input.id && !(x.kind in input.kinds))}""#;
    let found = refused(&workflow(vec![agent("a", &[], template)]));
    assert_eq!(found, [""; 0]);
}

#[test]
fn an_unknown_step_is_told_with_those_that_there_are() {
    refuses(
        vec![
            agent("my-step", &[], ""),
            agent("b", &["my-step"], r#""${steps.my-step.output}""#),
        ],
        &["steps[1].input: line 1, column 7: unknown field `my` of steps; its fields: b, my-step"],
    );
    let mut steps: Vec<_> = (0..40).map(|at| agent(&format!("s{at:02}"), &[], "")).collect();
    steps.push(agent("last", &[], r#""${steps.x}""#));
    let found = refused(&workflow(steps));
    assert!(found[0].ends_with("s29, s30 and 9 more"), "{found:?}");
}

#[test]
fn schemas_that_do_not_compile() {
    let mut source = workflow(vec![with(agent("a", &[], ""), |task| {
        task.input_schema = r#"{"type": 1}"#.to_owned();
        task.output_schema = "[".to_owned();
    })]);
    source.input_schema = "{".to_owned();
    source.output_schema = r#"{"pattern": "("}"#.to_owned();
    let found = refused(&source);
    let paths: Vec<_> = found.iter().map(|one| one.split_once(": ").unwrap().0).collect();
    assert_eq!(
        paths,
        [
            "steps[0].inputSchema",
            "steps[0].output.schema",
            "input.schema",
            "output.schema"
        ]
    );
}

#[test]
fn the_workflow_itself() {
    let mut source = workflow(vec![agent("a", &[], "")]);
    source.name = "a b".to_owned();
    source.tenants = vec![String::new()];
    source.budget = Some(Amount {
        nano_usd: -1,
        tokens: 0,
        requests: -1,
    });
    source.keep_for_millis = u64::MAX;
    source.timeout_millis = 101 * 366 * 86_400_000;
    assert_eq!(
        refused(&source),
        [
            "name: must be 1 to 64 letters, digits, ., _ and -, beginning with a letter or digit",
            "tenants[0]: must not be empty",
            "budget.usd: must not be negative",
            "budget.requests: must not be negative",
            "keepFor: must be at most 100 years",
            "timeout: must be at most 100 years",
        ]
    );
}

#[test]
fn retries_and_times() {
    let step = with(agent("a", &[], ""), |task| {
        task.retry = Some(StepRetry {
            attempts: 101,
            initial_millis: 2000,
            max_millis: 1000,
            non_retryable: vec!["BAD INPUT".to_owned()],
        });
        task.timeouts = Some(StepTimeouts {
            queue_millis: u64::MAX,
            lease_millis: 10,
            attempt_millis: 1,
            total_millis: 1,
        });
    });
    refuses(
        vec![step],
        &[
            "steps[0].retry.attempts: must be between 0 and 100",
            "steps[0].retry.backoff.max: must not be shorter than initial",
            "steps[0].retry.nonRetryable[0]: must be 1 to 64 letters, digits, ., _ and -, beginning with a letter or digit",
            "steps[0].timeouts.lease: must be between 100 ms and 24 h",
            "steps[0].timeouts.queue: must be at most 100 years",
        ],
    );
}

#[test]
fn a_fan_out_needs_a_list() {
    refuses(
        vec![for_each("", agent("a", &[], ""))],
        &["steps[0].forEach.in: is missing: write the list"],
    );
    for items in [r#""${input.n > 1}""#, r#""a ${input.list}""#, "{}", "3"] {
        refuses(
            vec![for_each(items, agent("a", &[], ""))],
            &["steps[0].forEach.in: must be a list"],
        );
    }
    let mut step = agent("a", &[], "");
    step.for_each = Some(ForEach {
        items: r#"["${input.a}", 2, "${item}"]"#.to_owned(),
        max_parallel: 1_000_001,
        quorum: u32::MAX,
    });
    refuses(
        vec![step],
        &[
            "steps[0].forEach.in[2]: `item` and `index` are known in what a forEach does for each item, and nowhere else",
            "steps[0].forEach.maxParallel: must be between 0 and 1000000",
            "steps[0].forEach.quorum: must be between 0 and 1000000",
        ],
    );
}

#[test]
fn queues_of_workers() {
    refuses(
        vec![with(agent("a", &[], ""), |task| {
            task.kind = Some(fairlead_wire::internal::step_task::Kind::Agent(
                fairlead_wire::internal::AgentTask {
                    queue: "$model".to_owned(),
                },
            ));
        })],
        &["steps[0].agent: begins with $: such queues are the sidecar's own, workers have none of them"],
    );
    let mut step = agent("a", &[], "");
    step.compensate = "a/b".to_owned();
    refuses(
        vec![step],
        &["steps[0].compensate: must be 1 to 64 letters, digits, ., _ and -, beginning with a letter or digit"],
    );
}
