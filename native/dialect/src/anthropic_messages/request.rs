//! A request: the facts a decision needs, and the rewrite for a target.

pub(crate) mod read;
mod unsigned;
pub(crate) mod write;

use bytes::Bytes;

use crate::fields::{self, Writer, boolean};
use crate::json::{Members, quoted};
use crate::provider_tools::ProviderTools;
use crate::reader::{is_off, text_of};
use crate::request::Facts;
use crate::{InvalidRequest, Vendor, Wire, size};

/// Fields next to the messages that a model reads.
const FURTHER: [&str; 5] = ["system", "tools", "tool_choice", "output_config", "output_format"];
/// Least budget of thinking that Anthropic accepts.
const LEAST_BUDGET: i64 = 1_024;

/// Checks a body and collects its facts.
pub(crate) fn parse(body: &[u8]) -> Result<Facts, InvalidRequest> {
    let members = fields::members(body)?;
    let model = fields::model(&members)?;
    let messages = members
        .get("messages")
        .ok_or_else(|| InvalidRequest::new("messages", "is required"))?;
    let limit = members
        .get("max_tokens")
        .ok_or_else(|| InvalidRequest::new("max_tokens", "is required"))?;
    // 0 warms the prompt cache without an answer.
    let limit = match limit.get().parse::<i64>() {
        Ok(number) if number >= 0 => number,
        _ => return Err(InvalidRequest::new("max_tokens", "must be an integer of at least 0")),
    };
    let mut counted = size::Counted::default();
    counted.list(messages, "messages", &["content"])?;
    for field in FURTHER {
        counted.add(members.get(field).map_or(0, |value| value.get().len()));
    }
    let stream = boolean(&members, "stream")?.unwrap_or(false);
    if let Some(thinking) = fields::object(&members, "thinking")? {
        fields::positive(&thinking, "budget_tokens")
            .map_err(|_other| InvalidRequest::new("thinking.budget_tokens", "must be a positive integer"))?;
    }
    let format = match fields::object(&members, "output_config")? {
        Some(config) => config.get("format"),
        None => None,
    };
    let user = match fields::object(&members, "metadata")? {
        Some(metadata) => fields::text(&metadata, "user_id")
            .map_err(|_other| InvalidRequest::new("metadata.user_id", "must be a string"))?,
        None => None,
    };
    let has_tools = members.get("tools").is_some_and(|tools| !is_off(tools));
    let mut provider_tools = ProviderTools::of(&members)?;
    provider_tools.field(&members, "mcp_servers", "mcp")?;
    let wants_json = format.is_some() || members.get("output_format").is_some();
    Ok(Facts {
        model,
        stream,
        max_output_tokens: Some(limit),
        choices: 1,
        input_bytes: counted.bytes(),
        stored_input: !provider_tools.is_empty(),
        capabilities: size::capabilities(wants_json, has_tools, counted.vision(), &provider_tools),
        user,
    })
}

/// The body for a target. Only `model` and the output limit change, and only where they differ; with the limit the
/// budget of thinking, which has to stay below it. Anthropic itself does not get thinking that it has not signed; others
/// that speak its dialect may not sign at all.
pub(crate) fn rewritten(body: &Bytes, facts: &Facts, wire: &Wire<'_>) -> Bytes {
    // The body was parsed before, so this does not fail.
    let Some(mut writer) = Writer::new(body) else {
        return body.clone();
    };
    if facts.model != wire.upstream_model {
        writer.set("model", quoted(wire.upstream_model));
    }
    if wire.vendor == Vendor::Anthropic
        && let Some(messages) = writer.get("messages").and_then(unsigned::without)
    {
        writer.set("messages", messages);
    }
    let before = facts.max_output_tokens.unwrap_or(0);
    let limit = wire.max_output_tokens;
    if limit > 0 && before > 0 && limit != before {
        writer.set("max_tokens", limit.to_string());
        if let Some(thinking) = writer
            .get("thinking")
            .and_then(|value| budget(value.get(), before, limit))
        {
            writer.set("thinking", thinking);
        }
    }
    writer.finish(body)
}

/// What `thinking` becomes when the limit sinks below its budget: the largest budget that fits; turned off when the
/// least one does not. A budget that was above the client's own limit (interleaved thinking) is left alone.
fn budget(thinking: &str, before: i64, limit: i64) -> Option<String> {
    let members = Members::parse(thinking.as_bytes()).ok()?;
    if text_of(&members, "type").as_deref() != Some("enabled") {
        return None;
    }
    let budget: i64 = members.get("budget_tokens")?.get().parse().ok()?;
    if budget < limit || budget >= before {
        return None;
    }
    if limit <= LEAST_BUDGET {
        return Some(r#"{"type":"disabled"}"#.to_owned());
    }
    let text = Bytes::copy_from_slice(thinking.as_bytes());
    let mut writer = Writer::new(&text)?;
    writer.set("budget_tokens", limit.saturating_sub(1).to_string());
    Some(String::from_utf8_lossy(&writer.finish(&text)).into_owned())
}
