//! A body from common words.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::media::tool_id;
use crate::neutral::{
    Conversation, Format, Media, MediaKind, MediaSource, Message, Part, Raw, Reasoning, Role, Tool, ToolCall,
    ToolChoice,
};
use crate::openai::NO_ARGUMENTS;
use crate::reader::Unsaid;
use crate::schema::{closed, closing_empties};
use crate::words::{self, Word};
use crate::{Dialect, Wire};

/// Longest name of a tool.
const NAME: usize = 128;
/// Longest `metadata.user_id`.
const USER: usize = 256;
/// Longest id of a tool call; none is documented.
const ID: usize = 128;
/// Said first where a conversation begins with the model or has no user: Messages has no such conversations.
const BEGINNING: &str = "(The conversation begins.)";
/// Asks for any JSON object: structured outputs need a schema.
const JSON_ONLY: &str = "Answer with one valid JSON object and nothing else.";

/// A body, to be serialized.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    model: &'a str,
    max_tokens: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<Content<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: Content<'a>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Url { url: &'a str },
    Base64 { media_type: &'a str, data: &'a str },
}

#[derive(Serialize)]
struct ToolItem<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutputFormat<'a> {
    JsonSchema { schema: Cow<'a, Raw> },
}

/// Writes a body for a target, and lists what it has no place for.
pub(crate) fn write<'a>(
    conversation: &'a Conversation,
    client: Dialect,
    wire: &Wire<'a>,
    unsaid: &mut Unsaid,
) -> Body<'a> {
    for (name, _) in conversation.openai.iter().filter(|(name, value)| asks(name, value)) {
        unsaid.tuning(name);
    }
    if conversation.verbosity.is_some() {
        unsaid.tuning(Word::Verbosity.of(client));
    }
    // Blank ones are refused.
    if conversation.stop.iter().any(|text| text.trim().is_empty()) {
        unsaid.essential(Word::Stop.of(client));
    }
    let mut system = Vec::new();
    let mut turns: Vec<(Role, Vec<Block<'_>>)> = Vec::new();
    for message in &conversation.messages {
        read_message(message, &mut system, &mut turns, unsaid);
    }
    if conversation.format == Some(Format::JsonObject) {
        system.push(Block::Text { text: JSON_ONLY });
    }
    if turns.first().is_none_or(|(role, _)| *role == Role::Assistant) {
        turns.insert(0, (Role::User, vec![Block::Text { text: BEGINNING }]));
    }
    if let Some((Role::Assistant, _)) = turns.last()
        && let Some(last) = conversation.messages.last()
    {
        // It would be put into the model's mouth.
        unsaid.essential(&last.at.0);
    }
    let reasoning = conversation.reasoning.as_ref();
    Body {
        model: wire.upstream_model,
        max_tokens: words::limit(conversation, wire).unwrap_or(0),
        system: content(system),
        messages: turns
            .into_iter()
            .filter_map(|(role, blocks)| {
                Some(Turn {
                    role: if role == Role::Assistant { "assistant" } else { "user" },
                    content: content(blocks)?,
                })
            })
            .collect(),
        tools: conversation.tools.iter().map(|tool| definition(tool, unsaid)).collect(),
        tool_choice: choice(conversation),
        temperature: temperature(conversation, client, unsaid),
        top_p: top_p(conversation, client, unsaid),
        stop_sequences: &conversation.stop,
        thinking: (reasoning == Some(&Reasoning::Off)).then(|| json!({"type": "disabled"})),
        output_config: output_config(conversation, client, unsaid),
        metadata: words::user(conversation, client, USER, unsaid).map(|user| json!({"user_id": user})),
        stream: conversation.stream.then_some(true),
    }
}

/// Does a field of OpenAI ask for anything that Anthropic would not do anyway?
fn asks(name: &str, value: &Raw) -> bool {
    !matches!(
        (name, value.text()),
        ("store", "false") | ("service_tier", r#""auto""# | r#""default""#) | ("metadata", "{}")
    )
}

/// What is said goes to the turn of its role. System prompts stand in front, also those from the middle: most models
/// take them nowhere else. Results of tools come first in their turn, as they answer the calls before it.
fn read_message<'a>(
    message: &'a Message,
    system: &mut Vec<Block<'a>>,
    turns: &mut Vec<(Role, Vec<Block<'a>>)>,
    unsaid: &mut Unsaid,
) {
    let (results, rest): (Vec<&Part>, Vec<&Part>) = message
        .parts
        .iter()
        .partition(|part| matches!(part, Part::ToolResult(_)));
    let blocks: Vec<Block<'_>> = results
        .into_iter()
        .chain(rest)
        .filter_map(|part| block(part, unsaid))
        .collect();
    if blocks.is_empty() {
        return;
    }
    match turns.last_mut() {
        _ if message.role == Role::System => {
            for block in blocks {
                if matches!(block, Block::Text { .. }) {
                    system.push(block);
                } else {
                    unsaid.essential(&message.at.0);
                }
            }
        }
        Some((role, said)) if *role == message.role => said.extend(blocks),
        _ => turns.push((message.role, blocks)),
    }
}

/// One text stands alone.
fn content(mut blocks: Vec<Block<'_>>) -> Option<Content<'_>> {
    match (blocks.pop(), blocks.is_empty()) {
        (None, _) => None,
        (Some(Block::Text { text }), true) => Some(Content::Text(text)),
        (Some(last), _) => {
            blocks.push(last);
            Some(Content::Blocks(blocks))
        }
    }
}

fn block<'a>(part: &'a Part, unsaid: &mut Unsaid) -> Option<Block<'a>> {
    match part {
        // Anthropic refuses blank texts.
        Part::Text(text) | Part::Refusal(text) => (!text.trim().is_empty()).then_some(Block::Text { text }),
        Part::Media(media) => media_block(media, unsaid),
        Part::ToolCall(call) => tool_use(call, unsaid),
        Part::ToolResult(result) => {
            let blocks = result.parts.iter().filter_map(|part| block(part, unsaid)).collect();
            Some(Block::ToolResult {
                tool_use_id: tool_id(&result.id, false, ID),
                content: content(blocks).unwrap_or(Content::Text("")),
                is_error: result.is_error,
            })
        }
    }
}

