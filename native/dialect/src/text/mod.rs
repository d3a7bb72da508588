//! The texts of an answer, for rules about what a model may say.
//!
//! What a model wrote stands in few places of a body: answer text, refusals, thinking, arguments of tools. This module
//! finds them in whole answers and in events of a stream, and puts other texts in their place; all other bytes stay as
//! they are. JSON escapes are resolved, so a rule sees the text that the client's program will see.
//!
//! Responses events tell most texts several times: piece by piece, then as a whole in `*.done`, in the item and in
//! `response.completed`. Such spans say `repeats`: they are the whole text of their channel so far, not a further piece,
//! and a rule that changed the pieces has to change them in the same way.
//!
//! What cannot be read is an error and not "no text". Not texts of the answer, and so not looked at: log probabilities and
//! annotations of Chat, citations of Messages, and what tools that run at the provider gave back.

mod anthropic;
mod chat;
mod node;
mod responses;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::Dialect;
use crate::json::{Edits, quoted};
use crate::sse::SseEvent;
use node::Node;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextKind {
    /// The answer.
    Answer,
    /// Why the model does not answer.
    Refusal,
    /// Thinking, or its summary.
    Thinking,
    /// Arguments of a tool call: JSON text.
    ToolArguments,
}

/// Which text of an answer: the pieces of one channel make up one text, in the order of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// Number of the answer (`index` of a choice); 0 in dialects with one answer.
    pub choice: i64,
    /// Number of the block, output item or tool call.
    pub block: i64,
    /// Number of the part inside it.
    pub part: i64,
    /// What it is.
    pub kind: TextKind,
}

/// A text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan {
    /// The bytes of its JSON value in the body, or in the data of the event.
    pub range: Range<usize>,
    /// Which text it belongs to.
    pub channel: Channel,
    /// The text, without JSON escapes.
    pub text: String,
    /// True for the whole text of the channel so far, false for a piece that is added to it. In whole answers true only
    /// for what stands there twice.
    pub repeats: bool,
    /// The value is a JSON object (arguments as Anthropic writes them), not a string.
    object: bool,
}

/// A body that is not JSON of its dialect, so that its texts cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the answer is not readable in its dialect")
    }
}

impl std::error::Error for Unreadable {}

/// A new text for arguments that have to be a JSON object, and are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnObject;

impl fmt::Display for NotAnObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("changed arguments of a tool call are no JSON object")
    }
}

impl std::error::Error for NotAnObject {}

/// The texts of a whole answer, in their order.
///
/// # Errors
/// [`Unreadable`].
pub fn whole(dialect: Dialect, body: &[u8]) -> Result<Vec<TextSpan>, Unreadable> {
    let mut found = Found::new(body);
    let root = Node::parse(body)?;
    match dialect {
        Dialect::OpenAiChat => chat::whole(root, &mut found)?,
        Dialect::OpenAiResponses => responses::whole(root, &mut found)?,
        Dialect::AnthropicMessages => anthropic::whole(root, &mut found)?,
    }
    Ok(found.spans)
}

/// The texts of one event; ranges are those of its data. Empty for comments, framing and the end marker.
///
/// # Errors
/// [`Unreadable`].
pub fn event(dialect: Dialect, event: &SseEvent) -> Result<Vec<TextSpan>, Unreadable> {
    let Some(data) = event.data.as_ref().filter(|data| !data.trim_ascii().is_empty()) else {
        return Ok(Vec::new());
    };
    if data.trim_ascii() == b"[DONE]" {
        return Ok(Vec::new());
    }
    let mut found = Found::new(data);
    let root = Node::parse(data)?;
    match dialect {
        Dialect::OpenAiChat => chat::event(root, &mut found)?,
        Dialect::OpenAiResponses => responses::event(root, &mut found)?,
        Dialect::AnthropicMessages => anthropic::event(root, &mut found)?,
    }
    Ok(found.spans)
}

/// The body with other texts in place of some spans of [`whole`]; all other bytes are as they were.
///
/// # Errors
/// [`NotAnObject`] when arguments that stand as an object would be none any more.
pub fn replace<'a>(
    body: &Bytes,
    texts: impl IntoIterator<Item = (&'a TextSpan, &'a str)>,
) -> Result<Bytes, NotAnObject> {
    let mut edits = Edits::default();
    for (span, text) in texts {
        let value = if span.object {
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).map_err(|_other| NotAnObject)?;
            text.to_owned()
        } else {
            quoted(text)
        };
        edits.replace(span.range.clone(), value);
    }
    Ok(edits.apply(body))
}

/// The event with other texts in place of some spans of [`event`]; its framing and all other bytes are as they were.
///
/// # Errors
/// As for [`replace`].
pub fn with_texts<'a>(
    event: &SseEvent,
    texts: impl IntoIterator<Item = (&'a TextSpan, &'a str)>,
) -> Result<SseEvent, NotAnObject> {
    match &event.data {
        Some(data) => Ok(event.with_data(&replace(data, texts)?)),
        None => Ok(event.clone()),
    }
}

/// What was found so far.
struct Found<'a> {
    body: &'a [u8],
    spans: Vec<TextSpan>,
}

impl<'a> Found<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            spans: Vec::new(),
        }
    }

    /// Adds a string; what is absent or no string is no text.
    fn add(&mut self, value: Option<Node<'_>>, channel: Channel, repeats: bool) {
        if let Some((value, text)) = value.and_then(|value| Some((value, value.text()?))) {
            self.push(value.raw(), text.into_owned(), channel, repeats, false);
        }
    }

    /// Adds an object as the text that it is; an empty one says nothing.
    fn add_object(&mut self, value: Option<Node<'_>>, channel: Channel) {
        if let Some(value) = value.filter(|value| value.is_object() && !value.is_empty()) {
            self.push(value.raw(), value.raw().get().to_owned(), channel, false, true);
        }
    }

    fn push(&mut self, value: &RawValue, text: String, channel: Channel, repeats: bool, object: bool) {
        self.spans.push(TextSpan {
            range: crate::json::range_in(self.body, value),
            channel,
            text,
            repeats,
            object,
        });
    }
}

#[cfg(test)]
mod tests;
