//! Arguments of tool calls: JSON that has to stay JSON.
//!
//! Each string value is a text of its own, without its escapes; what is found is replaced inside it. In a name or a
//! number nothing can be replaced without making other arguments of it: what is to be redacted there is refused.

use std::ops::Range;

use serde::de::IgnoredAny;

use crate::finding::Action;
use crate::lane::{Edit, Lane};
use crate::matches::Active;

/// What was found in arguments.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Finders that found something, once for each time.
    pub(crate) hits: Vec<usize>,
    /// New string values, without their quotes; positions in the JSON text.
    pub(crate) edits: Vec<Edit>,
    /// A finder whose finding cannot be redacted.
    pub(crate) fixed: Option<usize>,
}

/// Does a text look like the JSON object or list that arguments are? Custom tools take any text.
pub(crate) fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Looks through arguments; `None` when they are not JSON.
pub(crate) fn look_through(text: &str, finders: &[Active]) -> Option<Arguments> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut found = Arguments::default();
    for part in parts(text) {
        let source = text.get(part.range.clone())?;
        let value: String = match part.kind {
            Kind::Number => source.to_owned(),
            Kind::Name | Kind::Value => serde_json::from_str(source).ok()?,
        };
        let mut lane = Lane::new(finders.len());
        let range = lane.push(&value);
        let hits = lane.scan(finders, 0, true);
        if hits.is_empty() {
            continue;
        }
        if let Some(changed) = lane.rendered(&value, &range) {
            let quoted = serde_json::to_string(&changed).ok()?;
            match part.kind {
                Kind::Value => found.edits.push(Edit {
                    range: part.range,
                    text: quoted,
                    order: 0,
                }),
                Kind::Name | Kind::Number => {
                    let redacts = |hit: &&usize| {
                        finders
                            .get(**hit)
                            .is_some_and(|active| active.rule.action == Action::Redacted)
                    };
                    found.fixed = found.fixed.or(hits.iter().find(redacts).copied());
                }
            }
        }
        found.hits.extend(hits);
    }
    Some(found)
}

enum Kind {
    /// A string that is a member's name.
    Name,
    /// A string that is a value.
    Value,
    Number,
}

struct Part {
    range: Range<usize>,
    kind: Kind,
}

/// The strings, with their quotes, and the numbers of a valid JSON text.
fn parts(text: &str) -> Vec<Part> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(first) = byte(at) {
        let start = at;
        at = at.saturating_add(1);
        match first {
            b'"' => {
                while let Some(inner) = byte(at) {
                    at = at.saturating_add(if inner == b'\\' { 2 } else { 1 });
                    if inner == b'"' {
                        break;
                    }
                }
                let next = bytes
                    .get(at..)
                    .and_then(|rest| rest.iter().find(|byte| !byte.is_ascii_whitespace()));
                let kind = if next == Some(&b':') { Kind::Name } else { Kind::Value };
                parts.push(Part { range: start..at, kind });
            }
            b'-' | b'0'..=b'9' => {
                while byte(at).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
                    at = at.saturating_add(1);
                }
                parts.push(Part {
                    range: start..at,
                    kind: Kind::Number,
                });
            }
            _ => {}
        }
    }
    parts
}

/// Tells when a JSON object or list that comes in pieces is complete.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Balance {
    /// Adds a piece; true when the outermost bracket was closed in it.
    pub(crate) fn push(&mut self, piece: &str) -> bool {
        let mut closed = false;
        for byte in piece.bytes() {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
                (false, b'}' | b']') => {
                    self.depth = self.depth.saturating_sub(1);
                    closed |= self.depth == 0;
                }
                _ => {}
            }
        }
        closed && self.depth == 0
    }
}
