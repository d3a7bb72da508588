//! Calls in every dialect at targets of every dialect, over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bodies;
mod support;

use bodies::*;
use fairlead_upstream::{Answer, Dialect, ProviderSettings, StreamItem, Timeouts, Vendor};
use serde_json::Value;
use support::*;

/// Providers of these dialects, in order.
fn settings(providers: &[(&ScriptedProvider, Dialect)]) -> Vec<ProviderSettings> {
    let urls: Vec<&str> = providers
        .iter()
        .map(|(provider, _)| provider.base_url.as_str())
        .collect();
    let mut settings = Rig::settings(&urls, Timeouts::default());
    for (one, (_, dialect)) in settings.iter_mut().zip(providers) {
        one.dialects = vec![*dialect];
        if *dialect == Dialect::AnthropicMessages {
            one.kind = Vendor::Anthropic;
        }
    }
    settings
}

#[tokio::test]
async fn every_pair_answers_whole_in_the_clients_dialect() {
    for client in Dialect::ALL {
        for target in Dialect::ALL {
            let mut provider = ScriptedProvider::start(vec![whole(200, "", answer(target))]).await;
            let rig = Rig::with_settings(settings(&[(&provider, target)]), client, &request(client, false));
            let (status, body) = body_of(rig.run().await);
            let pair = format!("{client} at {target}: {body}");
            assert_eq!(status, 200, "{pair}");
            let parsed: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(text_of(client, &parsed), "hello", "{pair}");
            if client == target {
                assert_eq!(body, answer(target));
            }
            let sent = provider.requests.recv().await.unwrap();
            assert!(
                sent.head.starts_with(&format!("POST /v1{} HTTP/1.1", path(target))),
                "{pair}"
            );
            let sent: Value = serde_json::from_slice(&sent.body).unwrap();
            assert_eq!(sent["model"], "up0", "{pair}");
            let usage = rig.log.attempts()[0].usage.unwrap();
            assert_eq!((usage.input, usage.output, usage.estimated), (11, 7, false), "{pair}");
        }
    }
}

#[tokio::test]
async fn every_pair_streams_in_the_clients_dialect() {
    for client in Dialect::ALL {
        for target in Dialect::ALL {
            let mut reply = vec![stream_head()];
            reply.extend(events(target).iter().map(|event| chunk(event)));
            reply.push(last_chunk());
            let provider = ScriptedProvider::start(vec![reply]).await;
            let rig = Rig::with_settings(settings(&[(&provider, target)]), client, &request(client, true));
            let (text, end) = read(rig.run().await).await;
            let closing = String::from_utf8(end.closing.unwrap().raw.to_vec()).unwrap();
            let pair = format!("{client} at {target}: {text}{closing}");
            assert_eq!(streamed_text(client, &text), "hello", "{pair}");
            assert!(is_end(client, &closing), "{pair}");
            if client == target && client != Dialect::OpenAiChat {
                assert_eq!(format!("{text}{closing}"), events(target).concat());
            }
            let usage = rig.log.attempts()[0].usage.unwrap();
            assert_eq!((usage.input, usage.output, usage.estimated), (11, 7, false), "{pair}");
            assert_eq!(rig.attempts(), ["m0 Succeeded 200"]);
        }
    }
}

