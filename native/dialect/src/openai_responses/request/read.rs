//! A request in common words.

use serde_json::value::RawValue;

use crate::json::Members;
use crate::media;
use crate::neutral::{
    Conversation, Format, Media, MediaKind, MediaSource, Message, Part, Place, Role, Tool, ToolCall, ToolChoice,
    ToolResult,
};
use crate::openai;
use crate::reader::{Path, Unsaid, is_off, is_true, raw_of, string, text_of};

/// Fields that are read here or by [`openai::shared`]. `include` and what follows are looked at by name.
const KNOWN: [&str; 20] = [
    "model",
    "input",
    "instructions",
    "stream",
    "max_output_tokens",
    "temperature",
    "top_p",
    "text",
    "reasoning",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "include",
    "truncation",
    "background",
    "previous_response_id",
    "conversation",
    "prompt",
];
/// State that the provider keeps, and ways of answering that nobody else has.
const ESSENTIAL: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Reads a body.
pub(crate) fn read(members: &Members<'_>, unsaid: &mut Unsaid) -> Conversation {
    let root = Path::Root;
    let mut conversation = Conversation {
        openai: openai::shared(members),
        temperature: raw_of(members, "temperature"),
        top_p: raw_of(members, "top_p"),
        user: text_of(members, "safety_identifier").or_else(|| text_of(members, "user")),
        parallel_tools: members.get("parallel_tool_calls").map(|value| value.get() == "true"),
        stream: is_true(members, "stream"),
        ..Conversation::default()
    };
    unsaid.refuse(members, &root, &ESSENTIAL);
    if members.get("include").is_some_and(|value| !is_off(value)) {
        unsaid.tuning("include");
    }
    if text_of(members, "truncation").is_some_and(|value| value != "disabled") {
        unsaid.tuning("truncation");
    }
    if let Some(instructions) = members.get("instructions") {
        let path = root.key("instructions");
        let parts = unsaid.text(instructions, &path).filter(|text| !text.is_empty());
        conversation.messages.extend(parts.map(|text| Message {
            role: Role::System,
            parts: vec![Part::Text(text)],
            at: path.place(),
        }));
    }
    if let Some(input) = members.get("input") {
        read_input(input, &mut conversation.messages, unsaid);
    }
    if let Some(tools) = members.get("tools") {
        let path = root.key("tools");
        for (index, value) in unsaid.list(tools, &path).into_iter().enumerate() {
            conversation.tools.extend(tool(value, &path.item(index), unsaid));
        }
    }
    conversation.tool_choice = members.get("tool_choice").and_then(|value| choice(value, unsaid));
    let path = root.key("text");
    if let Some(text) = members.get("text").and_then(|value| unsaid.object(value, &path)) {
        unsaid.unknown(&text, &path, &["format", "verbosity"]);
        conversation.verbosity = raw_of(&text, "verbosity");
        conversation.format = text.get("format").and_then(|value| format(value, &path, unsaid));
    }
    let path = root.key("reasoning");
    if let Some(reasoning) = members.get("reasoning").and_then(|value| unsaid.object(value, &path)) {
        unsaid.unknown(&reasoning, &path, &["effort"]);
        conversation.reasoning = text_of(&reasoning, "effort").map(openai::reasoning);
    }
    let known: Vec<&str> = KNOWN.into_iter().chain(openai::SHARED).collect();
    unsaid.unknown(members, &root, &known);
    conversation
}

fn read_input(input: &RawValue, messages: &mut Vec<Message>, unsaid: &mut Unsaid) {
    let root = Path::Root;
    let path = root.key("input");
    if let Some(text) = string(input) {
        messages.push(Message {
            role: Role::User,
            parts: vec![Part::Text(text)],
            at: path.place(),
        });
        return;
    }
    for (index, value) in unsaid.list(input, &path).into_iter().enumerate() {
        let path = path.item(index);
        if let Some((role, parts)) = item(value, &path, unsaid) {
            push(messages, role, parts, path.place());
        }
    }
}

/// Items of the model's turn belong together, and so do the results that answer it.
fn push(messages: &mut Vec<Message>, role: Role, parts: Vec<Part>, at: Place) {
    let is_result = matches!(parts.first(), Some(Part::ToolResult(_)));
    if let Some(last) = messages.last_mut()
        && last.role == role
        && (role == Role::Assistant || (is_result && matches!(last.parts.last(), Some(Part::ToolResult(_)))))
    {
        last.parts.extend(parts);
        return;
    }
    messages.push(Message { role, parts, at });
}

