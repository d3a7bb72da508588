//! Targets that speak the client's dialect get the client's bytes but for what must change.

use fairlead_dialect::{Dialect, Vendor, Wire};
use proptest::prelude::*;

use crate::{request, wire};

const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::AnthropicMessages;

fn sent(dialect: Dialect, body: &str, limit: i64) -> String {
    let turn = request(dialect, body).unwrap().turn(&wire(dialect, limit)).unwrap();
    assert!(turn.dropped_fields.is_empty());
    String::from_utf8(turn.body.to_vec()).unwrap()
}

#[test]
fn nothing_is_untranslatable_in_the_same_dialect() {
    let body = r#"{"model":"m","input":"x","previous_response_id":"resp_1","tools":[{"type":"web_search"}]}"#;
    let request = request(RESPONSES, body).unwrap();
    assert!(request.untranslatable(RESPONSES).is_empty());
    assert!(!request.untranslatable(MESSAGES).is_empty());
}

#[test]
fn a_missing_limit_is_added() {
    assert_eq!(
        sent(RESPONSES, r#"{"model":"up","input":"x"}"#, 9),
        r#"{"model":"up","input":"x","max_output_tokens":9}"#
    );
    assert_eq!(
        sent(RESPONSES, r#"{"model":"up","input":"x"}"#, 0),
        r#"{"model":"up","input":"x"}"#
    );
}

#[test]
fn a_warm_prompt_cache_stays_without_an_answer() {
    let body = r#"{"model":"up","max_tokens":0,"messages":[]}"#;
    assert_eq!(sent(MESSAGES, body, 500), body);
}

#[test]
fn the_budget_of_thinking_stays_below_the_limit() {
    let body = |limit: i64, budget: &str| {
        format!(
            r#"{{"model":"up","max_tokens":{limit},"thinking":{{"type":"enabled", "budget_tokens":{budget}}},"messages":[]}}"#
        )
    };
    let full = body(16_000, "10000");
    assert_eq!(sent(MESSAGES, &full, 12_000), body(12_000, "10000"));
    assert_eq!(sent(MESSAGES, &full, 10_000), body(10_000, "9999"));
    assert_eq!(sent(MESSAGES, &full, 1_025), body(1_025, "1024"));
    let off = r#"{"model":"up","max_tokens":1024,"thinking":{"type":"disabled"},"messages":[]}"#;
    assert_eq!(sent(MESSAGES, &full, 1_024), off);
    // Interleaved thinking: the client itself set it above the limit.
    assert_eq!(sent(MESSAGES, &body(4_000, "10000"), 3_000), body(3_000, "10000"));
}

/// The thinking of a translated answer comes back without a signature, and Anthropic would refuse the whole request.
#[test]
fn anthropic_does_not_get_thinking_that_it_has_not_signed() {
    let said = |content: &str| {
        format!(
            r#"{{"model":"up","max_tokens":9, "messages":[{{"role":"user","content":"a"}},{content}{{"role":"user","content":"b"}}]}}"#
        )
    };
    let unsigned = r#"{"type":"thinking","thinking":"hm","signature":""}"#;
    let signed = r#"{"type":"thinking", "thinking":"hm","signature":"c2ln"}"#;
    let call = r#"{"type":"tool_use","id":"t","name":"f","input":{"type":"thinking","n":1.0}}"#;
    let turn = |blocks: &[&str]| format!(r#"{{"role":"assistant","content":[{}], "x":1.0}},"#, blocks.join(","));
    for (given, expected) in [
        (turn(&[unsigned, call]), turn(&[call])),
        (
            turn(&[signed, r#"{"type":"thinking","thinking":"hm"}"#, call]),
            turn(&[signed, call]),
        ),
        (turn(&[unsigned]), String::new()),
        (turn(&[signed, call]), turn(&[signed, call])),
    ] {
        let request = request(MESSAGES, &said(&given)).unwrap();
        let sent = |vendor: Vendor| {
            let wire = Wire {
                vendor,
                ..wire(MESSAGES, 9)
            };
            String::from_utf8(request.turn(&wire).unwrap().body.to_vec()).unwrap()
        };
        assert_eq!(sent(Vendor::Anthropic), said(&expected));
        assert_eq!(
            sent(Vendor::OpenAiCompatible),
            said(&given),
            "who signs nothing gets all"
        );
    }
}

#[test]
fn the_stream_can_be_switched() {
    let request = request(MESSAGES, r#"{"model":"m","max_tokens":1,"messages":[],"stream":true}"#).unwrap();
    let whole = request.with_stream(false);
    assert!(!whole.facts().stream);
    assert_eq!(
        &whole.body()[..],
        br#"{"model":"m","max_tokens":1,"messages":[],"stream":false}"#
    );
}

#[test]
fn options_of_a_stream_go_with_it() {
    let body = r#"{"model":"m","input":"x","stream":true,"stream_options":{"include_obfuscation":false}}"#;
    let whole = request(RESPONSES, body).unwrap().with_stream(false);
    assert_eq!(
        &whole.body()[..],
        br#"{"model":"m","input":"x","stream":false,"stream_options":null}"#
    );
}

proptest! {
    /// Fields that Fairlead does not know reach the provider with their exact text, whatever their place.
    #[test]
    fn unknown_fields_keep_their_text(
        messages in any::<bool>(), before in "[ \n\t]{0,3}", spaced in "[ \t]{0,2}", first in any::<bool>(),
        raw in prop::sample::select(vec!["1.00", "1e5", "1e999", "\"\\u0041\"", "[ 1,2 ]", "{\"a\" :null}", "null", "-0"]),
    ) {
        let (dialect, known) = if messages {
            (MESSAGES, r#""model":"m","messages":[{"role":"user","content":"a","x":1.0}],"max_tokens":5"#)
        } else {
            (RESPONSES, r#""model":"m","input":[{"role":"user","content":"a","x":1.0}],"max_output_tokens":5"#)
        };
        let unknown = format!("{before}\"x\"{spaced}:{spaced}{raw}");
        let body = if first { format!("{{{unknown},{known}}}") } else { format!("{{{known},{unknown}}}") };
        let expected = body.replace(r#""model":"m""#, r#""model":"up""#).replace("tokens\":5", "tokens\":4");
        prop_assert_eq!(sent(dialect, &body, 4), expected);
    }
}