/// Anthropic tells no time; the clients of the others have a field for it and read it as a date.
#[tokio::test]
async fn an_answer_whose_provider_tells_no_time_has_the_time_of_the_attempt() {
    let anthropic = Dialect::AnthropicMessages;
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    for client in [Dialect::OpenAiChat, Dialect::OpenAiResponses] {
        let mut streamed = vec![stream_head()];
        streamed.extend(events(anthropic).iter().map(|event| chunk(event)));
        streamed.push(last_chunk());
        let provider = ScriptedProvider::start(vec![whole(200, "", answer(anthropic)), streamed]).await;
        let settings = || settings(&[(&provider, anthropic)]);
        let before = now();
        let (_, body) = body_of(
            Rig::with_settings(settings(), client, &request(client, false))
                .run()
                .await,
        );
        let stream = Rig::with_settings(settings(), client, &request(client, true));
        let (text, _) = read(stream.run().await).await;
        let first: Value =
            serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
        for answer in [serde_json::from_str(&body).unwrap(), first] {
            let created = [
                &answer["created"],
                &answer["created_at"],
                &answer["response"]["created_at"],
            ]
            .into_iter()
            .find_map(Value::as_u64)
            .unwrap();
            assert!((before..=now()).contains(&created), "{client}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_conversation_with_tools_goes_on_at_other_vendors() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let openai = ScriptedProvider::start(vec![whole(500, "", "{}")]).await;
    let mut anthropic = ScriptedProvider::start(vec![whole(529, "", overloaded)]).await;
    let mut local = ScriptedProvider::start(vec![whole(200, "", answer(Dialect::OpenAiChat))]).await;
    let settings = settings(&[
        (&openai, Dialect::OpenAiChat),
        (&anthropic, Dialect::AnthropicMessages),
        (&local, Dialect::OpenAiChat),
    ]);
    let rig = Rig::with_settings(settings, Dialect::OpenAiChat, TOOLS).once();
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.attempts(), ["m0 Failed 500", "m1 Failed 529", "m2 Succeeded 200"]);
    let sent: Value = serde_json::from_slice(&anthropic.requests.recv().await.unwrap().body).unwrap();
    let (call, result) = (&sent["messages"][1]["content"], &sent["messages"][2]["content"]);
    let call = call
        .as_array()
        .unwrap()
        .iter()
        .find(|block| block["type"] == "tool_use")
        .unwrap();
    assert_eq!(
        (&call["id"], &call["input"]["city"]),
        (&"call_1".into(), &"Oslo".into())
    );
    assert_eq!(
        (&result[0]["type"], &result[0]["tool_use_id"]),
        (&"tool_result".into(), &"call_1".into())
    );
    let sent: Value = serde_json::from_slice(&local.requests.recv().await.unwrap().body).unwrap();
    assert_eq!(sent["messages"][2]["tool_call_id"], "call_1");
}

#[tokio::test]
async fn a_stream_falls_back_to_another_dialect_without_a_trace() {
    let begun: Reply = vec![stream_head(), chunk(&role())];
    let first = ScriptedProvider::start(vec![begun]).await;
    let mut reply = vec![stream_head()];
    reply.extend(events(Dialect::AnthropicMessages).iter().map(|event| chunk(event)));
    reply.push(last_chunk());
    let second = ScriptedProvider::start(vec![reply]).await;
    let settings = settings(&[(&first, Dialect::OpenAiChat), (&second, Dialect::AnthropicMessages)]);
    let rig = Rig::with_settings(settings, Dialect::OpenAiChat, &request(Dialect::OpenAiChat, true)).once();
    let (text, end) = read(rig.run().await).await;
    assert_eq!(streamed_text(Dialect::OpenAiChat, &text), "hello");
    assert_eq!(text.matches("\"assistant\"").count(), 1, "{text}");
    assert_eq!(end.closing.unwrap().raw, DONE);
    assert_eq!(rig.attempts(), ["m0 Cut 200", "m1 Succeeded 200"]);
}

#[tokio::test]
async fn a_broken_stream_ends_with_the_clients_error_event() {
    for client in Dialect::ALL {
        for target in Dialect::ALL {
            let part = events(target)
                .into_iter()
                .take(content_events(target))
                .collect::<String>();
            let provider = ScriptedProvider::start(vec![vec![stream_head(), chunk(&part)]]).await;
            let rig = Rig::with_settings(settings(&[(&provider, target)]), client, &request(client, true));
            let (text, end) = read(rig.run().await).await;
            let closing = end.closing.unwrap();
            let error: Value = serde_json::from_slice(&closing.data.unwrap()).unwrap();
            let pair = format!("{client} at {target}: {text}{error}");
            assert_eq!(end.code, "upstream_cut", "{pair}");
            match client {
                Dialect::OpenAiChat => assert_eq!(error["error"]["code"], "upstream_cut", "{pair}"),
                Dialect::OpenAiResponses => {
                    let passed = text.matches("\ndata: ").count() + usize::from(text.starts_with("data: "));
                    assert_eq!(error["code"], "upstream_cut", "{pair}");
                    assert_eq!(
                        error["sequence_number"], passed,
                        "the next number after all events: {pair}"
                    );
                }
                Dialect::AnthropicMessages => assert_eq!(error["type"], "error", "{pair}"),
            }
            assert_eq!(rig.attempts(), ["m0 Cut 200"]);
            // Messages tells its input at the start; what others read is estimated.
            let usage = rig.log.attempts()[0].usage.unwrap();
            assert!(usage.estimated && usage.output > 0, "{pair}");
            assert_eq!(usage.input == 11, target == Dialect::AnthropicMessages, "{pair}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_translated_and_holds_no_secret() {
    let message = format!("max_tokens is wrong for {KEY}");
    for (target, refusal) in [
        (
            Dialect::AnthropicMessages,
            format!(r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{message}"}}}}"#),
        ),
        (
            Dialect::OpenAiChat,
            format!(r#"{{"error":{{"type":"invalid_request_error","message":"{message}"}}}}"#),
        ),
    ] {
        for client in Dialect::ALL {
            let provider = ScriptedProvider::start(vec![whole(400, "", &refusal)]).await;
            let rig = Rig::with_settings(settings(&[(&provider, target)]), client, &request(client, false));
            let answer = rig.run().await;
            assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
            let (status, body) = body_of(answer);
            assert_eq!(status, 400);
            assert!(!body.contains(KEY) && body.contains("[redacted]"), "{body}");
            let error: Value = serde_json::from_str(&body).unwrap();
            let typed = error["type"] == "error";
            assert_eq!(
                typed,
                client == Dialect::AnthropicMessages,
                "{client} at {target}: {body}"
            );
            assert_eq!(error["error"]["message"], message.replace(KEY, "[redacted]"));
        }
    }
}

#[tokio::test]
async fn an_error_event_of_the_provider_holds_no_secret() {
    let fault = format!(r#"{{"type":"error","error":{{"type":"api_error","code":"{KEY}","message":"key {KEY}"}}}}"#);
    let part = events(Dialect::AnthropicMessages)
        .into_iter()
        .take(content_events(Dialect::AnthropicMessages))
        .collect::<String>();
    for client in [Dialect::AnthropicMessages, Dialect::OpenAiChat] {
        let failing = format!("{part}event: error\ndata: {fault}\n\n");
        let provider = ScriptedProvider::start(vec![vec![stream_head(), chunk(&failing), last_chunk()]]).await;
        let settings = settings(&[(&provider, Dialect::AnthropicMessages)]);
        let rig = Rig::with_settings(settings, client, &request(client, true));
        let Answer::Stream(mut stream) = rig.run().await else {
            panic!("a stream expected")
        };
        let mut all = String::new();
        while let Some(item) = stream.next().await {
            match item {
                StreamItem::Event(event) => all.push_str(std::str::from_utf8(&event.raw).unwrap()),
                StreamItem::End(end) => {
                    assert_eq!(end.code, "upstream_error");
                    all.push_str(std::str::from_utf8(&end.closing.unwrap().raw).unwrap());
                }
            }
        }
        assert!(!all.contains(KEY), "{all}");
        assert_eq!(rig.attempts(), ["m0 Failed 200"]);
        assert_eq!(rig.log.attempts()[0].detail, "an error inside the stream ([redacted])");
    }
}

#[tokio::test]
async fn what_a_target_cannot_be_told_skips_it_or_is_left_out() {
    let seeded = request(Dialect::OpenAiChat, false).replacen('{', r#"{"seed":7,"#, 1);
    let provider = ScriptedProvider::start(vec![whole(200, "", answer(Dialect::AnthropicMessages))]).await;
    let settings = settings(&[(&provider, Dialect::AnthropicMessages)]);
    let mut rig = Rig::with_settings(settings, Dialect::OpenAiChat, &seeded);
    let Answer::Exhausted(exhausted) = rig.run().await else {
        panic!("nothing can answer")
    };
    assert_eq!(exhausted.untranslatable, [("m0".to_owned(), "seed".to_owned())]);
    assert!(rig.attempts().is_empty());
    rig.call.drop_untranslatable = true;
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.log.attempts()[0].dropped_fields, ["seed"]);
}

#[tokio::test]
async fn a_client_that_speaks_the_targets_dialect_chooses_its_version_and_features() {
    let headers: http::HeaderMap = [("anthropic-beta", "feature-1"), ("anthropic-version", "2024-01-01")]
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .into_iter()
        .collect();
    for (client, version) in [
        (Dialect::AnthropicMessages, "2024-01-01"),
        (Dialect::OpenAiChat, "2023-06-01"),
    ] {
        let mut provider = ScriptedProvider::start(vec![whole(200, "", answer(Dialect::AnthropicMessages))]).await;
        let settings = settings(&[(&provider, Dialect::AnthropicMessages)]);
        let mut rig = Rig::with_settings(settings, client, &request(client, false));
        rig.call.forward_headers = headers.clone();
        assert_eq!(body_of(rig.run().await).0, 200);
        let head = provider.requests.recv().await.unwrap().head;
        assert!(head.contains(&format!("anthropic-version: {version}")), "{head}");
        assert!(head.contains(&format!("x-api-key: {KEY}")), "{head}");
        assert!(!head.contains("authorization"), "{head}");
        assert_eq!(
            head.contains("feature-1"),
            client == Dialect::AnthropicMessages,
            "{head}"
        );
    }
}
