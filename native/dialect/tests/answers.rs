//! What comes back from a target, as attempts see it: through requests and turns.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use bytes::Bytes;
use fairlead_dialect::sse::SseEvent;
use fairlead_dialect::{Dialect, EventFacts, FaultKind, Request, Turn, Vendor, WholeFacts, Wire};
use serde_json::{Value, json};

/// A request in the dialect of a client, asked of a target that speaks another one.
fn turn(client: Dialect, target: Dialect) -> Turn {
    let body = match client {
        Dialect::OpenAiChat => json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]}),
        Dialect::OpenAiResponses => {
            json!({"model": "m", "stream": true, "input": "x", "instructions": "be brief", "store": false, "temperature": 0.50})
        }
        Dialect::AnthropicMessages => {
            json!({"model": "m", "stream": true, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]})
        }
    };
    let request = Request::parse(client, Bytes::from(body.to_string())).unwrap();
    let wire = Wire {
        dialect: target,
        vendor: Vendor::OpenAiCompatible,
        upstream_model: "up",
        max_output_tokens: 9,
        drop_untranslatable: true,
    };
    request.turn(&wire).unwrap().at(1_700_000_000)
}

const ANSWERS: [(Dialect, &str); 3] = [
    (
        Dialect::OpenAiChat,
        r#"{"id":"chatcmpl-0123456789","created":5,"model":"up","new_field": [1.50],"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
    ),
    (
        Dialect::OpenAiResponses,
        r#"{"id":"resp_0123456789abcd","created_at":5,"model":"up","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":3,"output_tokens":2}}"#,
    ),
    (
        Dialect::AnthropicMessages,
        r#"{"id":"msg_0123456789abcdef","type":"message","model":"up","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#,
    ),
];

