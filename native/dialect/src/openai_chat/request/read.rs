//! A request in common words.

use serde_json::value::RawValue;

use crate::json::Members;
use crate::media;
use crate::neutral::{
    Conversation, Format, Media, MediaKind, Message, Part, Role, Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::openai;
use crate::reader::{Path, Unsaid, is_off, is_true, raw_of, string, text_of};

/// Fields that are read here or by [`openai::shared`].
const KNOWN: [&str; 23] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stop",
    "temperature",
    "top_p",
    "response_format",
    "reasoning_effort",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "verbosity",
    "audio",
    "modalities",
    "functions",
    "function_call",
    "web_search_options",
];

/// Reads a body.
pub(crate) fn read(members: &Members<'_>, unsaid: &mut Unsaid) -> Conversation {
    let root = Path::Root;
    let mut conversation = Conversation {
        openai: openai::shared(members),
        verbosity: raw_of(members, "verbosity"),
        temperature: raw_of(members, "temperature"),
        top_p: raw_of(members, "top_p"),
        user: text_of(members, "safety_identifier").or_else(|| text_of(members, "user")),
        reasoning: text_of(members, "reasoning_effort").map(openai::reasoning),
        parallel_tools: members.get("parallel_tool_calls").map(|value| value.get() == "true"),
        stream: is_true(members, "stream"),
        ..Conversation::default()
    };
    if members.get("n").is_some_and(|value| value.get() != "1") {
        unsaid.essential("n");
    }
    let text_only = members.get("modalities").is_none_or(|value| {
        serde_json::from_str::<Vec<String>>(value.get()).is_ok_and(|list| list.iter().all(|one| one == "text"))
    });
    if !text_only {
        unsaid.essential("modalities");
    }
    unsaid.refuse(
        members,
        &root,
        &["audio", "functions", "function_call", "web_search_options"],
    );
    conversation.stop = members.get("stop").map_or_else(Vec::new, |value| stop(value, unsaid));
    if let Some(options) = members.get("stream_options")
        && let Some(options) = unsaid.object(options, &root.key("stream_options"))
    {
        unsaid.unknown(&options, &root.key("stream_options"), &["include_usage"]);
    }
    if let Some(messages) = members.get("messages") {
        let path = root.key("messages");
        for (index, value) in unsaid.list(messages, &path).into_iter().enumerate() {
            let path = path.item(index);
            if let Some(message) = message(value, &path, unsaid) {
                conversation.messages.push(message);
            }
        }
    }
    if let Some(tools) = members.get("tools") {
        let path = root.key("tools");
        for (index, value) in unsaid.list(tools, &path).into_iter().enumerate() {
            conversation.tools.extend(tool(value, &path.item(index), unsaid));
        }
    }
    conversation.tool_choice = members.get("tool_choice").and_then(|value| choice(value, unsaid));
    conversation.format = members.get("response_format").and_then(|value| format(value, unsaid));
    let shared: Vec<&str> = KNOWN.into_iter().chain(openai::SHARED).collect();
    unsaid.unknown(members, &root, &shared);
    conversation
}

fn stop(value: &RawValue, unsaid: &mut Unsaid) -> Vec<String> {
    if let Some(one) = string(value) {
        return vec![one];
    }
    serde_json::from_str(value.get()).unwrap_or_else(|_other| {
        unsaid.essential("stop");
        Vec::new()
    })
}

