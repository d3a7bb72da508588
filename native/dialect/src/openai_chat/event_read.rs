//! A stream of Chat Completions, read into deltas.
//!
//! Blocks have no ends in this dialect: thinking, text and refusals end where something else begins, tool calls (which
//! may grow side by side) with the answer. The reason to end is told before the usage, so both wait for the end marker,
//! or for the end of the connection.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage;
use crate::Usage;
use crate::error::ErrorObject;
use crate::neutral::{BlockKind, Blocks, Delta, Finish};
use crate::translation::{Misread, Reader, id_part};

/// Most tool calls of one answer.
const CALLS: usize = 1024;
/// Most changes from one kind of text to another.
const TEXTS: usize = 4096;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    created: Option<f64>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    /// Groq.
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
    delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
    /// Moonshot.
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// A message, or what is added to it.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(default)]
    index: Option<i64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// A part of a content that is a list (Mistral).
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
}

/// A tool call that has begun.
struct Call {
    index: i64,
    id: String,
    block: usize,
}

/// Reads one stream, or one whole answer.
#[derive(Default)]
pub(crate) struct ChatReader {
    id: String,
    started: bool,
    blocks: Blocks,
    /// The block of text that goes on.
    current: Option<(BlockKind, usize)>,
    texts: usize,
    calls: Vec<Call>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl Reader for ChatReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<(), Misread> {
        if data.trim_ascii() == b"[DONE]" {
            self.close(out);
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|_other| Misread::Garbled)?;
        self.chunk(chunk, out)
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if !self.started {
            self.start(String::new(), String::new(), 0, out);
        }
        self.blocks.end_all(out);
        let told = self.finish.clone().unwrap_or_default();
        out.push(Delta::Finish(self.blocks.finish(told)));
        out.extend(self.usage.map(Delta::Usage));
        out.push(Delta::End);
    }

    fn complete(&self) -> bool {
        self.finish.is_some()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

impl ChatReader {
    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        if let Some(error) = &chunk.error {
            return Err(Misread::Fault(ErrorObject::of(error)));
        }
        let choices = chunk.choices.unwrap_or_default();
        // Azure's first chunk has no id and no choices.
        if !self.started && !choices.is_empty() {
            #[allow(clippy::cast_possible_truncation)]
            let created = chunk.created.unwrap_or_default().clamp(0.0, 1e11) as i64;
            self.start(
                chunk.id.unwrap_or_default(),
                chunk.model.unwrap_or_default(),
                created,
                out,
            );
        }
        let groq = chunk.x_groq.and_then(|groq| groq.usage);
        let mut report = chunk.usage.or(groq);
        for choice in choices {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            report = report.or(choice.usage);
            if let Some(message) = choice.delta.or(choice.message) {
                self.message(message, out)?;
            }
            if let Some(reason) = choice.finish_reason {
                self.finish = Some(finish(&reason));
            }
        }
        if let Some(report) = report {
            // A later report replaces an earlier one: some providers send a running total.
            self.usage = usage::read(report.get());
        }
        Ok(())
    }

    /// True when a message came; some servers give a whole answer no reason to end.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    fn start(&mut self, id: String, model: String, created: i64, out: &mut Vec<Delta>) {
        self.started = true;
        self.id.clone_from(&id);
        out.push(Delta::Start {
            id,
            model,
            created,
            usage: None,
        });
    }

    /// Adds a message or a delta, which have the same members.
    fn message(&mut self, message: Message<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        let reasoning = message
            .reasoning_content
            .or_else(|| message.reasoning.and_then(text_of))
            .unwrap_or_default();
        self.text(BlockKind::Thinking, reasoning, out)?;
        if let Some(content) = message.content {
            self.content(content, out)?;
        }
        self.text(BlockKind::Refusal, message.refusal.unwrap_or_default(), out)?;
        for (at, call) in (0..).zip(message.tool_calls.unwrap_or_default()) {
            self.call(at, call, out)?;
        }
        // The old form of tools has one call and no id.
        if let Some(function) = message.function_call {
            let call = ToolCall {
                index: Some(-1),
                id: None,
                function: Some(function),
            };
            self.call(0, call, out)?;
        }
        Ok(())
    }

