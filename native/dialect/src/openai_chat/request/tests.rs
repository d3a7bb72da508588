#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::{Dialect, Request};

fn request(body: &str) -> Result<Request, InvalidRequest> {
    Request::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(body.as_bytes()))
}

fn parse(body: &str) -> Result<Facts, InvalidRequest> {
    request(body).map(|request| request.facts().clone())
}

fn rewritten(body: &str, limit: i64, vendor: Vendor) -> String {
    let wire = Wire {
        dialect: Dialect::OpenAiChat,
        vendor,
        upstream_model: "up",
        max_output_tokens: limit,
        drop_untranslatable: false,
    };
    let turn = request(body).unwrap().turn(&wire).unwrap();
    assert!(turn.dropped_fields.is_empty());
    String::from_utf8(turn.body.to_vec()).unwrap()
}

#[test]
fn collects_the_facts() {
    let request = parse(
        r#"{"model":"m","stream":true,"n":3,"max_tokens":77,"tools":[{}],"response_format":{"type":"json_schema"},
            "messages":[{"role":"user","content":"hi"}]}"#,
    )
    .unwrap();
    assert_eq!(request.model, "m");
    assert!(request.stream);
    assert_eq!((request.choices, request.max_output_tokens), (3, Some(77)));
    assert_eq!(request.capabilities, ["json", "tools"]);
    assert!(request.input_bytes >= 32);
}

