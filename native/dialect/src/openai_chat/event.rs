//! The events of a stream.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage;
use crate::EventFacts;
use crate::Usage;
use crate::data_reader::DataReader;
use crate::error::ErrorObject;
use crate::json::Members;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    /// Groq tells it here.
    #[serde(borrow, default)]
    x_groq: Option<Groq<'a>>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<i64>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    /// Moonshot tells it here.
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
}

/// Most indices of answers that are remembered.
const INDICES: usize = 256;

/// Reads the events of one stream of `choices` answers.
pub(crate) struct ChatEvents {
    choices: i64,
    usage_asked: bool,
    /// Answers that have begun. A provider that ignores `n` begins fewer than were asked for.
    begun: BTreeSet<i64>,
    finished: BTreeSet<i64>,
    /// The end marker came after the end of every answer that had begun.
    ended: bool,
    produced: i64,
    usage: Option<Usage>,
}

impl ChatEvents {
    pub(crate) fn new(choices: i64, usage_asked: bool) -> Self {
        Self {
            choices,
            usage_asked,
            begun: BTreeSet::new(),
            finished: BTreeSet::new(),
            ended: false,
            produced: 0,
            usage: None,
        }
    }
}

impl DataReader for ChatEvents {
    fn read(&mut self, data: &[u8]) -> EventFacts {
        if data.trim_ascii() == b"[DONE]" {
            self.ended = !self.begun.is_empty() && self.begun.is_subset(&self.finished);
            return EventFacts::Done;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            return EventFacts::Garbled;
        };
        if let Some(fault) = &chunk.error {
            return EventFacts::Fault(ErrorObject::of(fault).fault());
        }
        let choices = chunk.choices.unwrap_or_default();
        let elsewhere = || chunk.x_groq.and_then(|groq| groq.usage);
        let report = chunk.usage.or_else(elsewhere);
        if let Some(report) = report.or_else(|| choices.iter().find_map(|choice| choice.usage)) {
            // A later report replaces an earlier one: some providers send a running total.
            self.usage = usage::read(report.get());
        }
        if choices.is_empty() {
            let only_usage = chunk.usage.is_some();
            return if only_usage && !self.usage_asked {
                EventFacts::Hidden
            } else {
                EventFacts::Prelude
            };
        }
        let mut content = false;
        for choice in &choices {
            // More indices than answers are not remembered, so the sets stay small.
            if self.begun.len() < INDICES {
                self.begun.insert(choice.index.unwrap_or(0));
            }
            let size = choice.delta.map_or(0, delta_size);
            self.produced = self.produced.saturating_add(i64::try_from(size).unwrap_or(i64::MAX));
            content |= size > 0;
            if choice.finish_reason.is_some() {
                content = true;
                if self.finished.len() < INDICES {
                    self.finished.insert(choice.index.unwrap_or(0));
                }
            }
        }
        if content {
            EventFacts::Content
        } else {
            EventFacts::Prelude
        }
    }

    fn complete(&self) -> bool {
        self.ended || i64::try_from(self.finished.len()).is_ok_and(|finished| finished >= self.choices)
    }

    fn produced(&self) -> i64 {
        self.produced
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// Bytes of content in a delta: every member but the role, so that reasoning, refusals, tool calls and what comes next
/// count as well. A delta that is not an object counts as it is.
fn delta_size(delta: &RawValue) -> usize {
    let Ok(members) = Members::parse(delta.get().as_bytes()) else {
        return delta.get().len();
    };
    members
        .iter()
        .filter(|(key, _)| *key != "role")
        .map(|(key, value)| match (key, value.get()) {
            (_, "null" | "\"\"" | "[]" | "{}") => 0,
            ("tool_calls", text) => tool_calls_size(text),
            (_, text) if text.starts_with('"') => text.len().saturating_sub(2),
            (_, text) => text.len(),
        })
        .fold(0, usize::saturating_add)
}

/// Only names and arguments are written by the model; ids and indices are not. A call that merely opens still counts
/// as content.
fn tool_calls_size(text: &str) -> usize {
    let Ok(calls) = serde_json::from_str::<Vec<ToolCall<'_>>>(text) else {
        return text.len();
    };
    calls
        .iter()
        .map(|call| call.function.map_or(1, |function| function.get().len()))
        .fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn delta(text: &str) -> String {
        format!(r#"{{"choices":[{{"index":0,"delta":{text},"finish_reason":null}}],"usage":null}}"#)
    }

    #[test]
    fn content_is_anything_but_the_role() {
        for (text, expected) in [
            (r#"{"role":"assistant"}"#, EventFacts::Prelude),
            (
                r#"{"role":"assistant","content":"","refusal":null,"tool_calls":[]}"#,
                EventFacts::Prelude,
            ),
            (r#"{"content":"a"}"#, EventFacts::Content),
            (r#"{"refusal":"no"}"#, EventFacts::Content),
            (r#"{"reasoning_content":"hm"}"#, EventFacts::Content),
            (
                r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}"#,
                EventFacts::Content,
            ),
            (r#"{"something_new":{"x":1}}"#, EventFacts::Content),
        ] {
            assert_eq!(
                ChatEvents::new(1, false).read(delta(text).as_bytes()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_usage_only_chunk_is_hidden_unless_asked_for() {
        let chunk = br#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let mut reader = ChatEvents::new(1, false);
        assert_eq!(reader.read(chunk), EventFacts::Hidden);
        assert_eq!(reader.usage().map(|usage| usage.output), Some(4));
        assert_eq!(ChatEvents::new(1, true).read(chunk), EventFacts::Prelude);
        // Azure's first chunk has no choices and no usage.
        assert_eq!(
            reader.read(br#"{"choices":[],"prompt_filter_results":[]}"#),
            EventFacts::Prelude
        );
    }

    #[test]
    fn complete_when_every_answer_has_finished() {
        let mut reader = ChatEvents::new(2, false);
        let end = |index: i64| format!(r#"{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#);
        assert_eq!(reader.read(end(0).as_bytes()), EventFacts::Content);
        assert!(!reader.complete());
        reader.read(end(1).as_bytes());
        assert!(reader.complete());
    }

    #[test]
    fn an_end_marker_completes_only_answers_that_told_why_they_end() {
        let end = br#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        let mut cut = ChatEvents::new(1, false);
        cut.read(delta(r#"{"content":"a"}"#).as_bytes());
        cut.read(b"[DONE]");
        assert!(!cut.complete());
        // Ollama answers once whatever `n` is.
        let mut once = ChatEvents::new(2, false);
        once.read(end);
        assert!(!once.complete());
        once.read(b"[DONE]");
        assert!(once.complete());
    }

    #[test]
    fn done_faults_and_garbage() {
        let mut reader = ChatEvents::new(1, false);
        assert_eq!(reader.read(b"[DONE]"), EventFacts::Done);
        assert!(matches!(
            reader.read(br#"{"error":{"message":"x"}}"#),
            EventFacts::Fault(_)
        ));
        assert_eq!(reader.read(b"{\"choices\":"), EventFacts::Garbled);
        assert_eq!(reader.read(b"hello"), EventFacts::Garbled);
    }

    #[test]
    fn the_estimate_counts_bytes_of_content() {
        let mut reader = ChatEvents::new(1, false);
        reader.read(delta(r#"{"content":"abcd"}"#).as_bytes());
        reader.read(delta(r#"{"content":"ef"}"#).as_bytes());
        assert_eq!(reader.produced(), 6);
    }
}
