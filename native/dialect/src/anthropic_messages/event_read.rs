//! A stream of Anthropic Messages, read into deltas.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage::Report;
use crate::Usage;
use crate::error::ErrorObject;
use crate::neutral::{BlockKind, Blocks, Delta, Finish};
use crate::translation::{Misread, Reader};

/// Most blocks of one answer.
const BLOCKS: usize = 4096;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    index: Option<i64>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Content<'a>>,
    #[serde(default)]
    delta: Option<Piece>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

/// A message, whole or as it starts.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(borrow, default)]
    content: Option<Vec<Content<'a>>>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

/// A block, whole or as it starts.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// What is added to a block, or to the message at its end.
#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
}

/// A block that is translated.
struct Open {
    block: usize,
    thinking: bool,
    /// The arguments as they stood at the start of a tool call; some compatible providers send them there.
    input: Option<String>,
}

/// Reads one stream, or one whole answer.
#[derive(Default)]
pub(crate) struct MessagesReader {
    started: bool,
    ended: bool,
    blocks: Blocks,
    open: BTreeMap<i64, Open>,
    count: usize,
    finish: Option<Finish>,
    report: Report,
}

impl Reader for MessagesReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<(), Misread> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(|_other| Misread::Garbled)?;
        let index = event.index.unwrap_or(0);
        match event.kind.as_str() {
            "message_start" => self.start(event.message.ok_or(Misread::Garbled)?, out),
            "content_block_start" if self.started => {
                self.begin(index, event.content_block.ok_or(Misread::Garbled)?, out)
            }
            "content_block_delta" if self.started => {
                self.piece(index, event.delta.ok_or(Misread::Garbled)?, out);
                Ok(())
            }
            "content_block_stop" => {
                self.end(index, out);
                Ok(())
            }
            "message_delta" if self.started => {
                if let Some(delta) = event.delta {
                    self.stop(delta.stop_reason.as_deref(), delta.stop_sequence);
                }
                self.report(event.usage)
            }
            "message_stop" if self.started => {
                self.ended = true;
                self.close(out);
                Ok(())
            }
            "error" => Err(Misread::Fault(ErrorObject::of(&event.error.unwrap_or_default()))),
            "content_block_start" | "content_block_delta" | "message_delta" | "message_stop" => Err(Misread::Garbled),
            // `ping`, and what is not known yet.
            _ => Ok(()),
        }
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        let open: Vec<i64> = self.open.keys().copied().collect();
        for index in open {
            self.end(index, out);
        }
        self.blocks.end_all(out);
        let told = self.finish.clone().unwrap_or_default();
        out.push(Delta::Finish(self.blocks.finish(told)));
        out.extend(self.usage().map(Delta::Usage));
        out.push(Delta::End);
    }

    fn complete(&self) -> bool {
        self.ended && self.finish.is_some()
    }

    fn usage(&self) -> Option<Usage> {
        // Before the end its output is a first guess of the provider.
        self.finish.as_ref().and_then(|_finished| self.report.usage())
    }

    fn told_input(&self) -> Option<Usage> {
        self.report.input_so_far()
    }
}

impl MessagesReader {
    /// Reads a whole answer as if it came in one piece.
    pub(super) fn whole(&mut self, mut message: Message<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        if let Some(error) = &message.error {
            return Err(Misread::Fault(ErrorObject::of(error)));
        }
        let (Some(content), "message") = (message.content.take(), message.kind.as_str()) else {
            return Err(Misread::Garbled);
        };
        let reason = message.stop_reason.take().ok_or(Misread::Garbled)?;
        let sequence = message.stop_sequence.take();
        self.start(message, out)?;
        for (index, content) in (0..).zip(content) {
            self.begin(index, content, out)?;
            self.end(index, out);
        }
        self.stop(Some(&reason), sequence);
        self.close(out);
        Ok(())
    }

    fn start(&mut self, message: Message<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        if self.started {
            return Err(Misread::Garbled);
        }
        self.started = true;
        self.report(message.usage)?;
        out.push(Delta::Start {
            id: message.id,
            model: message.model,
            created: 0,
            usage: self.report.usage_so_far(),
        });
        Ok(())
    }

    fn begin(&mut self, index: i64, content: Content<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        self.count = self.count.saturating_add(1);
        if self.count > BLOCKS {
            return Err(Misread::Garbled);
        }
        let kind = match content.kind.as_str() {
            "text" => BlockKind::Text,
            "thinking" => BlockKind::Thinking,
            "redacted_thinking" => BlockKind::RedactedThinking(content.data.unwrap_or_default()),
            "tool_use" => BlockKind::ToolCall {
                id: content.id.ok_or(Misread::Garbled)?,
                name: content.name.ok_or(Misread::Garbled)?,
            },
            // The provider's own tools and what is not known yet: no client that asked in another dialect asked for it.
            _ => return Ok(()),
        };
        let thinking = kind == BlockKind::Thinking;
        let block = self.blocks.start(kind, out);
        let input = content.input.map(|input| input.get().to_owned());
        self.open.insert(index, Open { block, thinking, input });
        let piece = Piece {
            text: content.text,
            thinking: content.thinking,
            signature: content.signature,
            partial_json: None,
            stop_reason: None,
            stop_sequence: None,
        };
        self.piece(index, piece, out);
        Ok(())
    }

    fn piece(&mut self, index: i64, piece: Piece, out: &mut Vec<Delta>) {
        let Some(open) = self.open.get(&index) else { return };
        let block = open.block;
        for text in [piece.text, piece.thinking, piece.partial_json].into_iter().flatten() {
            self.blocks.text(block, text, out);
        }
        if let Some(text) = piece.signature.filter(|text| open.thinking && !text.is_empty()) {
            out.push(Delta::Signature { index: block, text });
        }
    }

    fn end(&mut self, index: i64, out: &mut Vec<Delta>) {
        let Some(open) = self.open.remove(&index) else { return };
        if let Some(input) = open.input.filter(|_input| self.blocks.is_empty(open.block)) {
            self.blocks.text(open.block, input, out);
        }
        self.blocks.end(open.block, out);
    }

    fn stop(&mut self, reason: Option<&str>, sequence: Option<String>) {
        if let Some(reason) = reason {
            self.finish = Some(match reason {
                "max_tokens" | "model_context_window_exceeded" => Finish::Length,
                "stop_sequence" => Finish::StopSequence(sequence),
                "tool_use" => Finish::ToolCalls,
                "refusal" => Finish::Refused,
                "pause_turn" => Finish::Paused,
                _ => Finish::Stop,
            });
        }
    }

    fn report(&mut self, report: Option<&RawValue>) -> Result<(), Misread> {
        if let Some(report) = report {
            let report = Report::read(report.get()).ok_or(Misread::Garbled)?;
            self.report = report.after(self.report);
        }
        Ok(())
    }
}
