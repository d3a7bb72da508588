//! The bounds: what is refused at load, and what stops at run time.

use fairlead_expr::{EvalErrorKind, Program, Type, limits};

use crate::support::{Facts, Json, compile, facts, schema};

fn message(source: &str) -> String {
    compile(source, Type::Dyn).expect_err("should be refused").message
}

/// Facts with a large list of numbers and a large text.
fn large_facts(elements: usize, text_bytes: usize) -> Facts {
    let mut facts = facts();
    facts.attributes.insert(
        "many".to_owned(),
        Json::List((0..elements).map(|n| Json::Number(n as f64)).collect()),
    );
    facts
        .attributes
        .insert("text".to_owned(), Json::Text("a".repeat(text_bytes)));
    facts
}

/// The outcome over large facts, and the steps it took.
fn outcome(source: &str, facts: &Facts) -> (Result<String, EvalErrorKind>, u64) {
    let program = compile(source, Type::Dyn).unwrap();
    let (result, steps) = program.evaluate_metered(facts);
    (result.map(|value| value.to_string()).map_err(|error| error.kind), steps)
}

#[test]
fn long_sources_are_refused() {
    let source = format!("'{}'", "a".repeat(limits::MAX_SOURCE_BYTES));
    assert_eq!(message(&source), "the expression has 4098 bytes; the most is 4096");
    let fits = format!("'{}'", "a".repeat(limits::MAX_SOURCE_BYTES - 2));
    assert!(compile(&fits, Type::String).is_ok());
}

#[test]
fn large_literals_are_refused() {
    let list = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    assert!(compile(&list(limits::MAX_NODES - 1), Type::Dyn).is_ok());
    assert!(message(&list(limits::MAX_NODES)).contains("more than 512 parts"));
    let map: Vec<_> = (0..256).map(|n| format!("'{n}':{n}")).collect();
    assert!(message(&format!("{{{}}}", map.join(","))).contains("more than 512 parts"));
}

#[test]
fn deep_nesting_is_refused_in_every_form() {
    let around =
        |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    for n in [33, 200] {
        for source in [
            around("(", "1", ")", n),
            around("[", "1", "]", n),
            around("size(", "labels", ")", n),
            around("!", "true", "", n),
            around("- ", "labels", "", n),
            around("{'a':", "1", "}", n),
            around("labels[", "'a'", "]", n),
            around("true ? (", "1", ") : 2", n),
            around("true ? 1 : ", "2", "", n),
            around("", "labels", ".a", n),
            around("", "labels", "['a']", n),
            around("", "1", " + 1", n),
            around("((1 + 2) * ", "1", ")", n),
            around("[1].map(x, ", "1", ")", n),
        ] {
            let message = message(&source);
            assert!(message.contains("nested deeper than 32 levels"), "{source}: {message}");
        }
    }
    // The longest source that nests: the stack is safe also in a small thread.
    let deepest = around("(", "1", ")", limits::MAX_SOURCE_BYTES / 2 - 1);
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    small.spawn(move || message(&deepest)).unwrap().join().unwrap();
}

#[test]
fn nesting_up_to_the_bound_works_on_a_small_stack() {
    let n = limits::MAX_DEPTH - 1;
    let lists = format!(
        "{}1{} == {}1{}",
        "[".repeat(n - 1),
        "]".repeat(n - 1),
        "[".repeat(n - 1),
        "]".repeat(n - 1)
    );
    let everything = format!(
        "{}true{}",
        "(true || true && !(1 + 2 * 3 == 7) || ".repeat(10),
        ")".repeat(10)
    );
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let run = move || {
        [lists, everything, format!("{}1{} == 1", "(".repeat(n), ")".repeat(n))]
            .map(|source| compile(&source, Type::Bool).unwrap().evaluate_bool(&facts()))
    };
    assert_eq!(
        small.spawn(run).unwrap().join().unwrap(),
        [Ok(true), Ok(true), Ok(true)]
    );
}

#[test]
fn long_flat_conditions_are_fine() {
    let source = vec!["labels.tier == 'x'"; 100].join(" || ");
    assert_eq!(outcome(&source, &facts()).0, Ok("false".to_owned()));
}

#[test]
fn comprehensions_do_not_nest() {
    let source = "[[[1]]].all(x, x.all(y, y.all(z, z == 1)))";
    assert!(message(source).contains("they do not nest"));
}

#[test]
fn large_patterns_are_refused() {
    for pattern in [r"\\pL{100}", "(a{100}){100}", "((a{50}){50}){50}"] {
        let message = message(&format!("labels.tier.matches('{pattern}')"));
        assert!(message.contains("the pattern needs more than"), "{pattern}: {message}");
    }
    let nested = format!("labels.tier.matches('{}a{}')", "(".repeat(100), ")".repeat(100));
    assert!(message(&nested).starts_with("invalid pattern: "));
    assert!(compile(r"labels.tier.matches(r'^[\w.+-]+@[\w-]+(\.[\w-]+){1,5}$')", Type::Bool).is_ok());
}

/// A pattern that takes a backtracking engine exponential time.
#[test]
fn patterns_are_linear() {
    let (result, steps) = outcome("attributes.text.matches('^(a+)+$|^(a|a)*b')", &large_facts(0, 40_000));
    assert_eq!(result, Ok("true".to_owned()));
    assert!(steps < limits::MAX_STEPS);
}

