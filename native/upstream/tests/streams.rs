//! Streamed answers, over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bodies;
mod support;

use std::time::Duration;

use fairlead_upstream::{Answer, Dialect, Outcome, StreamItem, Timeouts};
use support::*;
use tokio::sync::oneshot;

const BODY: &str = r#"{"model":"m","messages":[],"max_tokens":100,"stream":true}"#;

fn good() -> Reply {
    vec![
        stream_head(),
        chunk(&role()),
        chunk(&content("he")),
        chunk(&format!("{}{}{}{DONE}", content("llo"), finish(), usage(5, 2))),
        last_chunk(),
        Step::KeepAlive,
    ]
}

#[tokio::test]
async fn events_pass_byte_for_byte_and_asked_for_usage_is_hidden() {
    let mut provider = ScriptedProvider::start(vec![good(), good()]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let (text, end) = read(rig.run().await).await;
    assert_eq!(
        text,
        format!("{}{}{}{}", role(), content("he"), content("llo"), finish())
    );
    assert_eq!(end.outcome, Outcome::Succeeded);
    assert_eq!(end.closing.unwrap().raw, DONE);
    let sent = provider.requests.recv().await.unwrap();
    assert_eq!(
        sent.text(),
        r#"{"model":"up0","messages":[],"max_tokens":100,"stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert!(sent.head.to_ascii_lowercase().contains("accept: text/event-stream"));
    let usage = rig.log.attempts()[0].usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.estimated), (5, 2, false));

    let asked = BODY.replace("true}", r#"true,"stream_options":{"include_usage":true}}"#);
    let rig = Rig::new(&[&provider.base_url], &asked);
    let (text, _) = read(rig.run().await).await;
    assert!(text.ends_with(&support::usage(5, 2)));
}

#[tokio::test]
async fn a_finished_stream_leaves_its_connection_for_the_next() {
    let mut provider = ScriptedProvider::start(vec![good(), good(), good()]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    read(rig.run().await).await;
    provider.requests.recv().await.unwrap();
    // The end is drained in the background; the pool has it as soon as that task has run.
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    read(rig.run().await).await;
    assert_eq!(provider.requests.recv().await.unwrap().connection, 0);
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    let (go, wait) = oneshot::channel();
    let provider = ScriptedProvider::start(vec![vec![
        stream_head(),
        chunk(&content("a")),
        Step::Wait(wait),
        chunk(&format!("{}{}{DONE}", content("b"), finish())),
        last_chunk(),
    ]])
    .await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let Answer::Stream(mut stream) = rig.run().await else {
        panic!("a stream expected")
    };
    assert!(matches!(stream.next().await, Some(StreamItem::Event(event)) if event.raw == content("a")));
    go.send(()).unwrap();
    assert!(matches!(stream.next().await, Some(StreamItem::Event(event)) if event.raw == content("b")));
}

#[tokio::test]
async fn a_cut_after_the_first_content_ends_with_an_error_event() {
    let cut: Reply = vec![
        stream_head(),
        chunk(&role()),
        chunk(&content("abc")),
        chunk("data: {\"cho"),
    ];
    let second = ScriptedProvider::start(vec![good()]).await;
    let first = ScriptedProvider::start(vec![cut]).await;
    let rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    let (text, end) = read(rig.run().await).await;
    assert_eq!(text, format!("{}{}", role(), content("abc")));
    assert_eq!((end.outcome, end.code), (Outcome::Cut, "upstream_cut"));
    let closing = end.closing.unwrap();
    let error: serde_json::Value = serde_json::from_slice(&closing.data.unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "upstream_cut");
    assert_eq!(rig.attempts(), ["m0 Cut 200"]);
    let usage = rig.log.attempts()[0].usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.estimated), (1000, 3, true));
}

