//! A whole answer.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage;
use crate::WholeFacts;
use crate::error::ErrorObject;

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    /// Moonshot.
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// Reads an answer. What is not a JSON object is garbled, so that it is tried again instead of passed on; a field
/// that is strange in itself is left to the client to judge.
pub(crate) fn read(body: &[u8]) -> WholeFacts {
    let Ok(answer) = serde_json::from_slice::<Completion<'_>>(body) else {
        return WholeFacts::Garbled;
    };
    if let Some(fault) = &answer.error {
        return WholeFacts::Fault(ErrorObject::of(fault).fault());
    }
    let Some(choices) = answer.choices else {
        return WholeFacts::Garbled;
    };
    let report = answer.usage.or_else(|| choices.iter().find_map(|choice| choice.usage));
    WholeFacts::Answer {
        usage: report.and_then(|report| usage::read(report.get())),
        body: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn answers_faults_and_garbage() {
        assert_eq!(
            read(br#"{"choices":[],"usage":null}"#),
            WholeFacts::Answer {
                usage: None,
                body: None
            }
        );
        let WholeFacts::Answer {
            usage: Some(usage),
            body: None,
        } = read(br#"{"choices":[{}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#)
        else {
            panic!("usage expected");
        };
        assert_eq!((usage.input, usage.output), (1, 2));
        assert!(matches!(read(br#"{"error":{"message":"x"}}"#), WholeFacts::Fault(_)));
        for garbage in [
            &b"<html>"[..],
            b"",
            b"[]",
            b"{\"choices\":[",
            b"{}",
            b"\xff\xfe",
            b"null",
        ] {
            assert_eq!(read(garbage), WholeFacts::Garbled);
        }
    }
}
