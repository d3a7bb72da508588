//! Calls with a whole answer, over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_upstream::{Answer, FallbackOn, Outcome, Timeouts};
use support::*;

const BODY: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hello \u00e9"}],"max_tokens":100,"odd":  [1.0] }"#;

#[tokio::test]
async fn bytes_pass_both_ways_and_the_key_is_a_header_only() {
    let mut provider =
        ScriptedProvider::start(vec![whole(200, "x-request-id: r1\r\nx-ratelimit-limit: 5\r\n", ANSWER)]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    let answer = rig.run().await;
    let Answer::Whole(whole) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(whole.body, ANSWER);
    assert_eq!(whole.model, "m0");
    assert_eq!(whole.headers["x-request-id"], "r1");
    assert!(!whole.headers.contains_key("x-ratelimit-limit"));
    let request = provider.requests.recv().await.unwrap();
    assert_eq!(request.text(), BODY.replace(r#""model":"m""#, r#""model":"up0""#));
    assert!(request.head.starts_with("POST /v1/chat/completions HTTP/1.1"));
    let head = request.head.to_ascii_lowercase();
    assert!(head.contains(&format!("authorization: bearer {KEY}")));
    assert!(head.contains("accept-encoding: identity") && head.contains("x-extra: 1"));
    let attempt = &rig.log.attempts()[0];
    let usage = attempt.usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.estimated), (11, 7, false));
    assert_eq!(rig.attempts(), ["m0 Succeeded 200"]);
}

#[tokio::test]
async fn connections_are_used_again() {
    let mut provider = ScriptedProvider::start(vec![whole(200, "", ANSWER), whole(200, "", ANSWER)]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    rig.run().await;
    rig.run().await;
    assert_eq!(provider.requests.recv().await.unwrap().connection, 0);
    assert_eq!(provider.requests.recv().await.unwrap().connection, 0);
}

#[tokio::test]
async fn a_server_error_is_retried_at_the_same_target() {
    let provider = ScriptedProvider::start(vec![whole(500, "", "{}"), whole(200, "", ANSWER)]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.attempts(), ["m0 Failed 500", "m0 Succeeded 200"]);
    assert_eq!(rig.log.attempts()[0].usage, None);
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() {
    let provider =
        ScriptedProvider::start(vec![whole(429, "retry-after-ms: 60\r\n", "{}"), whole(200, "", ANSWER)]).await;
    let mut rig = Rig::new(&[&provider.base_url], BODY);
    // The failure closes the target for others; the call that was told the time comes back nevertheless.
    Arc::get_mut(&mut rig.health).unwrap().strict = true;
    let started = Instant::now();
    assert_eq!(body_of(rig.run().await).0, 200);
    assert!(started.elapsed() >= Duration::from_millis(60));
    assert_eq!(rig.attempts(), ["m0 Failed 429", "m0 Succeeded 200"]);
    let [first, second] = &rig.log.attempts()[..] else {
        panic!("two attempts")
    };
    assert_eq!(first.retry_after, Some(Duration::from_millis(60)));
    // The wait is the second one's delay, so that a trace shows it where it was.
    assert!(second.delay >= Duration::from_millis(60));
    assert!(first.delay + first.latency + second.delay + second.latency <= started.elapsed());
}

#[tokio::test]
async fn a_long_retry_after_goes_on_to_the_next_target_at_once() {
    let first = ScriptedProvider::start(vec![whole(429, "retry-after: 120\r\n", "{}"), whole(200, "", ANSWER)]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.attempts(), ["m0 Failed 429", "m1 Succeeded 200"]);
    assert_eq!(rig.health.reports.lock()[0].retry_after, Some(Duration::from_secs(120)));
}

#[tokio::test]
async fn exhausted_tells_the_shortest_wait_that_all_asked_for() {
    let first = ScriptedProvider::start(vec![whole(429, "retry-after: 120\r\n", "{}")]).await;
    let second = ScriptedProvider::start(vec![whole(429, "x-ratelimit-reset-tokens: 1m0s\r\n", "{}")]).await;
    let rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    let answer = rig.run().await;
    let Answer::Exhausted(exhausted) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(exhausted.retry_after, Some(Duration::from_secs(60)));
    assert_eq!(rig.attempts(), ["m0 Failed 429", "m1 Failed 429"]);
}

#[tokio::test]
async fn no_credit_is_not_waited_for() {
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let first = ScriptedProvider::start(vec![whole(429, "", quota), whole(200, "", ANSWER)]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.attempts(), ["m0 Failed 429", "m1 Succeeded 200"]);
    assert_eq!(rig.log.attempts()[0].detail, "status 429 (insufficient_quota)");
}

#[tokio::test]
async fn a_refused_connection_falls_back() {
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let rig = Rig::new(&[&refused_url().await, &second.base_url], BODY).once();
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.attempts(), ["m0 ConnectFailed 0", "m1 Succeeded 200"]);
}

#[tokio::test]
async fn a_provider_that_never_answers_times_out_and_is_let_go() {
    let mut first = ScriptedProvider::start(vec![vec![Step::Hang]]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let timeouts = Timeouts {
        connect: Duration::from_millis(20),
        first_byte: Duration::from_millis(30),
        ..Timeouts::default()
    };
    let rig = Rig::with_timeouts(&[&first.base_url, &second.base_url], BODY, timeouts).once();
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.attempts(), ["m0 TimedOut 0", "m1 Succeeded 200"]);
    first.closed.recv().await.unwrap();
}

#[tokio::test]
async fn an_attempt_has_its_own_deadline_and_the_call_another() {
    let slow = || {
        vec![
            Step::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{".to_vec()),
            Step::Hang,
        ]
    };
    let provider = ScriptedProvider::start(vec![slow(), slow(), slow()]).await;
    let mut rig = Rig::new(&[&provider.base_url], BODY);
    rig.call.targets[0].timeout = Duration::from_millis(30);
    let answer = rig.run().await;
    assert!(matches!(answer, Answer::Exhausted(_)));
    assert_eq!(rig.attempts(), ["m0 TimedOut 200", "m0 TimedOut 200"]);

    let mut rig = Rig::new(&[&provider.base_url, &provider.base_url], BODY);
    rig.call.timeout = Some(Duration::from_millis(30));
    let answer = rig.run().await;
    assert!(
        matches!(&answer, Answer::Exhausted(exhausted) if exhausted.deadline),
        "{answer:?}"
    );
    assert_eq!(rig.attempts(), ["m0 TimedOut 200"]);
}

#[tokio::test]
async fn garbage_and_a_broken_body_are_failures() {
    let cut = vec![Step::Write(
        b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"choices\":".to_vec(),
    )];
    let closed: Reply = Vec::new();
    let provider = ScriptedProvider::start(vec![whole(200, "", "<html>"), cut, closed, whole(200, "", ANSWER)]).await;
    let mut rig = Rig::new(&[&provider.base_url], BODY);
    rig.call.retry.attempts = 4;
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(
        rig.attempts(),
        ["m0 Garbled 200", "m0 Cut 200", "m0 Cut 0", "m0 Succeeded 200"]
    );
}

#[tokio::test]
async fn a_bad_request_is_for_the_client_and_never_tried_again() {
    let refusal = format!(r#"{{"error":{{"message":"bad tool; key {KEY}","code":"invalid_value"}}}}"#);
    let mut first = ScriptedProvider::start(vec![whole(400, "", &refusal)]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    let answer = rig.run().await;
    assert!(matches!(answer, Answer::Refused(_)));
    assert_eq!(body_of(answer), (400, refusal.replace(KEY, "[redacted]")));
    assert_eq!(rig.attempts(), ["m0 Failed 400"]);
    first.requests.recv().await.unwrap();
    assert!(first.requests.try_recv().is_err());
}

#[tokio::test]
async fn overload_is_recognised_whatever_the_status() {
    let overloaded = r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let first = ScriptedProvider::start(vec![whole(400, "", overloaded), whole(200, "", overloaded)]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(rig.attempts(), ["m0 Failed 400", "m0 Failed 200", "m1 Succeeded 200"]);
}

#[tokio::test]
async fn only_the_declared_failures_fall_back() {
    let first = ScriptedProvider::start(vec![whole(500, "", "{}"), whole(500, "", "{}")]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let mut rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    rig.call.fallback = FallbackOn::parse(&["429"]).unwrap();
    assert!(matches!(rig.run().await, Answer::Exhausted(_)));
    assert_eq!(rig.attempts(), ["m0 Failed 500", "m0 Failed 500"]);
}

#[tokio::test]
async fn an_unhealthy_target_is_skipped_and_one_that_becomes_so_is_left() {
    let first = ScriptedProvider::start(vec![whole(500, "", "{}"), whole(200, "", ANSWER)]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER), whole(200, "", ANSWER)]).await;
    let mut rig = Rig::new(&[&first.base_url, &second.base_url], BODY);
    Arc::get_mut(&mut rig.health).unwrap().strict = true;
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(body_of(rig.run().await).0, 200);
    assert_eq!(
        rig.attempts(),
        ["m0 Failed 500", "m1 Succeeded 200", "m1 Succeeded 200"]
    );
    rig.health.closed.lock().push("m1".to_owned());
    let answer = rig.run().await;
    assert!(
        matches!(&answer, Answer::Exhausted(exhausted) if exhausted.skipped == ["m0", "m1"]),
        "{answer:?}"
    );
}

#[tokio::test]
async fn absurd_usage_is_estimated_and_large_usage_is_believed() {
    let absurd = ANSWER.replace("\"completion_tokens\":7", "\"completion_tokens\":-7");
    let large = ANSWER.replace("\"completion_tokens\":7", "\"completion_tokens\":70000");
    let provider = ScriptedProvider::start(vec![whole(200, "", &absurd), whole(200, "", &large)]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    rig.run().await;
    rig.run().await;
    let usage: Vec<_> = rig.log.attempts().iter().map(|one| one.usage.unwrap()).collect();
    assert_eq!((usage[0].input, usage[0].output, usage[0].estimated), (1000, 100, true));
    assert_eq!((usage[1].output, usage[1].estimated), (70_000, false));
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_the_call() {
    let mut provider = ScriptedProvider::start(vec![vec![Step::Hang]]).await;
    let rig = Rig::new(&[&provider.base_url], BODY);
    tokio::select! {
        _ = rig.run() => panic!("no answer can come"),
        _ = provider.requests.recv() => {}
    }
    assert_eq!(rig.attempts(), ["m0 Cancelled 0"]);
    provider.closed.recv().await.unwrap();
    assert_eq!(rig.log.attempts()[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_new_configuration_keeps_the_connections_of_unchanged_providers() {
    let mut provider = ScriptedProvider::start(vec![whole(200, "", ANSWER), whole(200, "", ANSWER)]).await;
    let mut rig = Rig::new(&[&provider.base_url], BODY);
    rig.run().await;
    let mut settings = Rig::settings(&[&provider.base_url], Timeouts::default());
    settings.push(fairlead_upstream::ProviderSettings {
        base_url: "nonsense".to_owned(),
        ..settings[0].clone()
    });
    settings[1].name = "broken".to_owned();
    let (upstream, errors) = rig.upstream.rebuilt(settings);
    assert_eq!(
        errors.iter().map(|error| error.provider.as_str()).collect::<Vec<_>>(),
        ["broken"]
    );
    rig.upstream = upstream;
    rig.run().await;
    assert_eq!(provider.requests.recv().await.unwrap().connection, 0);
    assert_eq!(provider.requests.recv().await.unwrap().connection, 0);
}

#[tokio::test]
async fn the_attempts_of_a_call_are_bounded() {
    let script = (0..80).map(|_| whole(500, "", "{}")).collect();
    let provider = ScriptedProvider::start(script).await;
    let mut rig = Rig::new(&[&provider.base_url, &provider.base_url], BODY);
    rig.call.retry.attempts = 40;
    rig.call.retry.initial = Duration::ZERO;
    assert!(matches!(rig.run().await, Answer::Exhausted(_)));
    assert_eq!(
        count(&rig.attempts()),
        [("m0 Failed 500", 40), ("m1 Failed 500", 24)].into()
    );
}
