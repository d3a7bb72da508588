//! A body from common words.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::limit_field;
use crate::media::{Url, tool_id};
use crate::neutral::{Conversation, Format, Media, MediaKind, MediaSource, Part, Raw, Role, Tool, ToolChoice};
use crate::openai::{self, DOCUMENT_NAME, NAME, Shared};
use crate::reader::Unsaid;
use crate::words::{self, Word};
use crate::{Dialect, Wire};

/// Longest id of a tool call that OpenAI accepts here.
const ID: usize = 40;
/// Most texts that end the answer.
const STOPS: usize = 4;

/// A body, to be serialized.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(flatten)]
    shared: Shared<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<ContentPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentPart<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: Picture<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct Picture<'a> {
    url: Url<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct File<'a> {
    filename: &'a str,
    file_data: Url<'a>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct ToolItem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Definition<'a>,
}

#[derive(Serialize)]
struct Definition<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Raw>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: Schema<'a> },
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a Raw,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

/// Writes a body for a target, and lists what it has no place for.
pub(crate) fn write<'a>(
    conversation: &'a Conversation,
    client: Dialect,
    wire: &Wire<'a>,
    unsaid: &mut Unsaid,
) -> Body<'a> {
    if conversation.stop.len() > STOPS {
        unsaid.essential(Word::Stop.of(client));
    }
    let mut messages = Vec::new();
    for (role, parts) in openai::turns(&conversation.messages) {
        match role {
            Role::System => messages.extend(plain("system", &parts, unsaid)),
            Role::Assistant => messages.extend(assistant(&parts, unsaid)),
            Role::User => user(&parts, &mut messages, unsaid),
        }
    }
    let has_tools = !conversation.tools.is_empty();
    let limit = words::limit(conversation, wire);
    let newer = limit_field(wire.vendor) == "max_completion_tokens";
    Body {
        model: wire.upstream_model,
        messages,
        tools: conversation.tools.iter().map(|tool| definition(tool, unsaid)).collect(),
        tool_choice: conversation.tool_choice.as_ref().filter(|_| has_tools).map(choice),
        parallel_tool_calls: conversation.parallel_tools.filter(|_| has_tools),
        max_tokens: limit.filter(|_| !newer),
        max_completion_tokens: limit.filter(|_| newer),
        temperature: conversation.temperature.as_ref(),
        top_p: conversation.top_p.as_ref(),
        stop: &conversation.stop,
        response_format: conversation.format.as_ref().map(format),
        reasoning_effort: conversation.reasoning.as_ref().and_then(openai::effort),
        verbosity: conversation.verbosity.as_ref(),
        user: words::user(conversation, client, NAME, unsaid),
        shared: Shared(&conversation.openai),
        stream: conversation.stream.then_some(true),
        stream_options: conversation.stream.then(|| json!({"include_usage": true})),
    }
}

/// A message of texts and media; `None` when nothing is said.
fn plain<'a>(role: &'static str, parts: &[&'a Part], unsaid: &mut Unsaid) -> Option<Message<'a>> {
    Some(Message {
        role,
        tool_call_id: None,
        content: Some(content(
            parts.iter().filter_map(|part| content_part(part, unsaid)).collect(),
        )?),
        refusal: None,
        tool_calls: Vec::new(),
    })
}

/// One text stands alone: that is what everybody reads.
fn content(mut parts: Vec<ContentPart<'_>>) -> Option<Content<'_>> {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => None,
        (Some(ContentPart::Text { text }), true) => Some(Content::Text(text)),
        (Some(last), _) => {
            parts.push(last);
            Some(Content::Parts(parts))
        }
    }
}

fn content_part<'a>(part: &'a Part, unsaid: &mut Unsaid) -> Option<ContentPart<'a>> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Some(ContentPart::Text {
            text: Cow::Borrowed(text),
        }),
        Part::Media(media) => media_part(media, unsaid),
        Part::ToolCall(_) | Part::ToolResult(_) => None,
    }
}

fn media_part<'a>(media: &'a Media, unsaid: &mut Unsaid) -> Option<ContentPart<'a>> {
    match (media.kind, &media.source) {
        (MediaKind::Picture, _) => Some(ContentPart::ImageUrl {
            image_url: Picture {
                url: Url(media),
                detail: media.detail.as_deref(),
            },
        }),
        // Files by URL are known to Responses only.
        (MediaKind::Document, MediaSource::Url(_)) => {
            unsaid.essential(&media.at.0);
            None
        }
        (MediaKind::Document, MediaSource::Inline { .. }) => Some(ContentPart::File {
            file: File {
                filename: media.name.as_deref().unwrap_or(DOCUMENT_NAME),
                file_data: Url(media),
            },
        }),
    }
}

fn assistant<'a>(parts: &[&'a Part], unsaid: &mut Unsaid) -> Option<Message<'a>> {
    let mut said = Vec::new();
    let mut refusal = None;
    let mut tool_calls = Vec::new();
    for part in parts {
        match part {
            Part::Refusal(text) if refusal.is_none() => refusal = Some(text.as_str()),
            Part::ToolCall(call) => tool_calls.push(Call {
                id: tool_id(&call.id, true, ID),
                kind: "function",
                function: Function {
                    name: words::tool_name(&call.name, &call.at, NAME, unsaid),
                    arguments: &call.arguments,
                },
            }),
            other => said.extend(content_part(other, unsaid)),
        }
    }
    let content = content(said);
    if content.is_none() && refusal.is_none() && tool_calls.is_empty() {
        return None;
    }
    Some(Message {
        role: "assistant",
        tool_call_id: None,
        content,
        refusal,
        tool_calls,
    })
}

/// Results of tools are messages of their own and come first, right after the calls. They hold text only: their
/// pictures and documents follow in the user's message.
fn user<'a>(parts: &[&'a Part], messages: &mut Vec<Message<'a>>, unsaid: &mut Unsaid) {
    let mut rest = Vec::new();
    for part in parts {
        let Part::ToolResult(result) = part else { continue };
        let mut texts = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text(text) => texts.push(ContentPart::Text {
                    text: openai::result_text(text, texts.is_empty(), result.is_error).into(),
                }),
                other => rest.extend(content_part(other, unsaid)),
            }
        }
        if texts.is_empty() && result.is_error {
            texts.push(ContentPart::Text { text: "Error".into() });
        }
        messages.push(Message {
            role: "tool",
            tool_call_id: Some(tool_id(&result.id, true, ID)),
            content: Some(content(texts).unwrap_or(Content::Text("".into()))),
            refusal: None,
            tool_calls: Vec::new(),
        });
    }
    rest.extend(parts.iter().filter_map(|part| content_part(part, unsaid)));
    if let Some(content) = content(rest) {
        messages.push(Message {
            role: "user",
            tool_call_id: None,
            content: Some(content),
            refusal: None,
            tool_calls: Vec::new(),
        });
    }
}

fn definition<'a>(tool: &'a Tool, unsaid: &mut Unsaid) -> ToolItem<'a> {
    ToolItem {
        kind: "function",
        function: Definition {
            name: words::tool_name(&tool.name, &tool.at, NAME, unsaid),
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_ref(),
            strict: tool.strict,
        },
    }
}

fn choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn format(format: &Format) -> ResponseFormat<'_> {
    match format {
        Format::JsonObject => ResponseFormat::JsonObject,
        Format::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => ResponseFormat::JsonSchema {
            json_schema: Schema {
                name: name.as_deref().unwrap_or(words::FORMAT_NAME),
                description: description.as_deref(),
                schema,
                strict: *strict,
            },
        },
    }
}
