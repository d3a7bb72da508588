//! `all`, `exists`, `exists_one`, `filter` and `map`, over lists and over the keys of maps.

use fairlead_expr::EvalErrorKind::DivisionByZero;

use crate::support::{fails, fails_saying, gives, refused};

#[test]
fn quantifiers() {
    gives(&[
        ("[1, 2, 3].all(x, x > 0)", "true"),
        ("[1, 2, 3].all(x, x > 1)", "false"),
        ("[].all(x, false)", "true"),
        ("[1, 2, 3].exists(x, x == 2)", "true"),
        ("[1, 2, 3].exists(x, x == 4)", "false"),
        ("[].exists(x, true)", "false"),
        ("[1, 2, 3].exists_one(x, x > 2)", "true"),
        ("[1, 2, 3].exists_one(x, x > 1)", "false"),
        ("[].exists_one(x, true)", "false"),
        ("labels.all(key, key.size() == 4)", "true"),
        ("labels.exists(key, labels[key] == 'free')", "true"),
        ("attributes.tags.exists(tag, tag == 'b')", "true"),
        ("attributes.user.exists(key, key == 'admin')", "true"),
        ("request.capabilities.all(c, c in ['tools', 'vision'])", "true"),
    ]);
}

#[test]
fn all_and_exists_hide_a_failure_when_another_element_decides() {
    gives(&[
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("[0, 2].all(x, 1 / x == 1)", "false"),
        ("attributes.tags.exists(tag, tag.startsWith('b'))", "true"),
    ]);
    fails(&[
        ("[0, 2].exists(x, 1 / x == 1)", DivisionByZero),
        ("[0, 1].all(x, 1 / x == 1)", DivisionByZero),
        ("[0, 1].exists_one(x, 1 / x == 1)", DivisionByZero),
        ("[0].filter(x, 1 / x == 1)", DivisionByZero),
        ("[0].map(x, 1 / x)", DivisionByZero),
    ]);
}

#[test]
fn filter_and_map() {
    gives(&[
        ("[1, 2, 3].filter(x, x != 2)", "[1, 3]"),
        ("labels.filter(key, key != 'tier')", "[\"team\"]"),
        ("[1, 2, 3].map(x, x * x)", "[1, 4, 9]"),
        ("[1, 2, 3].map(x, x > 1, x * 10)", "[20, 30]"),
        ("labels.map(key, labels[key])", "[\"käse\", \"free\"]"),
        ("['a', 'b'].map(x, x + '!')", "[\"a!\", \"b!\"]"),
        ("[1, 2].map(x, [x, x])", "[[1, 1], [2, 2]]"),
        ("[1, 2].map(x, {'n': x})", "[{\"n\": 1}, {\"n\": 2}]"),
        ("attributes.tags.map(x, x)", "[\"a\", \"b\", 1.0]"),
    ]);
}

#[test]
fn one_may_follow_another_and_its_variable_hides_facts_only_inside() {
    gives(&[
        ("[1, 2, 3].filter(x, x > 1).map(y, y + 1)", "[3, 4]"),
        ("[1].all(x, x == 1) && [2].all(x, x == 2)", "true"),
        ("[1].map(labels, labels + 1)[0] == 2 && labels.tier == 'free'", "true"),
        ("[[1, 2], [3]].map(x, x.size())", "[2, 1]"),
    ]);
    refused(&[("[1].all(x, x == 1) && x == 1", "unknown variable `x`")]);
}

#[test]
fn misuse() {
    fails_saying(&[
        (
            "attributes.count.all(x, true)",
            "a comprehension goes over a list or a map, not double",
        ),
        ("attributes.tags.filter(x, x)", "a condition must be bool, not string"),
    ]);
    refused(&[
        (
            "[[1]].all(x, x.exists(y, y == 1))",
            "exists() is inside of another comprehension; they do not nest",
        ),
        ("[1].map(x, [2].map(y, y))", "map() is inside of another comprehension"),
        ("[1].all(x, x)", "the condition of all() must be bool, not int"),
        ("[1].all(x, 'a')", "the condition of all() must be bool, not string"),
        ("'abc'.all(x, true)", "all() goes over a list or a map, not string"),
        (
            "request.exists(x, true)",
            "exists() goes over a list or a map, not request",
        ),
        (
            "[1].all(true)",
            "all() takes a variable name and a condition, as in list.all(x, …)",
        ),
        ("[1].all(x.y, true)", "all() takes a variable name"),
        ("[1].all(x)", "all() takes a variable name"),
        ("[1].filter(x, true, true)", "filter() takes a variable name"),
        ("[1].map(x)", "map() takes a variable name and a result"),
        ("all([1], x, true)", "all() is a method; write list.all(x, …)"),
        ("[1].map(x, x + 'a')", "`+` does not apply to int and string"),
    ]);
}
