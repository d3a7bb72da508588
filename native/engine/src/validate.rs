//! Bounds of what a request may say. Every violation is reported, not only the first.
use std::borrow::Cow;
use std::collections::BTreeMap;

use fairlead_wire::v1::admit_request::Input;
use fairlead_wire::v1::{AdmitRequest, Attempt, AttemptOutcome, ReleaseRequest, SettleRequest, Untranslatable, Usage};
use prost_types::value::Kind;

use crate::keys;
use crate::rejection::{FieldViolation, Rejection};

/// Longest request id, session, run, step, workload or model, in characters.
pub const MOST_ID_CHARS: usize = 128;
/// Most labels of a call.
pub const MOST_LABELS: usize = 32;
/// Longest name of a label, in characters.
pub const MOST_LABEL_NAME_CHARS: usize = 63;
/// Longest value of a label, in characters.
pub const MOST_LABEL_VALUE_CHARS: usize = 256;
/// Most tokens or bytes that any count may say: 10^12.
pub const MOST_TOKENS: i64 = 1_000_000_000_000;
/// Most answers of one call.
pub const MOST_CHOICES: i64 = 128;
/// Most capabilities a call may ask for.
pub const MOST_CAPABILITIES: usize = 32;
/// Most attempts of one settlement.
pub const MOST_ATTEMPTS: usize = 64;
/// Longest detail of an attempt and longest reason of a release, in characters.
pub const MOST_DETAIL_CHARS: usize = 512;
/// Largest attributes, in bytes of their encoding. They are part of the record.
pub const MOST_ATTRIBUTE_BYTES: usize = 8192;
/// Most fields per dialect that are recorded as not translatable, and their longest path in characters.
const MOST_UNTRANSLATABLE: usize = 32;
const MOST_FIELD_CHARS: usize = 128;
/// Deepest nesting of attributes.
pub const MOST_ATTRIBUTE_DEPTH: usize = 16;

/// Collects violations.
#[derive(Debug, Default)]
pub(crate) struct Check {
    violations: Vec<FieldViolation>,
}

impl Check {
    pub(crate) fn fail(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(FieldViolation {
            field: field.into(),
            description: description.into(),
        });
    }

    pub(crate) fn text(&mut self, field: &str, value: &str, most: usize) {
        // Characters are at most as many as bytes: counting is only for long values.
        if value.len() > most && value.chars().count() > most {
            self.fail(field, format!("must be at most {most} characters"));
        }
        if value.bytes().any(|byte| byte < 0x20) {
            self.fail(field, "must not contain control characters");
        }
    }

    pub(crate) fn request_id(&mut self, value: &str, required: bool) {
        if value.is_empty() && required {
            self.fail(
                "request_id",
                format!("is required: 1 to {MOST_ID_CHARS} characters, the same for a repetition"),
            );
        }
        self.text("request_id", value, MOST_ID_CHARS);
    }

    /// A ticket, when there is one.
    pub(crate) fn ticket(&mut self, value: &str) {
        if !value.is_empty() && keys::ticket_id(value).is_none() {
            self.fail(
                "ticket",
                "must be the ticket of an earlier answer: tkt_ and 32 hexadecimal digits",
            );
        }
    }

    fn count(&mut self, field: &str, value: i64) {
        if !(0..=MOST_TOKENS).contains(&value) {
            self.fail(field, format!("must be between 0 and {MOST_TOKENS}"));
        }
    }

    pub(crate) fn labels(&mut self, labels: &BTreeMap<String, String>) {
        if labels.len() > MOST_LABELS {
            self.fail("labels", format!("must be at most {MOST_LABELS}"));
        }
        for (name, value) in labels.iter().take(MOST_LABELS) {
            if name.is_empty() {
                self.fail("labels", "a name must not be empty");
            } else if name.chars().count() > MOST_LABEL_NAME_CHARS || name.bytes().any(|byte| byte < 0x20) {
                let shown: String = name
                    .chars()
                    .filter(|one| !one.is_control())
                    .take(MOST_LABEL_NAME_CHARS)
                    .collect();
                let must = "must be at most 63 characters without control characters";
                self.fail(format!("labels[{shown}…]"), must);
            } else if value.len() > MOST_LABEL_VALUE_CHARS || value.bytes().any(|byte| byte < 0x20) {
                self.text(&format!("labels[{name}]"), value, MOST_LABEL_VALUE_CHARS);
            }
        }
    }

