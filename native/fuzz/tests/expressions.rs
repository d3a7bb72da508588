//! Conditions of the configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bolero::check;
use fairlead_expr::{Program, Schema, Type};

const WORDS: [&str; 32] = [
    "labels",
    "request",
    ".",
    "tier",
    "==",
    "!=",
    "\"x\"",
    "&&",
    "||",
    "!",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "1",
    "2.5",
    "-",
    "+",
    "*",
    "/",
    "%",
    "in",
    "has",
    "size",
    ",",
    "?",
    ":",
    "exists(v,",
    "duration(\"1h\")",
    "now",
];

fn schema() -> Schema {
    Schema::new()
        .with("labels", Type::map(Type::String))
        .with("now", Type::Timestamp)
}

#[test]
fn arbitrary_text() {
    check!().with_type::<String>().for_each(|text| {
        let _ = Program::compile(text, &schema(), Type::Bool);
    });
}

#[test]
fn arbitrary_words() {
    check!().with_type::<Vec<u8>>().for_each(|choices| {
        let words: Vec<&str> = choices
            .iter()
            .take(64)
            .map(|one| WORDS[usize::from(*one) % 32])
            .collect();
        let _ = Program::compile(&words.join(" "), &schema(), Type::Bool);
    });
}
