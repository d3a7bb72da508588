//! A stream of Responses, read into deltas.
//!
//! Every text comes in pieces and again as a whole (`*.done`, the item, the response). The pieces are what counts; the
//! whole is taken when a provider left the pieces out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage;
use crate::Usage;
use crate::error::ErrorObject;
use crate::neutral::{BlockKind, Blocks, Delta, Finish};
use crate::translation::{Misread, Reader};

/// Most parts of one answer.
const PARTS: usize = 4096;
/// Content of a message has its own numbers; thinking and arguments have one block in each item.
const WHOLE_ITEM: i64 = -1;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    output_index: Option<i64>,
    #[serde(default)]
    content_index: Option<i64>,
    #[serde(default)]
    summary_index: Option<i64>,
    #[serde(default)]
    delta: Option<Value>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    item: Option<Item>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
}

/// An output item.
#[derive(Deserialize)]
struct Item {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    content: Option<Vec<Part>>,
    #[serde(default)]
    summary: Option<Vec<Part>>,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// A response, whole or as it starts.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    created_at: Option<f64>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    output: Option<Vec<Item>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
}

#[derive(Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: Option<String>,
}

/// A block and the part of its item that it comes from.
struct Open {
    block: usize,
    /// Which part of thinking goes on; parts are set apart by a blank line.
    part: Option<(bool, i64)>,
}

/// Reads one stream, or one whole answer.
#[derive(Default)]
pub(crate) struct ResponsesReader {
    started: bool,
    ended: bool,
    blocks: Blocks,
    open: BTreeMap<(i64, i64), Open>,
    finish: Finish,
    usage: Option<Usage>,
}

