//! A body from common words.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::media::{Url, tool_id};
use crate::neutral::{
    Conversation, Format, Media, MediaKind, MediaSource, Message, Part, Raw, Role, Tool, ToolChoice, ToolResult,
};
use crate::openai::{self, DOCUMENT_NAME, NAME, NO_ARGUMENTS, Shared};
use crate::reader::Unsaid;
use crate::words::{self, Word};
use crate::{Dialect, Wire};

/// Longest id of a tool call that OpenAI accepts here.
const ID: usize = 64;

/// A body, to be serialized.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(flatten)]
    shared: Shared<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item<'a> {
    Message {
        role: &'static str,
        content: Content<'a>,
    },
    FunctionCall {
        call_id: Cow<'a, str>,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: Cow<'a, str>,
        output: Content<'a>,
    },
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
    InputText {
        text: Cow<'a, str>,
    },
    OutputText {
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        image_url: Url<'a>,
        detail: &'a str,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<Url<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct ToolItem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Parameters<'a>,
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Parameters<'a> {
    Given(&'a Raw),
    None(Option<&'a RawValue>),
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<TextFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a Raw>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TextFormat<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a Raw,
        strict: bool,
    },
}

/// Writes a body for a target, and lists what it has no place for.
pub(crate) fn write<'a>(
    conversation: &'a Conversation,
    client: Dialect,
    wire: &Wire<'a>,
    unsaid: &mut Unsaid,
) -> Body<'a> {
    if !conversation.stop.is_empty() {
        unsaid.essential(Word::Stop.of(client));
    }
    let (instructions, rest) = instructions(&conversation.messages);
    let mut input = Vec::new();
    for message in rest {
        items(message, &mut input, unsaid);
    }
    let has_tools = !conversation.tools.is_empty();
    let says_store = conversation.openai.iter().any(|(name, _)| *name == "store");
    let text = Text {
        format: conversation.format.as_ref().map(format),
        verbosity: conversation.verbosity.as_ref(),
    };
    Body {
        model: wire.upstream_model,
        instructions,
        input,
        tools: conversation.tools.iter().map(|tool| definition(tool, unsaid)).collect(),
        tool_choice: conversation.tool_choice.as_ref().filter(|_| has_tools).map(choice),
        parallel_tool_calls: conversation.parallel_tools.filter(|_| has_tools),
        max_output_tokens: words::limit(conversation, wire),
        temperature: conversation.temperature.as_ref(),
        top_p: conversation.top_p.as_ref(),
        text: (text.format.is_some() || text.verbosity.is_some()).then_some(text),
        reasoning: conversation
            .reasoning
            .as_ref()
            .and_then(openai::effort)
            .map(|word| json!({"effort": word})),
        user: words::user(conversation, client, NAME, unsaid),
        shared: Shared(&conversation.openai),
        // Responses are stored unless one says no; elsewhere they are not.
        store: (!says_store).then_some(false),
        stream: conversation.stream.then_some(true),
    }
}

/// A first message of the system with one text is what `instructions` are for.
fn instructions(messages: &[Message]) -> (Option<&str>, &[Message]) {
    if let [first, rest @ ..] = messages
        && first.role == Role::System
        && let [Part::Text(text)] = first.parts.as_slice()
        && rest.first().is_none_or(|next| next.role != Role::System)
        && !rest.is_empty()
    {
        return (Some(text), rest);
    }
    (None, messages)
}

fn items<'a>(message: &'a Message, input: &mut Vec<Item<'a>>, unsaid: &mut Unsaid) {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
    };
    let mut said = Vec::new();
    for part in &message.parts {
        let item = match part {
            Part::ToolCall(call) => Item::FunctionCall {
                call_id: tool_id(&call.id, true, ID),
                name: words::tool_name(&call.name, &call.at, NAME, unsaid),
                arguments: &call.arguments,
            },
            Part::ToolResult(result) => Item::FunctionCallOutput {
                call_id: tool_id(&result.id, true, ID),
                output: output(result),
            },
            other => {
                said.extend(content_part(other, message.role));
                continue;
            }
        };
        flush(role, &mut said, input);
        input.push(item);
    }
    flush(role, &mut said, input);
}

fn flush<'a>(role: &'static str, said: &mut Vec<ContentPart<'a>>, input: &mut Vec<Item<'a>>) {
    if let Some(content) = content(std::mem::take(said)) {
        input.push(Item::Message { role, content });
    }
}

/// One text stands alone.
fn content(mut parts: Vec<ContentPart<'_>>) -> Option<Content<'_>> {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => None,
        (Some(ContentPart::InputText { text }), true) => Some(Content::Text(text)),
        (Some(ContentPart::OutputText { text }), true) => Some(Content::Text(text.into())),
        (Some(last), _) => {
            parts.push(last);
            Some(Content::Parts(parts))
        }
    }
}

fn content_part(part: &Part, role: Role) -> Option<ContentPart<'_>> {
    match part {
        Part::Text(text) if role == Role::Assistant => Some(ContentPart::OutputText { text }),
        Part::Text(text) => Some(ContentPart::InputText { text: text.into() }),
        Part::Refusal(refusal) => Some(ContentPart::Refusal { refusal }),
        Part::Media(media) => Some(media_part(media)),
        Part::ToolCall(_) | Part::ToolResult(_) => None,
    }
}

fn media_part(media: &Media) -> ContentPart<'_> {
    match (media.kind, &media.source) {
        (MediaKind::Picture, _) => ContentPart::InputImage {
            image_url: Url(media),
            detail: media.detail.as_deref().unwrap_or("auto"),
        },
        (MediaKind::Document, MediaSource::Url(at)) => ContentPart::InputFile {
            filename: media.name.as_deref(),
            file_data: None,
            file_url: Some(at),
        },
        (MediaKind::Document, MediaSource::Inline { .. }) => ContentPart::InputFile {
            filename: Some(media.name.as_deref().unwrap_or(DOCUMENT_NAME)),
            file_data: Some(Url(media)),
            file_url: None,
        },
    }
}

fn output(result: &ToolResult) -> Content<'_> {
    let mut first = true;
    let mut parts: Vec<ContentPart<'_>> = Vec::new();
    for part in &result.parts {
        match part {
            Part::Text(text) => {
                parts.push(ContentPart::InputText {
                    text: openai::result_text(text, first, result.is_error).into(),
                });
                first = false;
            }
            other => parts.extend(content_part(other, Role::User)),
        }
    }
    if first && result.is_error {
        parts.insert(0, ContentPart::InputText { text: "Error".into() });
    }
    content(parts).unwrap_or(Content::Text("".into()))
}

fn definition<'a>(tool: &'a Tool, unsaid: &mut Unsaid) -> ToolItem<'a> {
    ToolItem {
        kind: "function",
        name: words::tool_name(&tool.name, &tool.at, NAME, unsaid),
        description: tool.description.as_deref(),
        parameters: match &tool.parameters {
            Some(schema) => Parameters::Given(schema),
            None => Parameters::None(serde_json::from_str(NO_ARGUMENTS).ok()),
        },
        strict: tool.strict,
    }
}

fn choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}

fn format(format: &Format) -> TextFormat<'_> {
    match format {
        Format::JsonObject => TextFormat::JsonObject,
        Format::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => TextFormat::JsonSchema {
            name: name.as_deref().unwrap_or(words::FORMAT_NAME),
            description: description.as_deref(),
            schema,
            strict: *strict,
        },
    }
}
