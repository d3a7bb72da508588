//! Arguments of tool calls stay JSON.

use bytes::Bytes;
use fairlead_dialect::Dialect;
use fairlead_screen::{Action, Screened};
use fairlead_wire::internal::Effect;

use crate::support::{detecting, event, finding, screen, stream};

fn anthropic(input: &str) -> Bytes {
    format!(r#"{{"content":[{{"type":"tool_use","id":"t","name":"f","input":{input}}}]}}"#).into()
}

fn chat_piece(arguments: &str) -> String {
    let arguments = serde_json::to_string(arguments).unwrap();
    format!(
        r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"function":{{"arguments":{arguments}}}}}]}}}}]}}"#
    )
}

#[test]
fn only_string_values_change() {
    let screen = screen(Effect::Redact, &detecting(&["email", "credit-card"]));
    let input = r#"{"to" : "ann\u0040b.org","n":1.50, "list":["x","c@d.org \"q\""],"e":{}}"#;
    let expected = r#"{"to" : "[redacted:email]","n":1.50, "list":["x","[redacted:email] \"q\""],"e":{}}"#;
    let findings = vec![finding("email", 2, Action::Redacted)];
    assert_eq!(
        screen.whole(Dialect::AnthropicMessages, anthropic(input)),
        Screened::Pass {
            body: anthropic(expected),
            findings
        }
    );
}

#[test]
fn what_cannot_stay_json_is_refused() {
    let screen = screen(Effect::Redact, &detecting(&["email", "credit-card"]));
    for input in [r#"{"a@b.org": 1}"#, r#"{"card": 4111111111111111}"#] {
        let screened = screen.whole(Dialect::AnthropicMessages, anthropic(input));
        let Screened::Rejected { findings, .. } = screened else {
            panic!("{input} passed");
        };
        assert!(findings.iter().any(|finding| finding.action == Action::Rejected));
    }
}

#[test]
fn a_stream_gives_arguments_when_they_are_complete() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let mut stream = screen.stream(Dialect::OpenAiChat);
    assert_eq!(stream.event(event(&chat_piece(r#"{"to":"ann@ex"#))).events, []);
    let now = stream.event(event(&chat_piece(r#"ample.org","n":1}"#)));
    assert_eq!(
        now.events,
        [
            event(&chat_piece(r#"{"to":"[redacted:email]""#)),
            event(&chat_piece(r#","n":1}"#))
        ]
    );
    assert_eq!(now.findings, [finding("email", 1, Action::Redacted)]);
}

#[test]
fn calls_one_after_another_in_one_place_are_two() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let events = [r#"{"a":"x@y.org"}"#, r#"{"b":"z@y.org"}"#].map(|one| event(&chat_piece(one)));
    let got = stream(&screen, Dialect::OpenAiChat, events);
    assert_eq!(
        got.events,
        [r#"{"a":"[redacted:email]"}"#, r#"{"b":"[redacted:email]"}"#].map(|one| event(&chat_piece(one)))
    );
}

#[test]
fn torn_arguments_are_a_text() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let got = stream(
        &screen,
        Dialect::OpenAiChat,
        [r#"{"to":"ann@"#, "example.org"].map(|one| event(&chat_piece(one))),
    );
    assert_eq!(
        got.events,
        [r#"{"to":"[redacted:email]"#, ""].map(|one| event(&chat_piece(one)))
    );
}
