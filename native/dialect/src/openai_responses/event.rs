//! The events of a stream that is passed on as it is.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{error, usage};
use crate::data_reader::DataReader;
use crate::error::ErrorObject;
use crate::{EventFacts, Usage};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
    #[serde(default)]
    sequence_number: Option<i64>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

/// Reads the events of one stream.
#[derive(Default)]
pub(crate) struct ResponsesEvents {
    usage: Option<Usage>,
    ended: bool,
    produced: i64,
    sequence: i64,
}

impl ResponsesEvents {
    fn count(&mut self, text: &str) {
        let bytes = text.len().saturating_sub(2);
        self.produced = self.produced.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn end(&mut self, kind: &str, response: Option<Response<'_>>) -> EventFacts {
        let Some(response) = response else {
            return EventFacts::Garbled;
        };
        self.usage = response.usage.and_then(|report| usage::read(report.get()));
        if kind != "response.failed" {
            self.ended = true;
            return EventFacts::Done;
        }
        let error = response.error.unwrap_or_default();
        EventFacts::Fault(ErrorObject::of(&error).fault())
    }
}

impl DataReader for ResponsesEvents {
    fn read(&mut self, data: &[u8]) -> EventFacts {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
            // Some compatible servers end every stream with the marker of Chat Completions.
            let marker = self.ended && data.trim_ascii() == b"[DONE]";
            return if marker { EventFacts::Done } else { EventFacts::Garbled };
        };
        if let Some(number) = event.sequence_number {
            self.sequence = number.saturating_add(1);
        }
        match event.kind.as_str() {
            "error" => EventFacts::Fault(error::read_event(data).fault()),
            kind @ ("response.completed" | "response.incomplete" | "response.failed") => self.end(kind, event.response),
            kind if kind.ends_with(".delta") => {
                self.count(event.delta.map_or("", RawValue::get));
                EventFacts::Content
            }
            // A message or thinking begins empty; any other item is something that the model did.
            "response.output_item.added" => match event.item.map(RawValue::get) {
                Some(item) if begins_empty(item) => EventFacts::Prelude,
                _ => EventFacts::Content,
            },
            "" => EventFacts::Garbled,
            kind if kind.ends_with(".done") => EventFacts::Content,
            // Frames, and what is not known yet.
            _ => EventFacts::Prelude,
        }
    }

    fn complete(&self) -> bool {
        self.ended
    }

    fn produced(&self) -> i64 {
        self.produced
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn next_sequence(&self) -> i64 {
        self.sequence
    }
}

fn begins_empty(item: &str) -> bool {
    #[derive(Deserialize)]
    struct Item {
        #[serde(default, rename = "type")]
        kind: String,
    }
    serde_json::from_str::<Item>(item).is_ok_and(|item| matches!(item.kind.as_str(), "message" | "reasoning"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn facts(data: &str) -> EventFacts {
        ResponsesEvents::default().read(data.as_bytes())
    }

    #[test]
    fn events_are_told_apart() {
        for (data, expected) in [
            (
                r#"{"type":"response.created","response":{"usage":null}}"#,
                EventFacts::Prelude,
            ),
            (
                r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
                EventFacts::Prelude,
            ),
            (
                r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}"#,
                EventFacts::Content,
            ),
            (
                r#"{"type":"response.output_text.delta","delta":"a"}"#,
                EventFacts::Content,
            ),
            (
                r#"{"type":"response.something_new.delta","delta":{"x":1}}"#,
                EventFacts::Content,
            ),
            (r#"{"type":"response.something_new","x":1}"#, EventFacts::Prelude),
            (r#"{"type":"response.completed","response":{}}"#, EventFacts::Done),
            (r#"{"type":"response.completed"}"#, EventFacts::Garbled),
            ("[DONE]", EventFacts::Garbled),
            ("{}", EventFacts::Garbled),
        ] {
            assert_eq!(facts(data), expected, "{data}");
        }
    }

    #[test]
    fn the_end_brings_usage_and_completeness() {
        for end in ["completed", "incomplete"] {
            let mut reader = ResponsesEvents::default();
            reader.read(br#"{"type":"response.output_text.delta","delta":"abc"}"#);
            assert!(!reader.complete());
            let data =
                format!(r#"{{"type":"response.{end}","response":{{"usage":{{"input_tokens":3,"output_tokens":4}}}}}}"#);
            assert_eq!(reader.read(data.as_bytes()), EventFacts::Done);
            assert!(reader.complete());
            assert_eq!(reader.produced(), 3);
            assert_eq!(reader.usage().map(|usage| usage.output), Some(4));
        }
    }

    #[test]
    fn a_failed_response_is_a_fault() {
        let data = r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}"#;
        let mut reader = ResponsesEvents::default();
        assert!(matches!(reader.read(data.as_bytes()), EventFacts::Fault(fault) if fault.code == "server_error"));
        assert!(!reader.complete());
    }
}
