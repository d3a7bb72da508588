//! A stream of Chat Completions, written from deltas.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::answer::finish_reason;
use super::usage;
use crate::Usage;
use crate::json::quoted;
use crate::neutral::{BlockKind, Delta, Unfoldable};
use crate::sse::SseEvent;
use crate::translation::{Manner, Writer};

/// Which member of a delta a block goes to.
#[derive(Clone, Copy)]
enum Place {
    Content,
    Refusal,
    Thinking,
    Call(usize),
    /// The dialect has no place for it.
    Nowhere,
}

/// Writes one stream.
pub(crate) struct ChatWriter {
    manner: Manner,
    /// What all chunks begin with.
    head: String,
    places: BTreeMap<usize, Place>,
    calls: usize,
    usage: Option<Usage>,
}

impl ChatWriter {
    pub(crate) fn new(manner: Manner) -> Self {
        Self {
            manner,
            head: String::new(),
            places: BTreeMap::new(),
            calls: 0,
            usage: None,
        }
    }

    /// A chunk with one choice.
    fn chunk(&self, delta: &str, finish: Option<&str>, out: &mut Vec<SseEvent>) {
        let mut chunk = String::with_capacity(self.head.len().saturating_add(delta.len()).saturating_add(96));
        let finish = finish.map_or_else(|| "null".to_owned(), quoted);
        // Writing to a string does not fail.
        let _ = write!(
            chunk,
            r#"{}"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]"#,
            self.head
        );
        chunk.push_str(if self.manner.usage_asked {
            r#","usage":null}"#
        } else {
            "}"
        });
        out.push(SseEvent::from_data(chunk.as_bytes()));
    }

    fn begin(&mut self, index: usize, kind: &BlockKind, out: &mut Vec<SseEvent>) {
        let place = match kind {
            BlockKind::Text => Place::Content,
            BlockKind::Refusal => Place::Refusal,
            BlockKind::Thinking => Place::Thinking,
            BlockKind::RedactedThinking(_) => Place::Nowhere,
            BlockKind::ToolCall { id, name } => {
                let call = self.calls;
                self.calls = self.calls.saturating_add(1);
                let delta = format!(
                    r#"{{"tool_calls":[{{"index":{call},"id":{},"type":"function","function":{{"name":{},"arguments":""}}}}]}}"#,
                    quoted(id),
                    quoted(name)
                );
                self.chunk(&delta, None, out);
                Place::Call(call)
            }
        };
        self.places.insert(index, place);
    }

    fn text(&self, index: usize, text: &str, out: &mut Vec<SseEvent>) {
        let text = quoted(text);
        let delta = match self.places.get(&index) {
            Some(Place::Content) => format!(r#"{{"content":{text}}}"#),
            Some(Place::Refusal) => format!(r#"{{"refusal":{text}}}"#),
            Some(Place::Thinking) => format!(r#"{{"reasoning_content":{text}}}"#),
            Some(Place::Call(call)) => {
                format!(r#"{{"tool_calls":[{{"index":{call},"function":{{"arguments":{text}}}}}]}}"#)
            }
            Some(Place::Nowhere) | None => return,
        };
        self.chunk(&delta, None, out);
    }
}

impl Writer for ChatWriter {
    fn write(&mut self, delta: &Delta, out: &mut Vec<SseEvent>) -> Result<(), Unfoldable> {
        match delta {
            Delta::Start {
                id,
                model,
                created,
                usage,
            } => {
                self.usage = *usage;
                self.head = format!(
                    r#"{{"id":{},"object":"chat.completion.chunk","created":{},"model":{},"#,
                    quoted(&self.manner.id("chatcmpl-", id)),
                    self.manner.created(*created),
                    quoted(model)
                );
                self.chunk(r#"{"role":"assistant","content":""}"#, None, out);
            }
            Delta::BlockStart { index, kind } => self.begin(*index, kind, out),
            Delta::Text { index, text } => self.text(*index, text, out),
            Delta::Finish(finish) => self.chunk("{}", Some(finish_reason(finish)), out),
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::End => {
                if let (true, Some(reported)) = (self.manner.usage_asked, &self.usage) {
                    let chunk = format!(r#"{}"choices":[],"usage":{}}}"#, self.head, usage::write(reported));
                    out.push(SseEvent::from_data(chunk.as_bytes()));
                }
                out.push(SseEvent::from_data(b"[DONE]"));
            }
            Delta::Signature { .. } | Delta::BlockEnd { .. } => {}
        }
        Ok(())
    }
}