#[tokio::test]
async fn a_clean_close_without_an_end_is_a_cut_too() {
    let reply = vec![stream_head(), chunk(&content("abc")), last_chunk()];
    let provider = ScriptedProvider::start(vec![reply]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let (_, end) = read(rig.run().await).await;
    assert_eq!(end.outcome, Outcome::Cut);
}

#[tokio::test]
async fn an_end_marker_without_a_reason_to_end_is_a_cut() {
    let call = event(
        r#"{"id":"1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"pay","arguments":""}}]}}]}"#,
    );
    for dialect in Dialect::ALL {
        let reply = vec![stream_head(), chunk(&format!("{}{call}{DONE}", role())), last_chunk()];
        let provider = ScriptedProvider::start(vec![reply]).await;
        let settings = Rig::settings(&[&provider.base_url], Timeouts::default());
        let rig = Rig::with_settings(settings, dialect, &bodies::request(dialect, true));
        let (text, end) = read(rig.run().await).await;
        assert_eq!((end.outcome, end.code), (Outcome::Cut, "upstream_cut"), "{dialect}");
        let closing = end.closing.unwrap();
        assert!(
            !bodies::is_end(dialect, &String::from_utf8_lossy(&closing.raw)),
            "{dialect}"
        );
        assert!(!text.contains("{}\""), "no arguments were said: {text}");
    }
}

#[tokio::test]
async fn a_clean_close_after_every_answer_finished_is_an_end() {
    let reply = vec![stream_head(), chunk(&content("abc")), chunk(&finish()), last_chunk()];
    let provider = ScriptedProvider::start(vec![reply]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let (_, end) = read(rig.run().await).await;
    assert_eq!((end.outcome, end.closing), (Outcome::Succeeded, None));
    assert_eq!(rig.attempts(), ["m0 Succeeded 200"]);
}

#[tokio::test]
async fn what_breaks_before_the_first_content_falls_back_without_a_trace() {
    let error = event(r#"{"error":{"message":"boom","type":"server_error"}}"#);
    for (first, outcome) in [
        (vec![stream_head(), chunk(&role())], "Cut"),
        (
            vec![stream_head(), chunk(&role()), chunk(&error), last_chunk()],
            "Failed",
        ),
        (vec![stream_head(), chunk("data: garbage\n\n"), last_chunk()], "Garbled"),
        (vec![stream_head(), chunk(&role()), chunk(DONE), last_chunk()], "Cut"),
        (whole(200, "", ANSWER), "Garbled"),
    ] {
        let first = ScriptedProvider::start(vec![first]).await;
        let second = ScriptedProvider::start(vec![good()]).await;
        let rig = Rig::new(&[&first.base_url, &second.base_url], BODY).once();
        let (text, end) = read(rig.run().await).await;
        assert_eq!(text.matches("assistant").count(), 1);
        assert_eq!(end.outcome, Outcome::Succeeded);
        assert_eq!(
            rig.attempts(),
            [format!("m0 {outcome} 200"), "m1 Succeeded 200".to_owned()]
        );
    }
}

#[tokio::test]
async fn an_error_event_after_the_content_is_passed_on_as_the_end() {
    let error = event(r#"{"error":{"message":"boom","type":"server_error"}}"#);
    let reply = vec![
        stream_head(),
        chunk(&content("a")),
        chunk(&format!("{error}{DONE}")),
        last_chunk(),
    ];
    let provider = ScriptedProvider::start(vec![reply]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let (text, end) = read(rig.run().await).await;
    assert_eq!(text, content("a"));
    assert_eq!((end.outcome, end.code), (Outcome::Failed, "upstream_error"));
    assert_eq!(end.closing.unwrap().raw, error);
    assert_eq!(
        rig.log.attempts()[0].detail,
        "an error inside the stream (server_error)"
    );
}

#[tokio::test]
async fn a_stream_that_stalls_ends_with_an_error_event() {
    let mut provider = ScriptedProvider::start(vec![vec![stream_head(), chunk(&content("a")), Step::Hang]]).await;
    let timeouts = Timeouts {
        idle: Duration::from_millis(30),
        ..Timeouts::default()
    };
    let rig = Rig::with_timeouts(&[&provider.base_url], BODY, timeouts);
    let (_, end) = read(rig.run().await).await;
    assert_eq!((end.outcome, end.code), (Outcome::TimedOut, "upstream_timeout"));
    provider.closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_stream_and_pays_what_was_produced() {
    let reply = vec![stream_head(), chunk(&role()), chunk(&content("abcd")), Step::Hang];
    let mut provider = ScriptedProvider::start(vec![reply]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let Answer::Stream(mut stream) = rig.run().await else {
        panic!("a stream expected")
    };
    stream.next().await.unwrap();
    stream.next().await.unwrap();
    drop(stream);
    provider.closed.recv().await.unwrap();
    assert_eq!(rig.attempts(), ["m0 Cancelled 200"]);
    let usage = rig.log.attempts()[0].usage.unwrap();
    assert_eq!((usage.output, usage.estimated), (4, true));
}

#[tokio::test]
async fn an_empty_answer_that_says_it_is_complete_is_an_answer() {
    let reply = vec![
        stream_head(),
        chunk(&role()),
        chunk(&usage(5, 0)),
        chunk(DONE),
        last_chunk(),
    ];
    let provider = ScriptedProvider::start(vec![reply]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let (text, end) = read(rig.run().await).await;
    assert_eq!(text, role());
    assert_eq!(end.outcome, Outcome::Succeeded);
    assert_eq!(rig.attempts(), ["m0 Succeeded 200"]);
}
