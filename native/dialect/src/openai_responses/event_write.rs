//! A stream of Responses, written from deltas.
//!
//! Every block is an output item with at most one part. All texts are kept until the end, because `response.completed`
//! repeats them; the bound is that of a folded answer.

use std::collections::BTreeMap;

use super::answer::{item, item_id, part, response};
use crate::json::quoted;
use crate::neutral::{Block, BlockKind, Delta, Finish, Fold, Unfoldable};
use crate::sse::SseEvent;
use crate::translation::{Manner, Writer};

/// An item that has begun.
struct Open {
    /// Number in the output.
    output: usize,
    id: String,
    /// The part that holds its text was announced.
    announced: bool,
}

/// Writes one stream.
pub(crate) struct ResponsesWriter {
    manner: Manner,
    id: String,
    sequence: i64,
    fold: Fold,
    open: BTreeMap<usize, Open>,
    /// Items that have ended, by their number in the output.
    done: BTreeMap<usize, String>,
    outputs: usize,
}

impl ResponsesWriter {
    pub(crate) fn new(manner: Manner) -> Self {
        Self {
            manner,
            id: String::new(),
            sequence: 0,
            fold: Fold::default(),
            open: BTreeMap::new(),
            done: BTreeMap::new(),
            outputs: 0,
        }
    }