impl Reader for ResponsesReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<(), Misread> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(|_other| Misread::Garbled)?;
        let item = event.output_index.unwrap_or(0);
        let part = event.content_index.unwrap_or(0);
        match event.kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let (false, Some(response)) = (self.started, event.response) {
                    self.start(response, out);
                }
                Ok(())
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.end(event.response.ok_or(Misread::Garbled)?, out)
            }
            "error" => Err(Misread::Fault(super::error::read_event(data))),
            _ if !self.started => Ok(()),
            "response.output_item.added" | "response.output_item.done" => {
                let done = event.kind.ends_with("done");
                self.item(item, event.item.ok_or(Misread::Garbled)?, done, out)
            }
            "response.output_text.delta" => self.piece((item, part), BlockKind::Text, event.delta, out),
            "response.output_text.done" => self.whole((item, part), BlockKind::Text, event.text, out),
            "response.refusal.delta" => self.piece((item, part), BlockKind::Refusal, event.delta, out),
            "response.refusal.done" => self.whole((item, part), BlockKind::Refusal, event.refusal, out),
            "response.reasoning_summary_text.delta" => {
                let part = (true, event.summary_index.unwrap_or(0));
                self.thinking(item, part, piece(event.delta), out)
            }
            "response.reasoning_text.delta" => self.thinking(item, (false, part), piece(event.delta), out),
            "response.function_call_arguments.delta" => {
                // Arguments of an item that is no function call (a tool of the provider) are ignored.
                if let Some(open) = self.open.get(&(item, WHOLE_ITEM)) {
                    self.blocks.text(open.block, piece(event.delta), out);
                }
                Ok(())
            }
            "response.function_call_arguments.done" => {
                self.arguments(item, event.arguments, out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        self.blocks.end_all(out);
        out.push(Delta::Finish(self.blocks.finish(self.finish.clone())));
        out.extend(self.usage.map(Delta::Usage));
        out.push(Delta::End);
    }

    fn complete(&self) -> bool {
        self.ended
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// A delta that is text.
fn piece(delta: Option<Value>) -> String {
    match delta {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

impl ResponsesReader {
    /// Reads a whole answer as if it came in one piece.
    pub(super) fn answer(&mut self, mut response: Response<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        let Some(items) = response.output.take() else {
            return match &response.error {
                Some(error) => Err(Misread::Fault(ErrorObject::of(error))),
                None => Err(Misread::Garbled),
            };
        };
        let end = Response {
            id: String::new(),
            model: String::new(),
            created_at: None,
            status: response.status.take(),
            output: None,
            usage: response.usage,
            error: response.error.take(),
            incomplete_details: response.incomplete_details.take(),
        };
        self.start(response, out);
        for (index, item) in (0..).zip(items) {
            self.item(index, item, true, out)?;
        }
        self.end(end, out)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn start(&mut self, response: Response<'_>, out: &mut Vec<Delta>) {
        self.started = true;
        out.push(Delta::Start {
            id: response.id,
            model: response.model,
            created: response.created_at.unwrap_or_default().clamp(0.0, 1e11) as i64,
            usage: None,
        });
    }

    fn end(&mut self, mut response: Response<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        self.usage = response.usage.and_then(|report| usage::read(report.get()));
        self.finish = match response.status.as_deref() {
            Some("completed") => Finish::Stop,
            Some("incomplete") => match response.incomplete_details.take().and_then(|details| details.reason) {
                Some(reason) if reason == "content_filter" => Finish::Refused,
                _ => Finish::Length,
            },
            Some("failed") => {
                let error = response.error.unwrap_or_default();
                return Err(Misread::Fault(ErrorObject::of(&error)));
            }
            // Cancelled, or to be asked for later.
            _ => return Err(Misread::Garbled),
        };
        if !self.started {
            self.start(response, out);
        }
        self.ended = true;
        self.close(out);
        Ok(())
    }

    /// The block of a part, begun when it is new.
    fn block(&mut self, place: (i64, i64), kind: BlockKind, out: &mut Vec<Delta>) -> Result<usize, Misread> {
        if let Some(open) = self.open.get(&place) {
            return Ok(open.block);
        }
        if self.open.len() >= PARTS {
            return Err(Misread::Garbled);
        }
        let block = self.blocks.start(kind, out);
        self.open.insert(place, Open { block, part: None });
        Ok(block)
    }

    fn piece(
        &mut self,
        place: (i64, i64),
        kind: BlockKind,
        delta: Option<Value>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Misread> {
        let text = piece(delta);
        if !text.is_empty() {
            let block = self.block(place, kind, out)?;
            self.blocks.text(block, text, out);
        }
        Ok(())
    }

    /// The whole text of a part, which has its end here.
    fn whole(
        &mut self,
        place: (i64, i64),
        kind: BlockKind,
        text: Option<String>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Misread> {
        let text = text.unwrap_or_default();
        if text.is_empty() && !self.open.contains_key(&place) {
            return Ok(());
        }
        let block = self.block(place, kind, out)?;
        if self.blocks.is_empty(block) {
            self.blocks.text(block, text, out);
        }
        self.blocks.end(block, out);
        Ok(())
    }

    fn thinking(&mut self, item: i64, part: (bool, i64), text: String, out: &mut Vec<Delta>) -> Result<(), Misread> {
        if text.is_empty() {
            return Ok(());
        }
        let block = self.block((item, WHOLE_ITEM), BlockKind::Thinking, out)?;
        if let Some(open) = self.open.get_mut(&(item, WHOLE_ITEM)) {
            let before = open.part.replace(part);
            if before.is_some_and(|before| before != part) {
                self.blocks.text(block, "\n\n".to_owned(), out);
            }
        }
        self.blocks.text(block, text, out);
        Ok(())
    }

    fn arguments(&mut self, item: i64, arguments: Option<String>, out: &mut Vec<Delta>) {
        if let Some(block) = self.open.get(&(item, WHOLE_ITEM)).map(|open| open.block)
            && let Some(arguments) = arguments
            && self.blocks.is_empty(block)
        {
            self.blocks.text(block, arguments, out);
        }
    }

    /// An item that begins, or the whole of one that has ended.
    fn item(&mut self, index: i64, item: Item, done: bool, out: &mut Vec<Delta>) -> Result<(), Misread> {
        match item.kind.as_str() {
            "function_call" => {
                let kind = BlockKind::ToolCall {
                    id: item.call_id.ok_or(Misread::Garbled)?,
                    name: item.name.ok_or(Misread::Garbled)?,
                };
                let block = self.block((index, WHOLE_ITEM), kind, out)?;
                if done {
                    self.arguments(index, item.arguments, out);
                    self.blocks.end(block, out);
                }
            }
            "message" if done => {
                for (at, part) in (0..).zip(item.content.unwrap_or_default()) {
                    let (kind, text) = if part.kind == "refusal" {
                        (BlockKind::Refusal, part.refusal)
                    } else {
                        (BlockKind::Text, part.text)
                    };
                    self.whole((index, at), kind, text, out)?;
                }
            }
            "reasoning" if done => {
                let known = self.open.get(&(index, WHOLE_ITEM)).map(|open| open.block);
                if known.is_none_or(|block| self.blocks.is_empty(block)) {
                    for (at, part) in (0..).zip(item.summary.unwrap_or_default()) {
                        self.thinking(index, (true, at), part.text.unwrap_or_default(), out)?;
                    }
                    for (at, part) in (0..).zip(item.content.unwrap_or_default()) {
                        self.thinking(index, (false, at), part.text.unwrap_or_default(), out)?;
                    }
                }
                if let Some(open) = self.open.get(&(index, WHOLE_ITEM)) {
                    self.blocks.end(open.block, out);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
