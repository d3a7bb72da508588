//! What a translation keeps is bounded, and what breaks never looks like an end.

use super::*;

fn call(index: usize, arguments: &str) -> SseEvent {
    let data = format!(
        r#"{{"id":"x","choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{index},"id":"c{index}","function":{{"name":"f","arguments":"{arguments}"}}}}]}}}}]}}"#
    );
    SseEvent::from_data(data.as_bytes())
}

fn others(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

fn told(from: Dialect, to: Dialect, data: &[&str]) -> Told {
    let events: Vec<SseEvent> = data.iter().map(|data| SseEvent::from_data(data.as_bytes())).collect();
    translate(from, to, [bytes(&events).as_slice()])
}

#[test]
fn calls_that_wait_for_their_turn_are_kept_up_to_a_bound() {
    let mut translation = Translation::new(Dialect::OpenAiChat, Dialect::AnthropicMessages, manner());
    translation.read(call(0, ""));
    translation.read(call(1, ""));
    let piece = call(1, &"x".repeat(1 << 20));
    let facts: Vec<EventFacts> = (0..9).map(|_| translation.read(piece.clone()).0).collect();
    assert_eq!(facts[7], EventFacts::Content);
    assert_eq!(facts[8], EventFacts::Garbled);
}

#[test]
fn too_many_blocks_are_refused() {
    for to in others(Dialect::OpenAiChat) {
        let mut translation = Translation::new(Dialect::OpenAiChat, to, manner());
        assert!((0..5000).any(|index| translation.read(call(index, "")).0 == EventFacts::Garbled));
    }
}

#[test]
fn texts_that_change_their_kind_without_end_are_refused() {
    let piece = |member: &str| {
        let data = format!(r#"{{"id":"x","choices":[{{"index":0,"delta":{{"{member}":"a"}}}}]}}"#);
        SseEvent::from_data(data.as_bytes())
    };
    for to in others(Dialect::OpenAiChat) {
        let mut translation = Translation::new(Dialect::OpenAiChat, to, manner());
        let (one, other) = (piece("content"), piece("reasoning"));
        let mut read = |event: &SseEvent| translation.read(event.clone()).0 == EventFacts::Garbled;
        assert!((0..2049).any(|_| read(&one) || read(&other)));
    }
}

#[test]
fn a_response_that_grows_without_end_is_refused() {
    let mut translation = Translation::new(Dialect::OpenAiChat, Dialect::OpenAiResponses, manner());
    let piece = call(0, &"x".repeat(4 << 20));
    assert!((0..17).any(|_| translation.read(piece.clone()).0 == EventFacts::Garbled));
}

#[test]
fn a_stream_without_its_end_gets_none() {
    let chat = [r#"{"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}"#];
    let responses = [
        r#"{"type":"response.created","response":{"id":"x"}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"a"}"#,
        r#"{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"a"}"#,
    ];
    let messages = [
        r#"{"type":"message_start","message":{"id":"x"}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}"#,
    ];
    for (from, cut) in [
        (Dialect::OpenAiChat, &chat[..]),
        (Dialect::OpenAiResponses, &responses[..]),
        (Dialect::AnthropicMessages, &messages[..]),
    ] {
        for to in others(from) {
            let told = told(from, to, cut);
            assert!(!told.complete, "{from} to {to}");
            assert!(!told.facts.contains(&EventFacts::Done));
            let text = String::from_utf8(bytes(&told.events)).unwrap();
            for end in ["[DONE]", "message_stop", "response.completed"] {
                assert!(!text.contains(end), "{from} to {to}: {text}");
            }
        }
    }
}

#[test]
fn an_error_inside_a_stream_is_told_in_the_clients_dialect() {
    for (from, error) in [
        (
            Dialect::OpenAiChat,
            r#"{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#,
        ),
        (
            Dialect::OpenAiResponses,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}}"#,
        ),
        (
            Dialect::AnthropicMessages,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#,
        ),
    ] {
        for to in others(from) {
            let told = told(from, to, &[error]);
            let [EventFacts::Fault(fault)] = told.facts.as_slice() else {
                panic!("{from} to {to}");
            };
            assert_eq!(fault.kind, crate::FaultKind::RateLimited);
            let text = String::from_utf8(bytes(&told.events)).unwrap();
            assert!(text.contains("slow down") && text.contains("rate_limit"), "{text}");
        }
    }
}

#[test]
fn nothing_is_content_before_the_first_word() {
    let framing = [
        r#"{"type":"message_start","message":{"id":"x","usage":{"input_tokens":1}}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    ];
    for to in others(Dialect::AnthropicMessages) {
        let told = told(Dialect::AnthropicMessages, to, &framing);
        assert!(
            told.facts.iter().all(|facts| *facts == EventFacts::Prelude),
            "{:?}",
            told.facts
        );
    }
}

#[test]
fn arguments_that_are_no_object_cannot_be_told_to_anthropic() {
    let body = br#"{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\":"}}]},"finish_reason":"tool_calls"}]}"#;
    let told = |to| whole(Dialect::OpenAiChat, to, body, &manner());
    assert_eq!(told(Dialect::AnthropicMessages), WholeFacts::Garbled);
    assert!(matches!(
        told(Dialect::OpenAiResponses),
        WholeFacts::Answer { body: Some(_), .. }
    ));
}

#[test]
fn calls_without_ids_get_different_ones() {
    let body = br#"{"id":"gen-1","choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},
        {"function":{"name":"g","arguments":{"a":1}}}]},"finish_reason":"stop"}]}"#;
    let answer = read_answer(Dialect::OpenAiChat, body).map_err(|_| "garbled").unwrap();
    assert_eq!(answer.finish, crate::neutral::Finish::ToolCalls);
    let call = |id: &str, name: &str, arguments: &str| crate::neutral::Block::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(
        answer.blocks,
        [call("call_gen1_0", "f", "{}"), call("call_gen1_1", "g", r#"{"a":1}"#)]
    );
}