    /// A text, or Mistral's list of parts.
    fn content(&mut self, content: &RawValue, out: &mut Vec<Delta>) -> Result<(), Misread> {
        if let Some(text) = text_of(content) {
            return self.text(BlockKind::Text, text, out);
        }
        let parts: Option<Vec<Part<'_>>> = serde_json::from_str(content.get()).map_err(|_other| Misread::Garbled)?;
        for part in parts.unwrap_or_default() {
            if let Some(thinking) = part.thinking {
                let inner: Vec<Part<'_>> = serde_json::from_str(thinking.get()).unwrap_or_default();
                let inner: String = inner.into_iter().filter_map(|part| part.text).collect();
                self.text(BlockKind::Thinking, text_of(thinking).unwrap_or(inner), out)?;
            }
            self.text(BlockKind::Text, part.text.unwrap_or_default(), out)?;
            self.text(BlockKind::Refusal, part.refusal.unwrap_or_default(), out)?;
        }
        Ok(())
    }

    /// Text goes on in the block of its kind, which is a new one after something else.
    fn text(&mut self, kind: BlockKind, text: String, out: &mut Vec<Delta>) -> Result<(), Misread> {
        if text.is_empty() {
            return Ok(());
        }
        let block = match &self.current {
            Some((current, block)) if *current == kind => *block,
            _ => {
                self.texts = self.texts.saturating_add(1);
                if self.texts > TEXTS {
                    return Err(Misread::Garbled);
                }
                self.end_text(out);
                let block = self.blocks.start(kind.clone(), out);
                self.current = Some((kind, block));
                block
            }
        };
        self.blocks.text(block, text, out);
        Ok(())
    }

    fn end_text(&mut self, out: &mut Vec<Delta>) {
        if let Some((_, block)) = self.current.take() {
            self.blocks.end(block, out);
        }
    }

    fn call(&mut self, at: i64, call: ToolCall<'_>, out: &mut Vec<Delta>) -> Result<(), Misread> {
        let id = call.id.unwrap_or_default();
        let index = call.index.unwrap_or(at);
        let (name, arguments) = match call.function {
            Some(function) => (function.name.unwrap_or_default(), function.arguments),
            None => (String::new(), None),
        };
        // Some providers give every call the same index: then the id tells them apart.
        let known = self
            .calls
            .iter()
            .rfind(|known| known.index == index && (id.is_empty() || known.id.is_empty() || known.id == id));
        let block = match known {
            Some(known) => known.block,
            None if name.is_empty() => return Err(Misread::Garbled),
            None if self.calls.len() >= CALLS => return Err(Misread::Garbled),
            None => {
                self.end_text(out);
                let told = if id.is_empty() {
                    format!("call_{}_{}", id_part(&self.id), self.calls.len())
                } else {
                    id.clone()
                };
                let block = self.blocks.start(BlockKind::ToolCall { id: told, name }, out);
                self.calls.push(Call { index, id, block });
                block
            }
        };
        let arguments = match arguments {
            None => String::new(),
            Some(arguments) if arguments.get() == "null" => String::new(),
            // Some providers give an object instead of its text.
            Some(arguments) => text_of(arguments).unwrap_or_else(|| arguments.get().to_owned()),
        };
        self.blocks.text(block, arguments, out);
        Ok(())
    }
}

/// The text of a JSON string.
fn text_of(value: &RawValue) -> Option<String> {
    if !value.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<Cow<'_, str>>(value.get())
        .ok()
        .map(Cow::into_owned)
}

fn finish(reason: &str) -> Finish {
    match reason {
        "length" | "model_length" | "max_tokens" | "insufficient_system_resource" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" | "safety" | "refusal" => Finish::Refused,
        _ => Finish::Stop,
    }
}
