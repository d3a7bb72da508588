//! What is asked for: the dialect's facts and the context, as an admission.
use std::collections::{BTreeMap, BTreeSet};

use fairlead_dialect::{Dialect, InvalidRequest, Request};
use fairlead_engine::{AdmitExtra, FieldViolation, Method, Rejection};
use fairlead_wire::v1::{AdmitRequest, CallContext, Untranslatable, admit_request};
use http::HeaderMap;
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::step::StepCall;

/// One call, before anything is decided about it.
#[derive(Debug)]
pub(crate) struct ModelCall {
    /// The checked body.
    pub(crate) body: Request,
    /// What is not in the body.
    pub(crate) context: CallContext,
    /// The caller's id; empty when it gave none.
    pub(crate) request_id: String,
    /// Ticket of an earlier refusal, to go on once people have agreed; empty when there is none.
    pub(crate) ticket: String,
    /// When the caller stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// Headers of the client for providers that speak its dialect.
    pub(crate) forward_headers: HeaderMap,
    /// True when the client does not want an answer from the response cache.
    pub(crate) wants_new_answer: bool,
    /// The step of a workflow whose result the answer is.
    pub(crate) step: Option<StepCall>,
}

/// The admission of a call.
pub(super) struct Admission {
    pub(super) request: AdmitRequest,
    extra: AdmitExtra<'static>,
    untranslatable: Vec<Untranslatable>,
}

impl Admission {
    /// What the engine needs beside the request.
    pub(super) fn extra(&self) -> AdmitExtra<'_> {
        AdmitExtra {
            untranslatable: &self.untranslatable,
            ..self.extra
        }
    }
}

impl ModelCall {
    /// A second call with the same id must get the first answer.
    pub(super) fn remembered(&self) -> bool {
        !self.request_id.is_empty()
    }

    /// The admission. `translations` are the dialects that the request may have to be translated to; `draw` is the key of
    /// the weighted draw when the caller gave no id.
    pub(super) fn admission(&self, translations: &BTreeSet<Dialect>, draw: impl FnOnce() -> String) -> Admission {
        let (facts, context) = (self.body.facts(), &self.context);
        let dialect = self.body.dialect();
        let remember = self.remembered();
        let mut request = AdmitRequest {
            request_id: String::new(),
            model: facts.model.clone(),
            workload: context.workload.clone(),
            session: context.session.clone(),
            run: context.run.clone(),
            step: context.step.clone(),
            labels: context.labels.clone(),
            input: Some(admit_request::Input::InputBytes(facts.input_bytes)),
            max_output_tokens: facts.max_output_tokens.unwrap_or(0),
            attributes: context.attributes.clone(),
            min_output_tokens: context.min_output_tokens,
            min_quality: context.min_quality,
            capabilities: facts.capabilities.clone(),
            stream: facts.stream,
            // With the ticket it is the same call again, so the digest is without.
            ticket: String::new(),
        };
        let content_digest: [u8; 32] = Sha256::digest(self.body.body()).into();
        // Only a remembered call is ever compared with another.
        let request_digest = remember.then(|| digest(&request, dialect, &content_digest));
        request.request_id = if remember { self.request_id.clone() } else { draw() };
        request.ticket.clone_from(&self.ticket);
        let extra = AdmitExtra {
            method: if facts.stream {
                Method::StreamGenerate
            } else {
                Method::Generate
            },
            content_digest: Some(content_digest),
            content_bytes: i64::try_from(self.body.body().len()).unwrap_or(i64::MAX),
            choices: facts.choices,
            request_digest,
            remember,
            settled_by_sidecar: true,
            dialect: dialect.name(),
            stored_input: facts.stored_input,
            // Waiting and look-ups are the core's.
            ..AdmitExtra::default()
        };
        Admission {
            request,
            extra,
            untranslatable: untranslatable(&self.body, translations),
        }
    }
}

/// What the dialects cannot say of the request. Nothing is read for none.
fn untranslatable(request: &Request, translations: &BTreeSet<Dialect>) -> Vec<Untranslatable> {
    let unsaid = |to: &Dialect| {
        let dialect = to.name();
        request.untranslatable(*to).into_iter().map(move |one| Untranslatable {
            dialect: dialect.to_owned(),
            field: one.field,
            essential: one.essential,
        })
    };
    translations.iter().flat_map(unsaid).collect()
}

/// Digest of a whole call without its id: the admission, whose encoding is the same every time, and the content.
fn digest(request: &AdmitRequest, dialect: Dialect, content_digest: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"fairlead/generate/v1\0");
    hash.update(dialect.name());
    hash.update(content_digest);
    hash.update(request.encode_to_vec());
    hash.finalize().into()
}

