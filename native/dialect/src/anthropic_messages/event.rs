//! The events of a stream that is passed on as it is.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage::Report;
use crate::data_reader::DataReader;
use crate::error::ErrorObject;
use crate::{EventFacts, Usage};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// Reads the events of one stream.
#[derive(Default)]
pub(crate) struct MessagesEvents {
    report: Report,
    output_told: bool,
    /// The reason to end was told.
    stopped: bool,
    ended: bool,
    produced: i64,
}

impl DataReader for MessagesEvents {
    fn read(&mut self, data: &[u8]) -> EventFacts {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
            return EventFacts::Garbled;
        };
        match event.kind.as_str() {
            "message_start" => {
                self.report(event.message.and_then(|message| message.usage));
                EventFacts::Prelude
            }
            // Text and thinking begin empty; anything else is something that the model did.
            "content_block_start" => match event.content_block.map(RawValue::get) {
                Some(block) if is_empty_start(block) => EventFacts::Prelude,
                block => {
                    self.count(block);
                    EventFacts::Content
                }
            },
            "content_block_delta" => {
                self.count(event.delta.map(RawValue::get));
                EventFacts::Content
            }
            "message_delta" => {
                self.report(event.usage);
                self.output_told = true;
                self.stopped |= event.delta.is_some_and(tells_why);
                EventFacts::Content
            }
            "message_stop" => {
                self.ended = true;
                EventFacts::Done
            }
            "error" => EventFacts::Fault(ErrorObject::of(&event.error.unwrap_or_default()).fault()),
            "" => EventFacts::Garbled,
            // `ping`, the end of a block, and what is not known yet.
            _ => EventFacts::Prelude,
        }
    }

    fn complete(&self) -> bool {
        self.ended && self.stopped
    }

    fn produced(&self) -> i64 {
        self.produced
    }

    fn usage(&self) -> Option<Usage> {
        // The output at the start is a first guess: it would count a broken stream as nearly free.
        if self.output_told { self.report.usage() } else { None }
    }

    fn told_input(&self) -> Option<Usage> {
        self.report.input_so_far()
    }
}

impl MessagesEvents {
    fn report(&mut self, report: Option<&RawValue>) {
        if let Some(report) = report.and_then(|report| Report::read(report.get())) {
            self.report = report.after(self.report);
        }
    }

    /// Counts the bytes of what is added, without those of its framing.
    fn count(&mut self, content: Option<&str>) {
        let framing = r#"{"type":"text_delta","text":""}"#.len();
        let bytes = content.map_or(0, |content| content.len().saturating_sub(framing).max(1));
        self.produced = self.produced.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// The end of a message says why it ends.
fn tells_why(delta: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Delta {
        #[serde(default)]
        stop_reason: Option<String>,
    }
    serde_json::from_str::<Delta>(delta.get()).is_ok_and(|delta| delta.stop_reason.is_some())
}

/// A block of text or thinking without any yet.
fn is_empty_start(block: &str) -> bool {
    #[derive(Deserialize)]
    struct Start {
        #[serde(default, rename = "type")]
        kind: String,
        #[serde(default)]
        text: String,
        #[serde(default)]
        thinking: String,
    }
    serde_json::from_str::<Start>(block).is_ok_and(|start| {
        matches!(start.kind.as_str(), "text" | "thinking") && start.text.is_empty() && start.thinking.is_empty()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::FaultKind;

    fn facts(data: &str) -> EventFacts {
        MessagesEvents::default().read(data.as_bytes())
    }

    #[test]
    fn events_are_told_apart() {
        for (data, expected) in [
            (
                r#"{"type":"message_start","message":{"usage":{"input_tokens":1}}}"#,
                EventFacts::Prelude,
            ),
            (r#"{"type":"ping"}"#, EventFacts::Prelude),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                EventFacts::Prelude,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
                EventFacts::Content,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"t"}}"#,
                EventFacts::Content,
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
                EventFacts::Content,
            ),
            (r#"{"type":"content_block_stop","index":0}"#, EventFacts::Prelude),
            (r#"{"type":"something_new","x":[1]}"#, EventFacts::Prelude),
            (
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}"#,
                EventFacts::Content,
            ),
            (r#"{"type":"message_stop"}"#, EventFacts::Done),
            ("{", EventFacts::Garbled),
            ("{}", EventFacts::Garbled),
        ] {
            assert_eq!(facts(data), expected, "{data}");
        }
    }

    #[test]
    fn an_error_has_its_kind() {
        for (kind, expected) in [
            ("overloaded_error", FaultKind::Overloaded),
            ("rate_limit_error", FaultKind::RateLimited),
            ("billing_error", FaultKind::QuotaExhausted),
            ("api_error", FaultKind::Other),
        ] {
            let EventFacts::Fault(fault) = facts(&format!(
                r#"{{"type":"error","error":{{"type":"{kind}","message":"x"}}}}"#
            )) else {
                panic!("a fault is expected");
            };
            assert_eq!((fault.kind, fault.code.as_str()), (expected, kind));
        }
    }

    #[test]
    fn usage_is_known_and_the_stream_complete_at_its_end_only() {
        let mut reader = MessagesEvents::default();
        reader.read(br#"{"type":"message_start","message":{"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}"#);
        assert_eq!(reader.usage(), None);
        let told = reader.told_input().unwrap();
        assert_eq!((told.input, told.cached_input, told.output), (25, 5, 0));
        reader.read(br#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#);
        let usage = reader.usage().unwrap();
        assert_eq!((usage.input, usage.cached_input, usage.output), (25, 5, 15));
        assert!(!reader.complete());
        reader.read(br#"{"type":"message_stop"}"#);
        assert!(reader.complete());
    }
}
