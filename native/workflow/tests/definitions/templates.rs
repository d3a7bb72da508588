//! What templates give.

use fairlead_workflow::{MOST_PAYLOAD_DEPTH, MOST_RENDERED_BYTES, read_payload, read_stored};

use crate::support::{Data, agent, compile, for_each, input_of, json, rendered, rendered_text, templated, workflow};

#[test]
fn one_expression_keeps_its_type_and_more_make_a_text() {
    let data =
        Data::new(r#"{"name": "Ada \"A\"", "n": 3, "x": 1.5, "yes": true, "none": null, "list": [1, {"a": 2}]}"#);
    for (template, expected) in [
        (r#""${input.n}""#, "3"),
        (r#"" ${input.n}""#, r#"" 3""#),
        (r#""${input.name}""#, r#""Ada \"A\"""#),
        (r#""Dear ${input.name}!""#, r#""Dear Ada \"A\"!""#),
        (r#""${input.x}/${input.yes}/${input.none}""#, r#""1.5/true/null""#),
        (r#""${input.list}""#, r#"[1,{"a":2}]"#),
        (r#""list ${input.list}""#, r#""list [1,{\"a\":2}]""#),
        (
            r#"{"a": ["${input.n}", {"b": "${input.none}"}], "c": false}"#,
            r#"{"a":[3,{"b":null}],"c":false}"#,
        ),
        (r#""${input.n + 1}${'}'}${ {'a': input.n}.a }""#, r#""4}3""#),
        (r#""${input.n > 2 ? [input.n] : []}""#, "[3]"),
        (r#""${ {'k': input.x} }""#, r#"{"k":1.5}"#),
        ("7", "7"),
    ] {
        assert_eq!(rendered(template, &data), expected, "{template}");
    }
}

#[test]
fn a_dollar_is_a_dollar_unless_a_brace_follows() {
    let data = Data::new(r#"{"n": 5}"#);
    for (template, expected) in [
        (r#""$5 and $$6 and {7}""#, r#""$5 and $$6 and {7}""#),
        (r#""$${input.n}""#, r#""${input.n}""#),
        (r#""$$${input.n}""#, r#""$${input.n}""#),
        (r#""costs ${'$'}${input.n}""#, r#""costs $5""#),
        (r#""${input.n}$""#, r#""5$""#),
        (r#""é$ü${input.n}ß""#, r#""é$ü5ß""#),
    ] {
        assert_eq!(rendered(template, &data), expected, "{template}");
    }
}

#[test]
fn numbers_keep_their_spelling() {
    let data = Data::new(
        r#"{"big": 18446744073709551617, "half": 1.50, "e": 1E2, "int": 9007199254740993, "zero": -0, "all": [1.50, 1E2]}"#,
    )
    .with_output(0, r#"{"list": [{"x": 2.10}]}"#);
    for (template, expected) in [
        (r#""${input.big}""#, "18446744073709551617"),
        (
            r#""no. ${input.big}, ${input.half}""#,
            r#""no. 18446744073709551617, 1.50""#,
        ),
        (
            r#"["${input.half}", "${input['e']}", "${input.int}"]"#,
            "[1.50,1E2,9007199254740993]",
        ),
        (r#""${input.all}""#, "[1.50,1E2]"),
        (r#""${steps.first.output.list[0].x}""#, "2.10"),
        (r#""${input.zero}""#, "-0"),
        (r#"{"as": 1.0, "written": 1E-2}"#, r#"{"as":1.0,"written":1E-2}"#),
        // What is calculated is a double, and never looks like an integer.
        (r#""${input.half * 2.0}""#, "3.0"),
        (r#""${input.int + 1}""#, "9007199254740994"),
    ] {
        assert_eq!(rendered(template, &data), expected, "{template}");
    }
}

#[test]
fn everything_of_a_run_can_be_read() {
    let data = Data::new(r#"{"my-key": 1}"#)
        .with_output(0, r#"{"a": 1}"#)
        .with_output(1, r#""second""#);
    for (template, expected) in [
        (r#""${steps.first.output.a}""#, "1"),
        (
            r#""${steps['my-step'].output} ${steps[\"my-step\"].state}""#,
            r#""second succeeded""#,
        ),
        (
            r#""${run.id} ${run.workflow} ${run.tenant} ${run.agent} ${run.labels.tier}""#,
            r#""run_01 loan-approval acme asha gold""#,
        ),
        (r#""${run.createTime}""#, r#""2026-01-01T00:00:00Z""#),
        (
            r#""${run.createTime + duration('36h')} in ${duration('90m')}""#,
            r#""2026-01-02T12:00:00Z in 5400s""#,
        ),
        (r#""${input['my-key']}""#, "1"),
        (r#""${run.labels}""#, r#"{"tier":"gold"}"#),
    ] {
        assert_eq!(rendered(template, &data), expected, "{template}");
    }
}

#[test]
fn a_step_without_output_can_be_asked_for() {
    let template = r#""${has(steps.first.output) ? steps.first.output : 'nothing'} ${steps.first.state}""#;
    assert_eq!(rendered(template, &Data::new("{}")), r#""nothing skipped""#);
    assert_eq!(
        rendered(template, &Data::new("{}").with_output(0, "4")),
        r#""4 succeeded""#
    );
    let operator = Data {
        agent: "",
        ..Data::new("{}")
    };
    assert_eq!(rendered(r#""${has(run.agent)}""#, &operator), "false");
}

#[test]
fn items_of_a_for_each_have_a_place() {
    let step = for_each(
        r#""${input.documents}""#,
        agent("all", &[], r#"{"doc": "${item}", "at": "${index}"}"#),
    );
    let definition = compile(&workflow(vec![step]));
    let data = Data::new("{}").with_item(r#"{"n": 1.50}"#, 4);
    let rendered = input_of(&definition, 0).render(&definition, &data).unwrap();
    assert_eq!(rendered.to_text(), r#"{"at":4,"doc":{"n":1.50}}"#);
}

#[test]
fn a_failure_names_the_place_the_expression_and_never_the_content() {
    let data = Data::new(r#"{"secret": "hunter2", "list": []}"#);
    for (template, expected) in [
        (
            r#"{"a/b": ["${input.nope}"]}"#,
            "${input.nope} at /a~1b/0 cannot be rendered: line 1, column 7: no such key `nope`; test it first with has() or `in`",
        ),
        (
            r#""${int(input.secret)}""#,
            "${int(input.secret)} cannot be rendered: line 1, column 1: not a valid int",
        ),
        (
            r#""x ${steps.first.output.y}""#,
            "${steps.first.output.y} cannot be rendered: line 1, column 13: no such key `output`; test it first with has() or `in`",
        ),
        (
            r#"{"x": "${0.0 / double(input.list.size())}"}"#,
            "${0.0 / double(input.list.size())} at /x cannot be rendered: the result is NaN, which JSON does not have",
        ),
        (
            r#""${[input, run][1]}""#,
            "${[input, run][1]} cannot be rendered: the result has object in it, which JSON does not have",
        ),
        (
            r#""${run.labels[input.secret]}""#,
            "${run.labels[input.secret]} cannot be rendered: line 1, column 11: no such key; test it first with has() or `in`",
        ),
    ] {
        let text = rendered(template, &data);
        assert_eq!(text, expected, "{template}");
        assert!(!text.contains("hunter2"));
    }
}

#[test]
fn a_long_expression_is_cut_in_messages() {
    let template = format!(r#""${{input.{}}}""#, "n".repeat(1000));
    let definition = templated(&template);
    let error = input_of(&definition, 2)
        .render(&definition, &Data::new("{}"))
        .unwrap_err();
    assert_eq!(error.expression.len(), 1006);
    assert!(error.to_string().contains("nnn…} cannot be rendered"), "{error}");
    assert!(error.to_string().len() < 500, "{error}");
}

#[test]
fn text_is_what_a_person_reads() {
    let data = Data::new(r#"{"text": "a \"b\"\n", "list": ["x"], "none": null}"#);
    for (template, expected) in [
        (r#""plain \"text\"""#, "plain \"text\""),
        (r#""${input.text}""#, "a \"b\"\n"),
        (r#""${input.list}""#, r#"["x"]"#),
        (r#""${input.none}""#, "null"),
        (r#""${run.createTime}""#, "2026-01-01T00:00:00Z"),
        (r#"{"a": "${input.text}"}"#, r#"{"a":"a \"b\"\n"}"#),
        ("12", "12"),
    ] {
        assert_eq!(rendered_text(template, &data), expected, "{template}");
    }
}

#[test]
fn a_result_is_bounded_in_bytes() {
    // Exactly the most: quotes are two of the bytes.
    let data = |bytes: usize| Data::new(&format!("\"{}\"", "x".repeat(bytes)));
    let whole = rendered(r#""${input}""#, &data(MOST_RENDERED_BYTES - 2));
    assert_eq!(whole.len(), MOST_RENDERED_BYTES);
    let large = data(MOST_RENDERED_BYTES - 1);
    let error = "${input} cannot be rendered: the result is larger than 16 MiB";
    assert_eq!(rendered(r#""${input}""#, &large), error);
    // A small template can ask for much of what is there.
    let many = format!("[{}]", vec![r#""${input}""#; 64].join(","));
    assert!(rendered(&many, &data(1 << 20)).ends_with("the result is larger than 16 MiB"));
    let text = format!("\"{}\"", "${input}".repeat(64));
    assert!(rendered_text(&text, &data(1 << 20)).ends_with("the result is larger than 16 MiB"));
}

#[test]
fn what_is_counted_is_what_is_written() {
    let value = r#"{"a":[1.50,true,false,null,[],{}],"b\"":"\u0001\n\"é\\","c":{"d":-1}}"#;
    // Padding up to the bound, so that one byte more is too much.
    for (pad, fits) in [(0, true), (1, false)] {
        let frame = r#"{"pad":"","value":}"#.len() + json(value).to_text().len();
        let text = "x".repeat(MOST_RENDERED_BYTES - frame + pad);
        let data = Data::new(&format!(r#"{{"text": "{text}", "value": {value}}}"#));
        let result = rendered(r#"{"pad": "${input.text}", "value": "${input.value}"}"#, &data);
        assert_eq!(result.len() == MOST_RENDERED_BYTES, fits, "{}", result.len());
        assert_eq!(
            result.ends_with("the result is larger than 16 MiB"),
            !fits,
            "{}",
            result.len()
        );
    }
}

#[test]
fn a_result_is_bounded_in_depth_and_can_be_read_again() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let mut data = Data::new("null");
    data.input = read_payload(nested(MOST_PAYLOAD_DEPTH - 1).as_bytes()).unwrap();
    let wrapped = rendered(r#"{"a": "${input}"}"#, &data);
    assert!(read_payload(wrapped.as_bytes()).is_ok());
    let error = rendered(r#"[{"a": "${input}"}]"#, &data);
    assert_eq!(
        error,
        "${input} at /0/a cannot be rendered: the result is nested deeper than 64"
    );
    assert!(read_payload(nested(MOST_PAYLOAD_DEPTH + 1).as_bytes()).is_err());
    // A run puts what it got into lists and objects of its own.
    assert!(read_stored(nested(MOST_PAYLOAD_DEPTH + 100).as_bytes()).is_ok());
    assert!(read_stored(nested(100_000).as_bytes()).is_err());
}

#[test]
fn work_is_bounded() {
    let numbers: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let data = Data::new(&format!("[{}]", numbers.join(",")));
    // Far more than a rule may do.
    let even = rendered(r#""${input.filter(n, n % 2 == 0).size()}""#, &data);
    assert_eq!(even, "2500");
    let lots: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let data = Data::new(&format!("[{}]", lots.join(",")));
    let error = rendered(r#""${input.filter(n, n % 2 == 0).size()}""#, &data);
    assert!(error.contains("takes too many steps"), "{error}");
    let some: Vec<String> = (0..30_000).map(|n| n.to_string()).collect();
    let data = Data::new(&format!("[{}]", some.join(",")));
    let many = format!("[{}]", vec![r#""${input.exists(n, n < 0)}""#; 20].join(","));
    let error = rendered(&many, &data);
    assert!(
        error.contains("of this template take more than 1000000 steps"),
        "{error}"
    );
}
