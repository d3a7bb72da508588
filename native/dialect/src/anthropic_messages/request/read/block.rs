//! Content blocks.

use serde_json::value::RawValue;

use super::is_blank;
use crate::json::Members;
use crate::media;
use crate::neutral::{Media, MediaKind, MediaSource, Part, ToolCall, ToolResult};
use crate::reader::{Path, Unsaid, is_off, is_true, string, text_of};

/// A stretch of a message's content.
pub(super) enum Said {
    /// In the message's role.
    Here(Vec<Part>),
    /// By the system (`mid_conv_system`).
    System(Vec<Part>),
}

/// The content of a message.
pub(super) fn message(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Vec<Said> {
    if string(value).is_some() {
        return vec![Said::Here(content(value, path, unsaid))];
    }
    let mut stretches = vec![];
    let mut here = Vec::new();
    let list = unsaid.list(value, path);
    for (index, value) in list.into_iter().enumerate() {
        let path = path.item(index);
        match system(value, &path, unsaid) {
            None => here.extend(block(value, &path, unsaid)),
            Some(parts) => {
                if !here.is_empty() {
                    stretches.push(Said::Here(std::mem::take(&mut here)));
                }
                stretches.push(Said::System(parts));
            }
        }
    }
    if !here.is_empty() {
        stretches.push(Said::Here(here));
    }
    stretches
}

/// Content without instructions in it: a text or a list of blocks.
pub(super) fn content(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Vec<Part> {
    if let Some(text) = string(value) {
        return Some(Part::Text(text))
            .into_iter()
            .filter(|part| !is_blank(part))
            .collect();
    }
    let list = unsaid.list(value, path);
    list.into_iter()
        .enumerate()
        .filter_map(|(index, value)| block(value, &path.item(index), unsaid))
        .collect()
}

fn system(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Vec<Part>> {
    let members = Members::parse(value.get().as_bytes()).ok()?;
    if text_of(&members, "type").as_deref() != Some("mid_conv_system") {
        return None;
    }
    unsaid.unknown(&members, path, &["type", "content"]);
    Some(content(members.get("content")?, &path.key("content"), unsaid))
}

fn block(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Part> {
    let members = unsaid.object(value, path)?;
    let kind = unsaid.required(&members, path, "type")?;
    match kind.as_str() {
        "text" => {
            unsaid.unknown(&members, path, &["type", "text", "citations"]);
            if members.get("citations").is_some_and(|value| !is_off(value)) {
                unsaid.tuning(path.key("citations"));
            }
            unsaid.required(&members, path, "text").map(Part::Text)
        }
        "image" => {
            unsaid.unknown(&members, path, &["type", "source"]);
            media(&members, MediaKind::Picture, path, unsaid)
        }
        "document" => document(&members, path, unsaid),
        "tool_use" => {
            unsaid.unknown(&members, path, &["type", "id", "name", "input"]);
            let input = members.get("input").filter(|input| input.get().starts_with('{'));
            if input.is_none() {
                unsaid.essential(path.key("input"));
            }
            Some(Part::ToolCall(ToolCall {
                id: unsaid.required(&members, path, "id")?,
                name: unsaid.required(&members, path, "name")?,
                arguments: input?.get().to_owned(),
                at: path.place(),
            }))
        }
        "tool_result" => {
            unsaid.unknown(&members, path, &["type", "tool_use_id", "content", "is_error"]);
            let inner = path.key("content");
            Some(Part::ToolResult(ToolResult {
                id: unsaid.required(&members, path, "tool_use_id")?,
                parts: members
                    .get("content")
                    .map_or_else(Vec::new, |value| content(value, &inner, unsaid)),
                is_error: is_true(&members, "is_error"),
            }))
        }
        // Thinking belongs to the model that thought; the conversation means the same without.
        "thinking" | "redacted_thinking" => {
            unsaid.tuning(path);
            None
        }
        _ => {
            unsaid.essential(path);
            None
        }
    }
}

fn document(members: &Members<'_>, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Part> {
    unsaid.unknown(members, path, &["type", "source", "title", "context", "citations"]);
    // The model reads it.
    unsaid.refuse(members, path, &["context"]);
    let inner = path.key("citations");
    if let Some(citations) = members.get("citations").and_then(|value| unsaid.object(value, &inner))
        && is_true(&citations, "enabled")
    {
        unsaid.tuning(inner);
    }
    let source = members
        .get("source")
        .and_then(|source| Members::parse(source.get().as_bytes()).ok());
    // Text is text everywhere.
    if let Some(source) = source
        && text_of(&source, "type").as_deref() == Some("text")
    {
        let text = unsaid.required(&source, &path.key("source"), "data")?;
        return Some(Part::Text(match text_of(members, "title") {
            Some(title) => format!("{title}\n\n{text}"),
            None => text,
        }));
    }
    media(members, MediaKind::Document, path, unsaid)
}

fn media(members: &Members<'_>, kind: MediaKind, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Part> {
    let inner = path.key("source");
    let Some(source) = members.get("source") else {
        unsaid.essential(inner);
        return None;
    };
    let source = unsaid.object(source, &inner)?;
    let source = match text_of(&source, "type").as_deref() {
        Some("base64") => MediaSource::Inline {
            media_type: unsaid.required(&source, &inner, "media_type")?,
            base64: unsaid.required(&source, &inner, "data")?,
        },
        Some("url") => media::source(unsaid.required(&source, &inner, "url")?)?,
        // A file that the provider stores, or blocks inside a document.
        _ => {
            unsaid.essential(inner);
            return None;
        }
    };
    Some(Part::Media(Media {
        kind,
        source,
        name: text_of(members, "title"),
        detail: None,
        at: path.place(),
    }))
}