    fn event(&mut self, name: &str, members: &str, out: &mut Vec<SseEvent>) {
        let data = format!(r#"{{"type":"{name}","sequence_number":{},{members}}}"#, self.sequence);
        self.sequence = self.sequence.saturating_add(1);
        out.push(SseEvent::named(name, data.as_bytes()));
    }

    fn start(&mut self, id: &str, out: &mut Vec<SseEvent>) {
        self.id = self.manner.id("resp_", id);
        let response = response(&self.id, self.fold.answer(), &self.manner, "[]", None);
        let members = format!(r#""response":{response}"#);
        self.event("response.created", &members, out);
        self.event("response.in_progress", &members, out);
    }

    fn begin(&mut self, index: usize, kind: &BlockKind, out: &mut Vec<SseEvent>) {
        let prefix = match kind {
            BlockKind::Text | BlockKind::Refusal => "msg",
            BlockKind::Thinking => "rs",
            BlockKind::ToolCall { .. } => "fc",
            BlockKind::RedactedThinking(_) => return,
        };
        let output = self.outputs;
        self.outputs = self.outputs.saturating_add(1);
        let Some(block) = self.fold.answer().blocks.get(index) else {
            return;
        };
        let Some(mut item) = item(&self.id, index, block, "in_progress") else {
            return;
        };
        // The part of a message is announced with its first text.
        if let Some(content) = item.get_mut("content") {
            *content = serde_json::Value::Array(Vec::new());
        }
        let open = Open {
            output,
            id: item_id(prefix, &self.id, index),
            announced: false,
        };
        self.open.insert(index, open);
        self.event(
            "response.output_item.added",
            &format!(r#""output_index":{output},"item":{item}"#),
            out,
        );
        if prefix == "msg" {
            self.announce(index, out);
        }
    }

    /// The part that holds the text of an item, empty as yet.
    fn announce(&mut self, index: usize, out: &mut Vec<SseEvent>) {
        let empty = match self.fold.answer().blocks.get(index) {
            Some(Block::Text(_)) => Block::Text(String::new()),
            Some(Block::Refusal(_)) => Block::Refusal(String::new()),
            Some(Block::Thinking { .. }) => Block::Thinking {
                text: String::new(),
                signature: None,
                redacted: false,
            },
            Some(Block::ToolCall { .. }) | None => return,
        };
        let Some(open) = self.open.get_mut(&index).filter(|open| !open.announced) else {
            return;
        };
        open.announced = true;
        let place = place(open, &empty);
        let Some(part) = part(&empty) else { return };
        let name = if matches!(empty, Block::Thinking { .. }) {
            "response.reasoning_summary_part.added"
        } else {
            "response.content_part.added"
        };
        self.event(name, &format!(r#"{place},"part":{part}"#), out);
    }

    fn text(&mut self, index: usize, text: &str, out: &mut Vec<SseEvent>) {
        self.announce(index, out);
        let Some((open, block)) = self.open.get(&index).zip(self.fold.answer().blocks.get(index)) else {
            return;
        };
        let (what, extra) = match block {
            Block::Text(_) => ("output_text", r#","logprobs":[]"#),
            Block::Refusal(_) => ("refusal", ""),
            Block::Thinking { .. } => ("reasoning_summary_text", ""),
            Block::ToolCall { .. } => ("function_call_arguments", ""),
        };
        let members = format!(r#"{},"delta":{}{extra}"#, place(open, block), quoted(text));
        self.event(&format!("response.{what}.delta"), &members, out);
    }

    fn end(&mut self, index: usize, out: &mut Vec<SseEvent>) {
        let Some((open, block)) = self.open.remove(&index).zip(self.fold.answer().blocks.get(index)) else {
            return;
        };
        let place = place(&open, block);
        let whole = part(block).map(|part| part.to_string()).unwrap_or_default();
        let (what, members, part) = match block {
            Block::Text(text) => (
                "output_text",
                format!(r#""text":{},"logprobs":[]"#, quoted(text)),
                "response.content_part.done",
            ),
            Block::Refusal(text) => (
                "refusal",
                format!(r#""refusal":{}"#, quoted(text)),
                "response.content_part.done",
            ),
            Block::Thinking { text, .. } => (
                "reasoning_summary_text",
                format!(r#""text":{}"#, quoted(text)),
                "response.reasoning_summary_part.done",
            ),
            Block::ToolCall { name, arguments, .. } => (
                "function_call_arguments",
                format!(r#""name":{},"arguments":{}"#, quoted(name), quoted(arguments)),
                "",
            ),
        };
        let item = item(&self.id, index, block, "completed").map(|item| item.to_string());
        if open.announced || part.is_empty() {
            self.event(&format!("response.{what}.done"), &format!("{place},{members}"), out);
        }
        if open.announced {
            self.event(part, &format!(r#"{place},"part":{whole}"#), out);
        }
        if let Some(item) = item {
            let members = format!(r#""output_index":{},"item":{item}"#, open.output);
            self.event("response.output_item.done", &members, out);
            self.done.insert(open.output, item);
        }
    }

    fn complete(&mut self, out: &mut Vec<SseEvent>) {
        let output: Vec<&str> = self.done.values().map(String::as_str).collect();
        let answer = self.fold.answer();
        let output = format!("[{}]", output.join(","));
        let response = response(&self.id, answer, &self.manner, &output, Some(&answer.finish));
        let name = match answer.finish {
            Finish::Length | Finish::Refused => "response.incomplete",
            Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Paused => "response.completed",
        };
        self.event(name, &format!(r#""response":{response}"#), out);
    }
}

/// Where a text stands.
fn place(open: &Open, block: &Block) -> String {
    let part = match block {
        Block::Text(_) | Block::Refusal(_) => r#","content_index":0"#,
        Block::Thinking { .. } => r#","summary_index":0"#,
        Block::ToolCall { .. } => "",
    };
    format!(r#""item_id":{},"output_index":{}{part}"#, quoted(&open.id), open.output)
}

impl Writer for ResponsesWriter {
    fn write(&mut self, delta: &Delta, out: &mut Vec<SseEvent>) -> Result<(), Unfoldable> {
        self.fold.add(delta)?;
        match delta {
            Delta::Start { id, .. } => self.start(id, out),
            Delta::BlockStart { index, kind } => self.begin(*index, kind, out),
            Delta::Text { index, text } => self.text(*index, text, out),
            Delta::BlockEnd { index } => self.end(*index, out),
            Delta::End => self.complete(out),
            Delta::Signature { .. } | Delta::Finish(_) | Delta::Usage(_) => {}
        }
        Ok(())
    }
}