#[test]
fn expressions_that_are_slow_for_assumed_sizes_are_refused_at_load() {
    let body = ["attributes.many[x] == attributes.text"; 12].join(" || ");
    let message = message(&format!("attributes.many.exists(x, {body})"));
    assert!(message.starts_with("the expression may take "), "{message}");
    let chained = "attributes.many.filter(x, x > 1.0).map(x, x + 1.0).all(x, x > 0.0 && x < 100.0)";
    assert!(compile(chained, Type::Bool).is_ok());
    assert!(compile("attributes.users.map(u, u.name).exists(n, n == 'x')", Type::Bool).is_ok());
    assert!(compile("'x' in attributes.users.map(u, u.name)", Type::Bool).is_ok());
}

#[test]
fn the_step_counter_stops_what_only_the_facts_make_slow() {
    let facts = large_facts(6_000, 1_000_000);
    for source in [
        "attributes.many.all(x, x >= 0.0)",
        "attributes.many.map(x, x)",
        "attributes.many.filter(x, true)",
        "attributes.many + attributes.many",
        "attributes.many == attributes.many && attributes.many == attributes.many",
        "1 in attributes.many || -1 in attributes.many || -2 in attributes.many",
        "attributes.text + attributes.text",
        "attributes.text == attributes.text",
        "attributes.text.contains('b')",
        "attributes.text.matches('b')",
        "attributes.text.lowerAscii()",
        "size(attributes.text)",
    ] {
        let (result, steps) = outcome(source, &facts);
        assert!(steps <= limits::MAX_STEPS);
        match source {
            // Found at once, so the rest is never looked at.
            _ if source.starts_with("1 in") => assert_eq!(result, Ok("true".to_owned())),
            _ => assert_eq!(result, Err(EvalErrorKind::CostExceeded), "{source}"),
        }
    }
}

/// Each step doubles the result without copying anything, so a few steps could make a result of a billion elements.
#[test]
fn results_are_bounded_too() {
    let doubling = |times: usize| format!("[1]{}", ".map(x, [x, x])".repeat(times));
    let (result, steps) = outcome(&doubling(20), &facts());
    assert_eq!(result, Err(EvalErrorKind::CostExceeded));
    assert!(steps < 100, "{steps}");
    let names = "attributes.many.map(n, [n, n, n])";
    let facts = large_facts(800, 0);
    assert!(outcome(names, &facts).0.is_ok());
    let (result, steps) = outcome(&format!("{names}.map(x, [x, x, x])"), &facts);
    assert_eq!(result, Err(EvalErrorKind::CostExceeded));
    assert!(steps < limits::MAX_STEPS, "{steps}");
}

#[test]
fn an_exceeded_cost_is_never_hidden() {
    let facts = large_facts(20_000, 0);
    for source in [
        "attributes.many.all(x, x >= 0.0) || true",
        "attributes.many.exists(x, x < 0.0) && false",
        "[1].exists(y, 20000 in attributes.many || true)",
    ] {
        assert_eq!(outcome(source, &facts).0, Err(EvalErrorKind::CostExceeded), "{source}");
    }
    // What decides before it counts.
    assert_eq!(
        outcome("true || attributes.many.all(x, x >= 0.0)", &facts).0,
        Ok("true".to_owned())
    );
}

#[test]
fn data_nested_deeper_than_any_protobuf_message_is_not_compared() {
    let mut deep = Json::Null;
    for _ in 0..1_000 {
        deep = Json::List(vec![deep]);
    }
    let mut facts = facts();
    facts.attributes.insert("deep".to_owned(), deep);
    let (result, _) = outcome("attributes.deep == attributes.deep", &facts);
    assert!(matches!(result, Err(EvalErrorKind::TypeMismatch(message)) if message.contains("nested deeper than 64")));
}

#[test]
fn the_cost_is_known_at_load() {
    let cost = |source: &str| compile(source, Type::Dyn).unwrap().cost();
    assert_eq!(cost("1"), 1);
    assert_eq!(cost("request.inputTokens >= 5 && labels.tier == 'free'"), 9);
    // 1 for the node, 1 for the list, and for each of its elements 1 and the 3 nodes of the body.
    assert_eq!(cost("[1, 2, 3].all(x, x > 0)"), 2 + 3 * 4);
    assert_eq!(
        cost("request.capabilities.all(x, x == 'a')"),
        3 + limits::ASSUMED_ELEMENTS * 4
    );
}

#[test]
fn a_program_may_have_a_bound_of_its_own() {
    let source = "[1, 2, 3].filter(x, x > 1)";
    let within = |steps| Program::compile_bounded(source, &schema(), Type::Dyn, steps);
    let needed = within(limits::MAX_STEPS).unwrap().cost();
    assert!(within(needed).unwrap().evaluate(&facts()).is_ok());
    let error = within(needed - 1).unwrap_err();
    assert!(
        error.message.contains(&format!("the most is {}", needed - 1)),
        "{error}"
    );
}

#[test]
fn a_message_without_content_names_what_the_source_names() {
    let message = |source: &str| {
        let program = compile(source, Type::Dyn).unwrap();
        let error = program.evaluate(&facts()).unwrap_err();
        error.kind.without_content(source)
    };
    assert_eq!(
        message("labels.nope"),
        "no such key `nope`; test it first with has() or `in`"
    );
    assert_eq!(
        message("labels[attributes.user.name]"),
        "no such key; test it first with has() or `in`"
    );
    assert_eq!(message("int(attributes.user.name)"), "not a valid int");
    assert_eq!(
        message("{attributes.user.name: 1, attributes['user'].name: 2}"),
        "a key is given twice in a map"
    );
}