#[test]
fn a_response_that_has_not_ended_is_no_answer() {
    for status in ["queued", "in_progress", "cancelled", "failed"] {
        let answer = format!(r#"{{"id":"resp_1","status":"{status}","output":[],"usage":null}}"#);
        for client in [Dialect::OpenAiResponses, Dialect::OpenAiChat] {
            let read = turn(client, Dialect::OpenAiResponses).read_whole(answer.as_bytes());
            assert!(
                !matches!(read, WholeFacts::Answer { .. }),
                "{status} to {client}: {read:?}"
            );
        }
    }
}

#[test]
fn an_error_in_the_place_of_a_withheld_end_has_its_number() {
    let responses = Dialect::OpenAiResponses;
    let body = Bytes::from_static(br#"{"model":"m","input":"x"}"#);
    let request = Request::parse(responses, body).unwrap();
    let number = |event: Bytes| {
        let mut parser = fairlead_dialect::sse::SseParser::new(4096);
        parser.push(&event);
        let data = parser.next_event().unwrap().unwrap().data.unwrap();
        serde_json::from_slice::<Value>(&data).unwrap()["sequence_number"].clone()
    };
    let end = SseEvent::from_data(br#"{"type":"response.completed","sequence_number":7,"response":{}}"#);
    assert_eq!(
        number(request.error_event_for(Some(&end), "unavailable", "not written")),
        7
    );
    assert_eq!(number(request.error_event_for(None, "unavailable", "not written")), 0);
}

#[test]
fn an_answer_is_passed_on_in_its_own_dialect_and_translated_into_any_other() {
    for (target, answer) in ANSWERS {
        for client in Dialect::ALL {
            let WholeFacts::Answer { usage, body } = turn(client, target).read_whole(answer.as_bytes()) else {
                panic!("{target} to {client}");
            };
            let usage = usage.unwrap();
            assert_eq!((usage.input, usage.output), (3, 2));
            assert_eq!(body.is_none(), client == target);
            let Some(body) = body else { continue };
            let body: Value = serde_json::from_slice(&body).unwrap();
            let text = match client {
                Dialect::OpenAiChat => &body["choices"][0]["message"]["content"],
                Dialect::OpenAiResponses => &body["output"][0]["content"][0]["text"],
                Dialect::AnthropicMessages => &body["content"][0]["text"],
            };
            assert_eq!(
                (text, &body["model"]),
                (&json!("hi"), &json!("up")),
                "{target} to {client}"
            );
        }
    }
}

#[test]
fn an_answer_of_a_server_that_gives_no_reason_to_end_is_an_answer() {
    let body = br#"{"choices":[{"message":{"content":"hi"},"finish_reason":null}]}"#;
    let facts = turn(Dialect::AnthropicMessages, Dialect::OpenAiChat).read_whole(body);
    assert!(matches!(
        facts,
        WholeFacts::Answer {
            usage: None,
            body: Some(_)
        }
    ));
}

#[test]
fn a_response_repeats_what_was_asked_and_is_of_now() {
    let WholeFacts::Answer { body: Some(body), .. } =
        turn(Dialect::OpenAiResponses, Dialect::AnthropicMessages).read_whole(ANSWERS[2].1.as_bytes())
    else {
        panic!("an answer");
    };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["instructions"], "be brief");
    assert_eq!(body["created_at"], 1_700_000_000);
    assert_eq!(body["store"], false);
}

#[test]
fn what_is_no_answer_is_not_taken_for_one() {
    for client in Dialect::ALL {
        for target in Dialect::ALL {
            let turn = turn(client, target);
            for garbage in ["", "<html>", "[]", "null", "{}", "{\"choices\":[", "\u{0}"] {
                let facts = turn.read_whole(garbage.as_bytes());
                assert_eq!(facts, WholeFacts::Garbled, "{target} to {client}: {garbage}");
            }
            let fault = turn.read_whole(br#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#);
            assert!(matches!(fault, WholeFacts::Fault(fault) if fault.kind == FaultKind::Overloaded));
        }
    }
}

#[test]
fn events_of_the_clients_dialect_pass_byte_for_byte() {
    let event = |name: &str, data: &str| SseEvent::named(name, data.as_bytes());
    for (dialect, events) in [
        (
            Dialect::AnthropicMessages,
            vec![
                event(
                    "message_start",
                    r#"{"type":"message_start", "message":{"usage":{"input_tokens":1}}}"#,
                ),
                event("unheard_of", r#"{"type":"unheard_of","x":1.50}"#),
                event(
                    "content_block_delta",
                    r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"\u0061"}}"#,
                ),
                event(
                    "message_delta",
                    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
                ),
                event("message_stop", r#"{"type":"message_stop"}"#),
            ],
        ),
        (
            Dialect::OpenAiResponses,
            vec![
                event("response.created", r#"{"type":"response.created","response":{}}"#),
                event("response.unheard_of", r#"{"type":"response.unheard_of"}"#),
                event(
                    "response.output_text.delta",
                    r#"{"type":"response.output_text.delta","delta":"\u0061"}"#,
                ),
                event("response.completed", r#"{"type":"response.completed","response":{}}"#),
            ],
        ),
    ] {
        let mut reader = turn(dialect, dialect).event_reader();
        let told: Vec<(EventFacts, Vec<SseEvent>)> = events.iter().map(|event| reader.read(event.clone())).collect();
        let passed: Vec<SseEvent> = told.iter().flat_map(|(_, events)| events.clone()).collect();
        assert_eq!(passed, events);
        let mut facts: Vec<&EventFacts> = told.iter().map(|(facts, _)| facts).collect();
        facts.dedup();
        use EventFacts::{Content, Done, Prelude};
        assert_eq!(facts, [&Prelude, &Content, &Done]);
        assert!(reader.complete() && reader.finish().is_empty());
    }
}

#[test]
fn the_error_of_a_broken_responses_stream_has_the_next_number() {
    let mut passed = turn(Dialect::OpenAiResponses, Dialect::OpenAiResponses).event_reader();
    passed.read(SseEvent::from_data(
        br#"{"type":"response.created","response":{},"sequence_number":6}"#,
    ));
    let mut translated = turn(Dialect::OpenAiResponses, Dialect::AnthropicMessages).event_reader();
    translated.read(SseEvent::from_data(br#"{"type":"message_start","message":{"id":"x"}}"#));
    for (reader, number) in [(passed, 7), (translated, 2)] {
        let event = reader.error_event("upstream_cut", "the stream broke off");
        let data: Value = serde_json::from_slice(&event.data.unwrap()).unwrap();
        assert_eq!(
            (&data["sequence_number"], &data["code"]),
            (&json!(number), &json!("upstream_cut"))
        );
    }
}

#[test]
fn a_refusal_is_untouched_in_its_own_dialect_and_translated_into_any_other() {
    let body = Bytes::from_static(
        br#"{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"r"}"#,
    );
    let same = turn(Dialect::AnthropicMessages, Dialect::AnthropicMessages).refusal(404, body.clone());
    assert_eq!(same, body);
    let other = turn(Dialect::OpenAiChat, Dialect::AnthropicMessages).refusal(404, body.clone());
    let other: Value = serde_json::from_slice(&other).unwrap();
    assert_eq!(
        other,
        json!({"error": {"message": "model: x", "type": "invalid_request_error", "param": null, "code": "not_found_error"}})
    );
    let fault = turn(Dialect::OpenAiChat, Dialect::AnthropicMessages).read_error(404, &body);
    assert_eq!(fault.code, "not_found_error");
}

#[test]
fn chat_usage_comes_in_the_stream_only_when_it_was_asked_for() {
    for (options, asked) in [(json!(null), false), (json!({"include_usage": true}), true)] {
        let body = json!({"model": "m", "stream": true, "stream_options": options, "messages": [{"role": "user", "content": "x"}]});
        let request = Request::parse(Dialect::OpenAiChat, Bytes::from(body.to_string())).unwrap();
        let wire = Wire {
            dialect: Dialect::AnthropicMessages,
            vendor: Vendor::Anthropic,
            upstream_model: "up",
            max_output_tokens: 9,
            drop_untranslatable: true,
        };
        let mut reader = request.turn(&wire).unwrap().event_reader();
        let mut told = String::new();
        for data in [
            r#"{"type":"message_start","message":{"id":"x","usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ] {
            for event in reader.read(SseEvent::from_data(data.as_bytes())).1 {
                told.push_str(std::str::from_utf8(&event.raw).unwrap());
            }
        }
        assert_eq!(
            told.contains(r#""usage":{"prompt_tokens":3,"completion_tokens":2"#),
            asked,
            "{told}"
        );
        assert_eq!(reader.usage().unwrap().output, 2);
        assert!(told.ends_with("data: [DONE]\n\n"));
    }
}
