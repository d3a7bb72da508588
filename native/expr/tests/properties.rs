//! Properties over random sources: nothing panics, everything is deterministic, the step bound holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use fairlead_expr::{List, Map, ObjectType, Program, Schema, Type, Value, Variables, limits};
use proptest::prelude::*;

#[derive(Debug)]
struct Facts {
    labels: BTreeMap<String, String>,
    names: Vec<String>,
    number: i64,
    ratio: f64,
}

impl Variables for Facts {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "labels" => Some(Value::Map(Map::strings(&self.labels))),
            "any" => Some(Value::List(List::strings(&self.names))),
            "names" => Some(Value::List(List::strings(&self.names))),
            "n" => Some(Value::Int(self.number)),
            "d" => Some(Value::Double(self.ratio)),
            "t" => Some(Value::Timestamp(self.number)),
            _ => None,
        }
    }
}

fn schema() -> Schema {
    Schema::new()
        .with("labels", Type::map(Type::String))
        .with("names", Type::list(Type::String))
        .with("any", Type::Dyn)
        .with("n", Type::Int)
        .with("d", Type::Double)
        .with("t", Type::Timestamp)
        .with("o", Type::object(ObjectType::new("o").with("f", Type::Bool)))
}

/// Facts no larger than the static cost assumes.
fn facts() -> impl Strategy<Value = Facts> {
    let text = "[a-c\u{e4}]{0,6}";
    (
        prop::collection::btree_map(text, text, 0..8),
        prop::collection::vec(text, 0..100),
        prop_oneof![Just(0), Just(i64::MIN), Just(i64::MAX), -3_i64..3],
        prop_oneof![Just(0.0), Just(f64::NAN), Just(f64::INFINITY), Just(1e300), -3.0..3.0],
    )
        .prop_map(|(labels, names, number, ratio)| Facts {
            labels,
            names,
            number,
            ratio,
        })
}

/// Sequences of valid tokens, most of which do not parse.
fn token_soup() -> impl Strategy<Value = String> {
    let tokens = [
        "labels",
        "names",
        "any",
        "n",
        "d",
        "t",
        "o",
        "x",
        ".",
        ".",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "&&",
        "||",
        "!",
        "==",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        " in ",
        "1",
        "0",
        "2.5",
        "'a'",
        "r'\\'",
        "\"",
        "'''",
        "true",
        "null",
        "has(",
        "size(",
        ".all(x,",
        ".map(x,",
        ".matches('a*')",
        "duration('1h')",
        "int(",
        ".f",
        "//",
        "\n",
        "\\",
        "0x",
        "1e",
        "🙂",
    ];
    prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..40).prop_map(|tokens| tokens.concat())
}

/// Well-formed expressions, most of which compile.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "n",
        "d",
        "t",
        "any",
        "names",
        "labels",
        "x",
        "1",
        "0",
        "-1",
        "9223372036854775807",
        "2.5",
        "'a'",
        "'ä'",
        "''",
        "true",
        "false",
        "null",
        "[]",
        "[1, 2]",
        "{'a': 1}",
        "labels.a",
        "names[0]",
        "any[0]",
        "duration('1h')",
        "timestamp(0)",
        "has(labels.a)",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 48, 3, |inner| {
        let operators = vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
        ];
        let methods = vec![
            "size()",
            "contains('a')",
            "startsWith('b')",
            "matches('a+b?')",
            "lowerAscii()",
            "getHours()",
            "getMonth()",
        ];
        let functions = vec!["int", "double", "string", "size", "duration", "timestamp", "!", "-"];
        let macros = vec!["all", "exists", "exists_one", "filter", "map"];
        prop_oneof![
            (inner.clone(), prop::sample::select(operators), inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            (inner.clone(), prop::sample::select(methods)).prop_map(|(a, method)| format!("({a}).{method}")),
            (prop::sample::select(functions), inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), prop::sample::select(macros), inner.clone())
                .prop_map(|(a, m, b)| format!("({a}).{m}(x, {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
        ]
    })
}

/// Compiles and evaluates, if it can, and checks what holds for every source.
fn check(source: &str, facts: &Facts) -> bool {
    match Program::compile(source, &schema(), Type::Dyn) {
        Err(error) => {
            assert!(error.offset <= source.len() && !error.message.is_empty());
            assert_eq!(Program::compile(source, &schema(), Type::Dyn).unwrap_err(), error);
            false
        }
        Ok(program) => {
            let run = || {
                let (result, steps) = program.evaluate_metered(facts);
                (result.map(|value| value.to_string()), steps)
            };
            let (result, steps) = run();
            assert_eq!(run(), (result, steps), "not deterministic: {source}");
            assert!(
                steps <= program.cost(),
                "{source}: {steps} steps, but a cost of {}",
                program.cost()
            );
            assert!(program.cost() <= limits::MAX_STEPS);
            true
        }
    }
}

proptest! {
    #[test]
    fn random_text_never_panics(source in ".{0,200}", facts in facts()) {
        check(&source, &facts);
    }

    #[test]
    fn random_tokens_never_panic(source in token_soup(), facts in facts()) {
        check(&source, &facts);
    }

    /// The static cost bounds the steps, as long as facts are as small as it assumes.
    #[test]
    fn well_formed_expressions_are_deterministic_and_bounded(source in expression(), facts in facts()) {
        check(&source, &facts);
    }

    /// Beyond the assumed sizes the step counter bounds the steps.
    #[test]
    fn the_step_bound_holds_for_facts_of_any_size(source in expression(), elements in 0_usize..30_000, text in 0_usize..2_000_000) {
        let facts = Facts {
            labels: BTreeMap::from([("a".to_owned(), "a".repeat(text))]),
            names: vec!["a".repeat(text / elements.max(1)); elements],
            number: 1,
            ratio: 1.0,
        };
        if let Ok(program) = Program::compile(&source, &schema(), Type::Dyn) {
            prop_assert!(program.evaluate_metered(&facts).1 <= limits::MAX_STEPS);
        }
    }

    #[test]
    fn integers_compare_exactly_with_doubles(int in any::<i64>(), double in prop_oneof![any::<f64>(), any::<i64>().prop_map(|n| n as f64)]) {
        let facts = Facts { labels: BTreeMap::new(), names: vec![], number: int, ratio: double };
        let holds = |source: &str| Program::compile(source, &schema(), Type::Bool).unwrap().evaluate_bool(&facts).unwrap();
        let outcomes = [holds("n < d"), holds("n == d"), holds("n > d")];
        prop_assert_eq!(outcomes.iter().filter(|outcome| **outcome).count(), usize::from(!double.is_nan()));
        if int.unsigned_abs() < 1 << 53 {
            prop_assert_eq!(outcomes, [(int as f64) < double, int as f64 == double, int as f64 > double]);
        }
    }
}
