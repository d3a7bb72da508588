//! Rules on `model.output` in the loop of attempts: real rules, a real front, scripted providers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../upstream/tests/support/mod.rs"]
mod provider;
mod support;

use fairlead_wire::internal::{Effect, EngineConfig, Fallback, OutputCheck, PolicyRule, Route, Target};
use fairlead_wire::v1::stream_generate_response::Part;
use fairlead_wire::v1::{
    Attempt, AttemptOutcome, FindingAction, GenerateRequest, GenerateResponse, StreamGenerateRequest,
    StreamGenerateResponse,
};
use provider::{ANSWER, Reply, ScriptedProvider, Step, chunk, content, finish, last_chunk, role, stream_head, whole};
use serde_json::Value;
use support::{Daemon, TOKEN, reason};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Status, Streaming};

const BODY: &str = r#"{"model":"small","messages":[{"role":"user","content":"hello"}],"max_tokens":100}"#;
/// What the rule of these tests refuses or replaces.
const MATCH: &str = "nightfall";
/// Longer than the window of the rule.
const HARMLESS: &str = "nothing of interest is said in this sentence of eighty characters or so, is it ";

/// Calls go to `small`, then to `large`; answers pass one rule with this effect.
fn config(providers: &[&ScriptedProvider], effect: Effect) -> EngineConfig {
    let mut config = support::config();
    let (provider, model) = (config.providers[0].clone(), config.models[0].clone());
    config.providers.clear();
    config.models.clear();
    for (name, scripted) in ["small", "large"].into_iter().zip(providers) {
        let mut provider = provider.clone();
        provider.name = format!("of-{name}");
        provider.base_url.clone_from(&scripted.base_url);
        config.providers.push(provider);
        let mut model = model.clone();
        (model.name, model.provider) = (name.into(), format!("of-{name}"));
        config.models.push(model);
    }
    let others = config.models[1..].iter().map(|model| model.name.clone());
    config.routes = vec![Route {
        name: "all".into(),
        targets: vec![Target {
            model: "small".into(),
            weight: 1,
        }],
        fallback: Some(Fallback {
            chain: others.collect(),
            on: vec!["rejected".into()],
        }),
        ..Route::default()
    }];
    config.policies = vec![PolicyRule {
        name: "no-names".into(),
        on: "model.output".into(),
        effect: effect.into(),
        output: Some(OutputCheck {
            patterns: vec![format!("(?i){MATCH}")],
            window_bytes: 64,
            ..OutputCheck::default()
        }),
        ..PolicyRule::default()
    }];
    config
}

fn answer(text: &str) -> Reply {
    whole(200, "", &ANSWER.replace("\"hi\"", &format!("\"{text}\"")))
}

fn stream(texts: &[&str]) -> Reply {
    let mut reply = vec![stream_head(), chunk(&role())];
    reply.extend(texts.iter().map(|text| chunk(&content(text))));
    reply.extend([chunk(&finish()), chunk(provider::DONE), last_chunk()]);
    reply
}

/// Model, outcome, and rule with count of what was found.
fn told(attempts: &[Attempt]) -> Vec<String> {
    let found = |attempt: &Attempt| -> Vec<String> {
        let findings = attempt.findings.iter();
        let action = |action: FindingAction| action.as_str_name().replace("FINDING_ACTION_", "");
        findings
            .map(|one| format!("{} {} {} {}", one.rule, one.detector, one.count, action(one.action())))
            .collect()
    };
    let name = |outcome: AttemptOutcome| outcome.as_str_name().replace("ATTEMPT_OUTCOME_", "");
    attempts
        .iter()
        .map(|one| format!("{} {} {:?}", one.model, name(one.outcome()), found(one)))
        .collect()
}

async fn generate(daemon: &Daemon) -> Result<GenerateResponse, Status> {
    let request = GenerateRequest {
        body: BODY.into(),
        ..GenerateRequest::default()
    };
    let answered = daemon.client().await;
    let answered = answered.call("/fairlead.v1.ModelService/Generate", request).await;
    answered.map(tonic::Response::into_inner)
}

/// A stream: its text, the attempts at its end, or the status that it ended with.
#[derive(Default)]
struct Streamed {
    text: String,
    attempts: Vec<Attempt>,
    broken: Option<Status>,
}

