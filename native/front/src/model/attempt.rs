//! Attempts in the API's words, and what health hears of them.
use std::time::Duration;

use fairlead_engine::{Reason, Rejection};
use fairlead_plan::AttemptReport;
use fairlead_upstream::{Attempt, Exhausted, Finding, FindingAction, HealthSink, Outcome, Usage};
use fairlead_wire::v1;

use crate::core::Core;
use crate::metrics::Stage;
use crate::refusal;

/// Health as one call sees it.
pub(super) struct CallHealth {
    pub(super) core: Core,
    /// Size of the input, from which health learns the ratio of tokens to bytes; `None` when the model reads more.
    pub(super) input_bytes: Option<i64>,
}

impl HealthSink for CallHealth {
    fn may_try(&self, model: &str) -> bool {
        self.core.may_try(model)
    }

    fn report(&self, attempt: &Attempt) {
        if let Some(first_byte) = attempt.first_byte {
            self.core.metrics().stage(Stage::UpstreamFirstByte, first_byte);
        }
        let usage = attempt.usage.map(usage);
        let report = AttemptReport {
            outcome: outcome(attempt.outcome),
            status: i32::from(attempt.status),
            retry_after_nanos: attempt.retry_after.map(nanos),
            latency_nanos: nanos(attempt.latency),
            input_bytes: self.input_bytes,
            // An estimate says nothing about the ratio.
            usage: usage.as_ref().filter(|usage| !usage.estimated),
        };
        self.core.report_attempt(&attempt.model, &report);
    }
}

/// All attempts, as a settlement takes them.
pub(super) fn attempts(attempts: &[Attempt]) -> Vec<v1::Attempt> {
    attempts
        .iter()
        .map(|one| v1::Attempt {
            model: one.model.clone(),
            outcome: outcome(one.outcome).into(),
            status_code: i32::from(one.status),
            retry_after: one.retry_after.map(duration),
            latency: Some(duration(one.latency)),
            delay: Some(duration(one.delay)),
            usage: one.usage.map(usage),
            detail: one.detail.clone(),
            dropped_fields: one.dropped_fields.clone(),
            findings: one.findings.iter().map(finding).collect(),
        })
        .collect()
}

fn outcome(outcome: Outcome) -> v1::AttemptOutcome {
    match outcome {
        Outcome::Succeeded => v1::AttemptOutcome::Succeeded,
        Outcome::Failed => v1::AttemptOutcome::Failed,
        Outcome::ConnectFailed => v1::AttemptOutcome::ConnectFailed,
        Outcome::TimedOut => v1::AttemptOutcome::TimedOut,
        Outcome::Cut => v1::AttemptOutcome::Cut,
        Outcome::Cancelled => v1::AttemptOutcome::Cancelled,
        Outcome::Garbled => v1::AttemptOutcome::Garbled,
        Outcome::Rejected => v1::AttemptOutcome::Rejected,
    }
}

fn finding(finding: &Finding) -> v1::OutputFinding {
    let action = match finding.action {
        FindingAction::Flagged => v1::FindingAction::Flagged,
        FindingAction::Redacted => v1::FindingAction::Redacted,
        FindingAction::Rejected => v1::FindingAction::Rejected,
    };
    v1::OutputFinding {
        rule: finding.rule.clone(),
        detector: finding.detector.clone(),
        count: finding.count,
        action: action.into(),
    }
}

fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        input: usage.input,
        cached_input: usage.cached_input,
        cache_write: usage.cache_write,
        output: usage.output,
        reasoning: usage.reasoning,
        estimated: usage.estimated,
        cache_write_1h: usage.cache_write_1h,
        audio_input: usage.audio_input,
        audio_output: usage.audio_output,
        image_input: usage.image_input,
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        // Below 1e9.
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// `TARGETS_EXHAUSTED` with each attempt.
pub(super) fn exhausted(attempts: &[v1::Attempt], exhausted: &Exhausted) -> Rejection {
    let tried: Vec<String> = attempts.iter().map(described).collect();
    let mut parts = Vec::new();
    if !tried.is_empty() {
        parts.push(format!("no target answered: {}", tried.join("; ")));
    }
    if !exhausted.skipped.is_empty() {
        let what = if tried.is_empty() {
            "no target is healthy"
        } else {
            "not healthy"
        };
        parts.push(format!("{what}: {}", exhausted.skipped.join(", ")));
    }
    for (model, field) in &exhausted.untranslatable {
        parts.push(format!("cannot be told `{field}`: {model}"));
    }
    let message = if parts.is_empty() {
        "no target could be tried".to_owned()
    } else {
        parts.join("; ")
    };
    let mut rejection = match exhausted.retry_after {
        Some(after) => refusal::retry(Reason::TargetsExhausted, message, after),
        None => refusal::of(Reason::TargetsExhausted, message),
    };
    rejection = rejection.with("attempts", attempts.len());
    for (index, attempt) in tried.iter().enumerate() {
        rejection = rejection.with(&format!("attempt.{}", index.saturating_add(1)), attempt);
    }
    if !exhausted.skipped.is_empty() {
        rejection = rejection.with("skipped", exhausted.skipped.join(","));
    }
    if let Some((_, field)) = exhausted.untranslatable.first() {
        rejection = rejection.with("untranslatable", field);
    }
    if exhausted.deadline {
        rejection = rejection.with("cause", "deadline");
    }
    rejection
}

/// `gpt-4o FAILED 429 (status 429)`.
pub(super) fn described(attempt: &v1::Attempt) -> String {
    let name = attempt.outcome().as_str_name();
    let name = name.strip_prefix("ATTEMPT_OUTCOME_").unwrap_or(name);
    let mut text = format!("{} {name}", attempt.model);
    if attempt.status_code != 0 {
        text.push_str(&format!(" {}", attempt.status_code));
    }
    if !attempt.detail.is_empty() {
        text.push_str(&format!(" ({})", attempt.detail));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn an_exhausted_call_names_each_attempt() {
        let attempt = Attempt {
            model: "gpt-4o".to_owned(),
            outcome: Outcome::Failed,
            status: 429,
            retry_after: Some(Duration::from_secs(60)),
            delay: Duration::ZERO,
            first_byte: None,
            latency: Duration::from_millis(5),
            usage: None,
            detail: "status 429".to_owned(),
            findings: Vec::new(),
            dropped_fields: Vec::new(),
        };
        let ended = Exhausted {
            skipped: vec!["local".to_owned()],
            untranslatable: vec![("claude".to_owned(), "seed".to_owned())],
            deadline: false,
            retry_after: Some(Duration::from_secs(60)),
        };
        let rejection = exhausted(&attempts(&[attempt]), &ended);
        assert_eq!(rejection.reason, Reason::TargetsExhausted);
        assert_eq!(
            rejection.message,
            "no target answered: gpt-4o FAILED 429 (status 429); not healthy: local; cannot be told `seed`: claude"
        );
        assert_eq!(rejection.metadata["attempt.1"], "gpt-4o FAILED 429 (status 429)");
        assert_eq!(rejection.retry_after, Some(60_000_000_000));
    }
}
