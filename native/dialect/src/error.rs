//! Error objects: what providers report, and the same in the client's dialect.
//!
//! | shape | who |
//! |---|---|
//! | `{"error": {"message", "type", "code", "param"}}` | OpenAI and most others; Gemini with `status`, also in a list |
//! | `{"type": "error", "error": {"type", "message"}}` | Anthropic |
//! | `{"error": "text"}` | Ollama |
//! | `{"detail": "text"}`, `{"detail": [{"loc", "msg"}]}` | FastAPI (vLLM and others) |
//! | `{"object": "error", "message", "type", "code"}` | vLLM, Mistral |

use bytes::Bytes;
use serde_json::{Value, json};

use crate::sse::SseEvent;
use crate::{Dialect, FaultKind, ProviderFault};

/// Most characters of a message that are passed on.
const MESSAGE_CHARS: usize = 4096;

/// An error in common words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorObject {
    /// Its type, such as `invalid_request_error`.
    kind: String,
    code: String,
    message: String,
    param: Option<String>,
}

impl ErrorObject {
    /// Reads the body of an error status; empty when it is of no known shape.
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let body = body.get(0).unwrap_or(&body);
        match (body.get("error"), body.get("detail")) {
            (Some(error), _) if !error.is_null() => Self::of(error),
            (_, Some(detail)) => Self {
                message: detail_text(detail),
                ..Self::default()
            },
            _ => Self::of(body),
        }
    }

    /// Reads the value of `error`: an object or a text.
    pub(crate) fn of(error: &Value) -> Self {
        let text = |field: &str| match error.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let message = match (error, error.get("message")) {
            (Value::String(message), _) => message.clone(),
            (_, Some(message @ (Value::Object(_) | Value::Array(_)))) => {
                detail_text(message.get("detail").unwrap_or(message))
            }
            _ => text("message"),
        };
        let kind = [text("type"), text("status")]
            .into_iter()
            .find(|kind| !kind.is_empty())
            .unwrap_or_default();
        Self {
            kind,
            code: text("code"),
            message,
            param: Some(text("param")).filter(|param| !param.is_empty()),
        }
    }

    /// What kind of error it is, with the status that it came with.
    pub(crate) fn fault_of(&self, status: u16) -> ProviderFault {
        let mut fault = self.fault();
        // Payment required.
        if status == 402 && fault.kind == FaultKind::Other {
            fault.kind = FaultKind::QuotaExhausted;
        }
        fault
    }

    /// What kind of error it is. The message is looked at, but never kept.
    pub(crate) fn fault(&self) -> ProviderFault {
        let names = format!("{} {}", self.code, self.kind).to_ascii_lowercase();
        let message = self.message.to_ascii_lowercase();
        let named = |words: &[&str]| words.iter().any(|word| names.contains(word));
        let kind = if named(&["insufficient_quota", "billing", "insufficient_balance"])
            || message.contains("credit balance is too low")
            || message.contains("insufficient balance")
        {
            FaultKind::QuotaExhausted
        } else if named(&["overload", "capacity", "unavailable"]) || message.contains("overloaded") {
            FaultKind::Overloaded
        } else if named(&["rate_limit", "too_many_requests", "resource_exhausted"]) || self.code == "429" {
            FaultKind::RateLimited
        } else {
            FaultKind::Other
        };
        let code = [&self.code, &self.kind]
            .into_iter()
            .find(|name| is_identifier(name))
            .cloned()
            .unwrap_or_default();
        ProviderFault { kind, code }
    }

    /// The same error as a body of the dialect.
    pub(crate) fn write(&self, dialect: Dialect, status: u16) -> Bytes {
        let message: String = if self.message.trim().is_empty() {
            format!("the provider refused the request with status {status} and did not say why")
        } else {
            self.message.chars().take(MESSAGE_CHARS).collect()
        };
        let kind = kind_of(dialect, status);
        let body = match dialect {
            Dialect::AnthropicMessages => json!({"type": "error", "error": {"type": kind, "message": message}}),
            Dialect::OpenAiChat | Dialect::OpenAiResponses => json!({"error": {
                "message": message,
                "type": kind,
                "param": self.param,
                "code": self.code_for_openai(status),
            }}),
        };
        Bytes::from(body.to_string())
    }

    /// The same error as an event of a stream.
    pub(crate) fn event(&self, dialect: Dialect, sequence: i64) -> SseEvent {
        let fault = self.fault();
        let code = match fault.kind {
            FaultKind::RateLimited => "rate_limit_exceeded",
            FaultKind::QuotaExhausted => "insufficient_quota",
            FaultKind::Overloaded => "server_overloaded",
            FaultKind::Other if fault.code.is_empty() => "upstream_error",
            FaultKind::Other => &fault.code,
        };
        let message = if self.message.is_empty() {
            "the provider reports an error and does not say which"
        } else {
            &self.message
        };
        event(dialect, code, message, sequence)
    }

    /// The code that clients of OpenAI branch on.
    fn code_for_openai(&self, status: u16) -> Option<String> {
        let message = self.message.to_ascii_lowercase();
        if message.contains("prompt is too long") || message.contains("context length") {
            return Some("context_length_exceeded".to_owned());
        }
        match status {
            401 => return Some("invalid_api_key".to_owned()),
            429 => return Some("rate_limit_exceeded".to_owned()),
            _ => {}
        }
        [&self.code, &self.kind]
            .into_iter()
            .find(|name| is_identifier(name) && name.parse::<i64>().is_err())
            .cloned()
    }
}

