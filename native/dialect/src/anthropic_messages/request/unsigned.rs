//! Thinking that no Anthropic model has signed.
//!
//! A translated answer tells the thinking of another vendor's model with an empty signature, as none is ever invented.
//! Clients give the blocks of an answer back with the next turn; Anthropic refuses a whole request for one block whose
//! signature it did not make. The conversation means the same without it.

use serde_json::value::RawValue;

use crate::json::{Edits, Members, range_in};
use crate::reader::text_of;

/// The messages without unsigned thinking, and without messages that consist of nothing else; `None` when there is none.
/// What stays keeps its text.
pub(super) fn without(messages: &RawValue) -> Option<String> {
    if !messages.get().contains(r#""thinking""#) {
        return None;
    }
    let all: Vec<&RawValue> = serde_json::from_str(messages.get()).ok()?;
    let kept: Vec<Said<'_>> = all.iter().map(|message| Said::of(message)).collect();
    if kept.iter().all(|said| matches!(said, Said::AsItIs(_))) {
        return None;
    }
    let texts = kept.iter().filter_map(|said| match said {
        Said::AsItIs(text) => Some(*text),
        Said::Shorter(text) => Some(text.as_str()),
        Said::Nothing => None,
    });
    Some(list(texts))
}

/// What is left of a message.
enum Said<'a> {
    AsItIs(&'a str),
    Shorter(String),
    Nothing,
}

impl<'a> Said<'a> {
    fn of(message: &'a RawValue) -> Self {
        let blocks = Members::parse(message.get().as_bytes())
            .ok()
            .and_then(|members| members.get("content"))
            .and_then(|content| Some((content, serde_json::from_str::<Vec<&RawValue>>(content.get()).ok()?)));
        let Some((content, blocks)) = blocks else {
            return Self::AsItIs(message.get());
        };
        let signed: Vec<&str> = blocks
            .iter()
            .filter(|block| !is_unsigned(block))
            .map(|block| block.get())
            .collect();
        if signed.len() == blocks.len() {
            return Self::AsItIs(message.get());
        }
        if signed.is_empty() {
            return Self::Nothing;
        }
        let mut edits = Edits::default();
        edits.replace(range_in(message.get().as_bytes(), content), list(signed.into_iter()));
        let text = edits.apply(&bytes::Bytes::copy_from_slice(message.get().as_bytes()));
        Self::Shorter(String::from_utf8_lossy(&text).into_owned())
    }
}

fn is_unsigned(block: &RawValue) -> bool {
    Members::parse(block.get().as_bytes()).is_ok_and(|members| {
        text_of(&members, "type").as_deref() == Some("thinking")
            && text_of(&members, "signature").unwrap_or_default().is_empty()
    })
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", texts.collect::<Vec<_>>().join(","))
}