#[test]
fn names_the_field_that_is_wrong() {
    for (body, field) in [
        ("", ""),
        ("[]", ""),
        ("{\"model\":\"m\"", ""),
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":null,"messages":[]}"#, "model"),
        (r#"{"model":7,"messages":[]}"#, "model"),
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"model":"m","messages":{}}"#, "messages"),
        (r#"{"model":"m","messages":[1]}"#, "messages[0]"),
        (r#"{"model":"m","messages":[],"stream":"yes"}"#, "stream"),
        (r#"{"model":"m","messages":[],"max_tokens":-1}"#, "max_tokens"),
        (r#"{"model":"m","messages":[],"max_tokens":0}"#, "max_tokens"),
        (
            r#"{"model":"m","messages":[],"max_completion_tokens":1e30}"#,
            "max_completion_tokens",
        ),
        (
            r#"{"model":"m","messages":[],"max_tokens":99999999999999999999}"#,
            "max_tokens",
        ),
        (r#"{"model":"m","messages":[],"n":129}"#, "n"),
        (r#"{"model":"m","messages":[],"model":"n"}"#, "model"),
        (r#"{"model":"m","messages":[],"stream_options":[]}"#, "stream_options"),
        (
            r#"{"model":"m","messages":[],"stream_options":{"include_usage":1}}"#,
            "stream_options.include_usage",
        ),
        (
            r#"{"model":"m","messages":[],"stream_options":{"a":1,"a":2}}"#,
            "stream_options.a",
        ),
    ] {
        assert_eq!(parse(body).map(|_| ()).unwrap_err().field, field, "{body}");
    }
}

#[test]
fn deep_nesting_is_refused_without_a_stack() {
    let body = format!(
        r#"{{"model":"m","messages":{}{}}}"#,
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    assert!(parse(&body).unwrap_err().message.contains("deeper"));
}

#[test]
fn the_limit_goes_where_the_client_put_it() {
    let body = r#"{"model":"m","max_tokens":100,"messages":[]}"#;
    assert_eq!(
        rewritten(body, 50, Vendor::OpenAi),
        r#"{"model":"up","max_tokens":50,"messages":[]}"#
    );
    let body = r#"{"model":"m","max_completion_tokens":100,"messages":[]}"#;
    assert_eq!(
        rewritten(body, 50, Vendor::OpenAiCompatible),
        r#"{"model":"up","max_completion_tokens":50,"messages":[]}"#
    );
    assert_eq!(
        rewritten(body, 50, Vendor::Ollama),
        r#"{"model":"up","max_completion_tokens":50,"messages":[],"max_tokens":50}"#
    );
}

#[test]
fn a_missing_limit_is_added_by_kind() {
    let body = r#"{"model":"m","messages":[]}"#;
    assert_eq!(
        rewritten(body, 9, Vendor::OpenAi),
        r#"{"model":"up","messages":[],"max_completion_tokens":9}"#
    );
    assert_eq!(
        rewritten(body, 9, Vendor::OpenAiCompatible),
        r#"{"model":"up","messages":[],"max_tokens":9}"#
    );
    let null = r#"{"model":"m","messages":[],"max_tokens":null}"#;
    assert_eq!(
        rewritten(null, 9, Vendor::Ollama),
        r#"{"model":"up","messages":[],"max_tokens":9}"#
    );
}

#[test]
fn the_developer_is_the_system_where_nobody_knows_it() {
    let body = r#"{"model":"up","messages":[{"role": "developer","content":"developer"},{"role":"user","content":"\"developer\""}]}"#;
    assert_eq!(rewritten(body, 0, Vendor::OpenAi), body);
    let system = body.replace(r#""role": "developer""#, r#""role": "system""#);
    assert_eq!(rewritten(body, 0, Vendor::Ollama), system);
}

#[test]
fn usage_is_asked_for_in_streams() {
    let body = r#"{"model":"up","stream":true,"max_tokens":9,"messages":[] }"#;
    assert_eq!(
        rewritten(body, 9, Vendor::Ollama),
        r#"{"model":"up","stream":true,"max_tokens":9,"messages":[] ,"stream_options":{"include_usage":true}}"#
    );
    let body = r#"{"model":"up","stream":true,"max_tokens":9,"messages":[],"stream_options":{"x": 1.0}}"#;
    assert_eq!(
        rewritten(body, 9, Vendor::Ollama),
        r#"{"model":"up","stream":true,"max_tokens":9,"messages":[],"stream_options":{"x": 1.0,"include_usage":true}}"#
    );
    let body = r#"{"model":"up","stream":true,"max_tokens":9,"messages":[],"stream_options":{"include_usage":false}}"#;
    assert_eq!(
        rewritten(body, 9, Vendor::Ollama),
        r#"{"model":"up","stream":true,"max_tokens":9,"messages":[],"stream_options":{"include_usage":true}}"#
    );
}

#[test]
fn a_body_that_needs_no_change_stays_the_same_bytes() {
    let body =
        "{ \"model\" : \"up\",\n\"seed\":1.0e2, \"max_tokens\":9 , \"messages\" : [{\"content\":\"\\u00e9\"}] }\n";
    assert_eq!(rewritten(body, 9, Vendor::OpenAi), body);
}

#[test]
fn the_stream_can_be_switched() {
    let request = request(r#"{"model":"m","messages":[]}"#).unwrap().with_stream(true);
    assert_eq!(&request.body()[..], br#"{"model":"m","messages":[],"stream":true}"#);
    let request = super::tests::request(r#"{"model":"m","stream":true,"messages":[]}"#)
        .unwrap()
        .with_stream(false);
    assert_eq!(&request.body()[..], br#"{"model":"m","stream":false,"messages":[]}"#);
}

proptest! {
    /// Fields that Fairlead does not know reach the provider with their exact text, whatever their place.
    #[test]
    fn unknown_fields_keep_their_text(
        before in "[ \n\t]{0,3}", spaced in "[ \t]{0,2}",
        raw in prop::sample::select(vec!["1.00", "1e5", "\"\\u0041\"", "[ 1,2 ]", "{\"a\" :null}", "true", "null", "-0"]),
        first in any::<bool>(),
    ) {
        let known = r#""model":"m","messages":[],"max_tokens":5"#;
        let unknown = format!("{before}\"x\"{spaced}:{spaced}{raw}");
        let body = if first { format!("{{{unknown},{known}}}") } else { format!("{{{known},{unknown}}}") };
        let sent = rewritten(&body, 4, Vendor::OpenAi);
        let expected = body.replace(r#""model":"m""#, r#""model":"up""#).replace(":5", ":4");
        prop_assert_eq!(sent, expected);
    }

    /// No input makes the parser panic.
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse(Dialect::OpenAiChat, Bytes::from(bytes));
    }
}
