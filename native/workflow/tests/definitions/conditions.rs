//! `when`.

use fairlead_wire::internal::StepDefinition;

use crate::support::{Data, agent, compile, refuses, workflow};

fn conditional(when: &str) -> Vec<StepDefinition> {
    let last = StepDefinition {
        when: when.to_owned(),
        ..agent("last", &["first"], "")
    };
    vec![agent("first", &[], ""), last]
}

fn holds(when: &str, data: &Data) -> Result<bool, String> {
    let definition = compile(&workflow(conditional(when)));
    let condition = definition.steps[1].when.as_ref().unwrap();
    condition.holds(&definition, data).map_err(|error| error.to_string())
}

#[test]
fn a_condition_is_plain_or_in_braces() {
    let data = Data::new(r#"{"ok": true}"#).with_output(0, r#"{"score": 0.4}"#);
    assert_eq!(holds("steps.first.output.score > 0.3", &data), Ok(true));
    assert_eq!(holds(" ${steps.first.output.score > 0.5} ", &data), Ok(false));
    assert_eq!(holds("input.ok", &data), Ok(true));
    assert_eq!(holds("run.labels.tier == 'gold' && has(input.ok)", &data), Ok(true));
}

#[test]
fn a_condition_that_cannot_be_told_is_an_error() {
    let error = holds("steps.first.output.score > 0.3", &Data::new("{}")).unwrap_err();
    assert!(
        error.starts_with("${steps.first.output.score > 0.3} cannot be rendered: line 1"),
        "{error}"
    );
    let error = holds("input.n", &Data::new(r#"{"n": 1}"#)).unwrap_err();
    assert!(error.ends_with("gave int, but bool is expected here"), "{error}");
}

#[test]
fn what_is_no_condition_is_refused() {
    for (when, expected) in [
        (
            "1 + 1",
            "steps[1].when: line 1, column 3: the expression gives int, but bool is expected here",
        ),
        (
            "${input.a",
            "steps[1].when: line 1, column 8: the expression is not closed; end it with `}`",
        ),
        (
            "${input.a} && ${input.b}",
            "steps[1].when: has something beside ${…}: write one expression",
        ),
        (
            "steps.last.state == 'x'",
            "steps[1].when: reads step `last`, which is the step itself",
        ),
        (
            "item == 1",
            "steps[1].when: `item` and `index` are known in what a forEach does for each item, and nowhere else",
        ),
    ] {
        refuses(conditional(when), &[expected]);
    }
}
