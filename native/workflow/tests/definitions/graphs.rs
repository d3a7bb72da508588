//! Ids, needs, circles, and what an expression may read.

use fairlead_wire::internal::StepDefinition;

use crate::support::{agent, compile, refused, refuses, workflow};

#[test]
fn the_graph_is_known_from_both_sides() {
    let definition = compile(&workflow(vec![
        agent("d", &["b", "c", "a"], ""),
        agent("b", &["a"], ""),
        agent("c", &["a"], ""),
        agent("a", &[], ""),
        agent("e", &[], ""),
    ]));
    assert_eq!(definition.step_index("c"), Some(2));
    assert_eq!(definition.step_index("x"), None);
    assert_eq!(definition.steps[0].needs, [1, 2, 3]);
    assert_eq!(definition.steps[3].dependants, [0, 1, 2]);
    assert_eq!(definition.downstream(3), [true, true, true, false, false]);
    assert_eq!(definition.downstream(1), [true, false, false, false, false]);
    assert_eq!(definition.downstream(0), [false; 5]);
    assert_eq!(definition.downstream(99), [false; 5]);
}

#[test]
fn ids_and_needs_have_to_fit() {
    let long = "a".repeat(65);
    let form = "must be 1 to 64 lower-case letters, digits, _ and -, beginning with a letter";
    for id in ["", "A", "1a", "a.b", "a b", "-a", "é", &long] {
        refuses(vec![agent(id, &[], "")], &[&format!("steps[0].id: {form}")]);
    }
    refuses(
        vec![
            agent("a", &["b", "c", "b"], ""),
            agent("b", &[], ""),
            agent("b", &[], ""),
        ],
        &[
            "steps[2].id: `b` is already the id of steps[1]",
            "steps[0].needs[1]: there is no step `c`",
            "steps[0].needs[2]: `b` is named twice",
        ],
    );
    refuses(vec![], &["steps: must have at least one step"]);
}

#[test]
fn a_circle_is_named() {
    refuses(
        vec![agent("a", &["b"], ""), agent("b", &["a"], "")],
        &["steps[0].needs: go round in a circle: a -> b -> a"],
    );
    refuses(
        vec![agent("a", &["a"], "")],
        &["steps[0].needs: go round in a circle: a -> a"],
    );
    // Steps that lead to the circle are not part of it, and what they read is not told wrongly.
    refuses(
        vec![
            agent("before", &[], ""),
            agent("after", &["z"], r#""${steps.before.output}""#),
            agent("x", &["before", "y"], ""),
            agent("y", &["z"], ""),
            agent("z", &["x"], ""),
        ],
        &["steps[2].needs: go round in a circle: x -> y -> z -> x"],
    );
}

#[test]
fn an_expression_reads_only_what_has_ended() {
    let missing = "reads step `a`, which may not have ended by then: add `a` to `needs`";
    for template in [
        r#""${steps.a.output.x}""#,
        r#""${steps['a'].output}""#,
        r#""${steps.a.state == 'succeeded'}""#,
        r#""${has(steps.a.output)}""#,
        r#""${[steps.a].map(s, s.output)}""#,
    ] {
        refuses(
            vec![agent("a", &[], ""), agent("b", &[], template)],
            &[&format!("steps[1].input: {missing}")],
        );
        compile(&workflow(vec![agent("a", &[], ""), agent("b", &["a"], template)]));
        // What is needed by what is needed has ended as well.
        compile(&workflow(vec![
            agent("a", &[], ""),
            agent("m", &["a"], ""),
            agent("b", &["m"], template),
        ]));
    }
    refuses(
        vec![agent("a", &[], r#"{"x": ["${steps.a.output}"]}"#)],
        &["steps[0].input.x[0]: reads step `a`, which is the step itself"],
    );
}

#[test]
fn the_output_may_read_every_step() {
    let mut source = workflow(vec![agent("a", &[], ""), agent("b", &[], "")]);
    source.output = r#"{"x": "${steps.a.output}", "y": "${steps.b.state}"}"#.to_owned();
    assert_eq!(compile(&source).output.unwrap().reads(), [0]);
    source.output = r#"{"x": "${steps.c.output}"}"#.to_owned();
    assert_eq!(
        refused(&source),
        ["output.value.x: line 1, column 7: unknown field `c` of steps; its fields: a, b"]
    );
}

#[test]
fn what_a_step_reads_is_what_it_cannot_do_without() {
    let reads = |when: &str, input: &str| {
        let last = StepDefinition {
            when: when.to_owned(),
            ..agent("c", &["a", "b"], input)
        };
        let definition = compile(&workflow(vec![agent("a", &[], ""), agent("b", &[], ""), last]));
        definition.steps[2].reads.clone()
    };
    assert_eq!(
        reads("", r#"["${steps.b.output}", "${steps.a.output.x} ${steps.b.output}"]"#),
        [0, 1]
    );
    assert_eq!(reads("steps.b.output.ok", ""), [1]);
    assert_eq!(reads("steps.a.state == 'succeeded'", ""), [] as [usize; 0]);
    assert_eq!(
        reads("", r#""${has(steps.a.output) ? steps.a.output.x : 1}""#),
        [] as [usize; 0]
    );
    // What is inside of an output is asked for, but the output itself has to be there.
    assert_eq!(reads("", r#""${has(steps.a.output.x)}""#), [0]);
    // Another expression's question does not help.
    assert_eq!(reads("has(steps.a.output)", r#""${steps.a.output}""#), [0]);
}

#[test]
fn many_steps_are_compiled_and_more_are_refused() {
    let chain = |count: usize| {
        let step = |at: usize| {
            let before = format!("s{}", at.saturating_sub(1));
            let needs: &[&str] = if at == 0 { &[] } else { &[&before] };
            agent(&format!("s{at}"), needs, r#""${steps.s0.state}""#)
        };
        let mut steps: Vec<_> = (1..count).map(step).collect();
        steps.push(agent("s0", &[], ""));
        steps
    };
    let definition = compile(&workflow(chain(1000)));
    assert!(definition.downstream(999).iter().filter(|one| **one).count() == 999);
    refuses(chain(1001), &["steps: must be at most 1000"]);
}

#[test]
fn a_definition_is_bounded_as_a_whole() {
    let text = format!("\"{}\"", "x".repeat(60 << 10));
    let steps: Vec<_> = (0..40).map(|at| agent(&format!("s{at}"), &[], &text)).collect();
    refuses(
        steps,
        &["steps: are too large: the whole definition must be at most 2048 KiB"],
    );
}