async fn open(daemon: &Daemon) -> Result<Streaming<StreamGenerateResponse>, Status> {
    let mut grpc = tonic::client::Grpc::new(daemon.client().await.channel());
    grpc.ready().await.unwrap();
    let mut request = tonic::Request::new(StreamGenerateRequest {
        body: BODY.into(),
        ..StreamGenerateRequest::default()
    });
    let bearer = format!("Bearer {TOKEN}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let path = PathAndQuery::from_static("/fairlead.v1.ModelService/StreamGenerate");
    let codec = tonic_prost::ProstCodec::<StreamGenerateRequest, StreamGenerateResponse>::default();
    let opened = grpc.server_streaming(request, path, codec).await;
    opened.map(tonic::Response::into_inner)
}

/// The answer text of an event.
fn text_of(event: &[u8]) -> String {
    let event: Value = serde_json::from_slice(event).unwrap();
    let text = event["choices"][0]["delta"]["content"].as_str();
    text.unwrap_or_default().to_owned()
}

async fn streamed(daemon: &Daemon) -> Streamed {
    let mut got = Streamed::default();
    let mut parts = open(daemon).await.unwrap();
    loop {
        match parts.message().await {
            Ok(Some(message)) => match message.part.unwrap() {
                Part::Start(_) => {}
                Part::Event(event) => got.text += &text_of(&event),
                Part::End(end) => got.attempts = end.attempts,
            },
            Ok(None) => return got,
            Err(status) => {
                got.broken = Some(status);
                return got;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_answer_falls_back_and_both_attempts_are_billed() {
    let first = ScriptedProvider::start(vec![answer("by Nightfall, nightfall")]).await;
    let second = ScriptedProvider::start(vec![answer("by noon")]).await;
    let daemon = Daemon::start(config(&[&first, &second], Effect::Reject));
    let answered = generate(&daemon).await.unwrap();
    let body: Value = serde_json::from_slice(&answered.body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "by noon");
    assert_eq!(
        told(&answered.attempts),
        [
            r#"small REJECTED ["no-names pattern 2 REJECTED"]"#,
            "large SUCCEEDED []"
        ]
    );
    assert_eq!(answered.decision.unwrap().output_rules, ["no-names"]);
    // 11 tokens in and 7 out, of each.
    assert_eq!(answered.charged.unwrap().tokens, 36);
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_another_model_the_call_fails_and_does_not_repeat_what_was_said() {
    let provider = ScriptedProvider::start(vec![answer("by nightfall")]).await;
    let daemon = Daemon::start(config(&[&provider], Effect::Reject));
    let status = generate(&daemon).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "TARGETS_EXHAUSTED")
    );
    let message = status.message();
    assert!(message.contains("small REJECTED 200") && message.contains("no-names") && !message.contains(MATCH));
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_text_is_held_back_another_model_can_still_answer() {
    let first = ScriptedProvider::start(vec![stream(&["it comes by night", "fall, they say"])]).await;
    let second = ScriptedProvider::start(vec![stream(&["by ", "noon"])]).await;
    let daemon = Daemon::start(config(&[&first, &second], Effect::Reject));
    let got = streamed(&daemon).await;
    assert_eq!((got.text.as_str(), got.broken.is_none()), ("by noon", true));
    assert_eq!(
        told(&got.attempts),
        [
            r#"small REJECTED ["no-names pattern 1 REJECTED"]"#,
            "large SUCCEEDED []"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_content_a_refused_stream_ends_and_nobody_else_is_asked() {
    let first = ScriptedProvider::start(vec![stream(&[HARMLESS, HARMLESS, HARMLESS, "night", "fall", "!"])]).await;
    let mut second = ScriptedProvider::start(vec![stream(&["by noon"])]).await;
    let daemon = Daemon::start(config(&[&first, &second], Effect::Reject));
    let got = streamed(&daemon).await;
    let said = HARMLESS.repeat(3);
    assert!(!got.text.is_empty() && said.starts_with(&got.text), "{}", got.text);
    let status = got.broken.unwrap();
    assert!(status.message().contains("small REJECTED 200") && !status.message().contains(MATCH));
    assert!(second.requests.try_recv().is_err());
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redacted_streams_on_before_the_provider_has_ended() {
    let (go, wait) = tokio::sync::oneshot::channel();
    let mut script = vec![stream_head(), chunk(&role()), chunk(&content("by night"))];
    script.extend([chunk(&content("fall ")), chunk(&content(HARMLESS)), Step::Wait(wait)]);
    script.extend([
        chunk(&content(MATCH)),
        chunk(&finish()),
        chunk(provider::DONE),
        last_chunk(),
    ]);
    let provider = ScriptedProvider::start(vec![script]).await;
    let daemon = Daemon::start(config(&[&provider], Effect::Redact));
    let mut parts = open(&daemon).await.unwrap();
    let (mut text, mut go, mut attempts) = (String::new(), Some(go), Vec::new());
    while let Some(message) = parts.message().await.unwrap() {
        match message.part.unwrap() {
            Part::Start(_) => {}
            Part::Event(event) => {
                text += &text_of(&event);
                // The provider goes on only when this much has arrived.
                if text == "by [redacted:pattern] " {
                    go.take().unwrap().send(()).unwrap();
                }
            }
            Part::End(end) => attempts = end.attempts,
        }
    }
    assert_eq!(text, format!("by [redacted:pattern] {HARMLESS}[redacted:pattern]"));
    assert_eq!(told(&attempts), [r#"small SUCCEEDED ["no-names pattern 2 REDACTED"]"#]);
}