/// The type that fits to a status.
fn kind_of(dialect: Dialect, status: u16) -> &'static str {
    let anthropic = dialect == Dialect::AnthropicMessages;
    match status {
        401 => "authentication_error",
        402 if anthropic => "billing_error",
        403 => "permission_error",
        404 if anthropic => "not_found_error",
        413 if anthropic => "request_too_large",
        429 => "rate_limit_error",
        504 if anthropic => "timeout_error",
        503 | 529 if anthropic => "overloaded_error",
        500.. if anthropic => "api_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// FastAPI's `detail`: a text, or a list of what is wrong where.
fn detail_text(detail: &Value) -> String {
    match detail {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let texts = list.iter().filter_map(|one| {
                let message = one.get("msg")?.as_str()?;
                let path: Vec<String> = one
                    .get("loc")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter(|step| *step != "body")
                    .map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
                    .collect();
                Some(format!("{}: {message}", path.join(".")))
            });
            texts.take(16).collect::<Vec<_>>().join("; ")
        }
        Value::Object(_) => ErrorObject::of(detail).message,
        _ => String::new(),
    }
}

fn is_identifier(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// The event that ends a broken stream, never a clean end. `sequence` is the number that it gets in a Responses stream.
pub(crate) fn event(dialect: Dialect, code: &str, message: &str, sequence: i64) -> SseEvent {
    match dialect {
        Dialect::OpenAiChat => {
            let error = json!({"error": {"message": message, "type": "server_error", "param": null, "code": code}});
            SseEvent::from_data(error.to_string().as_bytes())
        }
        // The documentation has the members at the top, the service sends them inside `error`; SDKs exist for either,
        // and those of OpenAI raise an exception only for `error`.
        Dialect::OpenAiResponses => {
            let error = json!({
                "type": "error",
                "sequence_number": sequence,
                "code": code,
                "message": message,
                "param": null,
                "error": {"type": "server_error", "code": code, "message": message, "param": null},
            });
            SseEvent::named("error", error.to_string().as_bytes())
        }
        Dialect::AnthropicMessages => {
            let kind = match code {
                "rate_limit_exceeded" => "rate_limit_error",
                "insufficient_quota" => "billing_error",
                "server_overloaded" => "overloaded_error",
                _ if code.contains("timeout") => "timeout_error",
                _ => "api_error",
            };
            let error = json!({"type": "error", "error": {"type": kind, "message": message, "code": code}});
            SseEvent::named("error", error.to_string().as_bytes())
        }
    }
}

#[cfg(test)]
mod tests;
