//! Answers that are looked at before the client gets them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bodies;
mod support;

use std::sync::Arc;

use bodies::*;
use bytes::Bytes;
use fairlead_dialect::sse::SseEvent;
use fairlead_upstream::{
    Dialect, FallbackOn, Finding, FindingAction, Outcome, Screened, Screening, StreamScreened, StreamScreening,
    Timeouts,
};
use support::*;
use tokio::sync::{Notify, oneshot};

/// Refuses what says `secret`; of a stream it holds back `window` events.
#[derive(Debug)]
struct NoSecrets {
    window: usize,
}

struct Window {
    window: usize,
    held: Vec<SseEvent>,
}

fn found() -> Vec<Finding> {
    vec![Finding {
        rule: "no-secrets".to_owned(),
        detector: "word".to_owned(),
        count: 1,
        action: FindingAction::Rejected,
    }]
}

fn says_it(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|word| word == b"secret")
}

impl Screening for NoSecrets {
    fn whole(&self, _dialect: Dialect, body: Bytes) -> Screened {
        if says_it(&body) {
            return Screened::Rejected {
                rule: "no-secrets".to_owned(),
                findings: found(),
            };
        }
        Screened::Pass {
            body,
            findings: Vec::new(),
        }
    }

    fn stream(&self, _dialect: Dialect) -> Box<dyn StreamScreening> {
        Box::new(Window {
            window: self.window,
            held: Vec::new(),
        })
    }
}

impl StreamScreening for Window {
    fn event(&mut self, event: SseEvent) -> StreamScreened {
        let rejected = says_it(&event.raw);
        if self.held.is_empty()
            && !event.raw.windows(6).any(|word| word == b"_delta")
            && event.raw.starts_with(b"event")
        {
            // What a Messages stream says before its first text holds nothing to look at.
            return StreamScreened {
                events: vec![event],
                ..StreamScreened::default()
            };
        }
        self.held.push(event);
        let out = self.held.len().saturating_sub(self.window);
        StreamScreened {
            events: if rejected {
                Vec::new()
            } else {
                self.held.drain(..out).collect()
            },
            findings: if rejected { found() } else { Vec::new() },
            rejected: rejected.then(|| "no-secrets".to_owned()),
        }
    }

    fn end(&mut self) -> StreamScreened {
        StreamScreened {
            events: std::mem::take(&mut self.held),
            ..StreamScreened::default()
        }
    }
}

/// Holds everything back, and says so.
#[derive(Clone, Debug)]
struct HoldsBack(Arc<Notify>);

impl Screening for HoldsBack {
    fn whole(&self, _dialect: Dialect, body: Bytes) -> Screened {
        Screened::Pass {
            body,
            findings: Vec::new(),
        }
    }

    fn stream(&self, _dialect: Dialect) -> Box<dyn StreamScreening> {
        Box::new(self.clone())
    }
}

impl StreamScreening for HoldsBack {
    fn event(&mut self, _event: SseEvent) -> StreamScreened {
        self.0.notify_one();
        StreamScreened::default()
    }

    fn end(&mut self) -> StreamScreened {
        StreamScreened::default()
    }
}

fn stream(text: &str) -> Reply {
    let mut reply = vec![stream_head()];
    let replaced = events(Dialect::OpenAiChat).into_iter();
    reply.extend(replaced.map(|event| chunk(&event.replace("\"lo\"", &format!("\"{text}\"")))));
    reply.push(last_chunk());
    reply
}

fn rig(providers: &[&ScriptedProvider], streams: bool, window: usize) -> Rig {
    let urls: Vec<&str> = providers.iter().map(|provider| provider.base_url.as_str()).collect();
    let mut rig = Rig::new(&urls, &request(Dialect::OpenAiChat, streams));
    rig.call.screen = Some(Arc::new(NoSecrets { window }));
    rig.call.fallback = FallbackOn::parse(&["rejected"]).unwrap();
    rig
}

#[tokio::test]
async fn a_refused_answer_is_billed_and_the_next_target_answers() {
    let said = answer(Dialect::OpenAiChat).replace("hello", "secret");
    let first = ScriptedProvider::start(vec![whole(200, "", &said)]).await;
    let second = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let rig = rig(&[&first, &second], false, 0);
    assert_eq!(body_of(rig.run().await), (200, ANSWER.to_owned()));
    // Not tried again at the same target.
    assert_eq!(rig.attempts(), ["m0 Rejected 200", "m1 Succeeded 200"]);
    let attempt = &rig.log.attempts()[0];
    assert_eq!(attempt.usage.unwrap().output, 7);
    assert_eq!(attempt.findings, found());
    assert_eq!(attempt.detail, "the rule no-secrets refused the answer");
}

