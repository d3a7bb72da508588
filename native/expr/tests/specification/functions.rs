//! Functions and methods on text, numbers and collections.

use fairlead_expr::EvalErrorKind::Overflow;

use crate::support::{fails, fails_saying, gives, refused};

#[test]
fn size() {
    gives(&[
        ("size('käse')", "4"),
        ("'😀'.size()", "1"),
        ("labels.size()", "2"),
        ("size(request.capabilities)", "2"),
        ("attributes.tags.size()", "3"),
        ("size([])", "0"),
        ("size({'a': 1})", "1"),
        ("size(digest)", "2"),
    ]);
    fails_saying(&[("size(attributes.count)", "this function does not work on double")]);
    refused(&[
        ("size(1)", "size() works on string, bytes, list or map, not on int"),
        ("size(request)", "not on request"),
        ("size()", "size() takes 1 argument, but 0 are given"),
        ("'a'.size('b')", "size() takes 0 arguments, but 1 are given"),
    ]);
}

#[test]
fn text_search() {
    gives(&[
        ("'fairlead'.startsWith('fair')", "true"),
        ("'fairlead'.startsWith('lead')", "false"),
        ("'fairlead'.endsWith('lead')", "true"),
        ("'fairlead'.contains('irl')", "true"),
        ("'fairlead'.contains('')", "true"),
        ("'fairlead'.contains('x')", "false"),
        ("attributes.user.name.startsWith('A')", "true"),
    ]);
    fails_saying(&[(
        "attributes.count.contains('a')",
        "a text is searched for a text, not double for string",
    )]);
    refused(&[
        ("1.contains('a')", "contains() works on string, not on int"),
        ("'a'.contains(1)", "the argument of contains() is a string, not int"),
        ("contains('a', 'b')", "contains() is a method; write x.contains(…)"),
        ("'a'.contains()", "contains() takes 1 argument, but 0 are given"),
    ]);
}

#[test]
fn matches_searches_with_a_literal_pattern() {
    gives(&[
        ("'gpt-4o-mini'.matches('^gpt-[0-9]')", "true"),
        ("'my gpt-4'.matches('^gpt-[0-9]')", "false"),
        ("'my gpt-4'.matches('gpt')", "true"),
        ("matches('abc', r'^\\w+$')", "true"),
        ("labels.team.matches('k.se')", "true"),
        ("'A'.matches('(?i)a')", "true"),
        // The short classes are ASCII, as in RE2.
        (r"'käse'.matches(r'^\w+$')", "false"),
        (r"'käse 7'.matches(r'^[^\d]+\s\d$')", "true"),
        (r"'a\\d'.matches(r'^a\\d$')", "true"),
    ]);
    fails_saying(&[(
        "attributes.count.matches('a')",
        "matches() works on string, not on double",
    )]);
    refused(&[
        (
            "'a'.matches(labels.tier)",
            "the pattern of matches() must be a literal text",
        ),
        (
            "'a'.matches('a' + 'b')",
            "the pattern of matches() must be a literal text",
        ),
        ("'a'.matches('(')", "invalid pattern: unclosed group"),
        (
            "'a'.matches(r'(a)\\1')",
            "invalid pattern: backreferences are not supported",
        ),
        ("1.matches('a')", "matches() works on string, not on int"),
        ("matches('a')", "matches() takes 2 arguments, but 1 are given"),
    ]);
}

#[test]
fn ascii_case() {
    gives(&[
        ("'KÄSE'.lowerAscii()", "\"kÄse\""),
        ("'käse'.upperAscii()", "\"KäSE\""),
        ("labels.tier.lowerAscii()", "\"free\""),
    ]);
    refused(&[
        ("lowerAscii('A')", "lowerAscii() is a method"),
        ("1.upperAscii()", "upperAscii() works on string, not on int"),
    ]);
}

#[test]
fn conversions_to_int() {
    gives(&[
        ("int(3)", "3"),
        ("int(3.9)", "3"),
        ("int(-3.9)", "-3"),
        ("int('-42')", "-42"),
        ("int(attributes.count) + 1", "4"),
        ("int(-9223372036854775808.0)", "-9223372036854775808"),
    ]);
    fails(&[
        ("int(9223372036854775808.0)", Overflow),
        ("int(0.0 / 0.0)", Overflow),
        ("int(-1e300)", Overflow),
    ]);
    fails_saying(&[
        ("int('4x')", "not a valid int: \"4x\""),
        ("int('')", "not a valid int: \"\""),
        ("int(attributes.user)", "does not work on map"),
    ]);
    refused(&[
        (
            "int(true)",
            "int() works on int, double, string or timestamp, not on bool",
        ),
        ("1.int()", "int() is a function; write int(x)"),
    ]);
}

#[test]
fn conversions_to_double() {
    gives(&[
        ("double(3)", "3.0"),
        ("double('2.5e3')", "2500.0"),
        ("double(1.5)", "1.5"),
        ("double(9007199254740993)", "9007199254740992.0"),
    ]);
    fails_saying(&[("double('x')", "not a valid double: \"x\"")]);
    refused(&[(
        "double([1])",
        "double() works on double, int or string, not on list(int)",
    )]);
}

#[test]
fn conversions_to_string() {
    gives(&[
        ("string(true)", "\"true\""),
        ("string(-5)", "\"-5\""),
        ("string(1.0)", "\"1\""),
        ("string(0.1)", "\"0.1\""),
        ("string(6.02214e23)", "\"6.02214e23\""),
        ("string(1e-7)", "\"1e-7\""),
        ("string('a')", "\"a\""),
        ("string(attributes.count)", "\"3\""),
    ]);
    fails_saying(&[
        ("string(digest)", "these bytes are not UTF-8 text"),
        ("string(attributes.none)", "does not work on null"),
    ]);
    refused(&[("string(null)", "not on null"), ("string([1])", "not on list(int)")]);
}

#[test]
fn unknown_functions_name_the_known_ones() {
    refused(&[
        (
            "lower('A')",
            "unknown function `lower`; known: all, contains, double, duration, endsWith, exists",
        ),
        ("'a'.trim()", "unknown function `trim`"),
        ("now()", "unknown function `now`"),
    ]);
}