    fn attributes(&mut self, attributes: &prost_types::Struct) {
        if prost::Message::encoded_len(attributes) > MOST_ATTRIBUTE_BYTES {
            self.fail("attributes", format!("must be at most {MOST_ATTRIBUTE_BYTES} bytes"));
        } else if attributes
            .fields
            .values()
            .any(|value| !is_shallow(value, MOST_ATTRIBUTE_DEPTH))
        {
            self.fail(
                "attributes",
                format!("must be nested at most {MOST_ATTRIBUTE_DEPTH} deep, with finite numbers"),
            );
        }
    }

    fn invocation(&mut self, value: &str) {
        if keys::invocation_id(value).is_none() {
            self.fail(
                "invocation",
                "must be the id of an admission: inv_ and 32 hexadecimal digits",
            );
        }
    }

    fn usage(&mut self, at: usize, usage: &Usage) {
        let counts = [
            ("input", usage.input),
            ("cached_input", usage.cached_input),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
            ("cache_write_1h", usage.cache_write_1h),
            ("audio_input", usage.audio_input),
            ("audio_output", usage.audio_output),
            ("image_input", usage.image_input),
        ];
        for (name, value) in counts {
            if !(0..=MOST_TOKENS).contains(&value) {
                self.count(&format!("attempts[{at}].usage.{name}"), value);
            }
        }
    }

    fn attempt(&mut self, at: usize, attempt: &Attempt) {
        let outcome = AttemptOutcome::try_from(attempt.outcome);
        if !outcome.is_ok_and(|outcome| outcome != AttemptOutcome::Unspecified) {
            self.fail(format!("attempts[{at}].outcome"), "must say what happened");
        }
        if attempt.status_code != 0 && !(100..=599).contains(&attempt.status_code) {
            self.fail(
                format!("attempts[{at}].status_code"),
                "must be an HTTP status, or 0 when there was none",
            );
        }
        let durations = [
            ("latency", &attempt.latency),
            ("retry_after", &attempt.retry_after),
            ("delay", &attempt.delay),
        ];
        for (name, duration) in durations {
            if duration
                .as_ref()
                .is_some_and(|duration| duration.seconds < 0 || duration.nanos < 0)
            {
                self.fail(format!("attempts[{at}].{name}"), "must not be negative");
            }
        }
        if attempt.detail.len() > MOST_DETAIL_CHARS && attempt.detail.chars().count() > MOST_DETAIL_CHARS {
            self.fail(
                format!("attempts[{at}].detail"),
                format!("must be at most {MOST_DETAIL_CHARS} characters"),
            );
        }
        if let Some(usage) = &attempt.usage {
            self.usage(at, usage);
        }
    }

    pub(crate) fn done(self) -> Result<(), Rejection> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(Rejection::invalid(self.violations))
        }
    }
}

fn is_shallow(value: &prost_types::Value, depth: usize) -> bool {
    match &value.kind {
        Some(Kind::NumberValue(number)) => number.is_finite(),
        Some(Kind::ListValue(list)) => depth > 0 && list.values.iter().all(|value| is_shallow(value, depth - 1)),
        Some(Kind::StructValue(inner)) => depth > 0 && inner.fields.values().all(|value| is_shallow(value, depth - 1)),
        _ => true,
    }
}

