//! The dialect's error objects, read and written.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{FaultKind, ProviderFault};

#[derive(Deserialize)]
struct Body {
    error: Value,
}

/// Reads the body of an error status: `{"error": {"message", "type", "code"}}`, or `{"error": "text"}`.
pub(crate) fn read(body: &[u8]) -> ProviderFault {
    match serde_json::from_slice::<Body>(body) {
        Ok(body) => read_object(&body.error),
        Err(_other) => ProviderFault::unknown(),
    }
}

/// Reads the value of `error`.
pub(crate) fn read_object(error: &Value) -> ProviderFault {
    let text = |field: &str| match error.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let (code, kind) = (text("code"), text("type"));
    let message = error
        .as_str()
        .map_or_else(|| text("message"), str::to_owned)
        .to_ascii_lowercase();
    let names = format!("{code} {kind}").to_ascii_lowercase();
    let fault = if names.contains("insufficient_quota") || names.contains("billing") {
        FaultKind::QuotaExhausted
    } else if names.contains("overload") || names.contains("capacity") || message.contains("overloaded") {
        FaultKind::Overloaded
    } else if names.contains("rate_limit") || code == "429" {
        FaultKind::RateLimited
    } else {
        FaultKind::Other
    };
    let code = [code, kind]
        .into_iter()
        .find(|name| is_identifier(name))
        .unwrap_or_default();
    ProviderFault { kind: fault, code }
}

fn is_identifier(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// The data of an error event.
pub(crate) fn event(code: &str, message: &str) -> Bytes {
    let error = json!({"error": {"message": message, "type": "server_error", "param": null, "code": code}});
    Bytes::from(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        for (body, kind, code) in [
            (
                r#"{"error":{"message":"x","type":"server_error","code":null}}"#,
                FaultKind::Other,
                "server_error",
            ),
            (
                r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#,
                FaultKind::QuotaExhausted,
                "insufficient_quota",
            ),
            (
                r#"{"error":{"type":"tokens","code":"rate_limit_exceeded"}}"#,
                FaultKind::RateLimited,
                "rate_limit_exceeded",
            ),
            (
                r#"{"error":{"type":"overloaded_error"}}"#,
                FaultKind::Overloaded,
                "overloaded_error",
            ),
            (
                r#"{"error":{"message":"That model is currently overloaded"}}"#,
                FaultKind::Overloaded,
                "",
            ),
            (r#"{"error":"model overloaded"}"#, FaultKind::Overloaded, ""),
            (r#"{"error":{"code":429}}"#, FaultKind::RateLimited, "429"),
            (r#"{"error":{"code":"free text with a secret"}}"#, FaultKind::Other, ""),
            ("<html>", FaultKind::Other, ""),
        ] {
            assert_eq!(
                read(body.as_bytes()),
                ProviderFault {
                    kind,
                    code: code.to_owned()
                },
                "{body}"
            );
        }
    }
}