#[tokio::test]
async fn a_stream_that_was_held_back_falls_back_without_a_trace() {
    let first = ScriptedProvider::start(vec![stream("secret")]).await;
    let second = ScriptedProvider::start(vec![stream("lo")]).await;
    let rig = rig(&[&first, &second], true, 8);
    let (text, end) = read(rig.run().await).await;
    assert_eq!(streamed_text(Dialect::OpenAiChat, &text), "hello");
    assert_eq!(end.outcome, Outcome::Succeeded);
    assert_eq!(end.closing.unwrap().raw, DONE);
    assert_eq!(rig.attempts(), ["m0 Rejected 200", "m1 Succeeded 200"]);
    assert_eq!(rig.log.attempts()[0].findings, found());
}

/// The first text of a translated stream brings the start of the message with it, which shows nothing yet.
#[tokio::test]
async fn a_translated_stream_falls_back_as_long_as_its_text_is_held_back() {
    let first = ScriptedProvider::start(vec![stream("secret")]).await;
    let second = ScriptedProvider::start(vec![stream("lo")]).await;
    let urls = [first.base_url.as_str(), second.base_url.as_str()];
    let client = Dialect::AnthropicMessages;
    let mut rig = Rig::with_settings(
        Rig::settings(&urls, Timeouts::default()),
        client,
        &request(client, true),
    );
    rig.call.screen = Some(Arc::new(NoSecrets { window: 8 }));
    rig.call.fallback = FallbackOn::parse(&["rejected"]).unwrap();
    let (text, end) = read(rig.run().await).await;
    assert_eq!(rig.attempts(), ["m0 Rejected 200", "m1 Succeeded 200"]);
    assert_eq!(streamed_text(client, &text), "hello");
    assert_eq!(end.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_stream_that_has_begun_ends_with_an_error_event() {
    let first = ScriptedProvider::start(vec![stream("secret")]).await;
    let second = ScriptedProvider::start(vec![stream("lo")]).await;
    let rig = rig(&[&first, &second], true, 0);
    let (text, end) = read(rig.run().await).await;
    assert_eq!(streamed_text(Dialect::OpenAiChat, &text), "hel");
    assert_eq!((end.outcome, end.code), (Outcome::Rejected, "output_rejected"));
    let error: serde_json::Value = serde_json::from_slice(&end.closing.unwrap().data.unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "output_rejected");
    assert_eq!(rig.attempts(), ["m0 Rejected 200"]);
    assert_eq!(rig.log.attempts()[0].findings, found());
}

#[tokio::test]
async fn what_was_held_back_comes_before_the_end() {
    for reply in [
        stream("lo"),
        vec![stream_head(), chunk(&events(Dialect::OpenAiChat)[..3].concat())],
    ] {
        let provider = ScriptedProvider::start(vec![reply]).await;
        let rig = rig(&[&provider], true, 1);
        let (text, _) = read(rig.run().await).await;
        assert_eq!(streamed_text(Dialect::OpenAiChat, &text), "hello");
    }
}

#[tokio::test]
async fn what_the_model_said_is_charged_also_when_nobody_got_it() {
    let cut = vec![stream_head(), chunk(&content("abc"))];
    let (_go, wait) = oneshot::channel();
    let waits = vec![stream_head(), chunk(&content("abc")), Step::Wait(wait)];
    for (reply, expected) in [(cut, Outcome::Cut), (waits, Outcome::Cancelled)] {
        let provider = ScriptedProvider::start(vec![reply]).await;
        let mut rig = Rig::new(&[&provider.base_url], &request(Dialect::OpenAiChat, true)).once();
        let seen = Arc::new(Notify::new());
        rig.call.screen = Some(Arc::new(HoldsBack(Arc::clone(&seen))));
        tokio::select! {
            _answer = rig.run() => assert_eq!(expected, Outcome::Cut),
            () = async {
                seen.notified().await;
                if expected == Outcome::Cut {
                    std::future::pending::<()>().await;
                }
            } => {}
        }
        let attempts = rig.log.attempts();
        let usage = attempts[0].usage.unwrap();
        assert_eq!(
            (attempts[0].outcome, usage.output, usage.estimated),
            (expected, 3, true)
        );
    }
}