fn media_block<'a>(media: &'a Media, unsaid: &mut Unsaid) -> Option<Block<'a>> {
    if media.detail.is_some() {
        unsaid.tuning(format_args!("{}.detail", media.at.0));
    }
    let source = match &media.source {
        MediaSource::Url(url) => Source::Url { url },
        MediaSource::Inline { media_type, base64 } => Source::Base64 {
            media_type,
            data: base64,
        },
    };
    match (media.kind, &source) {
        (MediaKind::Picture, _) => Some(Block::Image { source }),
        (
            MediaKind::Document,
            Source::Url { .. }
            | Source::Base64 {
                media_type: "application/pdf",
                ..
            },
        ) => Some(Block::Document {
            source,
            title: media.name.as_deref(),
        }),
        _ => {
            unsaid.essential(&media.at.0);
            None
        }
    }
}

fn tool_use<'a>(call: &'a ToolCall, unsaid: &mut Unsaid) -> Option<Block<'a>> {
    let text = match call.arguments.trim() {
        "" => "{}",
        text => text,
    };
    let input = serde_json::from_str::<&RawValue>(text)
        .ok()
        .filter(|input| input.get().starts_with('{'));
    if input.is_none() {
        unsaid.essential(format_args!("{}.arguments", call.at.0));
    }
    Some(Block::ToolUse {
        id: tool_id(&call.id, false, ID),
        name: words::tool_name(&call.name, &call.at, NAME, unsaid),
        input: input?,
    })
}

fn definition<'a>(tool: &'a Tool, unsaid: &mut Unsaid) -> ToolItem<'a> {
    ToolItem {
        name: words::tool_name(&tool.name, &tool.at, NAME, unsaid),
        description: tool.description.as_deref(),
        input_schema: match &tool.parameters {
            Some(schema) => serde_json::from_str(schema.text()).ok(),
            None => serde_json::from_str(NO_ARGUMENTS).ok(),
        },
        strict: tool.strict,
    }
}

/// Parallel calls are a part of the choice here, so that forbidding them needs one.
fn choice(conversation: &Conversation) -> Option<Value> {
    if conversation.tools.is_empty() {
        return None;
    }
    let mut choice = match (&conversation.tool_choice, conversation.parallel_tools) {
        (None, None | Some(true)) => return None,
        (Some(ToolChoice::None), _) => return Some(json!({"type": "none"})),
        (None | Some(ToolChoice::Auto), _) => json!({"type": "auto"}),
        (Some(ToolChoice::Required), _) => json!({"type": "any"}),
        (Some(ToolChoice::Named(name)), _) => json!({"type": "tool", "name": name}),
    };
    if let (Some(parallel), Some(members)) = (conversation.parallel_tools, choice.as_object_mut()) {
        members.insert("disable_parallel_tool_use".to_owned(), Value::Bool(!parallel));
    }
    Some(choice)
}

fn temperature<'a>(conversation: &'a Conversation, client: Dialect, unsaid: &mut Unsaid) -> Option<&'a Raw> {
    let temperature = conversation.temperature.as_ref()?;
    if temperature.number().is_some_and(|number| number <= 1.0) {
        return Some(temperature);
    }
    unsaid.tuning(Word::Temperature.of(client));
    None
}

/// Newer models take one of temperature and `top_p`, not both; 1 is what they do anyway.
fn top_p<'a>(conversation: &'a Conversation, client: Dialect, unsaid: &mut Unsaid) -> Option<&'a Raw> {
    let top_p = conversation.top_p.as_ref()?;
    if top_p.number() == Some(1.0) {
        return None;
    }
    if conversation.temperature.is_some() {
        unsaid.tuning(Word::TopP.of(client));
        return None;
    }
    Some(top_p)
}

fn output_config<'a>(conversation: &'a Conversation, client: Dialect, unsaid: &mut Unsaid) -> Option<OutputConfig<'a>> {
    let effort = match &conversation.reasoning {
        Some(Reasoning::Effort(word)) => match word.as_str() {
            "minimal" | "low" => Some("low"),
            known @ ("medium" | "high" | "xhigh" | "max") => Some(known),
            _ => {
                unsaid.tuning(Word::Effort.of(client));
                None
            }
        },
        _ => None,
    };
    let format = match &conversation.format {
        Some(Format::JsonSchema {
            schema, description, ..
        }) => {
            if description.is_some() {
                unsaid.tuning(Word::Description.of(client));
            }
            if closing_empties(schema) {
                unsaid.essential(Word::Schema.of(client));
            }
            Some(OutputFormat::JsonSchema { schema: closed(schema) })
        }
        _ => None,
    };
    (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format })
}
