//! A request: the facts a decision needs, and the rewrite for a target.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::content;
use crate::Vendor;
use crate::json::{Edits, Members, ObjectError, deeper_than, quoted, range_in};
use crate::{InvalidRequest, Rewrite};

/// Deepest nesting of a body.
const DEPTH: usize = 128;
/// Most answers (`n`) of one request.
const CHOICES: i64 = 128;

/// A checked request. The body is kept as it came.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    body: Bytes,
    /// The model as requested; may be empty.
    pub model: String,
    /// True when the answer is a stream.
    pub stream: bool,
    /// Most output tokens of one choice, when the client limited it.
    pub max_output_tokens: Option<i64>,
    /// Number of answers (`n`), at least 1.
    pub choices: i64,
    /// Size of what the model reads, an upper bound of its tokens. Text counts its JSON bytes; see `content` for
    /// images and audio.
    pub input_bytes: i64,
    /// What a model must be able to do: `tools`, `json`, `vision`.
    pub capabilities: Vec<String>,
    /// True when the client asked for usage in the stream.
    pub(super) usage_asked: bool,
}

impl ChatRequest {
    /// Checks a body and collects its facts.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the field.
    pub fn parse(body: Bytes) -> Result<Self, InvalidRequest> {
        if deeper_than(&body, DEPTH) {
            return Err(InvalidRequest::new("", format!("is nested deeper than {DEPTH} levels")));
        }
        let members = Members::parse(&body).map_err(|error| object_error("", &error))?;
        let model = match members.get_or_null("model") {
            None => return Err(InvalidRequest::new("model", "is required")),
            Some(value) => serde_json::from_str::<String>(value.get())
                .map_err(|_other| InvalidRequest::new("model", "must be a string"))?,
        };
        if model.len() > 256 || model.chars().any(char::is_control) {
            return Err(InvalidRequest::new(
                "model",
                "must be at most 256 characters without control characters",
            ));
        }
        let messages = members
            .get_or_null("messages")
            .ok_or_else(|| InvalidRequest::new("messages", "is required"))?;
        let facts = content::read(messages, &members)?;
        let stream = boolean(&members, "stream")?.unwrap_or(false);
        let usage_asked = match members.get("stream_options") {
            None => false,
            Some(options) => {
                let options =
                    Members::parse(options.get().as_bytes()).map_err(|error| object_error("stream_options", &error))?;
                boolean(&options, "include_usage")
                    .map_err(|_other| InvalidRequest::new("stream_options.include_usage", "must be a boolean"))?
                    .unwrap_or(false)
            }
        };
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
        drop(members);
        Ok(Self {
            body,
            model,
            stream,
            max_output_tokens,
            choices,
            input_bytes: facts.input_bytes,
            capabilities: facts.capabilities,
            usage_asked,
        })
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The same request as a stream, or as a whole answer; the field is written where it differs.
    #[must_use]
    pub fn with_stream(self, stream: bool) -> Self {
        if self.stream == stream {
            return self;
        }
        let mut edits = Edits::default();
        if let Ok(members) = Members::parse(&self.body) {
            Writer {
                text: &self.body,
                members: &members,
                edits: &mut edits,
            }
            .set("stream", stream.to_string());
        }
        let body = edits.apply(&self.body);
        Self { body, stream, ..self }
    }

    /// The body for a target. Only `model`, the output limit and, for streams, `stream_options.include_usage` change,
    /// and only where they differ.
    pub(super) fn rewritten(&self, rewrite: &Rewrite<'_>) -> Bytes {
        let mut edits = Edits::default();
        // The body was parsed before, so this does not fail.
        if let Ok(members) = Members::parse(&self.body) {
            let mut writer = Writer {
                text: &self.body,
                members: &members,
                edits: &mut edits,
            };
            if self.model != rewrite.upstream_model {
                writer.set("model", quoted(rewrite.upstream_model));
            }
            if rewrite.max_output_tokens > 0 {
                write_limit(&mut writer, rewrite);
            }
            if self.stream && !self.usage_asked {
                write_usage(&mut writer);
            }
        }
        edits.apply(&self.body)
    }
}

/// Sets the limit where the client set it, else where the provider's kind expects it.
fn write_limit(writer: &mut Writer<'_>, rewrite: &Rewrite<'_>) {
    let value = rewrite.max_output_tokens.to_string();
    let mut written = false;
    for field in ["max_completion_tokens", "max_tokens"] {
        if let Some(present) = writer.members.get(field) {
            written = true;
            if present.get() != value {
                writer.set(field, value.clone());
            }
        }
    }
    if !written {
        let field = match rewrite.kind {
            Vendor::OpenAi | Vendor::AzureOpenAi => "max_completion_tokens",
            Vendor::Anthropic | Vendor::Ollama | Vendor::OpenAiCompatible => "max_tokens",
        };
        writer.set(field, value);
    }
}

/// Asks for usage at the end of the stream, keeping other stream options.
fn write_usage(writer: &mut Writer<'_>) {
    let Some(options) = writer.members.get("stream_options") else {
        writer.set("stream_options", r#"{"include_usage":true}"#.to_owned());
        return;
    };
    let text = Bytes::copy_from_slice(options.get().as_bytes());
    let mut edits = Edits::default();
    if let Ok(members) = Members::parse(&text) {
        Writer {
            text: &text,
            members: &members,
            edits: &mut edits,
        }
        .set("include_usage", "true".to_owned());
    }
    let merged = String::from_utf8_lossy(&edits.apply(&text)).into_owned();
    writer.set("stream_options", merged);
}

/// Writes members of an object in place, or before its closing brace.
struct Writer<'a> {
    text: &'a [u8],
    members: &'a Members<'a>,
    edits: &'a mut Edits,
}

impl Writer<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let Some(present) = self.members.get_or_null(key) {
            self.edits.replace(range_in(self.text, present), value);
            return;
        }
        let Some(close) = self.text.iter().rposition(|byte| *byte == b'}') else {
            return;
        };
        let comma = if self.members.is_empty() { "" } else { "," };
        self.edits
            .replace(close..close, format!("{comma}{}:{value}", quoted(key)));
    }
}

fn object_error(field: &str, error: &ObjectError) -> InvalidRequest {
    match error {
        ObjectError::NotJson { line, column } => {
            InvalidRequest::new(field, format!("is not valid JSON (line {line}, column {column})"))
        }
        ObjectError::NotAnObject => InvalidRequest::new(field, "must be a JSON object"),
        ObjectError::DuplicateKey(key) => {
            let key: String = key.chars().filter(|one| !one.is_control()).take(64).collect();
            let path = if field.is_empty() {
                key
            } else {
                format!("{field}.{key}")
            };
            InvalidRequest::new(path, "is given twice")
        }
    }
}

fn boolean(members: &Members<'_>, field: &str) -> Result<Option<bool>, InvalidRequest> {
    match members.get(field).map(RawValue::get) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(InvalidRequest::new(field, "must be a boolean")),
    }
}

fn positive(members: &Members<'_>, field: &str) -> Result<Option<i64>, InvalidRequest> {
    let Some(value) = members.get(field) else {
        return Ok(None);
    };
    match value.get().parse::<i64>() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(InvalidRequest::new(field, "must be a positive integer")),
    }
}

#[cfg(test)]
mod tests;
