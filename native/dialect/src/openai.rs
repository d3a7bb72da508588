//! What both dialects of OpenAI say in the same words.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::json::Members;
use crate::neutral::{Format, Message, Part, Raw, Reasoning, Role, ToolChoice};
use crate::reader::{Path, Unsaid, is_true, raw_of, text_of};

/// Fields of the same name and meaning in both.
pub(crate) const SHARED: [&str; 7] = [
    "store",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
];
/// Longest `user`, and longest name of a tool.
pub(crate) const NAME: usize = 64;
/// Said for a document without a name: OpenAI wants one.
pub(crate) const DOCUMENT_NAME: &str = "document.pdf";
/// A schema for tools without arguments, where one has to be given.
pub(crate) const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// The shared fields of a body.
pub(crate) fn shared(members: &Members<'_>) -> Vec<(&'static str, Raw)> {
    SHARED
        .into_iter()
        .filter_map(|name| raw_of(members, name).map(|value| (name, value)))
        .collect()
}

/// Shared fields, to be written into a body.
pub(crate) struct Shared<'a>(pub(crate) &'a [(&'static str, Raw)]);

impl Serialize for Shared<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// An effort by its word.
pub(crate) fn reasoning(word: String) -> Reasoning {
    if word == "none" {
        Reasoning::Off
    } else {
        Reasoning::Effort(word)
    }
}

/// The word of an effort. Anthropic's budgets become the word whose usual budget they are; "off" is what is left unsaid,
/// because models that do not think refuse the word `none`.
pub(crate) fn effort(reasoning: &Reasoning) -> Option<&str> {
    match reasoning {
        Reasoning::Effort(word) => Some(word),
        Reasoning::Budget(tokens) if *tokens <= 2_048 => Some("low"),
        Reasoning::Budget(tokens) if *tokens <= 16_384 => Some("medium"),
        Reasoning::Budget(_) => Some("high"),
        Reasoning::Off => None,
    }
}

/// A tool choice by its word.
pub(crate) fn choice_word(word: &str, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => {
            unsaid.essential(path);
            None
        }
    }
}

/// A structured format: the members `name`, `description`, `schema` and `strict`.
pub(crate) fn schema(members: &Members<'_>, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Format> {
    unsaid.unknown(members, path, &["type", "name", "description", "schema", "strict"]);
    let Some(schema) = raw_of(members, "schema") else {
        unsaid.essential(path.key("schema"));
        return None;
    };
    Some(Format::JsonSchema {
        name: text_of(members, "name"),
        description: text_of(members, "description"),
        schema,
        strict: is_true(members, "strict"),
    })
}

/// Messages of one role after each other as one: turns, as they are given to a model.
pub(crate) fn turns(messages: &[Message]) -> Vec<(Role, Vec<&Part>)> {
    let mut turns: Vec<(Role, Vec<&Part>)> = Vec::new();
    for message in messages {
        match turns.last_mut() {
            Some((role, parts)) if *role == message.role && message.role == Role::Assistant => {
                parts.extend(&message.parts);
            }
            _ => turns.push((message.role, message.parts.iter().collect())),
        }
    }
    turns
}

/// The text of a tool's result: OpenAI has no field for a failed call, so the text says it.
pub(crate) fn result_text(text: &str, first: bool, is_error: bool) -> String {
    let says_so = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
    if first && is_error && !says_so {
        format!("Error: {text}")
    } else {
        text.to_owned()
    }
}