fn message(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Message> {
    let members = unsaid.object(value, path)?;
    let role = unsaid.required(&members, path, "role")?;
    let mut known = vec!["role", "content"];
    let (role, parts) = match role.as_str() {
        "system" | "developer" => (Role::System, content(&members, path, unsaid)),
        "user" => (Role::User, content(&members, path, unsaid)),
        "tool" => {
            known.push("tool_call_id");
            let id = unsaid.required(&members, path, "tool_call_id")?;
            let parts = content(&members, path, unsaid);
            let result = ToolResult {
                id,
                parts,
                is_error: false,
            };
            (Role::User, vec![Part::ToolResult(result)])
        }
        "assistant" => {
            known.extend(["refusal", "tool_calls", "annotations", "function_call", "audio"]);
            (Role::Assistant, assistant(&members, path, unsaid))
        }
        _ => {
            unsaid.essential(path.key("role"));
            return None;
        }
    };
    unsaid.unknown(&members, path, &known);
    Some(Message {
        role,
        parts,
        at: path.place(),
    })
}

fn assistant(members: &Members<'_>, path: &Path<'_>, unsaid: &mut Unsaid) -> Vec<Part> {
    unsaid.refuse(members, path, &["function_call", "audio"]);
    // What the provider added to its answer, given back with it.
    if members.get("annotations").is_some_and(|value| !is_off(value)) {
        unsaid.tuning(path.key("annotations"));
    }
    let mut parts = content(members, path, unsaid);
    parts.extend(text_of(members, "refusal").map(Part::Refusal));
    if let Some(calls) = members.get("tool_calls") {
        let path = path.key("tool_calls");
        for (index, value) in unsaid.list(calls, &path).into_iter().enumerate() {
            parts.extend(tool_call(value, &path.item(index), unsaid).map(Part::ToolCall));
        }
    }
    parts
}

fn tool_call(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<ToolCall> {
    let members = unsaid.object(value, path)?;
    if text_of(&members, "type").is_some_and(|kind| kind != "function") {
        unsaid.essential(path.key("type"));
        return None;
    }
    unsaid.unknown(&members, path, &["type", "id", "function", "index"]);
    let id = unsaid.required(&members, path, "id")?;
    let path = path.key("function");
    let Some(function) = members.get("function") else {
        unsaid.essential(path);
        return None;
    };
    let function = unsaid.object(function, &path)?;
    unsaid.unknown(&function, &path, &["name", "arguments"]);
    Some(ToolCall {
        id,
        name: unsaid.required(&function, &path, "name")?,
        arguments: unsaid.required(&function, &path, "arguments")?,
        at: path.place(),
    })
}

fn content(members: &Members<'_>, path: &Path<'_>, unsaid: &mut Unsaid) -> Vec<Part> {
    let Some(value) = members.get("content") else {
        return Vec::new();
    };
    let path = path.key("content");
    if let Some(text) = string(value) {
        return if text.is_empty() {
            Vec::new()
        } else {
            vec![Part::Text(text)]
        };
    }
    let list = unsaid.list(value, &path);
    list.into_iter()
        .enumerate()
        .filter_map(|(index, value)| part(value, &path.item(index), unsaid))
        .collect()
}

fn part(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Part> {
    let members = unsaid.object(value, path)?;
    let kind = unsaid.required(&members, path, "type")?;
    unsaid.unknown(&members, path, &["type", &kind]);
    match kind.as_str() {
        "text" => unsaid.required(&members, path, "text").map(Part::Text),
        "refusal" => unsaid.required(&members, path, "refusal").map(Part::Refusal),
        "image_url" => {
            let inner = path.key("image_url");
            let picture = unsaid.object(members.get("image_url")?, &inner)?;
            unsaid.unknown(&picture, &inner, &["url", "detail"]);
            let source = media::source(unsaid.required(&picture, &inner, "url")?);
            if source.is_none() {
                unsaid.essential(inner.key("url"));
            }
            Some(Part::Media(Media {
                kind: MediaKind::Picture,
                source: source?,
                name: None,
                detail: text_of(&picture, "detail").filter(|detail| detail != "auto"),
                at: path.place(),
            }))
        }
        "file" => {
            let inner = path.key("file");
            let file = unsaid.object(members.get("file")?, &inner)?;
            unsaid.unknown(&file, &inner, &["file_data", "filename", "file_id"]);
            unsaid.refuse(&file, &inner, &["file_id"]);
            let name = text_of(&file, "filename");
            let source = text_of(&file, "file_data").and_then(|data| media::document(data, name.as_deref()));
            if source.is_none() && text_of(&file, "file_id").is_none() {
                unsaid.essential(inner.key("file_data"));
            }
            Some(Part::Media(Media {
                kind: MediaKind::Document,
                source: source?,
                name,
                detail: None,
                at: path.place(),
            }))
        }
        _ => {
            unsaid.essential(path);
            None
        }
    }
}

fn tool(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Tool> {
    let members = unsaid.object(value, path)?;
    if text_of(&members, "type").as_deref() != Some("function") {
        unsaid.essential(path);
        return None;
    }
    unsaid.unknown(&members, path, &["type", "function"]);
    let inner = path.key("function");
    let Some(function) = members.get("function") else {
        unsaid.essential(inner);
        return None;
    };
    let function = unsaid.object(function, &inner)?;
    unsaid.unknown(&function, &inner, &["name", "description", "parameters", "strict"]);
    Some(Tool {
        name: unsaid.required(&function, &inner, "name")?,
        description: text_of(&function, "description"),
        parameters: raw_of(&function, "parameters"),
        strict: is_true(&function, "strict"),
        at: inner.place(),
    })
}

fn choice(value: &RawValue, unsaid: &mut Unsaid) -> Option<ToolChoice> {
    let root = Path::Root;
    let path = root.key("tool_choice");
    if let Some(word) = string(value) {
        return openai::choice_word(&word, &path, unsaid);
    }
    let members = unsaid.object(value, &path)?;
    if text_of(&members, "type").as_deref() != Some("function") {
        unsaid.essential(path);
        return None;
    }
    let inner = path.key("function");
    let Some(function) = members.get("function") else {
        unsaid.essential(inner);
        return None;
    };
    let function = unsaid.object(function, &inner)?;
    unsaid.required(&function, &inner, "name").map(ToolChoice::Named)
}

fn format(value: &RawValue, unsaid: &mut Unsaid) -> Option<Format> {
    let root = Path::Root;
    let path = root.key("response_format");
    let members = unsaid.object(value, &path)?;
    match text_of(&members, "type").as_deref() {
        Some("text") => None,
        Some("json_object") => Some(Format::JsonObject),
        Some("json_schema") => {
            let path = path.key("json_schema");
            let Some(schema) = members.get("json_schema") else {
                unsaid.essential(path);
                return None;
            };
            let members = unsaid.object(schema, &path)?;
            openai::schema(&members, &path, unsaid)
        }
        _ => {
            unsaid.essential(path.key("type"));
            None
        }
    }
}
