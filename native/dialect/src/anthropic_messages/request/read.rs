//! A request in common words.

mod block;

use serde_json::value::RawValue;

use crate::json::Members;
use crate::neutral::{Conversation, Format, Message, Part, Reasoning, Role, Tool, ToolChoice};
use crate::reader::{Path, Unsaid, is_true, raw_of, text_of};
use crate::schema::strict_at_openai;

/// Fields that are read here.
const KNOWN: [&str; 18] = [
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "service_tier",
    "container",
    "mcp_servers",
    "inference_geo",
];
/// What runs at the provider, and where it may run.
const ESSENTIAL: [&str; 3] = ["container", "mcp_servers", "inference_geo"];

/// Reads a body.
pub(crate) fn read(members: &Members<'_>, unsaid: &mut Unsaid) -> Conversation {
    let root = Path::Root;
    let mut conversation = Conversation {
        temperature: raw_of(members, "temperature"),
        top_p: raw_of(members, "top_p"),
        stream: is_true(members, "stream"),
        ..Conversation::default()
    };
    unsaid.refuse(members, &root, &ESSENTIAL);
    unsaid.unknown(members, &root, &KNOWN);
    // Nothing but a warm prompt cache is asked for.
    if members.get("max_tokens").is_some_and(|limit| limit.get() == "0") {
        unsaid.essential("max_tokens");
    }
    if let Some(system) = members.get("system") {
        let path = root.key("system");
        let parts = block::content(system, &path, unsaid);
        if !parts.is_empty() {
            conversation.messages.push(Message {
                role: Role::System,
                parts,
                at: path.place(),
            });
        }
    }
    if let Some(messages) = members.get("messages") {
        let path = root.key("messages");
        let list = unsaid.list(messages, &path);
        for (index, value) in list.into_iter().enumerate() {
            message(value, &path.item(index), &mut conversation.messages, unsaid);
        }
        // The model goes on with what was put into its mouth; elsewhere it begins anew.
        if let Some(last) = conversation.messages.last()
            && last.role == Role::Assistant
        {
            unsaid.essential(&last.at.0);
        }
    }
    conversation.stop = members.get("stop_sequences").map_or_else(Vec::new, |value| {
        serde_json::from_str(value.get()).unwrap_or_else(|_other| {
            unsaid.essential("stop_sequences");
            Vec::new()
        })
    });
    if let Some(tools) = members.get("tools") {
        let path = root.key("tools");
        for (index, value) in unsaid.list(tools, &path).into_iter().enumerate() {
            conversation.tools.extend(tool(value, &path.item(index), unsaid));
        }
    }
    let path = root.key("tool_choice");
    if let Some(choice) = members.get("tool_choice").and_then(|value| unsaid.object(value, &path)) {
        unsaid.unknown(&choice, &path, &["type", "name", "disable_parallel_tool_use"]);
        conversation.tool_choice = match text_of(&choice, "type").as_deref() {
            Some("auto") => Some(ToolChoice::Auto),
            Some("any") => Some(ToolChoice::Required),
            Some("none") => Some(ToolChoice::None),
            Some("tool") => unsaid.required(&choice, &path, "name").map(ToolChoice::Named),
            _ => {
                unsaid.essential(path.key("type"));
                None
            }
        };
        conversation.parallel_tools = choice
            .get("disable_parallel_tool_use")
            .map(|value| value.get() != "true");
    }
    let path = root.key("metadata");
    if let Some(metadata) = members.get("metadata").and_then(|value| unsaid.object(value, &path)) {
        unsaid.unknown(&metadata, &path, &["user_id"]);
        conversation.user = text_of(&metadata, "user_id");
    }
    if text_of(members, "service_tier").is_some_and(|tier| tier != "auto") {
        unsaid.tuning("service_tier");
    }
    answering(members, &mut conversation, unsaid);
    conversation
}

/// Thinking, effort and format.
fn answering(members: &Members<'_>, conversation: &mut Conversation, unsaid: &mut Unsaid) {
    let root = Path::Root;
    let path = root.key("thinking");
    if let Some(thinking) = members.get("thinking").and_then(|value| unsaid.object(value, &path)) {
        unsaid.unknown(&thinking, &path, &["type", "budget_tokens"]);
        conversation.reasoning = match text_of(&thinking, "type").as_deref() {
            Some("disabled") => Some(Reasoning::Off),
            Some("enabled") => thinking
                .get("budget_tokens")
                .and_then(|budget| budget.get().parse().ok())
                .map(Reasoning::Budget),
            // As the model likes, which is what the others do unasked.
            Some("adaptive") => None,
            _ => {
                unsaid.tuning(path.key("type"));
                None
            }
        };
    }
    let path = root.key("output_config");
    if let Some(config) = members
        .get("output_config")
        .and_then(|value| unsaid.object(value, &path))
    {
        unsaid.unknown(&config, &path, &["effort", "format"]);
        if let Some(effort) = text_of(&config, "effort")
            && conversation.reasoning != Some(Reasoning::Off)
        {
            conversation.reasoning = Some(Reasoning::Effort(effort));
        }
        conversation.format = config
            .get("format")
            .and_then(|value| format(value, &path.key("format"), unsaid));
    }
    // Its name before structured outputs were generally available.
    if let Some(value) = members.get("output_format") {
        conversation.format = format(value, &root.key("output_format"), unsaid);
    }
}

fn format(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Format> {
    let members = unsaid.object(value, path)?;
    unsaid.unknown(&members, path, &["type", "schema"]);
    let schema = raw_of(&members, "schema").filter(|_| text_of(&members, "type").as_deref() == Some("json_schema"));
    if schema.is_none() {
        unsaid.essential(path);
    }
    let schema = schema?;
    Some(Format::JsonSchema {
        name: None,
        description: None,
        strict: strict_at_openai(&schema),
        schema,
    })
}

fn message(value: &RawValue, path: &Path<'_>, messages: &mut Vec<Message>, unsaid: &mut Unsaid) {
    let Some(members) = unsaid.object(value, path) else {
        return;
    };
    unsaid.unknown(&members, path, &["role", "content"]);
    let role = match unsaid.required(&members, path, "role").as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => {
            unsaid.essential(path.key("role"));
            return;
        }
        None => return,
    };
    let inner = path.key("content");
    let Some(content) = members.get("content") else {
        unsaid.essential(inner);
        return;
    };
    // Instructions in the middle of a turn end what was said before them.
    for said in block::message(content, &inner, unsaid) {
        let (role, parts) = match said {
            block::Said::Here(parts) => (role, parts),
            block::Said::System(parts) => (Role::System, parts),
        };
        messages.push(Message {
            role,
            parts,
            at: path.place(),
        });
    }
}

fn tool(value: &RawValue, path: &Path<'_>, unsaid: &mut Unsaid) -> Option<Tool> {
    let members = unsaid.object(value, path)?;
    // Tools with a type of their own run at the provider, or are known to its models by heart.
    if text_of(&members, "type").is_some_and(|kind| kind != "custom") {
        unsaid.essential(path);
        return None;
    }
    unsaid.unknown(
        &members,
        path,
        &["type", "name", "description", "input_schema", "strict"],
    );
    let parameters = raw_of(&members, "input_schema");
    Some(Tool {
        name: unsaid.required(&members, path, "name")?,
        description: text_of(&members, "description"),
        strict: is_true(&members, "strict") && parameters.as_ref().is_some_and(strict_at_openai),
        parameters,
        at: path.place(),
    })
}

/// True when nothing is said.
fn is_blank(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.is_empty())
}
