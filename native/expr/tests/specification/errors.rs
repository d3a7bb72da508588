//! Messages name the thing, the place and what to do.

use fairlead_expr::{Schema, Type};

use crate::support::{compile, facts, refused};

#[test]
fn syntax_errors() {
    refused(&[
        ("", "the expression is empty"),
        ("  // only a comment", "the expression is empty"),
        ("1 +", "expected a value but found the end of the expression"),
        ("1 2", "unexpected a number; an operator is expected here"),
        ("(1", "expected `)` but found the end of the expression"),
        ("[1, 2", "expected `]` but found the end of the expression"),
        ("[1 2]", "expected `]` but found a number"),
        ("{'a' 1}", "expected `:` but found a number"),
        ("true ? 1", "expected `:` but found the end of the expression"),
        (
            "labels.",
            "expected a field or method name after `.` but found the end of the expression",
        ),
        (
            "labels.'tier'",
            "expected a field or method name after `.` but found a text",
        ),
        ("a = b", "`=` is not an operator; compare with `==`"),
        ("true & false", "`&` is not an operator; write `&&`"),
        ("true | false", "`|` is not an operator; write `||`"),
        ("labels.tier == “free”", "unexpected character '“'; put text in quotes"),
        ("1; 2", "unexpected `;`"),
        ("1 && in", "expected a value but found `in`"),
        ("for", "`for` is a reserved word; use another name"),
        ("0x", "invalid hexadecimal number"),
        ("0xfg", "invalid hexadecimal number"),
        ("12abc", "invalid number `12abc`"),
        (".labels", "expected a value but found `.`"),
    ]);
}

#[test]
fn unknown_variables_name_the_known_ones() {
    refused(&[(
        "tenent == 'a'",
        "unknown variable `tenent`; known here: absent, attributes, digest, labels, now, request",
    )]);
    let error = fairlead_expr::Program::compile("x", &Schema::new(), Type::Dyn).unwrap_err();
    assert_eq!(error.message, "unknown variable `x`; known here: none");
}

#[test]
fn a_compile_error_says_where_in_characters() {
    let error = compile("labels.team == 'käse' &&\n  request.modle == 'x'", Type::Bool).unwrap_err();
    assert_eq!((error.offset, error.line, error.column), (36, 2, 11));
    assert!(
        error
            .to_string()
            .starts_with("line 2, column 11: unknown field `modle` of request"),
        "{error}"
    );
    let error = compile("'ä' + 1", Type::Dyn).unwrap_err();
    assert_eq!((error.offset, error.line, error.column), (5, 1, 5));
}

#[test]
fn an_evaluation_error_says_where_and_what_to_do() {
    let error = compile("labels.tier == 'x' ||\n labels.nope == 'y'", Type::Bool)
        .unwrap()
        .evaluate_bool(&facts())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2, column 9: no such key `nope`; test it first with has() or `in`"
    );
    let error = compile("1 / (1 - 1) == 1", Type::Bool)
        .unwrap()
        .evaluate_bool(&facts())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 3: division by zero; test the divisor first"
    );
    let error = compile("[1][1]", Type::Int).unwrap().evaluate(&facts()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 4: index 1 is out of range for a list of 1; test its size() first"
    );
}

#[test]
fn long_texts_are_cut_in_messages() {
    let mut facts = facts();
    facts.labels.insert("tier".to_owned(), "x".repeat(1_000));
    let error = compile("int(labels.tier)", Type::Int)
        .unwrap()
        .evaluate(&facts)
        .unwrap_err();
    assert!(error.to_string().len() < 100, "{error}");
}
