//! A stream of Anthropic Messages, written from deltas.
//!
//! Blocks come one after the other in this dialect. When a source lets them grow side by side, the first one goes on
//! as it comes and the others are kept, up to a bound, until it has ended.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::answer::stop_reason;
use super::usage;
use crate::Usage;
use crate::json::quoted;
use crate::neutral::{BlockKind, Delta, Finish, Unfoldable};
use crate::sse::SseEvent;
use crate::translation::{Manner, Writer};

/// Most bytes that are kept for blocks whose turn has not come.
const KEPT_BYTES: usize = 8 << 20;
/// Most of them.
const KEPT_BLOCKS: usize = 1024;

/// A block that has not ended, or whose turn has not come.
struct Open {
    /// Number in the source.
    source: usize,
    kind: BlockKind,
    text: String,
    signature: String,
    ended: bool,
}

/// Writes one stream.
pub(crate) struct MessagesWriter {
    manner: Manner,
    /// The first one is the one that goes on.
    open: VecDeque<Open>,
    kept_bytes: usize,
    /// Number of the first one in what the client gets.
    number: usize,
    refused: bool,
    finish: Finish,
    usage: Option<Usage>,
}

impl MessagesWriter {
    pub(crate) fn new(manner: Manner) -> Self {
        Self {
            manner,
            open: VecDeque::new(),
            kept_bytes: 0,
            number: 0,
            refused: false,
            finish: Finish::default(),
            usage: None,
        }
    }

    fn start(&self, id: &str, model: &str, out: &mut Vec<SseEvent>) {
        let message = json!({
            "id": self.manner.id("msg_", id),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage::write(&self.usage.unwrap_or_default()),
        });
        event("message_start", &format!(r#""message":{message}"#), out);
    }

    fn begin(&mut self, source: usize, kind: &BlockKind, out: &mut Vec<SseEvent>) -> Result<(), Unfoldable> {
        self.refused |= *kind == BlockKind::Refusal;
        if self.open.len() >= KEPT_BLOCKS {
            return Err(Unfoldable);
        }
        self.open.push_back(Open {
            source,
            kind: kind.clone(),
            text: String::new(),
            signature: String::new(),
            ended: false,
        });
        if self.open.len() == 1 {
            self.write_start(kind, out);
        }
        Ok(())
    }

    fn write_start(&self, kind: &BlockKind, out: &mut Vec<SseEvent>) {
        let block = match kind {
            BlockKind::Text | BlockKind::Refusal => r#"{"type":"text","text":""}"#.to_owned(),
            BlockKind::Thinking => r#"{"type":"thinking","thinking":"","signature":""}"#.to_owned(),
            BlockKind::RedactedThinking(data) => format!(r#"{{"type":"redacted_thinking","data":{}}}"#, quoted(data)),
            BlockKind::ToolCall { id, name } => format!(
                r#"{{"type":"tool_use","id":{},"name":{},"input":{{}}}}"#,
                quoted(id),
                quoted(name)
            ),
        };
        let members = format!(r#""index":{},"content_block":{block}"#, self.number);
        event("content_block_start", &members, out);
    }

    fn write_text(&self, kind: &BlockKind, text: &str, out: &mut Vec<SseEvent>) {
        let (name, member) = match kind {
            BlockKind::Text | BlockKind::Refusal => ("text_delta", "text"),
            BlockKind::Thinking => ("thinking_delta", "thinking"),
            BlockKind::ToolCall { .. } => ("input_json_delta", "partial_json"),
            BlockKind::RedactedThinking(_) => return,
        };
        self.write_delta(name, member, text, out);
    }

    fn write_delta(&self, name: &str, member: &str, text: &str, out: &mut Vec<SseEvent>) {
        let members = format!(
            r#""index":{},"delta":{{"type":"{name}","{member}":{}}}"#,
            self.number,
            quoted(text)
        );
        event("content_block_delta", &members, out);
    }

    /// Text or a signature of a block: written when it is its turn, else kept.
    fn add(&mut self, source: usize, text: &str, signature: bool, out: &mut Vec<SseEvent>) -> Result<(), Unfoldable> {
        let Some(at) = self.open.iter().position(|open| open.source == source) else {
            return Ok(());
        };
        if at == 0 {
            match self.open.front() {
                Some(_) if signature => self.write_delta("signature_delta", "signature", text, out),
                Some(first) => self.write_text(&first.kind, text, out),
                None => {}
            }
            return Ok(());
        }
        self.kept_bytes = self.kept_bytes.saturating_add(text.len());
        if self.kept_bytes > KEPT_BYTES {
            return Err(Unfoldable);
        }
        if let Some(open) = self.open.get_mut(at) {
            if signature {
                open.signature.push_str(text);
            } else {
                open.text.push_str(text);
            }
        }
        Ok(())
    }

    /// Ends a block; those that were kept behind it have their turn, up to the first that has not ended.
    fn end(&mut self, source: usize, out: &mut Vec<SseEvent>) {
        if let Some(open) = self.open.iter_mut().find(|open| open.source == source) {
            open.ended = true;
        }
        while self.open.front().is_some_and(|first| first.ended) {
            self.open.pop_front();
            event("content_block_stop", &format!(r#""index":{}"#, self.number), out);
            self.number = self.number.saturating_add(1);
            let Some(next) = self.open.front_mut() else { return };
            let text = std::mem::take(&mut next.text);
            let signature = std::mem::take(&mut next.signature);
            let kind = next.kind.clone();
            self.kept_bytes = self
                .kept_bytes
                .saturating_sub(text.len())
                .saturating_sub(signature.len());
            self.write_start(&kind, out);
            if !text.is_empty() {
                self.write_text(&kind, &text, out);
            }
            if !signature.is_empty() {
                self.write_delta("signature_delta", "signature", &signature, out);
            }
        }
    }

    fn stop(&self, out: &mut Vec<SseEvent>) {
        let (reason, sequence) = stop_reason(&self.finish, self.refused);
        let members = format!(
            r#""delta":{{"stop_reason":{},"stop_sequence":{}}},"usage":{}"#,
            quoted(reason),
            Value::from(sequence),
            usage::write(&self.usage.unwrap_or_default())
        );
        event("message_delta", &members, out);
        out.push(SseEvent::named("message_stop", br#"{"type":"message_stop"}"#));
    }
}

impl Writer for MessagesWriter {
    fn write(&mut self, delta: &Delta, out: &mut Vec<SseEvent>) -> Result<(), Unfoldable> {
        match delta {
            Delta::Start { id, model, usage, .. } => {
                self.usage = *usage;
                self.start(id, model, out);
            }
            Delta::BlockStart { index, kind } => self.begin(*index, kind, out)?,
            Delta::Text { index, text } => self.add(*index, text, false, out)?,
            Delta::Signature { index, text } => self.add(*index, text, true, out)?,
            Delta::BlockEnd { index } => self.end(*index, out),
            Delta::Finish(finish) => self.finish = finish.clone(),
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::End => self.stop(out),
        }
        Ok(())
    }
}

fn event(name: &str, members: &str, out: &mut Vec<SseEvent>) {
    out.push(SseEvent::named(
        name,
        format!(r#"{{"type":"{name}",{members}}}"#).as_bytes(),
    ));
}
