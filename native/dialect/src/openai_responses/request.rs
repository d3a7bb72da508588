//! A request: the facts a decision needs, and the rewrite for a target.

pub(crate) mod read;
pub(crate) mod write;

use bytes::Bytes;

use crate::fields::{self, Writer, boolean, positive};
use crate::json::{Members, quoted};
use crate::provider_tools::ProviderTools;
use crate::reader::{is_off, text_of};
use crate::request::Facts;
use crate::{InvalidRequest, Wire, size};

/// Fields next to the input that a model reads.
const FURTHER: [&str; 5] = ["instructions", "tools", "text", "tool_choice", "prompt"];
/// Fields that name input which the provider has stored.
const STORED: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Checks a body and collects its facts.
pub(crate) fn parse(body: &[u8]) -> Result<Facts, InvalidRequest> {
    let members = fields::members(body)?;
    let model = fields::model(&members)?;
    let stored_input = STORED.into_iter().any(|field| members.get(field).is_some());
    let input = members.get("input");
    if input.is_none() && !stored_input {
        return Err(InvalidRequest::new("input", "is required"));
    }
    let mut counted = size::Counted::default();
    if let Some(input) = input {
        match input.get().as_bytes().first() {
            Some(b'"') => counted.add(input.get().len()),
            Some(b'[') => counted.list(input, "input", &["content", "output"])?,
            _ => return Err(InvalidRequest::new("input", "must be a string or an array of objects")),
        }
    }
    for field in FURTHER {
        counted.add(members.get(field).map_or(0, |value| value.get().len()));
    }
    let stream = boolean(&members, "stream")?.unwrap_or(false);
    if boolean(&members, "background")? == Some(true) {
        // It is made after the call has ended, so nobody would see it, check it or charge it.
        return Err(InvalidRequest::new(
            "background",
            "must not be true: answers are governed and charged when the call ends; leave it out",
        ));
    }
    for field in ["text", "reasoning", "stream_options"] {
        fields::object(&members, field)?;
    }
    let has_tools = members.get("tools").is_some_and(|tools| !is_off(tools));
    let mut provider_tools = ProviderTools::of(&members)?;
    // A stored prompt brings the tools that are stored with it.
    provider_tools.field(&members, "prompt", "prompt")?;
    let wants_json = fields::object(&members, "text")?
        .and_then(|text| text.get("format"))
        .and_then(|format| Members::parse(format.get().as_bytes()).ok())
        .and_then(|format| text_of(&format, "type"))
        .is_some_and(|kind| kind == "json_object" || kind == "json_schema");
    Ok(Facts {
        model,
        stream,
        max_output_tokens: positive(&members, "max_output_tokens")?,
        choices: 1,
        input_bytes: counted.bytes(),
        stored_input: stored_input || !provider_tools.is_empty(),
        capabilities: size::capabilities(wants_json, has_tools, counted.vision(), &provider_tools),
        user: fields::text(&members, "safety_identifier")?.or(fields::text(&members, "user")?),
    })
}

/// The body for a target. Only `model` and the output limit change, and only where they differ.
pub(crate) fn rewritten(body: &Bytes, facts: &Facts, wire: &Wire<'_>) -> Bytes {
    // The body was parsed before, so this does not fail.
    let Some(mut writer) = Writer::new(body) else {
        return body.clone();
    };
    if facts.model != wire.upstream_model {
        writer.set("model", quoted(wire.upstream_model));
    }
    if wire.max_output_tokens > 0 && facts.max_output_tokens != Some(wire.max_output_tokens) {
        writer.set("max_output_tokens", wire.max_output_tokens.to_string());
    }
    writer.finish(body)
}
