//! A request: the facts a decision needs, and the rewrite for a target.

pub(crate) mod read;
pub(crate) mod write;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::content;
use crate::fields::{self, Writer, boolean, positive};
use crate::json::{Members, quoted};
use crate::request::Facts;
use crate::{InvalidRequest, Vendor, Wire};

/// Most answers (`n`) of one request.
const CHOICES: i64 = 128;

/// Checks a body and collects its facts.
pub(crate) fn parse(body: &[u8]) -> Result<Facts, InvalidRequest> {
    let members = fields::members(body)?;
    let model = fields::model(&members)?;
    let messages = members
        .get_or_null("messages")
        .ok_or_else(|| InvalidRequest::new("messages", "is required"))?;
    let content = content::read(messages, &members)?;
    let stream = boolean(&members, "stream")?.unwrap_or(false);
    asks_for_usage(&members)?;
    let limits = (
        positive(&members, "max_completion_tokens")?,
        positive(&members, "max_tokens")?,
    );
    // Should both be there, whichever the provider obeys must be enough.
    let max_output_tokens = match limits {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    };
    let choices = positive(&members, "n")?.unwrap_or(1);
    if choices > CHOICES {
        return Err(InvalidRequest::new("n", format!("must be at most {CHOICES}")));
    }
    Ok(Facts {
        model,
        stream,
        max_output_tokens,
        choices,
        input_bytes: content.input_bytes,
        stored_input: content.unbounded,
        capabilities: content.capabilities,
        user: fields::text(&members, "safety_identifier")?.or(fields::text(&members, "user")?),
    })
}

/// True when the client asks for usage in the stream.
pub(crate) fn usage_asked(body: &[u8]) -> bool {
    Members::parse(body).is_ok_and(|members| asks_for_usage(&members).unwrap_or(false))
}

fn asks_for_usage(members: &Members<'_>) -> Result<bool, InvalidRequest> {
    let Some(options) = members.get("stream_options") else {
        return Ok(false);
    };
    let options =
        Members::parse(options.get().as_bytes()).map_err(|error| InvalidRequest::object("stream_options", &error))?;
    let asked = boolean(&options, "include_usage")
        .map_err(|_other| InvalidRequest::new("stream_options.include_usage", "must be a boolean"))?;
    Ok(asked.unwrap_or(false))
}

/// The body for a target. Only `model`, the output limit, for streams `stream_options.include_usage`, and the role
/// `developer` where it is not known change, and only where they differ.
pub(crate) fn rewritten(body: &Bytes, facts: &Facts, wire: &Wire<'_>) -> Bytes {
    // The body was parsed before, so this does not fail.
    let Some(mut writer) = Writer::new(body) else {
        return body.clone();
    };
    if facts.model != wire.upstream_model {
        writer.set("model", quoted(wire.upstream_model));
    }
    if wire.max_output_tokens > 0 {
        write_limit(&mut writer, wire);
    }
    if !matches!(wire.vendor, Vendor::OpenAi | Vendor::AzureOpenAi) {
        write_roles(&mut writer);
    }
    if facts.stream && !usage_asked(body) {
        write_usage(&mut writer);
    }
    writer.finish(body)
}

/// Sets the limit where the client set it, and where the vendor expects it if that is not obeyed.
fn write_limit(writer: &mut Writer<'_>, wire: &Wire<'_>) {
    let value = wire.max_output_tokens.to_string();
    let mut written = false;
    for field in ["max_completion_tokens", "max_tokens"] {
        if let Some(present) = writer.get(field) {
            written = true;
            if present.get() != value {
                writer.set(field, value.clone());
            }
        }
    }
    // Ollama passes over the newer field, and would go on without end.
    if !written || (wire.vendor == Vendor::Ollama && writer.get("max_tokens").is_none()) {
        writer.set(limit_field(wire.vendor), value);
    }
}

/// The field of the output limit that a vendor expects.
pub(crate) fn limit_field(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenAi | Vendor::AzureOpenAi => "max_completion_tokens",
        Vendor::Anthropic | Vendor::Ollama | Vendor::OpenAiCompatible => "max_tokens",
    }
}

/// Writes the role `developer` as `system`, which means the same: the newer word is refused or passed over by who does
/// not know it.
fn write_roles(writer: &mut Writer<'_>) {
    let Some(messages) = writer.get("messages") else {
        return;
    };
    // Most requests have none, and need no second look at their messages.
    if !messages.get().contains("developer") {
        return;
    }
    let messages: Vec<&RawValue> = serde_json::from_str(messages.get()).unwrap_or_default();
    for message in messages {
        let role = Members::parse(message.get().as_bytes())
            .ok()
            .and_then(|members| members.get("role"));
        if let Some(role) = role.filter(|role| role.get() == "\"developer\"") {
            writer.replace(role, "\"system\"".to_owned());
        }
    }
}

/// Asks for usage at the end of the stream, keeping other stream options.
fn write_usage(writer: &mut Writer<'_>) {
    let Some(options) = writer.get("stream_options") else {
        writer.set("stream_options", r#"{"include_usage":true}"#.to_owned());
        return;
    };
    let text = Bytes::copy_from_slice(options.get().as_bytes());
    let merged = match Writer::new(&text) {
        Some(mut inner) => {
            inner.set("include_usage", "true".to_owned());
            inner.finish(&text)
        }
        None => return,
    };
    writer.set("stream_options", String::from_utf8_lossy(&merged).into_owned());
}

#[cfg(test)]
mod tests;
