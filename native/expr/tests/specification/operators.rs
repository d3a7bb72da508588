//! Literals and operators.

use fairlead_expr::EvalErrorKind::{DivisionByZero, DuplicateKey, IndexOutOfRange, NoSuchKey, Overflow};

use crate::support::{fails, fails_saying, gives, refused};

#[test]
fn literals() {
    gives(&[
        ("null", "null"),
        ("true", "true"),
        ("42", "42"),
        ("-42", "-42"),
        ("0x1F", "31"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1e3", "1000.0"),
        ("-2.5E-1", "-0.25"),
        ("[1, 2.0, 'a', null]", r#"[1, 2.0, "a", null]"#),
        ("[1, 2,]", "[1, 2]"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("{'a': 1, 'b': [2],}", r#"{"a": 1, "b": [2]}"#),
        ("{labels.tier: request.inputTokens}", r#"{"free": 1200}"#),
        ("1 // a comment\n + 1", "2"),
    ]);
}

#[test]
fn text_literals() {
    gives(&[
        (r#""a" == 'a'"#, "true"),
        (r#"'''it's''' == "it's""#, "true"),
        ("\"\"\"two\nlines\"\"\" == 'two\\nlines'", "true"),
        (r"'\a\b\f\n\r\t\v' == '\x07\x08\x0c\x0a\x0d\x09\x0b'", "true"),
        (r#"'\\\'\"\`\?'"#, r#""\\'\"`?""#),
        (r"'\u00e4\U0001F600\141'", "\"ä😀a\""),
        (r"r'\d+\n'.size()", "5"),
        (r#"R"""a"b\""" == 'a"b\\'"#, "true"),
    ]);
    refused(&[
        ("'abc", "this text is not closed; end it with '"),
        ("\"a\nb\"", "this text is not closed"),
        (r"'\q'", r"unknown escape `\q`"),
        (r"'\x0'", "this escape needs 2 hexadecimal digits"),
        (
            r"'\ud800'",
            "this escape needs 4 hexadecimal digits that name a character",
        ),
        (r"'\08'", "this escape needs 3 octal digits"),
        ("b'abc'", "bytes literals are not supported"),
        ("1u", "unsigned integers are not supported"),
        ("1h30m", "for a time span write duration(\"1h30m\")"),
        ("9223372036854775808", "out of the 64-bit range"),
        ("-9223372036854775809", "out of the 64-bit range"),
        ("1e999", "out of the range of a double"),
    ]);
}

#[test]
fn precedence_and_association() {
    gives(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("100 / 10 / 5", "2"),
        ("7 % 4 * 2", "6"),
        ("-2 * -3", "6"),
        ("--2", "2"),
        ("!true || true", "true"),
        ("!!true", "true"),
        ("true || false && false", "true"),
        ("1 + 1 == 2 && 2 < 3", "true"),
        ("1 < 2 == true", "true"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("true ? (false ? 1 : 2) : 3", "2"),
        ("1 in [1] && 2 in [2]", "true"),
        ("-[1, 2][1]", "-2"),
        ("[[1], [2]][1][0]", "2"),
    ]);
}

#[test]
fn arithmetic() {
    gives(&[
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 3", "-1"),
        ("7.0 / 2.0", "3.5"),
        ("1.0 / 0.0", "inf"),
        ("0.0 / 0.0", "NaN"),
        ("1.5 + 1.5 - 1.0 * 2.0", "1.0"),
        ("'a' + 'b'", "\"ab\""),
        ("[1] + [2, 3]", "[1, 2, 3]"),
        ("attributes.count + 1.0", "4.0"),
        ("-request.inputTokens", "-1200"),
        ("-attributes.count", "-3.0"),
    ]);
    fails(&[
        ("1 / 0", DivisionByZero),
        ("1 % 0", DivisionByZero),
        ("request.inputTokens / (request.inputTokens - 1200)", DivisionByZero),
        ("9223372036854775807 + 1", Overflow),
        ("-9223372036854775808 - 1", Overflow),
        ("9223372036854775807 * 2", Overflow),
        ("-9223372036854775808 / -1", Overflow),
        ("-9223372036854775808 % -1", Overflow),
        ("-(-9223372036854775808)", Overflow),
    ]);
    fails_saying(&[
        (
            "attributes.count + 1",
            "`+` does not apply to double and int; convert one side with int() or double()",
        ),
        (
            "attributes.user - attributes.count",
            "`-` does not apply to map and double",
        ),
        ("-attributes.user", "`-` negates int and double, not map"),
    ]);
    refused(&[
        (
            "1 + 1.0",
            "`+` does not apply to int and double; convert one side with int() or double()",
        ),
        ("'a' + 1", "`+` does not apply to string and int; convert with string()"),
        ("5.0 % 2.0", "`%` does not apply to double and double"),
        ("attributes.count * 'a'", "`*` does not apply to dyn and string"),
        ("-'a'", "`-` negates int and double, not string"),
        ("true + true", "`+` does not apply to bool and bool"),
    ]);
}

#[test]
fn equality_compares_numbers_by_value_and_never_mixes_kinds() {
    gives(&[
        ("1 == 1.0", "true"),
        ("attributes.count == 3", "true"),
        ("attributes.count != 4", "true"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("0.0 == -0.0", "true"),
        ("0.0 / 0.0 == 0.0 / 0.0", "false"),
        ("0.0 / 0.0 != 0.0 / 0.0", "true"),
        ("attributes.count == 'three'", "false"),
        ("attributes.none == null", "true"),
        ("attributes.user == null", "false"),
        ("[1, 2] == [1.0, 2.0]", "true"),
        ("[1, 2] == [2, 1]", "false"),
        ("[1] == [1, 1]", "false"),
        ("{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1}", "true"),
        ("{'a': 1} == {'b': 1}", "false"),
        ("attributes.tags == ['a', 'b', 1]", "true"),
        ("attributes.user == {'name': 'Ada', 'admin': true}", "true"),
        ("labels.tier == 'free'", "true"),
        ("digest == digest", "true"),
        ("null == null", "true"),
    ]);
    refused(&[
        (
            "1 == 'a'",
            "`==` compares int with string, which are never equal; convert one side",
        ),
        ("labels.tier == null", "that is never null; test for a key with has()"),
        (
            "request == request",
            "`==` does not compare objects; compare their fields",
        ),
        ("['a'] != [1]", "`!=` compares list(string) with list(int)"),
    ]);
}

#[test]
fn order_is_exact_across_numbers_and_by_code_points_for_text() {
    gives(&[
        ("1 < 1.5", "true"),
        ("2 >= 2.0", "true"),
        ("-1 < -0.5", "true"),
        ("-1.5 < -1", "true"),
        ("9007199254740993 > 9007199254740992.0", "true"),
        ("9223372036854775807 < 9223372036854775808.0", "true"),
        ("-9223372036854775808 <= -9223372036854775808.0", "true"),
        ("-9223372036854775808 > -1e19", "true"),
        ("1 < 1.0 / 0.0", "true"),
        ("1 < 0.0 / 0.0", "false"),
        ("1 >= 0.0 / 0.0", "false"),
        ("'Z' < 'a'", "true"),
        ("'a' < 'ab'", "true"),
        ("'\\uffff' < '\\U00010000'", "true"),
        ("false < true", "true"),
        ("digest > digest", "false"),
        ("attributes.count > 2", "true"),
        ("request.inputTokens <= 1200", "true"),
    ]);
    fails_saying(&[
        ("attributes.count < 'a'", "cannot order double and string"),
        ("attributes.tags < attributes.user", "cannot order list and map"),
    ]);
    refused(&[
        ("1 < 'a'", "`<` cannot order int and string"),
        ("[1] < [2]", "`<` cannot order list(int) and list(int)"),
        ("null >= null", "`>=` cannot order null and null"),
    ]);
}

/// In a table: every pair of operands, where `E` is one that fails.
#[test]
fn and_or_hide_a_failure_when_the_other_side_decides() {
    let failing = "1 / 0 == 1";
    let operand = |name: &str| match name {
        "T" => "true".to_owned(),
        "F" => "false".to_owned(),
        _ => format!("({failing})"),
    };
    let table = [
        ("T", "T", "T", "T"),
        ("T", "F", "F", "T"),
        ("T", "E", "E", "T"),
        ("F", "T", "F", "T"),
        ("F", "F", "F", "F"),
        ("F", "E", "F", "E"),
        ("E", "T", "E", "T"),
        ("E", "F", "F", "E"),
        ("E", "E", "E", "E"),
    ];
    for (left, right, and, or) in table {
        for (symbol, expected) in [("&&", and), ("||", or)] {
            let source = format!("{} {symbol} {}", operand(left), operand(right));
            match expected {
                "T" => gives(&[(&source, "true")]),
                "F" => gives(&[(&source, "false")]),
                _ => fails(&[(&source, DivisionByZero)]),
            }
        }
    }
    gives(&[
        ("1 / 0 == 1 || 1 % 0 == 1 || true", "true"),
        ("attributes.count || true", "true"),
        ("labels.unknown == 'x' || labels.tier == 'free'", "true"),
    ]);
    fails(&[("labels.unknown == 'x' || 1 / 0 == 1", NoSuchKey("unknown".to_owned()))]);
    fails_saying(&[("attributes.count && true", "a condition must be bool, not double")]);
    refused(&[
        ("1 && true", "an operand of `&&` must be bool, not int"),
        ("true || 'a'", "an operand of `||` must be bool, not string"),
        ("!1", "the operand of `!` must be bool, not int"),
    ]);
}

#[test]
fn a_conditional_evaluates_one_result_only() {
    gives(&[
        ("true ? 1 : 1 / 0", "1"),
        ("has(labels.tier) ? labels.tier : 'none'", "\"free\""),
        ("has(labels.nope) ? labels.nope : 'none'", "\"none\""),
        ("attributes.user.admin ? attributes.count : 0", "3.0"),
    ]);
    fails(&[("1 / 0 == 1 ? 1 : 2", DivisionByZero)]);
    fails_saying(&[("attributes.count ? 1 : 2", "a condition must be bool, not double")]);
    refused(&[
        (
            "true ? 1 : 'a'",
            "the two results of `? :` are int and string; they must have the same type",
        ),
        ("1 ? 1 : 2", "the condition of `? :` must be bool, not int"),
    ]);
}

#[test]
fn fields_and_indexes() {
    gives(&[
        ("request.model", "\"big\""),
        ("labels['tier']", "\"free\""),
        ("labels[request.stream ? 'team' : 'tier']", "\"käse\""),
        ("attributes.user.name", "\"Ada\""),
        ("attributes['user']['name']", "\"Ada\""),
        ("attributes.tags[1]", "\"b\""),
        ("['x', 'y', 'z', 'w'][attributes.count]", "\"w\""),
        ("{'a': {'b': 5}}.a.b", "5"),
        ("request.capabilities[0]", "\"tools\""),
        ("request['model']", "\"big\""),
    ]);
    fails(&[
        ("labels.nope", NoSuchKey("nope".to_owned())),
        ("attributes['no pe']", NoSuchKey("no pe".to_owned())),
        ("attributes.user.nope.deeper", NoSuchKey("nope".to_owned())),
        ("[1, 2][2]", IndexOutOfRange { index: 2, len: 2 }),
        ("[1, 2][-1]", IndexOutOfRange { index: -1, len: 2 }),
        ("{'a' + 'b': 1, 'ab': 2}", DuplicateKey("ab".to_owned())),
    ]);
    fails_saying(&[
        ("attributes.count.x", "double has no fields, so not `x`"),
        ("attributes.none.x", "null has no fields, so not `x`"),
        ("attributes.tags['a']", "list cannot be indexed by string"),
        ("attributes.user[0]", "map cannot be indexed by int"),
        ("{attributes.count: 1}", "the keys of a map are strings, not double"),
    ]);
    refused(&[
        (
            "request.modle",
            "unknown field `modle` of request; its fields: capabilities, inputTokens, minQuality, model, stream",
        ),
        (
            "request['modle']",
            "unknown field `modle` of request; its fields: capabilities, inputTokens, minQuality, model, stream",
        ),
        (
            "request[labels.tier]",
            "request is indexed by the name of a field only; write request.field",
        ),
        ("labels[1]", "a map is indexed by string, not int"),
        ("[1]['a']", "a list is indexed by int, not string"),
        ("[1][0.0]", "a list is indexed by int, not double"),
        ("now.hours", "timestamp has no fields, so not `hours`"),
        ("1[0]", "int cannot be indexed; only lists and maps can"),
        ("{1: 2}", "the keys of a map are strings, not int"),
        ("{'a': 1, 'a': 2}", "the key `a` is given twice"),
        ("labels.in", "write other keys as [\"key\"]"),
    ]);
}

#[test]
fn has_tests_a_key_without_failing() {
    gives(&[
        ("has(labels.tier)", "true"),
        ("has(labels.nope)", "false"),
        ("has(attributes.none)", "true"),
        ("has(attributes.user.name)", "true"),
        ("has(request.minQuality)", "true"),
        ("has({'a': 1}.a)", "true"),
    ]);
    // Only the last field is tested, as in CEL.
    fails(&[("has(attributes.nope.deeper)", NoSuchKey("nope".to_owned()))]);
    fails_saying(&[(
        "has(attributes.count.x)",
        "has() tests a field, but double has no fields",
    )]);
    refused(&[
        ("has(labels)", "has() takes one field, as in has(labels.tier)"),
        ("has(labels['tier'])", "for other keys write \"key\" in labels"),
        ("has(request.modle)", "unknown field `modle` of request"),
        ("has()", "has() takes one field"),
    ]);
}

#[test]
fn membership() {
    gives(&[
        ("'tools' in request.capabilities", "true"),
        ("'audio' in request.capabilities", "false"),
        ("labels.tier in ['free', 'trial']", "true"),
        ("1.0 in [1, 2]", "true"),
        ("1 in attributes.tags", "true"),
        ("'tier' in labels", "true"),
        ("'no pe' in labels", "false"),
        ("attributes.count in labels", "false"),
        ("'a' in {'a': 1}", "true"),
        ("1 in []", "false"),
    ]);
    fails_saying(&[(
        "'a' in attributes.count",
        "`in` looks in a list or a map, not in double",
    )]);
    refused(&[
        (
            "1 in ['a']",
            "`in` looks for int in a list of string, where it never is",
        ),
        (
            "1 in labels",
            "`in` looks for int among the keys of a map, which are strings",
        ),
        ("'a' in 'abc'", "`in` looks in a list or a map, not in string"),
    ]);
}