/// An admission; `choices` and `content_bytes` come from the dialect's body.
pub(crate) fn admit(request: &AdmitRequest, remember: bool, choices: i64, content_bytes: i64) -> Result<(), Rejection> {
    let mut check = Check::default();
    check.request_id(&request.request_id, remember);
    check.text("model", &request.model, MOST_ID_CHARS);
    check.text("workload", &request.workload, MOST_ID_CHARS);
    check.text("session", &request.session, MOST_ID_CHARS);
    check.text("run", &request.run, MOST_ID_CHARS);
    check.text("step", &request.step, MOST_ID_CHARS);
    check.labels(&request.labels);
    match request.input {
        None => check.fail("input", "is required: input_tokens or input_bytes"),
        Some(Input::InputTokens(tokens)) => check.count("input_tokens", tokens),
        Some(Input::InputBytes(bytes)) => check.count("input_bytes", bytes),
    }
    check.count("max_output_tokens", request.max_output_tokens);
    check.count("min_output_tokens", request.min_output_tokens);
    if request.max_output_tokens > 0 && request.min_output_tokens > request.max_output_tokens {
        check.fail("min_output_tokens", "must not be more than max_output_tokens");
    }
    if request
        .min_quality
        .is_some_and(|quality| !(0.0..=1.0).contains(&quality))
    {
        check.fail("min_quality", "must be between 0 and 1");
    }
    if request.capabilities.len() > MOST_CAPABILITIES {
        check.fail("capabilities", format!("must be at most {MOST_CAPABILITIES}"));
    }
    for capability in request.capabilities.iter().take(MOST_CAPABILITIES) {
        check.text("capabilities", capability, MOST_ID_CHARS);
    }
    if let Some(attributes) = &request.attributes {
        check.attributes(attributes);
    }
    if !(0..=MOST_CHOICES).contains(&choices) {
        check.fail("n", format!("must be between 1 and {MOST_CHOICES}"));
    }
    check.count("content_bytes", content_bytes);
    check.ticket(&request.ticket);
    check.done()
}

/// The fields that decide whether a dialect can say a request, as many as a record has room for. One that must not be
/// left out says as much as a hundred, so what is kept decides the same as the whole.
pub(crate) fn bounded(fields: &[Untranslatable]) -> Cow<'_, [Untranslatable]> {
    let is_long = |one: &Untranslatable| one.field.len() > MOST_FIELD_CHARS;
    if fields.len() <= MOST_UNTRANSLATABLE && !fields.iter().any(is_long) {
        return Cow::Borrowed(fields);
    }
    let mut kept: Vec<Untranslatable> = Vec::new();
    let (essential, tuning): (Vec<_>, Vec<_>) = fields.iter().partition(|one| one.essential);
    for one in essential.into_iter().chain(tuning) {
        if kept.iter().filter(|other| other.dialect == one.dialect).count() < MOST_UNTRANSLATABLE {
            kept.push(Untranslatable {
                field: one.field.chars().take(MOST_FIELD_CHARS).collect(),
                ..one.clone()
            });
        }
    }
    Cow::Owned(kept)
}

/// A settlement, before its invocation is known.
pub(crate) fn settle(request: &SettleRequest) -> Result<(), Rejection> {
    let mut check = Check::default();
    check.request_id(&request.request_id, true);
    check.invocation(&request.invocation);
    if request.attempts.len() > MOST_ATTEMPTS {
        check.fail("attempts", format!("must be at most {MOST_ATTEMPTS}"));
    }
    for (at, attempt) in request.attempts.iter().enumerate().take(MOST_ATTEMPTS) {
        check.attempt(at, attempt);
    }
    check.done()
}

/// A settlement's models against the plan.
pub(crate) fn attempts_in_plan(request: &SettleRequest, is_planned: impl Fn(&str) -> bool) -> Result<(), Rejection> {
    let mut check = Check::default();
    for (at, attempt) in request.attempts.iter().enumerate() {
        if !is_planned(&attempt.model) {
            check.fail(
                format!("attempts[{at}].model"),
                "must be a model of the invocation's plan",
            );
        }
    }
    check.done()
}

/// A release.
pub(crate) fn release(request: &ReleaseRequest) -> Result<(), Rejection> {
    let mut check = Check::default();
    check.request_id(&request.request_id, true);
    check.invocation(&request.invocation);
    if request.reason.len() > MOST_DETAIL_CHARS && request.reason.chars().count() > MOST_DETAIL_CHARS {
        check.fail("reason", format!("must be at most {MOST_DETAIL_CHARS} characters"));
    }
    check.done()
}