fn item(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<(Role, Vec<Part>)> {
    let members = unsaid.object(value, path)?;
    let kind = text_of(&members, "type").unwrap_or_else(|| "message".to_owned());
    match kind.as_str() {
        "message" => {
            unsaid.unknown(&members, path, &["type", "role", "content", "id", "status"]);
            let role = match unsaid.required(&members, path, "role")?.as_str() {
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "system" | "developer" => Role::System,
                _ => {
                    unsaid.essential(path.key("role"));
                    return None;
                }
            };
            Some((role, parts(&members, "content", path, unsaid)))
        }
        "function_call" => {
            unsaid.unknown(
                &members,
                path,
                &["type", "id", "status", "call_id", "name", "arguments"],
            );
            let call = ToolCall {
                id: unsaid.required(&members, path, "call_id")?,
                name: unsaid.required(&members, path, "name")?,
                arguments: unsaid.required(&members, path, "arguments")?,
                at: path.place(),
            };
            Some((Role::Assistant, vec![Part::ToolCall(call)]))
        }
        "function_call_output" => {
            unsaid.unknown(&members, path, &["type", "id", "status", "call_id", "output"]);
            let result = ToolResult {
                id: unsaid.required(&members, path, "call_id")?,
                parts: parts(&members, "output", path, unsaid),
                is_error: false,
            };
            Some((Role::User, vec![Part::ToolResult(result)]))
        }
        // Its thinking belongs to the model that thought; the conversation means the same without.
        "reasoning" => {
            unsaid.tuning(path);
            None
        }
        _ => {
            unsaid.essential(path);
            None
        }
    }
}

fn parts(members: &Members<'_>, key: &str, path: &Path<'_>, unsaid: &mut Unsaid) -> Vec<Part> {
    let path = path.key(key);
    let Some(value) = members.get(key) else {
        unsaid.essential(path);
        return Vec::new();
    };
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
    match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            unsaid.unknown(&members, path, &["type", "text", "annotations", "logprobs"]);
            if members.get("annotations").is_some_and(|value| !is_off(value)) {
                unsaid.tuning(path.key("annotations"));
            }
            unsaid.required(&members, path, "text").map(Part::Text)
        }
        "refusal" => unsaid.required(&members, path, "refusal").map(Part::Refusal),
        "input_image" => {
            unsaid.unknown(&members, path, &["type", "image_url", "detail", "file_id"]);
            let source = media::source(unsaid.required(&members, path, "image_url")?);
            if source.is_none() {
                unsaid.essential(path.key("image_url"));
            }
            Some(Part::Media(Media {
                kind: MediaKind::Picture,
                source: source?,
                name: None,
                detail: text_of(&members, "detail").filter(|detail| detail != "auto"),
                at: path.place(),
            }))
        }
        "input_file" => {
            unsaid.unknown(
                &members,
                path,
                &["type", "file_data", "file_url", "filename", "file_id"],
            );
            let name = text_of(&members, "filename");
            let inline = text_of(&members, "file_data").and_then(|data| media::document(data, name.as_deref()));
            let source = inline.or_else(|| text_of(&members, "file_url").map(MediaSource::Url));
            // A file that the provider stores, or data of a type that is not said.
            if source.is_none() {
                unsaid.essential(path);
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
    // Tools that run at the provider: nobody else has them.
    if text_of(&members, "type").as_deref() != Some("function") {
        unsaid.essential(path);
        return None;
    }
    unsaid.unknown(&members, path, &["type", "name", "description", "parameters", "strict"]);
    Some(Tool {
        name: unsaid.required(&members, path, "name")?,
        description: text_of(&members, "description"),
        parameters: raw_of(&members, "parameters"),
        strict: is_true(&members, "strict"),
        at: path.place(),
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
    unsaid.required(&members, &path, "name").map(ToolChoice::Named)
}

fn format(value: &RawValue, text: &Path<'_>, unsaid: &mut Unsaid) -> Option<Format> {
    let path = text.key("format");
    let members = unsaid.object(value, &path)?;
    match text_of(&members, "type").as_deref() {
        Some("text") => None,
        Some("json_object") => Some(Format::JsonObject),
        Some("json_schema") => openai::schema(&members, &path, unsaid),
        _ => {
            unsaid.essential(path.key("type"));
            None
        }
    }
}
