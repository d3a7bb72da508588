//! Why an attempt failed, and what follows from it.

use std::time::Duration;

use http::HeaderMap;

use super::Whole;
use super::record::Outcome;
use fairlead_dialect::Usage;
use fairlead_dialect::{FaultKind, ProviderFault};

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// No connection; nothing was sent.
    Connect,
    /// The connection ended before the head of an answer.
    Reset,
    /// A deadline passed before any content.
    Timeout,
    /// An error status.
    Status(u16),
    /// Out of capacity, with this status.
    Overloaded(u16),
    /// The account has no credit (a 429 that no wait changes).
    Quota,
    /// The answer broke off before anything of it was passed on.
    Cut,
    /// The answer could not be understood.
    Garbled,
    /// The screening refused the answer.
    Rejected,
}

impl FailureKind {
    /// May another attempt at the same target succeed?
    pub(super) fn retryable(self) -> bool {
        match self {
            Self::Connect | Self::Reset | Self::Timeout | Self::Overloaded(_) | Self::Cut | Self::Garbled => true,
            Self::Status(status) => matches!(status, 408 | 429 | 500..=599),
            // The same model would most likely say the same again, and every try is billed.
            Self::Quota | Self::Rejected => false,
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Connect => Outcome::ConnectFailed,
            Self::Reset | Self::Cut => Outcome::Cut,
            Self::Timeout => Outcome::TimedOut,
            Self::Status(_) | Self::Overloaded(_) | Self::Quota => Outcome::Failed,
            Self::Garbled => Outcome::Garbled,
            Self::Rejected => Outcome::Rejected,
        }
    }
}

/// A failed attempt. Nothing of it has reached the client.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(super) kind: FailureKind,
    /// How long the provider asked to wait.
    pub(super) retry_after: Option<Duration>,
    /// For people; no secret, no content.
    pub(super) detail: String,
    /// The provider's answer, when the request itself was refused and the client should see why.
    pub(super) answer: Option<Box<Whole>>,
    /// What the provider reported in spite of the failure.
    pub(super) usage: Option<Usage>,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            retry_after: None,
            detail: detail.into(),
            answer: None,
            usage: None,
        }
    }

    /// An error status with its body read.
    pub(super) fn from_status(status: u16, fault: &ProviderFault, retry_after: Option<Duration>) -> Self {
        let kind = match fault.kind {
            FaultKind::QuotaExhausted if status == 429 => FailureKind::Quota,
            FaultKind::Overloaded if status != 429 => FailureKind::Overloaded(status),
            _ => FailureKind::Status(status),
        };
        Self {
            retry_after,
            ..Self::new(kind, described(&format!("status {status}"), fault))
        }
    }

    /// An error that came with a success status: in the body, or as an event before the content. It is treated as the
    /// status it should have had.
    pub(super) fn from_fault(fault: &ProviderFault) -> Self {
        let kind = match fault.kind {
            FaultKind::RateLimited => FailureKind::Status(429),
            FaultKind::QuotaExhausted => FailureKind::Quota,
            FaultKind::Overloaded => FailureKind::Overloaded(503),
            FaultKind::Other => FailureKind::Status(500),
        };
        Self::new(kind, described("an error instead of an answer", fault))
    }
}

pub(super) fn described(what: &str, fault: &ProviderFault) -> String {
    if fault.code.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({})", fault.code)
    }
}

/// The headers of a provider that are passed on: what describes the body, and what its support asks for. Rate limit
/// headers stay here; they speak of the operator's account.
pub(super) fn passed_headers(headers: &HeaderMap) -> HeaderMap {
    const PASSED: [&str; 6] = [
        "content-type",
        "x-request-id",
        "request-id",
        "openai-version",
        "openai-processing-ms",
        "openai-model",
    ];
    PASSED
        .iter()
        .filter_map(|name| {
            headers
                .get(*name)
                .map(|value| (http::HeaderName::from_static(name), value.clone()))
        })
        .collect()
}