/// A body that the dialect refuses, with the field as the client wrote it.
pub(crate) fn invalid_body(invalid: &InvalidRequest) -> Rejection {
    let field = if invalid.field.is_empty() {
        "body".to_owned()
    } else {
        invalid.field.clone()
    };
    Rejection::invalid(vec![FieldViolation {
        field,
        description: invalid.message.clone(),
    }])
}

/// Bounds that an `AdmitRequest` has as well, checked here so that the message names the caller's own field.
pub(crate) fn context_violations(context: &CallContext, request_id: &str) -> Vec<FieldViolation> {
    let mut violations = Vec::new();
    let mut add = |field: &str, description: &str| {
        violations.push(FieldViolation {
            field: field.to_owned(),
            description: description.to_owned(),
        });
    };
    if request_id.chars().count() > 128 || request_id.chars().any(char::is_control) {
        add(
            "request_id",
            "must be at most 128 characters without control characters",
        );
    }
    if context.min_output_tokens < 0 {
        add("context.min_output_tokens", "must not be negative");
    }
    if context
        .min_quality
        .is_some_and(|quality| !(0.0..=1.0).contains(&quality))
    {
        add("context.min_quality", "must be between 0 and 1");
    }
    violations
}

/// Labels from `k=v,k2=v2`; `None` when that is not what it is.
pub(crate) fn labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return None;
        }
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn call(body: &'static str, request_id: &str) -> ModelCall {
        ModelCall {
            body: Request::parse(Dialect::OpenAiChat, bytes::Bytes::from_static(body.as_bytes())).unwrap(),
            context: CallContext::default(),
            request_id: request_id.to_owned(),
            ticket: String::new(),
            deadline: None,
            forward_headers: HeaderMap::new(),
            wants_new_answer: false,
            step: None,
        }
    }

    fn admission(call: &ModelCall) -> Admission {
        call.admission(&BTreeSet::new(), || "draw".to_owned())
    }

    #[test]
    fn what_other_dialects_cannot_say_is_found_for_those_that_are_spoken() {
        let seeded = call(r#"{"model":"m","messages":[],"seed":1}"#, "");
        assert!(admission(&seeded).extra().untranslatable.is_empty());
        let spoken = [Dialect::AnthropicMessages].into();
        let translated = seeded.admission(&spoken, String::new);
        let extra = translated.extra();
        assert_eq!(extra.dialect, "openai-chat");
        let named = extra
            .untranslatable
            .iter()
            .any(|one| one.dialect == "anthropic-messages");
        assert!(named, "{:?}", extra.untranslatable);
    }

    #[test]
    fn input_that_only_the_provider_can_see_is_told() {
        let stored = ModelCall {
            body: Request::parse(
                Dialect::OpenAiResponses,
                bytes::Bytes::from_static(br#"{"model":"m","input":"x","previous_response_id":"resp_1"}"#),
            )
            .unwrap(),
            ..call(r#"{"model":"m","messages":[]}"#, "")
        };
        assert!(admission(&stored).extra().stored_input);
        assert!(
            !admission(&call(r#"{"model":"m","messages":[]}"#, ""))
                .extra()
                .stored_input
        );
    }

    #[test]
    fn the_digest_covers_body_and_context_but_not_the_id() {
        let body = r#"{"model":"m","messages":[]}"#;
        let digest = |call: &ModelCall| admission(call).extra.request_digest.unwrap();
        let first = digest(&call(body, "one"));
        assert_eq!(first, digest(&call(body, "two")));
        assert_ne!(first, digest(&call(r#"{"model":"m","messages":[] }"#, "one")));
        let returned = ModelCall {
            ticket: "tkt_1".to_owned(),
            ..call(body, "one")
        };
        assert_eq!(first, digest(&returned), "with its ticket it is the same call");
        let mut other = call(body, "one");
        other.context.run = "r".to_owned();
        assert_ne!(first, digest(&other));
    }

    #[test]
    fn a_call_without_an_id_is_drawn_but_not_remembered() {
        let admission = admission(&call(r#"{"model":"m","messages":[]}"#, ""));
        assert_eq!(admission.request.request_id, "draw");
        assert!(!admission.extra.remember && admission.extra.request_digest.is_none());
        assert_eq!(admission.extra.method, Method::Generate);
    }

    #[test]
    fn labels_are_pairs() {
        assert_eq!(
            labels("a=1, b = x=y ,").unwrap(),
            [("a", "1"), ("b", "x=y")].map(|(k, v)| (k.into(), v.into())).into()
        );
        for text in ["a", "=1", "a=1,a=2"] {
            assert_eq!(labels(text), None, "{text}");
        }
    }

    #[test]
    fn every_violation_of_the_context_is_named() {
        let context = CallContext {
            min_output_tokens: -1,
            min_quality: Some(f64::NAN),
            ..CallContext::default()
        };
        let fields: Vec<_> = context_violations(&context, &"x".repeat(129))
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(
            fields,
            ["request_id", "context.min_output_tokens", "context.min_quality"]
        );
    }
}
