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
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
            FaultKind::Overloaded,
            "overloaded_error",
        ),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
            FaultKind::QuotaExhausted,
            "invalid_request_error",
        ),
        (
            r#"[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}]"#,
            FaultKind::RateLimited,
            "429",
        ),
        (
            r#"{"object":"error","message":"x","type":"BadRequestError","code":400}"#,
            FaultKind::Other,
            "400",
        ),
        (r#"{"detail":"Not Found"}"#, FaultKind::Other, ""),
        ("<html>", FaultKind::Other, ""),
        ("", FaultKind::Other, ""),
    ] {
        let expected = ProviderFault {
            kind,
            code: code.to_owned(),
        };
        assert_eq!(ErrorObject::read(body.as_bytes()).fault(), expected, "{body}");
    }
}

#[test]
fn payment_required_is_a_quota() {
    let fault = ErrorObject::read(br#"{"error":{"message":"pay","type":"unknown_error"}}"#).fault_of(402);
    assert_eq!(fault.kind, FaultKind::QuotaExhausted);
}

fn written(body: &str, dialect: Dialect, status: u16) -> Value {
    serde_json::from_slice(&ErrorObject::read(body.as_bytes()).write(dialect, status)).unwrap()
}

#[test]
fn a_refusal_keeps_its_message_in_every_dialect() {
    for (body, message) in [
        (
            r#"{"error":{"message":"bad image","type":"invalid_request_error","param":"messages","code":null}}"#,
            "bad image",
        ),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad image"}}"#,
            "bad image",
        ),
        (r#"{"error":"model \"x\" not found"}"#, "model \"x\" not found"),
        (r#"{"detail":"bad image"}"#, "bad image"),
        (
            r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"field required","type":"missing"}]}"#,
            "messages.0.role: field required",
        ),
        (
            r#"{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"too large"}]},"type":"invalid_request_error"}"#,
            "n: too large",
        ),
        (
            "<html>busy</html>",
            "the provider refused the request with status 400 and did not say why",
        ),
    ] {
        for dialect in Dialect::ALL {
            let error = &written(body, dialect, 400)["error"];
            assert_eq!(error["message"], message, "{body}");
            assert_eq!(error["type"], "invalid_request_error", "{body}");
        }
    }
}

#[test]
fn types_and_codes_fit_to_the_status() {
    let body = r#"{"error":"no"}"#;
    for (status, openai, anthropic) in [
        (401, "authentication_error", "authentication_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (413, "invalid_request_error", "request_too_large"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (529, "server_error", "overloaded_error"),
    ] {
        assert_eq!(written(body, Dialect::OpenAiChat, status)["error"]["type"], openai);
        let message = written(body, Dialect::AnthropicMessages, status);
        assert_eq!(message["type"], "error");
        assert_eq!(message["error"]["type"], anthropic);
    }
    let long = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
    assert_eq!(
        written(long, Dialect::OpenAiResponses, 400)["error"]["code"],
        "context_length_exceeded"
    );
    let param = r#"{"error":{"message":"x","type":"invalid_request_error","param":"tools","code":"bad_tool"}}"#;
    assert_eq!(written(param, Dialect::OpenAiResponses, 400)["error"]["param"], "tools");
    assert_eq!(
        written(param, Dialect::OpenAiResponses, 400)["error"]["code"],
        "bad_tool"
    );
}

#[test]
fn a_broken_stream_ends_with_the_error_of_its_dialect() {
    let told = |dialect| {
        let event = event(dialect, "upstream_timeout", "too late", 7);
        let name = event.name.as_deref().map(<[u8]>::to_vec);
        (name, serde_json::from_slice::<Value>(&event.data.unwrap()).unwrap())
    };
    let (name, chat) = told(Dialect::OpenAiChat);
    assert_eq!((name, &chat["error"]["code"]), (None, &json!("upstream_timeout")));
    let (name, responses) = told(Dialect::OpenAiResponses);
    assert_eq!(name.unwrap(), b"error");
    assert_eq!(
        (&responses["code"], &responses["sequence_number"]),
        (&json!("upstream_timeout"), &json!(7))
    );
    assert_eq!(responses["error"]["message"], "too late");
    let (name, anthropic) = told(Dialect::AnthropicMessages);
    assert_eq!(name.unwrap(), b"error");
    assert_eq!(
        (&anthropic["type"], &anthropic["error"]["type"]),
        (&json!("error"), &json!("timeout_error"))
    );
}
